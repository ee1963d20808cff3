/* frontend/catalogue/layers/rules.c - what the rules of several families of layers share. */
#include "frontend/catalogue/layers/layers.h"
#include <string.h>

/* ---- for shape rules ---- */

ir_type fe_batched_type(int rank, const int64_t *sizes)
{
    ir_type t = {.dtype = IR_F32, .rank = rank + 1, .dim = {{1, true}}};
    for (int i = 0; i < rank; i++)
        t.dim[i + 1].n = sizes[i];
    return t;
}

ir_type fe_plain_type(int rank, const int64_t *sizes)
{
    ir_type t = {.dtype = IR_F32, .rank = rank};
    for (int i = 0; i < rank; i++)
        t.dim[i].n = sizes[i];
    return t;
}

int64_t fe_last_size(const ir_type *t)
{
    return t->dim[t->rank - 1].n;
}

bool fe_add_param(fe_reader *r, fe_layer *l, const char *role, ir_type type, fe_init init)
{
    l->param = arena_grown(r->mem, l->param, (size_t)l->nparams, sizeof *l->param);
    fe_param *p = &l->param[l->nparams++];
    *p = (fe_param){.role = role, .type = type, .init = init};
    p->name = arena_printf(r->mem, "%s.%s", l->name, role);
    if (!strcmp(init.kind, "identity") && type.rank != 2)
        return fe_mismatch(r, init.at, "identity", "a weight of two dimensions, such as dense's",
                           arena_printf(r->mem, "'%s', which has %d", p->name, type.rank));
    if (!strcmp(init.kind, "orthogonal") && type.rank < 2)
        return fe_mismatch(r, init.at, "orthogonal", "a weight of two dimensions or more",
                           arena_printf(r->mem, "'%s', which has %d", p->name, type.rank));
    return fe_check_size(r, l->at, p->name, &type);
}

bool fe_add_statistic(fe_reader *r, fe_layer *l, const char *role, ir_type type, const char *kind, double value)
{
    bool ok = fe_add_param(r, l, role, type, (fe_init){.kind = kind, .a = value});
    l->param[l->nparams - 1].state = true;
    return ok;
}

bool fe_add_state(fe_reader *r, fe_layer *l, const char *role, ir_type type, double value)
{
    return fe_add_statistic(r, l, role, type, "constant", value);
}

fe_init fe_init_of(const fe_layer *l, const char *key, double fan_in, double fan_out)
{
    return fe_resolve_init(fe_get(l->options, key)->choice, fan_in, fan_out);
}

/* 'rank' counts the dimensions of an example; -1 asks for one at least. */
static bool expect_rank(fe_reader *r, const fe_layer *l, int rank, const char *expected)
{
    int found = l->in_type[0].rank - 1;
    if (rank < 0 ? found >= 1 : found == rank)
        return true;
    return fe_mismatch(r, l->at, l->kind->kind.name, expected, fe_describe_type(r->mem, &l->in_type[0]));
}

bool fe_expect_image(fe_reader *r, const fe_layer *l)
{
    return expect_rank(r, l, 3, "an input of shape [rows, columns, channels]");
}

bool fe_expect_sequence(fe_reader *r, const fe_layer *l)
{
    return expect_rank(r, l, 2, "an input of shape [steps, channels]");
}

bool fe_expect_vector(fe_reader *r, const fe_layer *l)
{
    return expect_rank(r, l, 1, "an input of one dimension");
}

bool fe_expect_features(fe_reader *r, const fe_layer *l)
{
    return expect_rank(r, l, -1, "an input with at least one dimension");
}

bool fe_shape_same(fe_reader *r, fe_layer *l)
{
    (void)r;
    l->type = l->in_type[0];
    return true;
}

bool fe_add_bias(fe_reader *r, fe_layer *l, int64_t units)
{
    return !fe_get_bool(l->options, "use_bias") ||
           fe_add_param(r, l, "bias", fe_plain_type(1, &units),
                        fe_init_of(l, "bias_initializer", (double)units, (double)units));
}

/* ---- for build rules ---- */

ir_node *fe_activated(fe_builder *b, const fe_layer *l, ir_node *x)
{
    return fe_activate(b->g, fe_get(l->options, "activation")->choice, x);
}

ir_node *fe_biased(fe_builder *b, const fe_layer *l, ir_node *x)
{
    if (!fe_get_bool(l->options, "use_bias"))
        return x;
    return ir_add(b->g, x, fe_spread_last(b->g, fe_use_param(b, l, "bias"), x));
}

ir_node *fe_slice(ir_graph *g, ir_node *x, int dim, int64_t first, int64_t end)
{
    int64_t start[IR_MAX_RANK] = {0}, limit[IR_MAX_RANK], stride[IR_MAX_RANK];
    for (int i = 0; i < x->type.rank; i++) {
        limit[i] = x->type.dim[i].n;
        stride[i] = 1;
    }
    start[dim] = first;
    limit[dim] = end;
    return ir_slice(g, x, start, limit, stride);
}
