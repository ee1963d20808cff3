/* ir/graph/rows.c - check what stands beside the functions of a module: rows, and the attributes of symbols.
 *
 * A row is a line that tells the descriptor of the library about one thing, such as an input or a metric. A text
 * written by hand may hold anything there, while passes and backend take what they read for granted; so it is
 * checked here. */
#include "ir/graph/layout.h"
#include "ir/graph/verify.h"
#include <math.h>
#include <string.h>

static bool one_of(const char *word, const char *words)
{
    size_t length = strlen(word);
    for (const char *w = words; *w; w += strcspn(w, " "), w += *w == ' ')
        if (strcspn(w, " ") == length && !strncmp(w, word, length))
            return true;
    return false;
}

/* An attribute that may be absent, else one of 'words'. */
static bool check_word(const char *owner, const ir_attr *list, const char *name, const char *words, src_loc at, diag *d)
{
    const ir_attr *a = ir_attr_find(list, name);
    if (!a || (a->word && one_of(a->word, words)))
        return true;
    diag_error(d, at, "%s: '%s' must be one of '%s', found '%s'", owner, name, words, a->word ? a->word : "numbers");
    return false;
}

/* An attribute that may be absent, else one finite number, whole and from 0 to 'most' unless that is 0. */
static bool check_number(const char *owner, const ir_attr *list, const char *name, double most, src_loc at, diag *d)
{
    const ir_attr *a = ir_attr_find(list, name);
    if (!a)
        return true;
    double v = !a->word && a->count == 1 ? a->number[0] : NAN;
    if (isfinite(v) && (most == 0 || (v >= 0 && v <= most && v == floor(v))))
        return true;
    if (most > 0)
        diag_error(d, at, "%s: expected for '%s' one whole number from 0 to %.0f, found %s", owner, name, most,
                   a->word ? a->word : "others");
    else
        diag_error(d, at, "%s: expected for '%s' one number, found %s", owner, name, a->word ? a->word : "others");
    return false;
}

/* An attribute that must be there: one finite number above 0. */
static bool check_positive(const char *owner, const ir_attr *list, const char *name, src_loc at, diag *d)
{
    const ir_attr *a = ir_attr_find(list, name);
    if (a && !a->word && a->count == 1 && isfinite(a->number[0]) && a->number[0] > 0)
        return true;
    diag_error(d, at, "%s: expected for '%s' one number above 0, found %s", owner, name, !a ? "none" : "others");
    return false;
}

/* ---- rows ---- */

/* What a kind of metric is made of: two states of f64, the second one number, the first as many as this says; or an
 * output and an input of the net. */
typedef enum { OF_ONE, OF_THREE_ROWS, OF_SQUARE, OF_SCORES } metric_shape;

static const struct {
    const char *kind;
    metric_shape shape;
} metric_kinds[] = {
    {"mean", OF_ONE},          {"root_mean", OF_ONE},      {"r2", OF_THREE_ROWS},  {"precision", OF_THREE_ROWS},
    {"recall", OF_THREE_ROWS}, {"f1", OF_THREE_ROWS},      {"iou", OF_THREE_ROWS}, {"confusion_matrix", OF_SQUARE},
    {"matthews", OF_SQUARE},   {"cohen_kappa", OF_SQUARE}, {"auc", OF_SCORES},     {"average_precision", OF_SCORES}};

static bool has_shape(const ir_type *t, metric_shape shape)
{
    if (t->dtype != IR_F64 || t->rank != (shape == OF_ONE ? 0 : 2))
        return false;
    return shape == OF_ONE || (shape == OF_THREE_ROWS ? t->dim[0].n == 3 : t->dim[0].n == t->dim[1].n);
}

