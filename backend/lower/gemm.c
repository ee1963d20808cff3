/* backend/lower/gemm.c - a product of matrices that is computed by the host's function, such as OpenBLAS's sgemm.
 *
 *     product m n k: x[from * 784] ld 784, w[0] ld 128 to #2[from * 128] ld 128 by #3
 *
 * A task takes some rows of each product. Dimensions that are neither rows, columns nor summed become loops around
 * it. */
#include "backend/library/interface.h"
#include "backend/lower/lower.h"
#include "ir/contraction/product.h"

typedef struct {
    lowering *l;
    const contraction *c;
    const product *p;
    nest_product call;
    nest_value *in[6]; /* of the call: sizes, offsets */
} multiply;

static const ir_node *only_dot(const lowering *l)
{
    const ir_graph *r = l->region;
    return r->nresults == 1 && r->results[0]->op == IR_DOT_GENERAL ? r->results[0] : NULL;
}

static const ir_node *function_input(const lowering *l)
{
    for (int i = 0; i < l->fused->nin; i++)
        if (l->fused->in[i]->op == IR_CALL_VALUE && ir_word_is(l->fused->in[i], "field", "sgemm"))
            return l->region->inputs[i];
    return NULL;
}

static void move_along(multiply *m, const contraction_axis *a, nest_value *index)
{
    nest_kernel *k = m->l->kernel;
    const int64_t stride[] = {a->lhs, a->rhs, a->out};
    for (int i = 0; i < 3; i++)
        m->in[3 + i] = nest_add(k, m->in[3 + i], nest_mul(k, index, stride[i]));
}

/* Loops over the axes from 'axis' on that no matrix has. */
static void each_product(multiply *m, int axis)
{
    lowering *l = m->l;
    while (axis < m->c->naxes && (axis == m->p->row || axis == m->p->column))
        axis++;
    if (axis == m->c->naxes) {
        nest_multiply(l->kernel, &m->call, m->in);
        return;
    }
    const contraction_axis *a = &m->c->axis[axis];
    lower_loop loop = lower_loop_begin(l, nest_i64(l->kernel, 0), lower_extent(l, a->n, a->batch), 1);
    multiply inside = *m;
    move_along(&inside, a, nest_loop_index(loop.loop));
    each_product(&inside, axis + 1);
    lower_loop_end(l, loop);
}

static nest_tasks tasks_of(const lowering *l, const contraction *c, const product *p)
{
    if (p->row < 0)
        return (nest_tasks){1, 1, 1, false};
    const contraction_axis *row = &c->axis[p->row];
    int64_t rows = lower_plan(l, 0, 64);
    return (nest_tasks){row->n, rows < 1 ? 1 : rows, 1, row->batch};
}

static void multiply_share(multiply *m)
{
    lowering *l = m->l;
    nest_kernel *k = l->kernel;
    const product *p = m->p;
    nest_tasks tasks = tasks_of(l, m->c, p);
    lower_phase(l, 0, tasks);
    nest_value *from, *to;
    lower_share(l, tasks, &from, &to, NULL);
    const contraction_axis *column = p->column < 0 ? NULL : &m->c->axis[p->column];
    m->in[0] = nest_sub(k, to, from);
    m->in[1] = column ? lower_extent(l, column->n, column->batch) : nest_i64(k, 1);
    m->in[2] = lower_extent(l, p->depth.n, p->depth.batch);
    m->in[3] = nest_i64(k, m->c->lhs.at.first);
    m->in[4] = nest_i64(k, m->c->rhs.at.first);
    m->in[5] = nest_i64(k, 0);
    if (p->row >= 0)
        move_along(m, &m->c->axis[p->row], from);
    each_product(m, 0);
}

bool lower_gemm(lowering *l, diag *d)
{
    const ir_node *n = only_dot(l), *function = function_input(l);
    contraction c;
    product p;
    int64_t max_batch = be_module_number(l->fused->graph->module->attrs, "max_batch", 128);
    if (!n || !function || ir_attr_find(l->fused->attrs, "halo") || !contraction_describe(n, 0, l->kernel->mem, &c) ||
        !product_describe(&c, max_batch, &p))
        return lower_unsupported(l->fused, d, "a kernel 'gemm' of anything but one product of matrices and its sgemm");
    multiply m = {.l = l, .c = &c, .p = &p};
    m.call = (nest_product){
        .buffer = {lower_input_buffer(l, c.lhs.input), lower_input_buffer(l, c.rhs.input), lower_result_buffer(l, 0)},
        .function = lower_input_buffer(l, function),
        .ld = {p.ld[0], p.ld[1], p.ld[2]},
        .transposed = {p.transposed[0], p.transposed[1]}};
    multiply_share(&m);
    return true;
}
