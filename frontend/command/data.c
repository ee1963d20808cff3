/* frontend/command/data.c - the data sets of a YAML network, read for its compiled form. A fault names the file and
 * then the YAML line that led there. */
#include "frontend/command/data.h"
#include <glob.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

bool cmd_library(const char *path, lamina_library **out, diag *d)
{
    lamina_error e;
    if (lamina_library_open(path, out, &e) == LAMINA_OK)
        return true;
    diag_error(d, (src_loc){0}, "%s", e.text);
    return false;
}

static bool fail(diag *d, src_loc at, const lamina_error *e)
{
    diag_error(d, at, "%s", e->text);
    return false;
}

/* Where a key follows the pattern of "FILE:KEY". */
static size_t pattern_length(const char *path, bool keys)
{
    const char *colon = keys ? strrchr(path, ':') : NULL;
    return colon && colon[1] && !strpbrk(colon, "/*?[.") ? (size_t)(colon - path) : strlen(path);
}

/* The paths with their patterns replaced by the files that match, in sorted order; of patterns with a key each file has
 * it. NULL after an error. */
static const char **expand(const char **paths, int path_count, bool keys, src_loc at, arena *mem, int32_t *count,
                           diag *d)
{
    const char **files = NULL;
    *count = 0;
    for (int i = 0; i < path_count; i++) {
        size_t length = pattern_length(paths[i], keys);
        const char *pattern = arena_printf(mem, "%.*s", (int)length, paths[i]);
        glob_t found = {0};
        int code = glob(pattern, strpbrk(pattern, "*?[") ? 0 : GLOB_NOCHECK | GLOB_NOESCAPE, NULL, &found);
        const char **more = arena_new_array(mem, const char *, (size_t)*count + found.gl_pathc + 1);
        if (*count)
            memcpy(more, files, (size_t)*count * sizeof *files);
        files = more;
        for (size_t k = 0; !code && k < found.gl_pathc; k++)
            files[(*count)++] = arena_printf(mem, "%s%s", found.gl_pathv[k], paths[i] + length);
        globfree(&found);
        if (code) {
            diag_error(d, at, "%s: expected files of such names, found none", pattern);
            return NULL;
        }
    }
    return files;
}

static lamina_file_format format_of(const fe_data_set *set)
{
    return !strcmp(set->format, "npy")   ? LAMINA_FILE_NPY
           : !strcmp(set->format, "npz") ? LAMINA_FILE_NPZ
           : !strcmp(set->format, "raw") ? LAMINA_FILE_RAW
                                         : LAMINA_FILE_IDX;
}

static bool read_fields(const fe_data_set *set, const lamina_net *compiled, lamina_dataset *out, diag *d)
{
    arena *mem = arena_new();
    lamina_error e;
    bool ok = true;
    for (int i = 0; ok && i < set->field_count; i++) {
        const fe_data_field *f = &set->fields[i];
        int32_t count;
        if (lamina_net_input(compiled, f->input) < 0) /* what nothing reads that is compiled here */
            continue;
        const char **files = expand(f->paths, f->path_count, format_of(set) == LAMINA_FILE_NPZ, f->loc, mem, &count, d);
        ok = files && (lamina_dataset_add_files(out, f->input, format_of(set), files, count, &e) == LAMINA_OK ||
                       fail(d, f->loc, &e));
    }
    arena_free(mem);
    return ok;
}

/* ---- tables ---- */

/* Of what nothing reads that is compiled here no column is wanted. */
static lamina_table_options options_of(const fe_table *t, const lamina_net *compiled, arena *mem)
{
    lamina_table_column *columns = arena_new_array(mem, lamina_table_column, (size_t)t->count);
    int32_t count = 0;
    for (int i = 0; i < t->count; i++) {
        const fe_column *c = &t->columns[i];
        if (lamina_net_input(compiled, c->input) < 0)
            continue;
        columns[count++] = (lamina_table_column){.name = c->name,
                                                 .input = c->input,
                                                 .categories = c->categories,
                                                 .category_count = c->category_count,
                                                 .sorted = c->sorted,
                                                 .fill = c->fill,
                                                 .clipped = c->clipped,
                                                 .least = c->least,
                                                 .most = c->most};
    }
    bool json = !strcmp(t->format, "jsonl"), sparse = !strcmp(t->format, "libsvm");
    return (lamina_table_options){.format = json     ? LAMINA_JSON_LINES
                                            : sparse ? LAMINA_LIBSVM
                                                     : LAMINA_CSV,
                                  .columns = columns,
                                  .column_count = count,
                                  .delimiter = t->delimiter,
                                  .no_header = !t->header,
                                  .missing = t->missing,
                                  .missing_count = t->missing_count,
                                  .drop_missing = t->drop_missing,
                                  .keep_missing = t->keep_missing,
                                  .drop_duplicates = t->drop_duplicates};
}

