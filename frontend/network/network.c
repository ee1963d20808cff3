/* frontend/network/network.c - a YAML tree to the description of a network.
 *
 * Sections are read in the order in which they lean on each other, whatever their order in the file: inputs, layers
 * (each with its shape), losses and metrics; read.c goes on with stages, data and training. Reading goes on after an
 * error, as far as what follows does not depend on it: an entry with an error keeps its place and name and is marked as
 * failed, and whoever reads it fails without a word. So each mistake gives one message. */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"
#include <ctype.h>
#include <string.h>

/* ---- names ---- */

size_t fe_kind_length(const char *kind)
{
    size_t n = strlen(kind);
    return n > 2 && kind[n - 1] == 'd' && isdigit((unsigned char)kind[n - 2]) ? n - 2 : n;
}

const char *fe_entry_name(fe_reader *r, const fe_choice *const *entries, int index)
{
    const fe_option *name = fe_get(entries[index], "name");
    if (name->present)
        return name->word;
    const char *kind = entries[index]->kind->name;
    size_t base = fe_kind_length(kind);
    int ordinal = 1;
    for (int i = 0; i < index; i++) {
        const char *other = entries[i]->kind->name;
        ordinal += other == kind || (fe_kind_length(other) == base && !strncmp(other, kind, base));
    }
    return arena_printf(r->mem, "%.*s%d", (int)base, kind, ordinal);
}

ir_type fe_ref_type(const fe_network *n, fe_ref ref)
{
    return ref.is_input ? n->inputs[ref.index].read_type : n->layers[ref.index].type;
}

static bool find_ref(const fe_network *n, int layers, const char *name, fe_ref *out)
{
    const fe_ref *found = ir_map_get(n->named, name);
    if (!found || (!found->is_input && found->index >= layers))
        return false;
    *out = *found;
    return true;
}

static void set_name(fe_network *n, const char *name, fe_ref value)
{
    fe_ref *ref = arena_make(n->mem, fe_ref);
    *ref = value;
    ir_map_set(n->named, name, ref);
}

bool fe_may_be_lost(const fe_network *n, const char *name)
{
    return n->lost_names || (n->lost_ordinals && isdigit((unsigned char)name[strlen(name) - 1]));
}

static bool is_failed(const fe_network *n, fe_ref ref)
{
    return ref.index < 0 || (ref.is_input ? n->inputs[ref.index].failed : n->layers[ref.index].failed);
}

/* Has it got the name only because a layer could not be counted? */
static bool is_miscounted(const fe_network *n, fe_ref ref)
{
    return n->lost_ordinals && !ref.is_input && !fe_get(n->layers[ref.index].options, "name")->present;
}

bool fe_resolve(fe_reader *r, const fe_network *n, int layers, const char *name, src_loc at, fe_ref *out)
{
    if (find_ref(n, layers, name, out))
        return !is_failed(n, *out) && !is_miscounted(n, *out);
    if (fe_may_be_lost(n, name))
        return false;
    if (find_ref(n, n->nlayers, name, out)) {
        diag_error(r->d, at, "layer '%s' stands below; a layer reads inputs and layers above it", name);
        return false;
    }
    size_t count = 0;
    const char **known = arena_new_array(r->mem, const char *, (size_t)(n->ninputs + layers));
    for (int i = 0; i < n->ninputs; i++)
        known[count++] = n->inputs[i].name;
    for (int i = 0; i < layers; i++)
        known[count++] = n->layers[i].name;
    return fe_unknown(r, at, "input or layer", name, known, count);
}

/* ---- name, inputs ---- */

/* The file's own name, made a name: what stands before the first dot, other bytes as '_'. */
static const char *name_of_file(fe_reader *r, const char *path)
{
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path;
    size_t n = strcspn(stem, ".");
    char *name =
        arena_printf(r->mem, "%s%.*s", isdigit((unsigned char)*stem) || !n ? "net" : "", (int)(n < 60 ? n : 60), stem);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    return name;
}

