/* frontend/network/network.c - a YAML tree to the description of a network.
 *
 * Sections are read in the order in which they lean on each other, whatever their order in the file: inputs, layers
 * (each with its shape), losses and metrics; read.c goes on with stages, data and training. The first error ends the
 * reading: what follows would be guesses. */
#include "frontend/network/network.h"
#include <ctype.h>
#include <string.h>

/* ---- names ---- */

/* Length of a kind without its 1d, 2d or 3d. */
static size_t base_length(const char *kind)
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
    size_t base = base_length(kind);
    int ordinal = 1;
    for (int i = 0; i < index; i++) {
        const char *other = entries[i]->kind->name;
        ordinal += other == kind || (base_length(other) == base && !strncmp(other, kind, base));
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

bool fe_resolve(fe_reader *r, const fe_network *n, int layers, const char *name, src_loc at, fe_ref *out)
{
    if (find_ref(n, layers, name, out))
        return true;
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

static bool read_input(fe_reader *r, fe_network *n, const fe_yaml *key, const fe_yaml *y)
{
    static const fe_kind kind = {
        .name = "input",
        .short_key = "shape",
        .keys = {{"shape", FE_SHAPE, FE_REQUIRED}, {"dtype", FE_DTYPE, "float32"}, {"scale", FE_NUMBER, NULL}}};
    if (!fe_is_name(key->word))
        return fe_mismatch(r, key->at, "inputs", "a name (letters, digits and _, no digit first, at most 63)",
                           fe_yaml_describe(key, r->mem));
    const fe_choice *c = fe_read_options(r, &kind, NULL, y);
    if (!c)
        return false;
    const fe_option *shape = fe_get(c, "shape");
    fe_input *input = &n->inputs[n->ninputs++];
    *input = (fe_input){.name = key->word, .at = key->at};
    set_name(n, input->name, (fe_ref){true, n->ninputs - 1});
    input->scaled = fe_get(c, "scale")->present;
    input->scale = fe_get_number(c, "scale");
    input->type = (ir_type){.dtype = fe_get(c, "dtype")->dtype, .rank = shape->count + 1, .dim = {{1, true}}};
    for (int i = 0; i < shape->count; i++)
        input->type.dim[i + 1].n = shape->list[i];
    input->read_type = input->type;
    input->read_type.dtype = IR_F32;
    return fe_check_size(r, key->at, input->name, &input->type);
}

static bool read_inputs(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "inputs");
    if (!y)
        return fe_missing(r, n->at, "network", "inputs", "a mapping of names and shapes");
    if (!fe_expect_kind(r, y, "inputs", FE_MAP, "a mapping of names and shapes"))
        return false;
    n->inputs = arena_new_array(r->mem, fe_input, (size_t)y->count + 1);
    for (int i = 0; i < y->count; i++)
        if (!read_input(r, n, y->key[i], y->item[i]))
            return false;
    return n->ninputs || fe_mismatch(r, y->at, "inputs", "a mapping of names and shapes", "{}");
}

/* ---- layers ---- */

/* A list of layers as it is read: 'first' is the number of its first layer. Their names begin with 'prefix', and the
 * first one reads 'above' unless it says otherwise. */
typedef struct {
    int first;
    const char *prefix, *above;
} layer_list;

/* A name in a list with a prefix means a layer of this list before any other. */
static bool resolve_in_list(fe_reader *r, const fe_network *n, const layer_list *list, int index, const char *name,
                            src_loc at, fe_ref *out)
{
    return (*list->prefix && find_ref(n, index, arena_printf(r->mem, "%s%s", list->prefix, name), out)) ||
           fe_resolve(r, n, index, name, at, out);
}

/* What a layer names, else the layer above it. */
static bool read_layer_inputs(fe_reader *r, fe_network *n, const layer_list *list, fe_layer *l, int index)
{
    const fe_layer_kind *kind = l->kind;
    const fe_option *one = fe_get(l->options, "input"), *several = fe_get(l->options, "inputs");
    if (one->present && several->present)
        return fe_mismatch(r, several->at, kind->kind.name, "either 'input' or 'inputs'", "both");
    const char *above = index > list->first ? n->layers[index - 1].name : list->above;
    const char *const *names = several->present ? several->names : one->present ? &one->word : &above;
    const src_loc *at = several->present ? several->name_at : one->present ? &one->at : &l->at;
    l->nin = several->present ? several->count : 1;
    if (l->nin < kind->least_inputs || l->nin > kind->most_inputs) {
        const char *expected = kind->most_inputs == 1 ? "one input"
                                                      : arena_printf(r->mem, "inputs: [...], %d to %d of them",
                                                                     kind->least_inputs, kind->most_inputs);
        return fe_mismatch(r, several->present ? several->at : l->at, kind->kind.name, expected,
                           arena_printf(r->mem, "%d", l->nin));
    }
    l->in = arena_new_array(r->mem, fe_ref, (size_t)l->nin);
    l->in_type = arena_new_array(r->mem, ir_type, (size_t)l->nin);
    for (int i = 0; i < l->nin; i++) {
        if (!resolve_in_list(r, n, list, index, names[i], at[i], &l->in[i]))
            return false;
        l->in_type[i] = fe_ref_type(n, l->in[i]);
        *(l->in[i].is_input ? &n->inputs[l->in[i].index].layer_reads : &n->layers[l->in[i].index].is_read) = true;
    }
    return true;
}

static bool is_layer_name_free(fe_reader *r, const fe_network *n, const fe_layer *l, int index)
{
    fe_ref other;
    if (!find_ref(n, index, l->name, &other))
        return true;
    return fe_twice(r, l->at, "name", l->name, other.is_input ? n->inputs[other.index].at : n->layers[other.index].at);
}

bool fe_read_layer_list(fe_reader *r, fe_network *n, const fe_yaml *y, const char *prefix, const char *above)
{
    const layer_list list = {n->nlayers, prefix, above};
    const fe_choice **entries = arena_new_array(r->mem, const fe_choice *, (size_t)y->count);
    for (int i = 0; i < y->count; i++) {
        if (!(entries[i] = fe_read_choice(r, &fe_layers, y->item[i])))
            return false;
        fe_layer *l = &n->layers[n->nlayers];
        l->kind = (const fe_layer_kind *)(const void *)entries[i]->kind;
        l->options = entries[i];
        l->at = entries[i]->at;
        l->trainable = fe_get_bool(l->options, "trainable");
        l->name = arena_printf(r->mem, "%s%s", prefix, fe_entry_name(r, entries, i));
        if (!fe_is_name(l->name))
            return fe_mismatch(r, l->at, "name", "at most 63 characters with the stage's name before it", l->name);
        if (!is_layer_name_free(r, n, l, n->nlayers))
            return false;
        set_name(n, l->name, (fe_ref){false, n->nlayers++});
    }
    for (int i = list.first; i < n->nlayers; i++) {
        fe_layer *l = &n->layers[i];
        if (!read_layer_inputs(r, n, &list, l, i) || !l->kind->shape(r, l) ||
            !fe_check_size(r, l->at, l->name, &l->type))
            return false;
    }
    return true;
}

static bool read_layers(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "layers");
    if (!y)
        return fe_missing(r, n->at, "network", "layers", "a list of layers");
    if (!fe_expect_kind(r, y, "layers", FE_LIST, "a list of layers"))
        return false;
    if (!y->count)
        return fe_mismatch(r, y->at, "layers", "a list of layers", "[]");
    n->layers = arena_new_array(r->mem, fe_layer, (size_t)y->count);
    if (!fe_read_layer_list(r, n, y, "", n->ninputs ? n->inputs[0].name : ""))
        return false;
    for (int i = 0; i < n->nlayers; i++)
        n->layers[i].is_output = !n->layers[i].is_read;
    return true;
}