static bool read_table(const fe_data_set *set, const lamina_net *compiled, lamina_dataset *out,
                       lamina_table_report *report, diag *d)
{
    const fe_table *t = set->table;
    arena *mem = arena_new();
    lamina_error e;
    int32_t count;
    const char **files = expand(t->paths, t->path_count, false, t->at, mem, &count, d);
    const lamina_table_options o = options_of(t, compiled, mem);
    bool ok = files && (lamina_dataset_add_table(out, files, count, &o, report, &e) == LAMINA_OK || fail(d, t->at, &e));
    arena_free(mem);
    return ok;
}

static void remark(const lamina_table_report *r, src_loc at, diag *d)
{
    diag_remark(d, at,
                "%" PRId64 " records, of which %" PRId64 " left out for missing values and %" PRId64
                " as duplicates; %" PRId64 " values filled, %" PRId64 " clipped, %" PRId64 " kept missing",
                r->records, r->missing, r->duplicates, r->filled, r->clipped, r->kept_missing);
}

/* ---- sets ---- */

static bool choose_records(const fe_records *o, const lamina_net *compiled, lamina_dataset *data, diag *d)
{
    lamina_error e;
    if (!o)
        return true;
    if (o->input && lamina_dataset_select(data, o->input, o->values, o->count, &e) != LAMINA_OK)
        return fail(d, o->at, &e);
    if (o->take && lamina_dataset_take(data, o->take, &e) != LAMINA_OK)
        return fail(d, o->at, &e);
    if (o->balance && lamina_net_input(compiled, o->balance) >= 0 &&
        lamina_dataset_set_balance(data, o->balance, &e) != LAMINA_OK)
        return fail(d, o->at, &e);
    return !o->window || lamina_dataset_set_window(data, o->window, &e) == LAMINA_OK || fail(d, o->at, &e);
}

/* Classes are numbers below those of the network's logits. */
static bool check_labels(const fe_network *net, const lamina_dataset *data, const char *input, src_loc at, diag *d)
{
    lamina_error e;
    int64_t classes = fe_classes(net, input);
    return !classes || lamina_dataset_check_labels(data, input, classes, &e) == LAMINA_OK || fail(d, at, &e);
}

static bool check_all_labels(const fe_network *net, const fe_data_set *set, const lamina_net *compiled,
                             const lamina_dataset *data, diag *d)
{
    const fe_table *t = set->table;
    for (int i = 0; i < set->field_count; i++) {
        const fe_data_field *f = &set->fields[i];
        if (lamina_net_input(compiled, f->input) >= 0 && !check_labels(net, data, f->input, f->loc, d))
            return false;
    }
    for (int i = 0; t && i < t->count; i++)
        if (lamina_net_input(compiled, t->columns[i].input) >= 0 &&
            !check_labels(net, data, t->columns[i].input, t->columns[i].at, d))
            return false;
    return true;
}

bool cmd_read_records(const fe_network *net, const fe_data_set *set, const lamina_net *compiled, lamina_dataset **out,
                      lamina_table_report *report, diag *d)
{
    lamina_error e;
    *report = (lamina_table_report){0};
    if (lamina_dataset_new(compiled, out, &e) != LAMINA_OK)
        return fail(d, set->loc, &e);
    bool ok = set->table    ? read_table(set, compiled, *out, report, d)
              : set->images ? cmd_read_images(set, compiled, *out, d)
                            : read_fields(set, compiled, *out, d);
    ok = ok && choose_records(set->records, compiled, *out, d) && check_all_labels(net, set, compiled, *out, d);
    if (ok && set->table)
        remark(report, set->loc, d);
    if (ok)
        return true;
    lamina_dataset_free(*out);
    *out = NULL;
    return false;
}

bool cmd_read_set(const fe_network *net, const char *which, const lamina_net *compiled, lamina_dataset **out,
                  lamina_table_report *report, diag *d)
{
    return cmd_read_records(net, fe_data(net, which), compiled, out, report, d);
}

bool cmd_take_set(const fe_network *net, const char *which, const lamina_net *compiled, uint64_t seed,
                  lamina_dataset *train, lamina_dataset **out, lamina_table_report *report, diag *d)
{
    const fe_data_set *set = fe_data(net, which);
    lamina_error e;
    *out = NULL;
    if (set->split <= 0)
        return cmd_read_set(net, which, compiled, out, report, d);
    seed = set->split_seed >= 0 ? (uint64_t)set->split_seed : seed;
    lamina_status s = set->folds      ? lamina_dataset_fold(train, set->folds, set->fold, set->stratify, seed, out, &e)
                      : set->stratify ? lamina_dataset_split_classes(train, set->stratify, set->split, seed, out, &e)
                                      : lamina_dataset_split(train, set->split, seed, out, &e);
    return s == LAMINA_OK || fail(d, set->loc, &e);
}