static bool read_name(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    static const fe_kind section = {.name = "name", .short_key = "name", .keys = {{"name", FE_NAME, FE_REQUIRED}}};
    const fe_yaml *y = fe_yaml_find(root, "name");
    n->name = name_of_file(r, n->path);
    if (!y)
        return true;
    const fe_choice *c = fe_read_options(r, &section, NULL, y);
    if (!c)
        return false;
    n->name = fe_get(c, "name")->word;
    return true;
}

/* What `layout` says of an image or a sequence: do its channels come first, where layers have them last? */
static bool read_layout(fe_reader *r, const fe_option *o, fe_input *input)
{
    static const char *const words[] = {"nwc", "ncw", "nhwc", "nchw"};
    int rank = input->type.rank - 1, k = 0;
    if (!o->present)
        return true;
    while (k < 4 && strcmp(words[k], o->word) != 0)
        k++;
    if (k == 4)
        return fe_unknown(r, o->at, "layout", o->word, words, 4);
    if (rank != k / 2 + 2)
        return fe_mismatch(r, o->at, "layout", arena_printf(r->mem, "a shape of %d dimensions with it", k / 2 + 2),
                           arena_printf(r->mem, "%d", rank));
    input->channels_first = k % 2;
    for (int i = 1; input->channels_first && i <= rank; i++)
        input->read_type.dim[i] = input->type.dim[i < rank ? i + 1 : 1];
    return true;
}

const fe_kind fe_input_keys = {.name = "input",
                               .short_key = "shape",
                               .keys = {{"shape", FE_SHAPE, FE_REQUIRED},
                                        {"dtype", FE_DTYPE, "float32"},
                                        {"scale", FE_NUMBER, NULL},
                                        {"layout", FE_NAME, NULL}}};

static bool read_input(fe_reader *r, fe_network *n, const fe_yaml *key, const fe_yaml *y)
{
    fe_input *input = &n->inputs[n->ninputs++];
    *input = (fe_input){.name = key->word, .at = key->at, .failed = true};
    set_name(n, input->name, (fe_ref){true, n->ninputs - 1});
    if (!fe_is_name(key->word))
        fe_mismatch(r, key->at, "inputs", "a name (letters, digits and _, no digit first, at most 63)",
                    fe_yaml_describe(key, r->mem));
    const fe_choice *c = fe_read_options(r, &fe_input_keys, NULL, y);
    if (!c || !fe_is_name(key->word))
        return false;
    const fe_option *shape = fe_get(c, "shape");
    input->scaled = fe_get(c, "scale")->present;
    input->scale = fe_get_number(c, "scale");
    input->type = (ir_type){.dtype = fe_get(c, "dtype")->dtype, .rank = shape->count + 1, .dim = {{1, true}}};
    for (int i = 0; i < shape->count; i++)
        input->type.dim[i + 1].n = shape->list[i];
    input->read_type = input->type;
    input->read_type.dtype = IR_F32;
    input->failed =
        !read_layout(r, fe_get(c, "layout"), input) || !fe_check_size(r, key->at, input->name, &input->type);
    return !input->failed;
}

static bool read_input_list(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "inputs");
    bool ok = true;
    if (!y)
        return !n->lost_sections && fe_missing(r, n->at, "network", "inputs", "a mapping of names and shapes");
    if (!fe_expect_kind(r, y, "inputs", FE_MAP, "a mapping of names and shapes"))
        return false;
    n->inputs = arena_new_array(r->mem, fe_input, (size_t)y->count + 1);
    for (int i = 0; i < y->count && !fe_enough(r); i++)
        ok &= read_input(r, n, y->key[i], y->item[i]);
    n->lost_names = y->broken;
    if (!n->ninputs && !y->broken)
        fe_mismatch(r, y->at, "inputs", "a mapping of names and shapes", "{}");
    return ok && n->ninputs;
}

static bool read_inputs(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    bool ok = read_input_list(r, n, root);
    n->lost_names |= !n->ninputs;
    return ok;
}

/* ---- layers ---- */

/* A list of layers as it is read: 'first' is the number of its first layer. Their names begin with 'prefix', and the
 * first one reads 'above' unless it says otherwise; an index of -1 there is what an error was reported of. */
typedef struct {
    int first;
    const char *prefix;
    fe_ref above;
} layer_list;

