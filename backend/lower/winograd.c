/* backend/lower/winograd.c - the transforms of Winograd's convolution (ir/contraction/winograd.h), in kernels of
 * kind `window`.
 *
 * The numbers of a tile are loaded, transformed by the operator's steps and stored. All of this is unrolled for a
 * tile, with the channels in the lanes. A tile whose 4x4 square reaches over an edge of the image has code of its
 * own, which uses the numbers that exist; all other tiles share one or two loops for each dimension. An output goes
 * through the kernel's epilogue, the elementwise operators behind the core, and is stored at its place in the image.
 *
 * plan = [elements a task] */
#include "ir/contraction/winograd.h"
#include "backend/lower/lower.h"
#include "ir/graph/build.h"

typedef struct {
    lowering *l;
    const ir_node *n;
    winograd_kind kind;
    const winograd_transform *m;
    const lower_walk *walk;
    nest_value *from, *to;              /* examples; what a walk over kernels counts */
    int64_t low[2], tiles[2], image[2]; /* of images: where tile 0 begins, how many tiles, the image's size */
    int64_t start[2];                   /* the first tile of those at hand */
    bool outside[2];                    /* they lie beyond the image */
    ir_type visited;                    /* those tiles: [N, rows, columns, channels] */
} transform;

static bool is_of_kernels(const transform *t)
{
    return t->kind == WINOGRAD_FILTER || t->kind == WINOGRAD_FILTER_GRADIENT;
}

/* Else an image is what is read. */
static bool makes_image(const transform *t)
{
    return t->kind == WINOGRAD_OUTPUT;
}

/* ---- numbers ---- */

static nest_value *step_value(lowering *l, const winograd_step *s, nest_value *const *number)
{
    nest_value *a = number[s->a];
    if (s->op == IR_NEGATE)
        return lower_op(l, IR_NEGATE, IR_F32, a, NULL, NULL);
    nest_value *b = s->b < 0 ? nest_const(l->kernel, IR_F32, a->lanes, 0.5) : number[s->b];
    return lower_op(l, s->op, IR_F32, a, b, NULL);
}

/* M applied to numbers that stand 'step' apart. */
static void apply(const transform *t, nest_value **x, int step)
{
    nest_value *number[WINOGRAD_INPUTS + WINOGRAD_STEPS] = {NULL};
    for (int i = 0; i < t->m->in; i++)
        number[i] = x[i * step];
    for (int i = 0; i < t->m->steps; i++)
        number[t->m->in + i] = step_value(t->l, &t->m->step[i], number);
    for (int i = 0; i < t->m->out; i++)
        x[i * step] = number[t->m->result[i]];
}

/* ---- points ---- */

/* A point of the operand or the result: its lanes are those of p, on its own last dimension. */
static lower_point point_like(const lower_point *p, int rank)
{
    lower_point q = *p;
    q.lane_dim = p->lane_dim < 0 ? -1 : rank - 1;
    return q;
}

/* Of an image: row 'row' and column 'column' of the tile's square. *there: it is in the image, as far as known. */
static lower_point image_point(const transform *t, const lower_point *p, int row, int column, bool *there)
{
    nest_kernel *k = t->l->kernel;
    const int step[] = {row, column};
    lower_point q = point_like(p, 4);
    *there = true;
    for (int i = 0; i < 2; i++) {
        nest_value *tile = nest_add(k, p->index[1 + i], nest_i64(k, t->start[i]));
        nest_value *at = nest_add(k, nest_mul(k, tile, WINOGRAD_TILE), nest_i64(k, step[i] - t->low[i]));
        q.index[1 + i] = at;
        *there &= !t->outside[i] && (at->kind != NEST_CONST || (at->number >= 0 && at->number < (double)t->image[i]));
    }
    return q;
}

static lower_point kernel_point(const transform *t, const lower_point *p, int row, int column)
{
    nest_kernel *k = t->l->kernel;
    lower_point q = point_like(p, 4);
    q.index[0] = nest_i64(k, row);
    q.index[1] = nest_i64(k, column);
    q.index[2] = p->index[0];
    q.index[3] = p->index[1];
    return q;
}

static lower_point place_point(const transform *t, const lower_point *p, int row, int column)
{
    nest_kernel *k = t->l->kernel;
    lower_point q = point_like(p, is_of_kernels(t) ? 3 : 4);
    q.index[0] = nest_i64(k, (int64_t)row * WINOGRAD_INPUTS + column);
    q.index[1] = p->index[0];
    q.index[2] = p->index[1];
    if (is_of_kernels(t))
        return q;
    nest_value *i = nest_add(k, p->index[1], nest_i64(k, t->start[0]));
    nest_value *j = nest_add(k, p->index[2], nest_i64(k, t->start[1]));
    q.index[2] = nest_add(k, nest_mul(k, i, t->tiles[1]), j);
    q.index[3] = p->index[3];
    return q;
}

/* Number (row, column) of the square on either side; 'places': the side of the places. */
static lower_point square_point(const transform *t, const lower_point *p, bool places, int row, int column, bool *there)
{
    *there = true;
    if (places)
        return place_point(t, p, row, column);
    return is_of_kernels(t) ? kernel_point(t, p, row, column) : image_point(t, p, row, column, there);
}

/* ---- a tile ---- */

