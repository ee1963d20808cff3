/* frontend/catalogue/layers/statistics.c - layers that know what the training data is like: their states are statistics
 * of an input, which the runtime takes before the first step. */
#include "frontend/catalogue/layers/layers.h"
#include <string.h>

/* What stands in place of a value that is missing (NaN): nothing, a statistic, or a number. */
typedef struct {
    const char *fill; /* "data_mean", "data_median"; NULL: a number, if any */
    bool replaces;
    double number;
} missing;

static bool read_missing(fe_reader *r, const fe_layer *l, missing *out)
{
    const fe_option *o = fe_get(l->options, "missing");
    if (!o->present)
        return true;
    const fe_yaml *y = o->tree;
    bool word = y->kind == FE_SCALAR && !y->quoted;
    out->replaces = true;
    out->fill = word && !strcmp(y->word, "mean")     ? "data_mean"
                : word && !strcmp(y->word, "median") ? "data_median"
                                                     : NULL;
    if (out->fill || (word && !fe_number(y->word, &out->number)))
        return true;
    return fe_mismatch(r, o->at, "missing", "mean, median or a number", fe_yaml_describe(y, r->mem));
}

static bool shape_normalization(fe_reader *r, fe_layer *l)
{
    static const char *const methods[] = {"standard", "minmax"};
    const fe_option *method = fe_get(l->options, "method");
    bool standard = !strcmp(method->word, methods[0]);
    missing *m = arena_make(r->mem, missing);
    l->found = m;
    l->type = l->in_type[0];
    if (!standard && strcmp(method->word, methods[1]) != 0)
        return fe_unknown(r, method->at, "normalization: method", method->word, methods, 2);
    if (!l->in[0].is_input)
        return fe_mismatch(r, l->at, "normalization", "an input of the network, whose statistics are the data's",
                           "a layer");
    if (!fe_expect_features(r, l) || !read_missing(r, l, m))
        return false;
    int64_t features = fe_last_size(&l->type);
    ir_type row = fe_plain_type(1, &features);
    return fe_add_statistic(r, l, standard ? "mean" : "minimum", row, standard ? "data_mean" : "data_minimum", 0) &&
           fe_add_statistic(r, l, standard ? "deviation" : "range", row, standard ? "data_deviation" : "data_range",
                            1) &&
           (!m->fill || fe_add_statistic(r, l, "fill", row, m->fill, 0));
}

/* (x - mean) / deviation, or (x - minimum) / range */
static ir_node *build_normalization(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0];
    const missing *m = l->found;
    bool standard = !strcmp(fe_get(l->options, "method")->word, "standard");
    if (m->replaces) {
        ir_node *fill = m->fill ? fe_spread_last(g, fe_use_param(b, l, "fill"), x) : ir_like(g, x, m->number);
        ir_node *is_nan = ir_compare(g, "NE", x, x);
        x = ir_select(g, is_nan, fill, x);
    }
    ir_node *from = fe_spread_last(g, fe_use_param(b, l, standard ? "mean" : "minimum"), x);
    ir_node *by = fe_spread_last(g, fe_use_param(b, l, standard ? "deviation" : "range"), x);
    return ir_divide(g, ir_subtract(g, x, from), by);
}

static const fe_layer_kind rows[] = {
    LAYER(normalization, ONE, "method", shape_normalization, build_normalization, KEY("method", FE_NAME, "standard"),
          KEY("missing", FE_TREE, NULL)),
};

const fe_rows fe_statistical_layers = FE_ROWS(rows);