/* A name in a list with a prefix means a layer of this list before any other. */
static bool resolve_in_list(fe_reader *r, const fe_network *n, const layer_list *list, int index, const char *name,
                            src_loc at, fe_ref *out)
{
    if (*list->prefix && find_ref(n, index, arena_printf(r->mem, "%s%s", list->prefix, name), out))
        return !is_failed(n, *out) && !is_miscounted(n, *out);
    return fe_resolve(r, n, index, name, at, out);
}

static bool check_input_count(fe_reader *r, const fe_layer *l, src_loc at)
{
    const fe_layer_kind *kind = l->kind;
    if (!kind || (l->nin >= kind->least_inputs && l->nin <= kind->most_inputs))
        return true;
    const char *expected = "one input";
    if (kind->most_inputs > kind->least_inputs)
        expected = arena_printf(r->mem, "inputs: [...], %d to %d of them", kind->least_inputs, kind->most_inputs);
    else if (kind->most_inputs > 1)
        expected = arena_printf(r->mem, "inputs: [...], %d of them", kind->most_inputs);
    return fe_mismatch(r, at, kind->kind.name, expected, arena_printf(r->mem, "%d", l->nin));
}

/* What a layer names, else what stands above it. */
static bool read_layer_inputs(fe_reader *r, fe_network *n, const layer_list *list, fe_layer *l, int index)
{
    const fe_option *one = fe_get(l->options, "input"), *several = fe_get(l->options, "inputs");
    bool named = one->present || several->present, ok = true;
    if (one->failed || several->failed)
        return false;
    if (one->present && several->present)
        return fe_mismatch(r, several->at, l->options->kind->name, "either 'input' or 'inputs'", "both");
    l->nin = several->present ? several->count : 1;
    if (!check_input_count(r, l, several->present ? several->at : l->at))
        return false;
    l->in = arena_new_array(r->mem, fe_ref, (size_t)l->nin);
    l->in_type = arena_new_array(r->mem, ir_type, (size_t)l->nin);
    for (int i = 0; i < l->nin; i++) {
        const char *name = several->present ? several->names[i] : one->word;
        src_loc at = several->present ? several->name_at[i] : one->at;
        l->in[i] = index > list->first ? (fe_ref){false, index - 1} : list->above;
        if (named ? !resolve_in_list(r, n, list, index, name, at, &l->in[i]) : is_failed(n, l->in[i])) {
            ok = false;
            continue;
        }
        l->in_type[i] = fe_ref_type(n, l->in[i]);
        *(l->in[i].is_input ? &n->inputs[l->in[i].index].layer_reads : &n->layers[l->in[i].index].is_read) = true;
    }
    return ok;
}

/* Where the first input or layer of that name stands, among those above a layer. */
static src_loc first_place(const fe_network *n, const char *name, int index)
{
    for (int i = 0; i < n->ninputs; i++)
        if (!strcmp(n->inputs[i].name, name))
            return n->inputs[i].at;
    for (int i = 0; i < n->nruns; i++)
        if (!strcmp(n->runs[i].name, name))
            return n->runs[i].at;
    int i = 0;
    while (i < index && strcmp(n->layers[i].name, name))
        i++;
    return n->layers[i].at;
}

/* A name that two have is nobody's. */
bool fe_take_name(fe_reader *r, fe_network *n, const fe_layer *l, int index)
{
    fe_ref other;
    if (!find_ref(n, index, l->name, &other)) {
        set_name(n, l->name, (fe_ref){false, index});
        return true;
    }
    set_name(n, l->name, (fe_ref){other.is_input, -1});
    return fe_twice(r, l->at, "name", l->name, first_place(n, l->name, index));
}

bool fe_name_output(fe_reader *r, fe_network *n, const char *name, src_loc at, int index)
{
    fe_ref other;
    if (find_ref(n, n->nlayers, name, &other))
        return fe_twice(r, at, "name", name, first_place(n, name, n->nlayers));
    set_name(n, name, (fe_ref){false, index});
    return true;
}

