/* passes/select/select.c - every kernel's plan and scratch memory.
 *     %1 = dot_general %dy, %w {lhs_contract = [1], rhs_contract = [1]}
 *         =>   %2 = fused "dense1.input_gradient.pack" (%w) {kind = elementwise, plan = [16384]} { transpose }
 *              %1 = fused "dense1.input_gradient" (%dy, %2) {kind = contraction, plan = [...]} { dot_general }
 *
 * Compute nodes that stand alone become kernels of one node. Then the operands of contractions are brought into the
 * form that register tiles read: in memory (not computed on the way), with zeros around them as far as a padded
 * convolution reads (a `halo`: the kernel that writes the value also writes the zeros), and the vector operand with the
 * dimension that goes into lanes last. Where the producer cannot do it, the kernel packs a panel of columns at a time
 * into scratch of its worker's, if the operand is large; else a kernel that copies is put between. A convolution of few
 * features brings its image to scratch by itself, zeros and all.
 *
 * Plans (lists of numbers, for the lowering of the kind):
 *     elementwise, row, reduce, window   [elements a task]
 *     batch_reduce                       [phases, kept elements a task]
 *     contraction                        a contraction_plan (ir/contraction/contraction.h)
 *     gemm                               [rows a task] (passes/select/gemm.c)
 * Sums over the batch get a scratch operand [leaves, elements] each, if there may be more than one leaf.
 *
 * Needs:  fuse and split done.      Keeps:  every value's bits, results, effects.
 * Leaves: only kernels outside of which nothing is computed; as the module's planned_batch, the largest batch that the
 *         plans are for. */
#include "passes/select/select.h"
#include "ir/contraction/contraction.h"
#include "ir/graph/build.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <string.h>

enum { ELEMENTS = 16384, KEPT_ELEMENTS = 4096, LITTLE = 65536 };

/* ---- kernels of one node ---- */

static const char *kind_of_reduce(const ir_node *n)
{
    int64_t dims[IR_MAX_RANK];
    int count = ir_ints(n, "dims", dims), rank = n->in[0]->type.rank;
    if (ir_in_list(dims, count, ir_batch_dim(&n->in[0]->type)))
        return "batch_reduce";
    for (int i = rank - count; i < rank; i++)
        if (!ir_in_list(dims, count, i))
            return "reduce";
    return "row";
}

static const char *kind_of(const ir_node *n)
{
    switch (n->op) {
    case IR_DOT_GENERAL:
    case IR_CONVOLUTION:
        return "contraction";
    case IR_REDUCE_WINDOW:
    case IR_SELECT_AND_SCATTER:
    case IR_WINOGRAD:
        return "window";
    case IR_REDUCE:
        return kind_of_reduce(n);
    default:
        return "elementwise";
    }
}

/* A kernel before g's cursor, its region still empty. */
ir_node *select_kernel(ir_graph *g, const char *kind, const char *label, int64_t stage, src_loc loc, ir_type type)
{
    ir_node *fused = ir_node_new(g, IR_FUSED, NULL, 0, type);
    ir_set_region(fused, ir_region_new(g->module));
    ir_set_word(fused, "kind", kind);
    if (stage)
        ir_set_int(fused, "stage", stage);
    fused->label = label;
    fused->loc = loc;
    return fused;
}

/* The region's input for x, new if it has none yet. */
ir_node *select_input(ir_node *fused, ir_node *x)
{
    for (int i = 0; i < fused->nin; i++)
        if (fused->in[i] == x)
            return fused->region->inputs[i];
    ir_node **in = arena_new_array(fused->graph->module->mem, ir_node *, (size_t)fused->nin + 1);
    for (int i = 0; i < fused->nin; i++)
        in[i] = fused->in[i];
    in[fused->nin++] = x;
    fused->in = in;
    return ir_input_new(fused->region, x->name, x->type);
}