static bool check_sum(const ir_module *m, const ir_row *r, const char *which, metric_shape shape, diag *d)
{
    static const char *const expected[] = {
        [OF_ONE] = "f64[]", [OF_THREE_ROWS] = "f64[3, n]", [OF_SQUARE] = "f64[n, n]"};
    const ir_attr *a = ir_attr_find(r->attrs, which);
    const ir_symbol *y = a && a->word ? ir_symbol_find(m, a->word) : NULL;
    if (y && y->segment == SEG_STATE && has_shape(&y->type, shape))
        return true;
    diag_error(d, r->loc, "metric '%s': expected for '%s' the name of a state of %s, found '%s'", r->name, which,
               expected[shape], a && a->word ? a->word : "");
    return false;
}

static bool check_reference(const ir_module *m, const ir_row *r, const char *which, const char *kind, diag *d)
{
    const ir_attr *a = ir_attr_find(r->attrs, which);
    if (a && a->word && ir_row_find(m, kind, a->word))
        return true;
    diag_error(d, r->loc, "metric '%s': expected for '%s' the name of an %s, found '%s'", r->name, which, kind,
               a && a->word ? a->word : "");
    return false;
}

static bool verify_clip(const ir_row *r, diag *d)
{
    if (!strcmp(r->name, "value") || !strcmp(r->name, "norm") || !strcmp(r->name, "global_norm"))
        return check_positive(r->name, r->attrs, "most", r->loc, d);
    diag_error(d, r->loc, "row clip: expected @value, @norm or @global_norm, found @%s", r->name);
    return false;
}

static bool verify_average(const ir_row *r, diag *d)
{
    if (!strcmp(r->name, "ema"))
        return check_positive(r->name, r->attrs, "decay", r->loc, d) &&
               check_number(r->name, r->attrs, "warmup", 1, r->loc, d);
    if (!strcmp(r->name, "swa"))
        return check_positive(r->name, r->attrs, "start", r->loc, d) &&
               check_positive(r->name, r->attrs, "every", r->loc, d);
    diag_error(d, r->loc, "row average: expected @ema or @swa, found @%s", r->name);
    return false;
}

static bool verify_metric(const ir_module *m, const ir_row *r, diag *d)
{
    const ir_attr *kind = ir_attr_find(r->attrs, "kind");
    const size_t count = sizeof metric_kinds / sizeof *metric_kinds;
    size_t i = 0;
    while (kind && kind->word && i < count && strcmp(metric_kinds[i].kind, kind->word) != 0)
        i++;
    if (i == count || (kind && !kind->word)) {
        diag_error(d, r->loc, "metric '%s': no kind is called '%s'", r->name, kind->word ? kind->word : "numbers");
        return false;
    }
    metric_shape shape = metric_kinds[i].shape;
    if (!check_word(r->name, r->attrs, "average", "macro micro weighted none", r->loc, d) ||
        !check_number(r->name, r->attrs, "higher_is_better", 1, r->loc, d))
        return false;
    if (shape == OF_SCORES)
        return check_reference(m, r, "scores", "output", d) && check_reference(m, r, "labels", "input", d);
    return check_sum(m, r, "sum", shape, d) && check_sum(m, r, "count", OF_ONE, d);
}

static bool verify_row(const ir_module *m, const ir_row *r, diag *d)
{
    if (!strcmp(r->kind, "metric"))
        return verify_metric(m, r, d);
    if (!strcmp(r->kind, "clip"))
        return verify_clip(r, d);
    if (!strcmp(r->kind, "average"))
        return verify_average(r, d);
    return strcmp(r->kind, "rate") != 0 || verify_rate(r, d);
}

bool verify_rows(const ir_module *m, diag *d)
{
    for (const ir_row *r = m->rows; r; r = r->next) {
        for (const ir_row *before = m->rows; before != r; before = before->next)
            if (!strcmp(before->kind, r->kind) && !strcmp(before->name, r->name)) {
                diag_error(d, r->loc, "row %s @%s stands here twice", r->kind, r->name);
                return false;
            }
        if (!verify_row(m, r, d))
            return false;
    }
    return true;
}

/* ---- symbols ---- */