/* All of it but inputs and shape, for which the layers above must be known. */
static bool read_layer(fe_reader *r, fe_network *n, const layer_list *list, const fe_choice *const *entries, int entry)
{
    fe_layer *l = &n->layers[n->nlayers];
    const fe_choice *c = entries[entry];
    const fe_option *name = fe_get(c, "name");
    l->kind = c->stranger ? NULL : (const fe_layer_kind *)(const void *)c->kind;
    l->options = c;
    l->at = c->at;
    l->failed = c->failed;
    l->trainable = fe_get_bool(c, "trainable");
    l->name = arena_printf(r->mem, "%s%s", list->prefix, fe_entry_name(r, entries, entry));
    n->lost_ordinals |= c->stranger;
    if (name->failed || (c->stranger && !name->present))
        return false;
    if (!fe_is_name(l->name))
        return fe_mismatch(r, l->at, "name", "at most 63 characters with the stage's name before it", l->name);
    return fe_take_name(r, n, l, n->nlayers) && !c->failed;
}

/* The layer that an entry names by `share`; NULL after an error. */
static const fe_layer *find_owner(fe_reader *r, const fe_network *n, const layer_list *list, const fe_yaml *name)
{
    fe_ref ref;
    if (!resolve_in_list(r, n, list, n->nlayers, name->word, name->at, &ref))
        return NULL;
    if (!ref.is_input)
        return &n->layers[ref.index];
    fe_mismatch(r, name->at, "share", "a layer above", arena_printf(r->mem, "input '%s'", name->word));
    return NULL;
}

/* Statistics of the data are taken place by place of the last dimension that it has. */
static bool check_statistics(fe_reader *r, const fe_network *n, const fe_layer *l)
{
    for (int i = 0; i < l->nparams; i++)
        if (!strncmp(l->param[i].init.kind, "data_", 5) && n->inputs[l->in[0].index].channels_first)
            return fe_mismatch(r, l->at, l->kind->kind.name, "an input whose channels come last",
                               arena_printf(r->mem, "'%s', where they come first", n->inputs[l->in[0].index].name));
    return true;
}

static bool find_shape(fe_reader *r, fe_network *n, const layer_list *list, int index)
{
    fe_layer *l = &n->layers[index];
    bool sound = !l->failed && !(l->owner && l->owner->failed);
    bool ok = read_layer_inputs(r, n, list, l, index) && sound && l->kind->shape(r, l) &&
              fe_check_size(r, l->at, l->name, &l->type) && check_statistics(r, n, l) &&
              (!l->owner || fe_share_params(r, l));
    l->failed = !ok;
    return ok;
}

/* Layers of other files stand behind those that they are said to. */
static bool read_entries(fe_reader *r, fe_network *n, const layer_list *list, const fe_yaml *y)
{
    bool ok = true;
    const fe_choice **entries = arena_new_array(r->mem, const fe_choice *, (size_t)y->count);
    for (int i = 0; i < y->count && !fe_enough(r); i++) {
        const fe_yaml *shared = fe_shared_name(y->item[i]);
        const fe_layer *owner = shared ? find_owner(r, n, list, shared) : NULL;
        entries[i] = shared ? fe_read_sharing(r, y->item[i], owner) : fe_read_entry(r, &fe_layers, y->item[i]);
        ok &= read_layer(r, n, list, entries, i);
        n->layers[n->nlayers].owner = owner && owner->owner ? owner->owner : owner;
        n->nlayers++;
        ok &= fe_place_runs(r, n, n->layers[n->nlayers - 1].name);
    }
    return ok;
}

bool fe_read_layer_list(fe_reader *r, fe_network *n, const fe_yaml *y, const char *prefix, const char *above)
{
    layer_list list = {n->nlayers, prefix, {false, -1}};
    bool ok = find_ref(n, n->nlayers, above, &list.above) || n->lost_names;
    ok &= fe_place_runs(r, n, NULL);
    ok &= !y || read_entries(r, n, &list, y);
    for (int i = list.first; i < n->nlayers && !fe_enough(r);) {
        fe_run *run = fe_run_at(n, i);
        ok &= run ? fe_bind_run(r, n, run) : find_shape(r, n, &list, i);
        i += run ? run->count : 1;
    }
    return ok;
}

/* Of a file that could not be read nobody knows what stands here. */
static bool has_lost_run(const fe_network *n)
{
    for (int i = 0; i < n->nruns; i++)
        if (!n->runs[i].net)
            return true;
    return false;
}