static void make_tile(lowering *l, const lower_point *p, void *context)
{
    const transform *t = context;
    const ir_node *x = t->n->in[0];
    bool from_places = makes_image(t) || t->kind == WINOGRAD_FILTER_GRADIENT, there;
    nest_value *number[WINOGRAD_PLACES] = {NULL};
    for (int i = 0; i < t->m->in * t->m->in; i++) {
        int row = i / t->m->in, column = i % t->m->in;
        lower_point q = square_point(t, p, from_places, row, column, &there);
        number[row * WINOGRAD_INPUTS + column] =
            there ? lower_value(l, x, &q) : nest_const(l->kernel, IR_F32, p->lanes, 0);
    }
    for (int column = 0; column < t->m->in; column++)
        apply(t, number + column, WINOGRAD_INPUTS);
    for (int row = 0; row < t->m->out; row++)
        apply(t, number + row * WINOGRAD_INPUTS, 1);
    for (int i = 0; i < t->m->out * t->m->out; i++) {
        int row = i / t->m->out, column = i % t->m->out;
        lower_point q = square_point(t, p, !from_places, row, column, &there);
        if (!there)
            continue;
        lower_bind(l, t->n, number[row * WINOGRAD_INPUTS + column]);
        lower_store_results(l, &t->n->type, &q);
    }
    lower_unbind(l, t->n);
}

/* ---- tiles ---- */

typedef enum { INSIDE, OUTSIDE, AT_EDGE } place;

/* Where the square of tile 'tile' lies in dimension i. */
static place place_of(const transform *t, int i, int64_t tile)
{
    int64_t first = tile * WINOGRAD_TILE - t->low[i], end = first + (makes_image(t) ? t->m->out : t->m->in);
    return first >= 0 && end <= t->image[i] ? INSIDE : end <= 0 || first >= t->image[i] ? OUTSIDE : AT_EDGE;
}

/* Tiles from dimension i on: those at an edge one by one, others that are in a like place in a loop. */
static void each_tile(transform *t, int i)
{
    if (i == 2) {
        ir_dim images = t->visited.dim[0];
        nest_value *all = nest_i64(t->l->kernel, lower_walk_units(&t->visited, t->walk));
        bool cut = images.batch || images.n > 1; /* else one task has all tiles of the image */
        lower_each(t->l, &t->visited, t->walk, cut ? t->from : nest_i64(t->l->kernel, 0), cut ? t->to : all, make_tile,
                   t);
        return;
    }
    for (int64_t at = 0, end; at < t->tiles[i]; at = end) {
        place here = place_of(t, i, at);
        end = at + 1;
        while (end < t->tiles[i] && here != AT_EDGE && place_of(t, i, end) == here)
            end++;
        t->start[i] = at;
        t->outside[i] = here == OUTSIDE;
        t->visited.dim[1 + i].n = end - at;
        each_tile(t, i + 1);
    }
}

static void set_image(transform *t)
{
    const ir_node *x = t->n->in[0];
    const ir_type *image = makes_image(t) ? &t->n->type : &x->type;
    int64_t low[IR_MAX_RANK] = {0}, outputs[IR_MAX_RANK];
    ir_ints(t->n, "low", low);
    if (!ir_ints(t->n, "outputs", outputs))
        for (int i = 0; i < 2; i++)
            outputs[i] = image->dim[1 + i].n;
    for (int i = 0; i < 2; i++) {
        t->low[i] = low[i];
        t->image[i] = image->dim[1 + i].n;
        t->tiles[i] = winograd_tiles(outputs[i]);
    }
    t->visited = *image;
}

/* ---- the kernel ---- */

static nest_tasks tasks_of(const transform *t)
{
    int64_t elements = lower_plan(t->l, 0, 16384), each = ir_static_count(&t->n->type);
    nest_tasks tasks = {.n = 1, .inner = 1, .batch = ir_batch_dim(&t->visited) >= 0};
    if (!tasks.batch) {
        tasks.n = is_of_kernels(t) ? lower_walk_units(&t->visited, t->walk) : t->visited.dim[0].n;
        each /= tasks.n;
    }
    tasks.chunk = elements / each > 1 ? elements / each : 1;
    return tasks;
}

static const ir_node *only_core(const lowering *l)
{
    const ir_node *core = NULL;
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (!lower_is_core(n))
            continue;
        if (core || n->op != IR_WINOGRAD)
            return NULL;
        core = n;
    }
    return core;
}

/* The channels in the lanes, if everything follows. */
static lower_walk walk_of(const transform *t, int rank)
{
    lower_roots roots = lower_roots_of(t->l, &t->n->type, NULL);
    bool takes = lower_takes_lanes(t->l, t->n->in[0], t->n->in[0]->type.rank - 1);
    for (int i = 0; i < roots.count; i++)
        takes &= lower_takes_lanes(t->l, roots.node[i], t->n->type.rank - 1);
    return takes ? (lower_walk){0, rank - 1, t->l->kernel->target->vector, 0} : (lower_walk){0, -1, 1, 0};
}

bool lower_winograd(lowering *l, diag *d)
{
    const ir_node *n = only_core(l);
    if (!n)
        return lower_unsupported(l->fused, d, "a winograd together with something else in a kernel");
    if (!lower_check_shapes(l, &n->type, NULL, d))
        return false;
    transform t = {.l = l, .n = n, .kind = winograd_kind_of(n)};
    t.m = winograd_of(t.kind);
    if (is_of_kernels(&t)) {
        const ir_type *places = t.kind == WINOGRAD_FILTER ? &n->type : &n->in[0]->type;
        t.visited = ir_type_make(IR_F32, 2, (const ir_dim[]){places->dim[1], places->dim[2]});
    } else {
        set_image(&t);
    }
    lower_walk walk = walk_of(&t, t.visited.rank);
    t.walk = &walk;
    nest_tasks tasks = tasks_of(&t);
    lower_phase(l, 0, tasks);
    lower_share(l, tasks, &t.from, &t.to, NULL);
    if (is_of_kernels(&t))
        lower_each(l, &t.visited, &walk, t.from, t.to, make_tile, &t);
    else
        each_tile(&t, 0);
    lower_zero_halos(l, t.from, t.to);
    return true;
}