bool verify_type_of(const char *what, const char *name, const ir_type *t, src_loc at, diag *d)
{
    text type = {0};
    int64_t count = 1;
    int batched = 0;
    bool fits = true;
    for (int i = 0; i < t->rank; i++) {
        int64_t n = t->dim[i].n;
        batched += t->dim[i].batch;
        fits = fits && n >= 1 && n < MOST_DIM && count <= MOST_COUNT / n;
        count *= fits ? n : 1;
    }
    ir_type_print(t, &type);
    if (!fits)
        diag_error(d, at, "%s '%s': expected dimensions from 1 to below 2^31 and at most 2^40 elements, found %s", what,
                   name, text_get(&type));
    else if (batched > 1)
        diag_error(d, at, "%s '%s': expected at most one dimension with the batch, found %s", what, name,
                   text_get(&type));
    text_free(&type);
    return fits && batched <= 1;
}

/* A statistic of the training data: a number for each place in an input's last dimension. */
static bool check_of_data(const ir_module *m, const ir_symbol *y, diag *d)
{
    const ir_attr *init = ir_attr_find(y->attrs, "init"), *stream = ir_attr_find(y->attrs, "stream");
    int inputs = 0;
    for (const ir_row *r = m->rows; r; r = r->next)
        inputs += !strcmp(r->kind, "input");
    if (!init || strncmp(init->word, "data_", 5) != 0)
        return true;
    if (y->type.dtype == IR_F32 && y->type.rank == 1 && stream && stream->number[0] < inputs)
        return true;
    diag_error(d, y->loc,
               "%s '%s': expected f32 of one dimension, and the number of an input as 'stream', with 'init = %s'",
               ir_segment_name(y->segment), y->name, init->word);
    return false;
}

bool verify_symbols(const ir_module *m, diag *d)
{
    for (const ir_symbol *y = m->symbols; y; y = y->next) {
        if (!verify_type_of(ir_segment_name(y->segment), y->name, &y->type, y->loc, d))
            return false;
        if (y->segment != SEG_SAVED && ir_batch_dim(&y->type) >= 0) {
            diag_error(d, y->loc, "%s '%s': expected a type without the batch", ir_segment_name(y->segment), y->name);
            return false;
        }
        if (!check_word(y->name, y->attrs, "init",
                        "none constant uniform normal truncated_normal seed identity data_mean data_deviation "
                        "data_minimum data_range data_median orthogonal",
                        y->loc, d) ||
            !check_number(y->name, y->attrs, "a", 0, y->loc, d) ||
            !check_number(y->name, y->attrs, "b", 0, y->loc, d) ||
            !check_number(y->name, y->attrs, "stream", UINT32_MAX, y->loc, d) ||
            !check_number(y->name, y->attrs, "trainable", 1, y->loc, d))
            return false;
        const ir_attr *init = ir_attr_find(y->attrs, "init");
        if (init && !strcmp(init->word, "identity") && y->type.rank != 2) {
            diag_error(d, y->loc, "%s '%s': expected two dimensions with 'init = identity', found %d",
                       ir_segment_name(y->segment), y->name, y->type.rank);
            return false;
        }
        if (init && !strcmp(init->word, "orthogonal") && (y->type.dtype != IR_F32 || y->type.rank < 2)) {
            diag_error(d, y->loc,
                       "%s '%s': expected f32 of two dimensions or more with 'init = orthogonal', found %s of %d",
                       ir_segment_name(y->segment), y->name, ir_dtype_name(y->type.dtype), y->type.rank);
            return false;
        }
        if (!check_of_data(m, y, d))
            return false;
        if (ir_attr_find(y->attrs, "halo")) {
            diag_error(d, y->loc, "%s '%s': expected no 'halo', found one", ir_segment_name(y->segment), y->name);
            return false;
        }
        int32_t dim;
        int64_t width;
        if (ir_attr_find(y->attrs, "panels") && !ir_panels(y, &dim, &width)) {
            diag_error(
                d, y->loc,
                "%s '%s': expected 'panels' of a dimension of two and a width, a multiple of 16, that divides it",
                ir_segment_name(y->segment), y->name);
            return false;
        }
    }
    return true;
}