bool fe_check_inputs_read(fe_reader *r, const fe_network *n)
{
    for (int i = 0; i < n->ninputs; i++) {
        const fe_input *input = &n->inputs[i];
        if (!input->layer_reads && !input->loss_reads && !input->raw_reads) {
            diag_error(r->d, input->at, "input '%s' is read by no layer and no loss", input->name);
            return false;
        }
    }
    return true;
}

/* ---- the whole ---- */

static bool check_sections(fe_reader *r, const fe_yaml *root)
{
    static const char *const known[] = {"name",   "inputs", "layers", "losses",  "metrics", "optimizer",
                                        "groups", "data",   "train",  "staging", "stages",  "combine"};
    enum { COUNT = sizeof known / sizeof *known };
    for (int i = 0; i < root->count; i++) {
        const fe_yaml *key = root->key[i];
        int k = 0;
        while (k < COUNT && strcmp(known[k], key->word))
            k++;
        if (k == COUNT)
            return fe_unknown(r, key->at, "section", key->word, known, COUNT);
    }
    return true;
}

fe_network *fe_read_network(fe_reader *r, const fe_yaml *root, const char *path)
{
    fe_network *n = arena_make(r->mem, fe_network);
    *n = (fe_network){.mem = r->mem, .path = path, .at = root->at, .named = ir_map_new(r->mem, IR_MAP_TEXTS)};
    bool ok = check_sections(r, root) && read_name(r, n, root) && read_inputs(r, n, root) && read_layers(r, n, root) &&
              fe_read_objective(r, n, root) && fe_read_groups(r, n, root);
    return ok ? n : NULL;
}

const char *fe_name(const fe_network *n)
{
    return n->name;
}

const fe_hierarchy *fe_stages(const fe_network *n)
{
    return n->hierarchy;
}