/* A set that may be absent, and of which train lacks its part even if nobody wants it ('out' NULL). */
static bool take(const fe_network *net, const char *which, const lamina_net *compiled, uint64_t seed,
                 lamina_dataset *train, lamina_dataset **out, diag *d)
{
    const fe_data_set *set = fe_data(net, which);
    lamina_dataset *taken = NULL;
    lamina_table_report report;
    bool part = set->split > 0;
    if (out)
        *out = NULL;
    if (!set->present || (!out && !part))
        return true;
    bool ok = cmd_take_set(net, which, compiled, seed, train, &taken, &report, d);
    if (out)
        *out = taken;
    else
        lamina_dataset_free(taken);
    return ok;
}

bool cmd_augment(const fe_network *net, lamina_dataset *train, diag *d)
{
    lamina_error e;
    const fe_augment *a = fe_data(net, "train")->augment;
    if (!a)
        return true;
    const lamina_augment_options o = {.images = a->images,
                                      .image_count = a->image_count,
                                      .masks = a->masks,
                                      .mask_count = a->mask_count,
                                      .flip_horizontal = a->flip_horizontal,
                                      .flip_vertical = a->flip_vertical,
                                      .crop = a->crop,
                                      .shift = a->shift,
                                      .rotate = a->rotate,
                                      .zoom = a->zoom,
                                      .shear = a->shear,
                                      .fill = (lamina_fill)a->fill,
                                      .fill_value = a->fill_value,
                                      .brightness = a->brightness,
                                      .contrast = a->contrast,
                                      .saturation = a->saturation,
                                      .noise = a->noise,
                                      .cutout = a->cutout,
                                      .mixup = a->mixup};
    return lamina_dataset_augment(train, &o, &e) == LAMINA_OK || fail(d, a->at, &e);
}

bool cmd_training_data(const fe_network *net, const lamina_net *compiled, uint64_t seed, lamina_dataset **train,
                       lamina_dataset **validation, lamina_dataset **test, diag *d)
{
    lamina_table_report report;
    if (validation)
        *validation = NULL;
    if (test)
        *test = NULL;
    return cmd_read_set(net, "train", compiled, train, &report, d) &&
           take(net, "test", compiled, seed, *train, test, d) &&
           take(net, "validation", compiled, seed, *train, validation, d) && cmd_augment(net, *train, d);
}

bool cmd_dataset(const fe_network *net, const char *which, const lamina_net *compiled, uint64_t seed,
                 lamina_dataset **out, diag *d)
{
    lamina_dataset *train = NULL;
    lamina_table_report report;
    bool test = !strcmp(which, "test"), part = fe_data(net, which)->split > 0;
    *out = NULL;
    if (!strcmp(which, "train"))
        return cmd_training_data(net, compiled, seed, out, NULL, NULL, d);
    if (!part)
        return cmd_read_set(net, which, compiled, out, &report, d);
    bool ok = cmd_training_data(net, compiled, seed, &train, test ? NULL : out, test ? out : NULL, d);
    lamina_dataset_free(train);
    return ok;
}

static bool is_finite(lamina_model *m, const lamina_tensor *t, float *values)
{
    if (lamina_get_tensor(m, t->name, values, t->bytes, NULL) != LAMINA_OK)
        return true;
    for (size_t i = 0; i < t->bytes / sizeof *values; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

const char *cmd_not_finite(lamina_model *m)
{
    const lamina_net *net = lamina_model_net(m);
    const char *name = NULL;
    for (int32_t i = 0; !name && i < net->tensor_count; i++) {
        const lamina_tensor *t = &net->tensors[i];
        if (t->dtype != LAMINA_F32 || !lamina_model_holds(m, i))
            continue;
        arena *mem = arena_new(); /* freed at once: a large network has many large tensors */
        if (!is_finite(m, t, arena_new_array(mem, float, t->bytes / sizeof(float))))
            name = t->name;
        arena_free(mem);
    }
    return name;
}

/* ", though all weights are", or which record of the data is to blame; records count from 0. */
static const char *cause_of(const lamina_net *net, const lamina_dataset *d, arena *mem)
{
    for (int32_t i = 0; i < net->input_count; i++)
        for (int64_t r = 0; net->inputs[i].dtype == LAMINA_F32 && r < lamina_dataset_count(d); r++) {
            const float *v = lamina_dataset_record(d, i, r);
            for (size_t k = 0; v && k < net->inputs[i].bytes / sizeof *v; k++)
                if (!isfinite(v[k]))
                    return arena_printf(mem, ": input '%s': record %" PRId64 ": expected finite values, found %g",
                                        net->inputs[i].name, r, (double)v[k]);
        }
    return ", though all weights are";
}

bool cmd_check_metrics(lamina_model *m, const lamina_dataset *d, const char *set, const double *values, diag *dg)
{
    const lamina_net *net = lamina_model_net(m);
    for (int32_t i = 0; i < net->metric_count; i++)
        if (!isfinite(values[i])) {
            arena *mem = arena_new();
            diag_warning(dg, (src_loc){0}, "%s over the %s data is not finite%s", net->metrics[i].name, set,
                         cause_of(net, d, mem));
            arena_free(mem);
            return false;
        }
    return true;
}
