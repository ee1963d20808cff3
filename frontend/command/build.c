/* frontend/command/build.c - from a file to a compiled module, as every subcommand does it. */
#include "backend/backend.h"
#include "frontend/command/cmd.h"
#include "runtime/lamina.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static void set_int(ir_module *m, const char *name, int64_t v)
{
    ir_attr_set_ints(m->mem, &m->attrs, name, &v, 1);
}

/* Is 'how' one of these words, whose list ends with NULL? */
static bool check_choice(const char *option, const char *how, const char *const *known, diag *d)
{
    size_t count = 0;
    for (; known[count]; count++)
        if (!strcmp(how, known[count]))
            return true;
    text words = {0};
    for (size_t i = 0; i < count; i++) {
        text_add(&words, !i ? "" : i + 1 < count ? ", " : " or ");
        text_add(&words, known[i]);
    }
    const char *near = diag_nearest(how, known, count);
    diag_error(d, (src_loc){0}, "--%s: expected %s, found '%s'%s%s%s", option, text_get(&words), how,
               near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    text_free(&words);
    return false;
}

/* Can an option still change what this pass does? */
static bool check_in_time(const ir_module *m, const char *option, const char *value, const char *pass, diag *d)
{
    const ir_attr *after = ir_attr_find(m->attrs, "after");
    if (!after || !after->word || pass_index(after->word) < pass_index(pass))
        return true;
    diag_error(d, (src_loc){0}, "the text is past pass %s already: --%s=%s cannot change it", after->word, option,
               value);
    return false;
}

static bool check_partition_in_time(const ir_module *m, const cmd_build *b, diag *d)
{
    const char *workers = b->workers ? arena_printf(m->mem, "%" PRId64, b->workers) : NULL;
    return (!b->partition || check_in_time(m, "partition", b->partition, "partition", d)) &&
           (!b->balance || check_in_time(m, "balance", b->balance, "partition", d)) &&
           (!b->stages || check_in_time(m, "stages", b->stages, "partition", d)) &&
           (!workers || check_in_time(m, "workers", workers, "partition", d));
}

/* --stages=N or auto, and on how many workers that would run. */
static bool set_stages(ir_module *m, const cmd_build *b, const char *how, diag *d)
{
    char *end;
    bool count = b->stages && !strcmp(b->stages, "auto");
    long long stages = b->stages && !count ? strtoll(b->stages, &end, 10) : 0;
    if (b->workers && !count) {
        diag_error(d, (src_loc){0}, "--workers=%" PRId64 ": expected --stages=auto with it", b->workers);
        return false;
    }
    if (!b->stages)
        return true;
    if (!count && (end == b->stages || *end || stages < 1 || stages > 64)) {
        diag_error(d, (src_loc){0}, "--stages: expected a whole number from 1 to 64 or auto, found '%s'", b->stages);
        return false;
    }
    if (strcmp(how, "staged") != 0) {
        diag_error(d, (src_loc){0}, "--stages=%s: expected --partition=staged with it, found %s", b->stages, how);
        return false;
    }
    ir_attr_remove(m->mem, &m->attrs, count ? "stages" : "workers");
    if (count)
        set_int(m, "workers", b->workers ? b->workers : lamina_processors());
    else
        set_int(m, "stages", stages);
    return true;
}

/* What is asked for; else stages where the YAML names some. A text stays as it is where nothing is asked for. */
static bool set_partition(ir_module *m, const cmd_build *b, bool yaml, diag *d)
{
    static const char *const known[] = {"fused", "staged", "auto", NULL};
    static const char *const shares[] = {"time", "flops", "memory", "parameters", NULL};
    src_loc nowhere = {0};
    const ir_attr *said = ir_attr_find(m->attrs, "partition");
    bool has_stages =
        ir_row_find(m, "stage", NULL) || ir_attr_find(m->attrs, "stages") || ir_attr_find(m->attrs, "workers");
    const char *how = b->partition ? b->partition : said && said->word ? said->word : has_stages ? "staged" : "fused";
    if (!yaml && !b->partition && !b->stages && !b->balance && !b->workers)
        return true;
    if (!check_partition_in_time(m, b, d))
        return false;
    if (!check_choice("partition", how, known, d) || (b->balance && !check_choice("balance", b->balance, shares, d)))
        return false;
    if (!strcmp(how, "auto") && !b->stages) {
        diag_error(d, nowhere, "--partition=auto: expected --stages=N with it");
        return false;
    }
    if (!strcmp(how, "staged") && !b->stages && !has_stages) {
        diag_error(d, nowhere, "--partition=staged: expected --stages=N or stages in the YAML, found neither");
        return false;
    }
    how = strcmp(how, "auto") ? how : "staged";
    if (!set_stages(m, b, how, d))
        return false;
    ir_attr_set_word(m->mem, &m->attrs, "partition", how);
    if (b->balance)
        ir_attr_set_word(m->mem, &m->attrs, "balance", b->balance);
    return true;
}

/* How 3x3 convolutions are done; where nothing is asked for, as a text says. */
static bool set_convolution(ir_module *m, const cmd_build *b, diag *d)
{
    static const char *const known[] = {"auto", "direct", "winograd", NULL};
    const char *how = b->convolution;
    if (!how)
        return true;
    if (!check_choice("convolution", how, known, d) || !check_in_time(m, "convolution", how, "winograd", d))
        return false;
    if (strcmp(how, "auto"))
        ir_attr_set_word(m->mem, &m->attrs, "convolution", how);
    else
        ir_attr_remove(m->mem, &m->attrs, "convolution");
    return true;
}

/* Products by OpenBLAS instead of kernels, where asked for: `auto` stays with kernels, whose bits are promised. */
static bool set_gemm(ir_module *m, const cmd_build *b, diag *d)
{
    static const char *const known[] = {"auto", "generated", "openblas", NULL};
    const char *how = b->gemm ? b->gemm : "auto";
    const ir_attr *after = ir_attr_find(m->attrs, "after");
    bool selected = after && after->word && pass_index(after->word) >= pass_index("layout");
    if (!check_choice("gemm", how, known, d))
        return false;
    if (b->autotune && after && after->word && pass_index(after->word) >= pass_index("select")) {
        diag_error(d, (src_loc){0}, "the text is past pass %s already: --autotune has nothing to choose", after->word);
        return false;
    }
    if (b->gemm && !check_in_time(m, "gemm", how, "layout", d))
        return false;
    if (!selected && !strcmp(how, "openblas"))
        ir_attr_set_word(m->mem, &m->attrs, "gemm", "openblas");
    else if (!strcmp(how, "generated"))
        ir_attr_remove(m->mem, &m->attrs, "gemm");
    return true;
}

/* What is asked for; else what a text says; else 'usual'. */
static bool set_max_batch(ir_module *m, const cmd_build *b, int64_t usual, diag *d)
{
    const char *asked = arena_printf(m->mem, "%" PRId64, b->max_batch);
    if (b->max_batch && !check_in_time(m, "max-batch", asked, "split", d))
        return false;
    if (b->max_batch)
        set_int(m, "max_batch", b->max_batch);
    else if (!ir_attr_find(m->attrs, "max_batch"))
        set_int(m, "max_batch", usual);
    return true;
}

static ir_module *load_ir(const char *path, const cmd_build *b, diag *d)
{
    text source = {0};
    src_loc at = {path, 0, 0};
    if (!text_read_file(&source, path)) {
        diag_error(d, at, "cannot be read: %s", strerror(errno));
        text_free(&source);
        return NULL;
    }
    if (strlen(text_get(&source)) != source.length) {
        diag_error(d, at, "expected a network in YAML or IR text, found a binary file");
        text_free(&source);
        return NULL;
    }
    diag_source(d, path, text_get(&source));
    ir_module *m = ir_parse(text_get(&source), path, d);
    text_free(&source);
    if (m && m->target.triple && b->cpu && strcmp(b->cpu, m->target.cpu)) {
        diag_error(d, at, "the text is for the CPU %s already: --cpu=%s cannot change it", m->target.cpu, b->cpu);
        ir_module_free(m);
        return NULL;
    }
    return m;
}

/* One of the nets that stages which learn on their own are compiled as; NULL: the whole. */
static fe_network *find_part(fe_network *n, const char *part, diag *d)
{
    const fe_hierarchy *h = fe_stages(n);
    text known = {0};
    if (!part)
        return n;
    for (int i = 0; h && i < h->count; i++) {
        if (!strcmp(h->parts[i].name, part))
            return h->parts[i].net;
        text_printf(&known, "%s%s", i ? ", " : "", h->parts[i].name);
    }
    if (h && h->scores && !strcmp(part, "scores"))
        return h->scores;
    if (h)
        diag_error(d, (src_loc){0}, "--part: expected one of %s, scores; found '%s'", text_get(&known), part);
    else
        diag_error(d, (src_loc){0}, "--part=%s: expected a network with 'staging: {coupling: local}'", part);
    text_free(&known);
    return NULL;
}

static ir_module *load_yaml(const char *path, const cmd_build *b, arena *mem, fe_network **net, diag *d)
{
    *net = fe_read_changed(path, b->changes, mem, d);
    if (*net)
        *net = find_part(*net, b->part, d);
    return *net ? fe_build(*net, d) : NULL;
}

/* The options that are no pass's; 'batch' is the largest one where none is asked for. Frees m on an error. */
static ir_module *settle(ir_module *m, const cmd_build *b, bool yaml, int64_t batch, diag *d)
{
    if (set_partition(m, b, yaml, d) && set_max_batch(m, b, batch, d) &&
        (m->target.triple || be_target(b->cpu ? b->cpu : "native", m->mem, &m->target, d)) && set_gemm(m, b, d) &&
        set_convolution(m, b, d))
        return m;
    ir_module_free(m);
    return NULL;
}

ir_module *cmd_load(const char *path, const cmd_build *b, arena *mem, fe_network **net, diag *d)
{
    *net = NULL;
    bool yaml = ends_with(path, ".yaml") || ends_with(path, ".yml");
    if (!yaml && b->changes[0]) {
        diag_error(d, (src_loc){path, 0, 0}, "--set changes a YAML, found an IR text");
        return NULL;
    }
    ir_module *m = yaml ? load_yaml(path, b, mem, net, d) : load_ir(path, b, d);
    return m ? settle(m, b, yaml, yaml ? fe_train_options(*net)->batch : 128, d) : NULL;
}

ir_module *cmd_module(const fe_network *net, const cmd_build *b, diag *d)
{
    ir_module *m = fe_build(net, d);
    return m ? settle(m, b, true, fe_train_options(net)->batch, d) : NULL;
}

bool cmd_learns_together(const fe_network *net, diag *d)
{
    const fe_hierarchy *local = fe_stages(net);
    if (local)
        diag_error(d, local->parts[0].at, "stages are cut where all layers learn together, found coupling: local");
    return !local;
}

pass_options cmd_pass_options(const cmd_build *b)
{
    pass_options o = {.disabled = b->disabled};
    if (b->autotune) {
        o.hook = cmd_autotune;
        o.hook_after = "select";
        o.hook_name = "autotune";
        o.hook_user = (void *)b; /* only read */
    }
    return o;
}

bool cmd_make_directories(const char *path, diag *d)
{
    arena *mem = arena_new();
    char *copy = arena_strdup(mem, path);
    bool ok = true;
    for (char *p = copy + 1; ok; p++) {
        if (*p && *p != '/')
            continue;
        char kept = *p;
        *p = 0;
        if (mkdir(copy, 0777) && errno != EEXIST) {
            diag_error(d, (src_loc){0}, "%s: cannot be made: %s", copy, strerror(errno));
            ok = false;
        }
        *p = kept;
        if (!kept)
            break;
    }
    arena_free(mem);
    return ok;
}

bool cmd_run_passes(ir_module *m, const cmd_build *b, diag *d)
{
    text dump = {0}, timing = {0};
    bool lower = b->dump_after && !strcmp(b->dump_after, "lower");
    pass_options o = cmd_pass_options(b);
    o.dump_after = lower ? NULL : b->dump_after;
    o.dump_dir = b->dump_dir;
    o.dump_locations = b->dump_locations;
    o.dump = &dump;
    o.timing = b->time_passes ? &timing : NULL;
    bool ok = passes_run(m, &o, d);
    if (ok && lower)
        ok = be_print_nests(m, &dump, d);
    fputs(text_get(&dump), stdout);
    fputs(text_get(&timing), stderr);
    text_free(&dump);
    text_free(&timing);
    return ok;
}