static void wrap(ir_node *n)
{
    ir_graph *g = n->graph;
    arena *mem = g->module->mem;
    g->before = n;
    ir_node *fused =
        select_kernel(g, kind_of(n), n->label ? n->label : ir_ops[n->op].name, ir_int(n, "stage", 0), n->loc, n->type);
    const ir_attr *halo = ir_attr_find(n->attrs, "halo");
    if (halo)
        ir_set_numbers(fused, "halo", halo->number, halo->count);
    fused->name = n->name;
    fused->place = n->place;
    ir_node *copy = ir_clone_node(fused->region, n, NULL);
    ir_attr_remove(mem, &copy->attrs, "stage");
    ir_attr_remove(mem, &copy->attrs, "halo");
    copy->name = NULL;
    copy->place = (ir_place){SEG_NONE, 0};
    for (int i = 0; i < n->nin; i++) {
        if (!mem_is_leaf(n->in[i])) {
            copy->in[i] = select_input(fused, n->in[i]);
            continue;
        }
        fused->region->before = copy;
        copy->in[i] = ir_clone_node(fused->region, n->in[i], NULL);
        ir_attr_remove(mem, &copy->in[i]->attrs, "stage");
        fused->region->before = NULL;
    }
    if (n->type.dtype != IR_NONE) {
        ir_result_add(fused->region, NULL, copy);
        ir_replace_uses(g, n, fused);
    }
    g->before = NULL;
    ir_unlink(n);
}

/* Leaves become kernels only where something needs them in memory. */
static void wrap_all(ir_graph *g)
{
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (mem_is_bare(n) && !mem_is_leaf(n))
            wrap(n);
    }
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!mem_is_leaf(n))
            continue;
        if (ir_is_used(g, n))
            wrap(n);
        else
            ir_unlink(n);
    }
}

/* ---- operands of contractions ---- */

static bool reaches_out(const ir_node *n, const int64_t *low, const int64_t *high)
{
    for (int i = 0; i < n->in[0]->type.rank; i++)
        if (low[i] > 0 || high[i] > 0)
            return true;
    return false;
}

/* Drop what nothing in the region uses any more, then operands without use. */
void select_sweep(ir_node *fused)
{
    ir_graph *r = fused->region;
    for (ir_node *n = r->last, *before; n; n = before) {
        before = n->prev;
        if (n->op != IR_ASSIGN && !ir_is_used(r, n))
            ir_unlink(n);
    }
    int kept = 0;
    for (int i = 0; i < fused->nin; i++)
        if (fused->in[i]->op == IR_SCRATCH || ir_is_used(r, r->inputs[i])) {
            fused->in[kept] = fused->in[i];
            r->inputs[kept++] = r->inputs[i];
        }
    fused->nin = r->ninputs = kept;
}

/* A copy of region node x, and of all it needs, in kernel 'to'. */
ir_node *select_copy(ir_node *from, ir_node *to, ir_node *x, ir_node **map)
{
    if (map[x->id])
        return map[x->id];
    if (x->op == IR_INPUT) {
        for (int i = 0; i < from->nin; i++)
            if (from->region->inputs[i] == x)
                return map[x->id] = select_input(to, from->in[i]);
        ir_bug("a region input without operand");
    }
    for (int i = 0; i < x->nin; i++)
        select_copy(from, to, x->in[i], map);
    return map[x->id] = ir_clone_node(to->region, x, map);
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
    int64_t elements = contraction_describe(core, 0, tmp, &c) ? contraction_choose_stream(&c, t, max_batch, p) : 0;
    arena_free(tmp);
    return elements;
}

/* Both operands in memory; zeros around the lhs, where the kernel does not bring its own. */
static void settle_operands(ir_node *fused, const ir_target *t, int64_t max_batch)
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

/* ---- plans ---- */

static ir_node *add_scratch(ir_node *fused, ir_dtype t, int64_t rows, int64_t count)
{
    ir_graph *g = fused->graph;
    g->before = fused;
    ir_node *scratch =
        ir_node_new(g, IR_SCRATCH, NULL, 0, ir_type_make(t, 2, (const ir_dim[]){{rows, false}, {count, false}}));
    g->before = NULL;
    scratch->loc = fused->loc;
    select_input(fused, scratch);
    return scratch;
}

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

/* Rows half a page or pages apart fall into few sets of every cache. Each operand's are moved apart by a gap if its
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
    bool gap[2] = {false, false};
    for (int side = 0; side < 2; side++)
        gap[side] = rows_lie_by(core, side, view[side], PAGE / 2) && widen_rows(fused, core, side);
    if (length < LONG)
        return;
    int64_t scalar_step = p->swap ? run->rhs : run->lhs, vector_step = p->swap ? run->lhs : run->rhs;
    if (!gap[scalars] && rows_lie_by(core, scalars, view[scalars], PAGE) && (scalar_step != 1 || p->rows >= ROWS) &&
        uses_of(c, scalars, max_batch) >= SCALAR_USES)
        copy_with_gaps(fused, core, scalars);
    if (gap[vectors] || !rows_lie_by(core, vectors, view[vectors], PAGE) || vector_step == 1 ||
        uses_of(c, vectors, max_batch) < VECTOR_USES)
        return;
    if (!contraction_pack(c, t, max_batch, p) && p->vectors * t->vector * 4 <= LINE)
        copy_with_gaps(fused, core, vectors);
}

/* Lay the vector operand out as the plan's columns want it. */
static void pack_operand(ir_node *fused, ir_node *core, const contraction *c, const contraction_plan *p)
{
    int side = p->swap ? 0 : 1;
    int dim = p->swap ? c->axis[p->column].lhs_dim : c->axis[p->column].rhs_dim;
    if (dim >= 0 && is_last_free(core, side, dim))
        pack(fused, core, side, dim);
}

