/* passes/select/contraction.c - lay out the operands of contractions, and write their plans.
 *     %1 = dot_general %dy, %w {lhs_contract = [1], rhs_contract = [1]}
 *         =>   %2 = fused "dense1.input_gradient.pack" (%w) {kind = elementwise, plan = [16384]} { transpose }
 *              %1 = fused "dense1.input_gradient" (%dy, %2) {kind = contraction, plan = [...]} { dot_general }
 *
 * A register tile reads both operands from memory; it reads zeros around an image that a convolution pads; and it loads
 * vectors from one operand, which should have the dimension of the columns last. Zeros are a `halo`: the kernel that
 * writes the value writes them too. What the producer of an operand cannot do is done by a copy: of a large operand the
 * kernel itself copies a panel of columns at a time to its worker's scratch, else a kernel that copies is put between.
 * A convolution of few features brings its image to scratch by itself, zeros and all. */
#include "ir/graph/build.h"
#include "passes/select/plans.h"
#include "passes/select/select.h"

/* ---- where operands lie ---- */

static bool reaches_out(const ir_node *n, const int64_t *low, const int64_t *high)
{
    for (int i = 0; i < n->in[0]->type.rank; i++)
        if (low[i] > 0 || high[i] > 0)
            return true;
    return false;
}

/* Put operand 'side' of the contraction in memory by a kernel of its own, its dimensions in this order. */
static ir_node *materialize(ir_node *fused, ir_node *core, int side, const int64_t *order)
{
    ir_graph *g = fused->graph;
    arena *mem = g->module->mem;
    ir_node *x = core->in[side];
    g->before = fused;
    ir_node *copy =
        select_kernel(g, "elementwise", arena_printf(mem, "%s.pack", fused->label ? fused->label : "kernel"),
                      ir_int(fused, "stage", 0), fused->loc, x->type);
    g->before = NULL;
    ir_node **map = arena_new_array(mem, ir_node *, (size_t)ir_number(fused->region) + 1);
    ir_node *value = select_copy(fused, copy, x, map);
    int64_t same[IR_MAX_RANK];
    bool moved = false;
    for (int i = 0; i < x->type.rank; i++) {
        same[i] = i;
        moved |= order[i] != i;
    }
    if (moved)
        value = ir_transpose(copy->region, value, order);
    else if (value->op == IR_INPUT)
        value = ir_broadcast_in_dim(copy->region, value, value->type, same);
    ir_result_add(copy->region, NULL, value);
    copy->type = value->type;
    core->in[side] = select_input(fused, copy);
    select_sweep(fused);
    return copy;
}

static void in_order(int64_t order[IR_MAX_RANK])
{
    for (int i = 0; i < IR_MAX_RANK; i++)
        order[i] = i;
}

/* May the value get a border of zeros: only kernels read it, none through a reshape, and it is no result? */
static bool may_have_halo(const ir_node *v)
{
    const ir_graph *g = v->graph;
    if (v->op != IR_FUSED && v->op != IR_RESULT)
        return false;
    for (const ir_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->nin; i++)
            if (n->in[i] == v && n->op != IR_FUSED && n->op != IR_RESULT)
                return false;
    for (int i = 0; i < g->nresults; i++)
        if (g->results[i] == v)
            return false;
    return true;
}

static void widen_halo(ir_node *v, const int64_t *low, const int64_t *high)
{
    double halo[2 * IR_MAX_RANK] = {0};
    const ir_attr *before = ir_attr_find(v->attrs, "halo");
    for (int i = 0; before && i < before->count && i < 2 * v->type.rank; i++)
        halo[i] = before->number[i];
    for (int i = 0; i < v->type.rank; i++) {
        halo[2 * i] = (double)low[i] > halo[2 * i] ? (double)low[i] : halo[2 * i];
        halo[2 * i + 1] = (double)high[i] > halo[2 * i + 1] ? (double)high[i] : halo[2 * i + 1];
    }
    ir_set_numbers(v, "halo", halo, 2 * v->type.rank);
}

/* A convolution of few features that is planned as such: the elements of its scratch, or 0. */
static int64_t plan_stream(const ir_node *core, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    arena *tmp = arena_new();
    contraction c;
    int64_t elements = contraction_describe(core, 0, tmp, &c) ? select_stream(&c, t, max_batch, p) : 0;
    arena_free(tmp);
    return elements;
}

/* Both operands in memory; zeros around the lhs, where the kernel does not bring its own. */
void select_operands(ir_node *fused, const ir_target *t, int64_t max_batch)
{
    ir_node *core = contraction_core(fused);
    contraction_plan stream;
    int64_t low[IR_MAX_RANK], high[IR_MAX_RANK], order[IR_MAX_RANK];
    in_order(order);
    if (!contraction_reads(core, 1))
        materialize(fused, core, 1, order);
    contraction_reach(core, low, high);
    if (!reaches_out(core, low, high)) {
        if (!contraction_reads(core, 0))
            materialize(fused, core, 0, order);
        return;
    }
    if (plan_stream(core, t, max_batch, &stream))
        return;
    ir_node *v = NULL;
    for (int i = 0; i < fused->nin; i++)
        if (fused->region->inputs[i] == core->in[0])
            v = fused->in[i];
    if (!v || !may_have_halo(v))
        v = materialize(fused, core, 0, order);
    widen_halo(v, low, high);
}

