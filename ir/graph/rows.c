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

static bool check_sum(const ir_module *m, const ir_row *r, const char *which, diag *d)
{
    const ir_attr *a = ir_attr_find(r->attrs, which);
    const ir_symbol *y = a && a->word ? ir_symbol_find(m, a->word) : NULL;
    ir_type sum = ir_type_scalar(IR_F64);
    if (y && y->segment == SEG_STATE && ir_type_equal(&y->type, &sum))
        return true;
    diag_error(d, r->loc, "metric '%s': expected for '%s' the name of a state of f64[], found '%s'", r->name, which,
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

static bool verify_row(const ir_module *m, const ir_row *r, diag *d)
{
    if (!strcmp(r->kind, "metric"))
        return check_word(r->name, r->attrs, "kind", "mean", r->loc, d) && check_sum(m, r, "sum", d) &&
               check_sum(m, r, "count", d) && check_number(r->name, r->attrs, "higher_is_better", 1, r->loc, d);
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