static void plan_contraction(ir_node *fused, const ir_target *t, int64_t max_batch)
{
    ir_node *core = contraction_core(fused);
    contraction c;
    contraction_plan p;
    bool packs;
    int64_t stream = plan_stream(core, t, max_batch, &p);
    if (stream) {
        contraction_plan_write(fused, &p);
        add_scratch(fused, core->type.dtype, 1, stream)->place.segment = SEG_WORKER;
        return;
    }
    arena *tmp = arena_new();
    if (!contraction_describe(core, 0, tmp, &c))
        ir_bug("an operand of '%s' is not in memory", fused->label ? fused->label : "");
    p = contraction_choose(&c, t, max_batch, true, &packs);
    bool packed = packs && contraction_pack(&c, t, max_batch, &p);
    if (packs && !packed) {
        pack_operand(fused, core, &c, &p);
        contraction_describe(core, 0, tmp, &c);
        p = contraction_choose(&c, t, max_batch, false, &packs);
    }
    if (packed || !contraction_gather(&c, t, max_batch, &p)) {
        if (!packed)
            spread_rows(fused, core, &c, &p, t, max_batch);
        contraction_describe(core, 0, tmp, &c);
        contraction_block(&c, t, max_batch, &p);
    }
    contraction_plan_write(fused, &p);
    int64_t room = contraction_room_of(&c, t->vector, max_batch, &p).all;
    if (room)
        add_scratch(fused, core->type.dtype, 1, room)->place.segment = SEG_WORKER;
    else if (c.leaf && max_batch > IR_LEAF)
        add_scratch(fused, core->type.dtype, (max_batch + IR_LEAF - 1) / IR_LEAF, ir_static_count(&core->type));
    arena_free(tmp);
}

static void plan_batch_reduce(ir_node *fused, int64_t max_batch)
{
    int64_t work = 0, leaves = (max_batch + IR_LEAF - 1) / IR_LEAF;
    for (ir_node *n = fused->region->first; n; n = n->next) {
        if (n->op != IR_REDUCE)
            continue;
        work += ir_count(&n->in[0]->type, max_batch);
        if (leaves > 1)
            add_scratch(fused, n->type.dtype, leaves, ir_static_count(&n->type));
    }
    ir_set_ints(fused, "plan", (const int64_t[]){leaves > 1 && work > LITTLE ? 2 : 1, KEPT_ELEMENTS}, 2);
}

static void plan_kernels(ir_graph *g)
{
    ir_target target = mem_target(g->module);
    int64_t max_batch = mem_max_batch(g->module);
    for (ir_node *n = g->first; n; n = n->next) {
        if (n->op != IR_FUSED)
            continue;
        if (ir_word_is(n, "kind", "contraction") && contraction_core(n))
            plan_contraction(n, &target, max_batch);
        else if (ir_word_is(n, "kind", "batch_reduce"))
            plan_batch_reduce(n, max_batch);
        else if (!ir_word_is(n, "kind", "gemm"))
            ir_set_int(n, "plan", ELEMENTS);
    }
    for (ir_node *n = g->first; n; n = n->next) /* the copies that packing made, which stand before their users */
        if (n->op == IR_FUSED && !ir_attr_find(n->attrs, "plan"))
            ir_set_int(n, "plan", ELEMENTS);
}

bool pass_select(ir_module *m, diag *d)
{
    (void)d;
    ir_target target = mem_target(m);
    int64_t max_batch = mem_max_batch(m);
    for (ir_graph *g = m->functions; g; g = g->next) {
        wrap_all(g);
        for (ir_node *n = g->first; n; n = n->next)
            if (n->op == IR_FUSED && ir_word_is(n, "kind", "contraction") && contraction_core(n))
                settle_operands(n, &target, max_batch);
        select_gemm(g);
        plan_kernels(g);
    }
    ir_attr_set_ints(m->mem, &m->attrs, "planned_batch", &max_batch, 1);
    return true;
}