void select_filter(ir_node *fused)
{
    int64_t order[IR_MAX_RANK];
    affine_view view;
    in_order(order);
    for (ir_node *n = fused->region->first; n; n = n->next)
        if (n->op == IR_WINOGRAD && ir_word_is(n, "kind", "filter") && affine_view_of(n->in[0], &view) &&
            view.at.stride[n->in[0]->type.rank - 1] != 1) {
            materialize(fused, n, 0, order);
            return;
        }
}

/* ---- the vector operand's columns last ---- */

/* Is dimension 'dim' of the operand the last of those that go into the result? Then it can be laid out last. */
static bool is_last_free(const ir_node *core, int side, int dim)
{
    if (core->op != IR_DOT_GENERAL)
        return true;
    ir_dot dot;
    ir_dot_read(core, &dot);
    const int64_t *batch = side ? dot.rhs_batch : dot.lhs_batch, *sum = side ? dot.rhs_contract : dot.lhs_contract;
    for (int i = dim + 1; i < core->in[side]->type.rank; i++)
        if (!ir_in_list(batch, dot.lhs_batch_count, i) && !ir_in_list(sum, dot.contract_count, i))
            return false;
    return true;
}

/* Attribute 'name' lists dimensions of an operand whose dimensions have moved. */
static void renumber(ir_node *core, const char *name, const int64_t *order)
{
    int64_t dims[IR_MAX_RANK];
    if (!ir_attr_find(core->attrs, name))
        return;
    int count = ir_ints(core, name, dims);
    for (int i = 0; i < count; i++)
        for (int k = 0; k < IR_MAX_RANK; k++)
            if (order[k] == dims[i]) {
                dims[i] = k;
                break;
            }
    ir_set_ints(core, name, dims, count);
}

/* Lay the operand out with dimension 'dim' last. */
static void pack(ir_node *fused, ir_node *core, int side, int dim)
{
    int64_t order[IR_MAX_RANK];
    int at = 0;
    in_order(order);
    int rank = core->in[side]->type.rank;
    for (int i = 0; i < rank; i++)
        if (i != dim)
            order[at++] = i;
    order[at] = dim;
    const ir_attr *halo = NULL;
    for (int i = 0; side == 0 && i < fused->nin; i++)
        if (fused->region->inputs[i] == core->in[0])
            halo = ir_attr_find(affine_memory(core->in[0])->attrs, "halo");
    ir_node *copy = materialize(fused, core, side, order);
    if (halo && core->op == IR_CONVOLUTION) {
        int64_t low[IR_MAX_RANK] = {0}, high[IR_MAX_RANK] = {0};
        for (int i = 0; i < rank; i++) {
            low[i] = (int64_t)halo->number[2 * order[i]];
            high[i] = (int64_t)halo->number[2 * order[i] + 1];
        }
        widen_halo(copy, low, high);
    }
    static const char *const names[2][3] = {{"lhs_batch", "lhs_contract", "lhs"}, {"rhs_batch", "rhs_contract", "rhs"}};
    for (int i = 0; i < 3; i++)
        renumber(core, names[side][i], order);
}

/* Lay the vector operand out as the plan's columns want it. */
static void pack_operand(ir_node *fused, ir_node *core, const contraction *c, const contraction_plan *p)
{
    int side = p->swap ? 0 : 1;
    int dim = p->swap ? c->axis[p->column].lhs_dim : c->axis[p->column].rhs_dim;
    if (dim >= 0 && is_last_free(core, side, dim))
        pack(fused, core, side, dim);
}

/* ---- rows a page apart ---- */

enum { PAGE = 4096 };

/* Does the operand lie in memory by rows that are a multiple of so many bytes apart? */
static bool rows_lie_by(const ir_node *core, int side, const affine_view *view, int64_t bytes)
{
    const ir_type *t = &core->in[side]->type;
    int last = t->rank - 1;
    if (core->op != IR_DOT_GENERAL || core->in[side] != view->input || last < 1 || t->dim[last].batch ||
        view->at.stride[last] != 1)
        return false;
    int64_t row = t->dim[last - 1].batch && t->dim[last - 1].n == 1 ? view->at.batch_stride : view->at.stride[last - 1];
    return row * ir_dtype_size(t->dtype) % bytes == 0;
}