static bool read_layers(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    enum { MOST_LAYERS = 1 << 16 };
    const fe_yaml *y = fe_yaml_find(root, "layers");
    bool lost = has_lost_run(n);
    n->lost_names |= lost || (y ? y->kind != FE_LIST || !y->count : !n->nruns);
    if (lost)
        return false;
    if (!y && !n->nruns)
        return !n->lost_sections && fe_missing(r, n->at, "network", "layers", "a list of layers");
    if (y && !fe_expect_kind(r, y, "layers", FE_LIST, "a list of layers"))
        return false;
    if (y && !y->count)
        return fe_mismatch(r, y->at, "layers", "a list of layers", "[]");
    const fe_yaml *blocks = fe_yaml_find(root, "blocks");
    y = (blocks && !fe_check_blocks(r, blocks)) || !y ? NULL : fe_expand_layers(r, y, blocks);
    if (!y && fe_yaml_find(root, "layers")) {
        n->lost_names = true;
        return false;
    }
    int64_t count = (y ? y->count : 0) + fe_run_layers(n);
    if (n->nruns && count > MOST_LAYERS) { /* a file that names one twice, which does so too, and so on */
        n->lost_names = true;
        return fe_mismatch(r, n->runs[0].at, "stages", "at most 65536 layers with those of files", "more");
    }
    n->layers = arena_new_array(r->mem, fe_layer, (size_t)count);
    bool ok = fe_read_layer_list(r, n, y, "", n->lost_names ? "" : n->inputs[0].name);
    for (int i = 0; i < n->nlayers; i++)
        n->layers[i].is_output = !n->layers[i].is_read;
    return ok;
}

bool fe_check_inputs_read(fe_reader *r, const fe_network *n)
{
    for (int i = 0; i < n->ninputs; i++) {
        const fe_input *input = &n->inputs[i];
        if (!input->layer_reads && !input->loss_reads && !input->raw_reads)
            diag_error(r->d, input->at, "input '%s' is read by no layer and no loss", input->name);
    }
    return !diag_errors(r->d);
}

/* ---- the whole ---- */

const char *const fe_sections[FE_SECTIONS] = {"name",    "inputs",    "blocks",  "layers",  "losses",
                                              "metrics", "optimizer", "groups",  "data",    "train",
                                              "staging", "stages",    "combine", "teacher", "weights"};

static bool check_sections(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    bool ok = true;
    n->lost_sections = root->broken;
    for (int i = 0; i < root->count && !fe_enough(r); i++) {
        const fe_yaml *key = root->key[i];
        int k = 0;
        while (k < FE_SECTIONS && strcmp(fe_sections[k], key->word))
            k++;
        if (k == FE_SECTIONS) {
            ok = fe_unknown(r, key->at, "section", key->word, fe_sections, FE_SECTIONS);
            n->lost_sections = true;
        }
    }
    return ok;
}

fe_network *fe_read_network(fe_reader *r, const fe_yaml *root, const char *path, fe_run *runs, int count)
{
    static bool (*const sections[])(fe_reader *, fe_network *, const fe_yaml *) = {
        check_sections, read_name, read_inputs, read_layers, fe_read_objective, fe_read_groups};
    fe_network *n = arena_make(r->mem, fe_network);
    *n = (fe_network){.mem = r->mem, .path = path, .at = root->at, .named = ir_map_new(r->mem, IR_MAP_TEXTS)};
    n->runs = runs;
    n->nruns = count;
    bool ok = true;
    for (size_t i = 0; i < sizeof sections / sizeof *sections && !fe_enough(r); i++)
        ok &= sections[i](r, n, root);
    if (!ok && !diag_errors(r->d))
        ir_bug("a network was refused without an error");
    return n;
}

const char *fe_input_at(const fe_network *n, int index, ir_type *type)
{
    if (index >= n->ninputs)
        return NULL;
    *type = n->inputs[index].type;
    return n->inputs[index].name;
}

const char *fe_name(const fe_network *n)
{
    return n->name;
}

const fe_hierarchy *fe_stages(const fe_network *n)
{
    return n->hierarchy;
}