/* Leave a gap after each row where the producer of the operand can; it is free. */
static bool widen_rows(ir_node *fused, const ir_node *core, int side)
{
    enum { GAP = 16 };
    ir_node *v = NULL;
    for (int i = 0; i < fused->nin; i++)
        if (fused->region->inputs[i] == core->in[side])
            v = fused->in[i];
    if (!v || !may_have_halo(v))
        return false;
    int64_t low[IR_MAX_RANK] = {0}, high[IR_MAX_RANK] = {0};
    high[core->in[side]->type.rank - 1] = GAP;
    widen_halo(v, low, high);
    return true;
}

static void copy_with_gaps(ir_node *fused, ir_node *core, int side)
{
    int64_t order[IR_MAX_RANK];
    in_order(order);
    materialize(fused, core, side, order);
    widen_rows(fused, core, side);
}

/* Steps of the axes along which an operand does not vary: how often each of its elements is read. */
static int64_t uses_of(const contraction *c, int side, int64_t max_batch)
{
    int64_t uses = 1;
    for (int i = 0; i < c->naxes; i++)
        if (!(side ? c->axis[i].rhs : c->axis[i].lhs))
            uses *= c->axis[i].batch ? c->axis[i].n * max_batch : c->axis[i].n;
    return uses;
}

/* Rows half a page or pages apart fall into few sets of every cache, and so do rows an eighth of a page apart along
 * which the chains of many matrices go, a panel of columns at a time. Each operand's are moved apart by a gap if its
 * producer can leave one. Else, if they are whole pages apart and many use them: the vector operand is packed, or
 * copied with gaps unless a row's part of a panel is lines enough by itself; the scalar operand is copied with gaps if
 * a tile reads many rows of it side by side, or one after the other. */
static void spread_rows(ir_node *fused, ir_node *core, const contraction *c, contraction_plan *p, const ir_target *t,
                        int64_t max_batch)
{
    enum { LINE = 64, LONG = 256, VECTOR_USES = 64, SCALAR_USES = 256, ROWS = 8 };
    int vectors = p->swap ? 0 : 1, scalars = 1 - vectors;
    const affine_view *view[] = {&c->lhs, &c->rhs};
    const contraction_run *run = c->nsums ? c->sum[c->nsums - 1].run : NULL;
    int64_t length = !run ? 0 : run->batch ? run->n * max_batch : run->n;
    bool gap[2] = {false, false}, many = select_has_matrices(c);
    for (int side = 0; side < 2; side++) {
        bool along = run && (side ? run->rhs : run->lhs) != 1;
        gap[side] =
            rows_lie_by(core, side, view[side], many && along ? PAGE / 8 : PAGE / 2) && widen_rows(fused, core, side);
    }
    if (length < LONG)
        return;
    int64_t scalar_step = p->swap ? run->rhs : run->lhs, vector_step = p->swap ? run->lhs : run->rhs;
    if (!gap[scalars] && rows_lie_by(core, scalars, view[scalars], PAGE) && (scalar_step != 1 || p->rows >= ROWS) &&
        uses_of(c, scalars, max_batch) >= SCALAR_USES)
        copy_with_gaps(fused, core, scalars);
    if (gap[vectors] || !rows_lie_by(core, vectors, view[vectors], PAGE) || vector_step == 1 ||
        uses_of(c, vectors, max_batch) < VECTOR_USES)
        return;
    if (!select_pack(c, t, max_batch, p) && p->vectors * t->vector * 4 <= LINE)
        copy_with_gaps(fused, core, vectors);
}

/* ---- the plan ---- */

void select_contraction(ir_node *fused, const ir_target *t, int64_t max_batch)
{
    ir_node *core = contraction_core(fused);
    contraction c;
    contraction_plan p;
    bool packs;
    int64_t stream = plan_stream(core, t, max_batch, &p);
    if (stream) {
        contraction_plan_write(fused, &p);
        select_scratch(fused, core->type.dtype, 1, stream)->place.segment = SEG_WORKER;
        return;
    }
    arena *tmp = arena_new();
    if (!contraction_describe(core, 0, tmp, &c))
        ir_bug("an operand of '%s' is not in memory", fused->label ? fused->label : "");
    p = select_tile(&c, t, max_batch, true, &packs);
    bool packed = packs && select_pack(&c, t, max_batch, &p);
    if (packs && !packed) {
        pack_operand(fused, core, &c, &p);
        contraction_describe(core, 0, tmp, &c);
        p = select_tile(&c, t, max_batch, false, &packs);
    }
    if (packed || !select_gather(&c, t, max_batch, &p)) {
        if (!packed)
            spread_rows(fused, core, &c, &p, t, max_batch);
        contraction_describe(core, 0, tmp, &c);
        select_block(&c, t, max_batch, &p);
    }
    contraction_plan_write(fused, &p);
    int64_t room = contraction_room_of(&c, t->vector, max_batch, &p).all;
    if (room)
        select_scratch(fused, core->type.dtype, 1, room)->place.segment = SEG_WORKER;
    else if (contraction_has_leaves(&c, max_batch))
        select_scratch(fused, core->type.dtype, (max_batch + IR_LEAF - 1) / IR_LEAF, ir_static_count(&core->type));
    arena_free(tmp);
}
