/* passes/select/tile.c - choose the register tile of a contraction.
 *
 * Every axis that can be a column (the vector operand varies along it, the scalar operand does not, or both do and lie
 * there side by side) is tried, from either side, with every tile that fits the registers; the estimated time decides.
 * Nothing here changes a bit. */
#include "passes/select/plans.h"
#include <math.h>

enum { MOST_VECTORS = 6, UNROLL = 4, WHOLE = 2 * UNROLL }; /* shorter chains are written out */

/* Of the axes along which only the scalar operand varies, the one with the smallest stride in it; -1 if none. Not
 * 'but', and not the batch if 'whole'. */
static int find_row(const contraction *c, const contraction_plan *p, int but, bool whole)
{
    int best = -1;
    int64_t best_stride = 0;
    for (int i = 0; i < c->naxes; i++) {
        const contraction_axis *a = &c->axis[i];
        int64_t stride = contraction_scalar_stride(a, p->swap);
        stride = stride < 0 ? -stride : stride;
        if (i == p->column || i == but || contraction_vector_stride(a, p->swap) || (a->n == 1 && !a->batch) ||
            (whole && a->batch))
            continue;
        if (best < 0 || stride < best_stride) {
            best = i;
            best_stride = stride;
        }
    }
    return best;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Do both operands vary along the columns, as where each channel is convolved by itself? */
static bool is_paired(const contraction *c, const contraction_plan *p)
{
    return p->column >= 0 && contraction_scalar_stride(&c->axis[p->column], p->swap) != 0;
}

/* ---- what a tile costs ---- */

/* What tiles of a contraction have in common. */
typedef struct {
    const ir_target *target;
    int64_t inner; /* rows of axis `inner` */
    int64_t chain; /* steps that a tile takes one after the other, `unroll` of them without a jump */
    int64_t unroll;
    bool paired, streams; /* is each row of the scalar operand a stretch of memory by itself? */
} tile_setting;

/* Bytes that a step of the chain brings into the first cache: its scalars, a line of them for many steps or many tiles,
 * and its vectors, unless the panel stays there from one tile of rows to the next. */
static double step_fills(const tile_setting *s, int64_t rows, int64_t vectors)
{
    int64_t step = 4 * vectors * s->target->vector;
    return (double)(4 * rows + (s->chain * step > s->target->l1 / 2 ? step : 0));
}

/* Time of one step of the chain in one tile, in multiply-adds. Three things bound it: the multiply-adds, the loads, and
 * the latency of the chains, which two units hide behind some eight accumulators. A tile that only just hides it has
 * nothing else to do where a load comes late, so bounds that are near each other add up; and each load and each line
 * that comes from the second cache costs a little by itself. So does each row that the processor has to follow beyond
 * a dozen, and the jump. The numbers fit what tiles from 1x1 to 12x1 and 4x3 of 256 bits take. */
static double tile_time(const tile_setting *s, int64_t rows, int64_t vectors)
{
    const double latency = 7, load = 0.25, line = 0.6, jump = 2, stream = 0.5, streams = 12;
    double work = (double)(rows * vectors), loads = (double)((s->paired ? rows * vectors : rows) + vectors);
    double bound = work > loads ? work : loads;
    return cbrt(bound * bound * bound + latency * latency * latency) + load * loads +
           line * step_fills(s, rows, vectors) / 64 + jump / (double)s->unroll +
           (s->streams && (double)rows > streams ? stream * ((double)rows - streams) : 0);
}

/* Time of all rows of 'total', by tiles of 'rows': what is left is one smaller tile. */
static double rows_time(const tile_setting *s, int64_t total, int64_t rows, int64_t vectors)
{
    int64_t tiles = total / rows, left = total % rows;
    double time = (double)tiles * tile_time(s, rows * s->inner, vectors);
    return left ? time + tile_time(s, left * s->inner, vectors) : time;
}

/* Scalars that a tile of so many rows keeps in registers. Each is used and forgotten, unless the next steps of the
 * chain meet it again in other rows, as the taps of a one-channel convolution do: code generation loads such a scalar
 * once. */
static int64_t live_scalars(const contraction *c, const contraction_plan *p, int64_t rows)
{
    enum { MOST = CONTRACTION_ROWS * 8 };
    int64_t inner = p->inner >= 0 ? c->axis[p->inner].n : 1, seen[MOST], count = 0;
    const contraction_run *run = c->nsums && c->sum[c->nsums - 1].count ? c->sum[c->nsums - 1].run : NULL;
    int64_t steps = !run || run->batch ? 1 : run->n <= WHOLE ? run->n : p->unroll;
    if (rows * inner > CONTRACTION_ROWS || steps > MOST / CONTRACTION_ROWS)
        return 1;
    for (int64_t i = 0; i < rows * inner * steps; i++) {
        int64_t row = i / steps, at = run ? i % steps * (p->swap ? run->rhs : run->lhs) : 0, k = 0;
        at += p->row >= 0 ? row / inner * contraction_scalar_stride(&c->axis[p->row], p->swap) : 0;
        at += p->inner >= 0 ? row % inner * contraction_scalar_stride(&c->axis[p->inner], p->swap) : 0;
        while (k < count && seen[k] != at)
            k++;
        if (k == count)
            seen[count++] = at;
    }
    return count < rows * inner * steps ? count : 1;
}

/* The accumulators of a tile, its vectors and scalars stay in registers, with a few to spare for the epilogue. */
static bool fits_registers(const contraction *c, const ir_target *t, const contraction_plan *p, int64_t rows,
                           int64_t vectors)
{
    int64_t inner = p->inner >= 0 ? c->axis[p->inner].n : 1, accumulators = rows * inner * vectors;
    if (accumulators + vectors + 1 > t->registers || accumulators > t->registers - 4)
        return false;
    int64_t scalars = live_scalars(c, p, rows) * (is_paired(c, p) ? vectors : 1);
    return accumulators + vectors + scalars <= t->registers;
}

/* Vectors that all columns come to. */
static int64_t column_vectors(const contraction *c, const ir_target *t, const contraction_plan *p)
{
    return p->column >= 0 ? (c->axis[p->column].n + t->vector - 1) / t->vector : 1;
}

/* Does the chain go along the rows of the scalar operand? */
static bool scalars_stream(const contraction *c, const contraction_plan *p)
{
    const contraction_run *run = c->nsums && c->sum[c->nsums - 1].count ? c->sum[c->nsums - 1].run : NULL;
    return run && (p->swap ? run->rhs : run->lhs) == 1;
}

/* Time of one step of all chains by the tiles of p. */
static double tiles_time(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p)
{
    int64_t columns = column_vectors(c, t, p);
    int64_t total = p->row >= 0 ? contraction_steps(&c->axis[p->row], max_batch) : 1;
    int64_t tiles = columns / p->vectors, left = columns % p->vectors;
    const tile_setting s = {.target = t,
                            .inner = p->inner >= 0 ? c->axis[p->inner].n : 1,
                            .chain = contraction_chain(c, c->leaf ? 1 : max_batch),
                            .unroll = p->unroll,
                            .paired = is_paired(c, p),
                            .streams = scalars_stream(c, p)};
    double time = (double)tiles * rows_time(&s, total, p->rows, p->vectors);
    return left ? time + rows_time(&s, total, p->rows, left) : time;
}

/* Kernels that read or update one weight should deal its columns to workers in like panels: then each worker finds in
 * its own cache what it left there. On two workers that gave an MLP's step 15 %, and tiles of different widths are
 * within a few percent of each other. */
static double unlike_panels(const contraction_plan *p)
{
    return p->vectors == CONTRACTION_PANEL ? 1 : 1.04;
}

/* ---- the choice ---- */

/* Rows, vectors, `most` or fewer, and unrolling of the tile, for a column and row already chosen; returns the time of
 * one step of all chains, 0 if no tile fits. Without unrolling, no scalar is met again that would want a register till
 * then. */
static double choose_tile(const contraction *c, const ir_target *t, int64_t max_batch, int64_t most,
                          contraction_plan *p)
{
    int64_t total = p->row >= 0 ? contraction_steps(&c->axis[p->row], max_batch) : 1;
    contraction_plan best = *p;
    double best_time = 0;
    for (p->unroll = UNROLL; p->unroll >= 1; p->unroll -= UNROLL - 1)
        for (p->vectors = 1; p->vectors <= most; p->vectors++)
            for (p->rows = 1; p->rows <= total && fits_registers(c, t, p, p->rows, p->vectors); p->rows++) {
                double time = tiles_time(c, t, max_batch, p) * unlike_panels(p);
                if (best_time == 0 || time < best_time * 0.999) {
                    best_time = time;
                    best = *p;
                }
            }
    *p = best;
    return best_time;
}

/* Steps of all chains that one tile after the other takes. */
static double all_chains(const contraction *c, int64_t max_batch, const contraction_plan *p)
{
    double steps = (double)contraction_chain(c, max_batch);
    for (int i = 0; i < c->naxes; i++)
        if (i != p->column && i != p->row && i != p->inner)
            steps *= (double)contraction_steps(&c->axis[i], max_batch);
    return steps;
}

/* Everything but column and swap. Returns the time of the whole contraction, in multiply-adds of vectors. */
static double complete(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    p->inner = -1;
    p->row = find_row(c, p, -1, true);
    if (p->row < 0)
        p->row = find_row(c, p, -1, false);
    if (p->row >= 0 && !c->axis[p->row].batch && c->axis[p->row].n < t->registers / 4) {
        int outer = find_row(c, p, (int)p->row, false);
        if (outer >= 0) {
            p->inner = p->row;
            p->row = outer;
        }
    }
    p->rows = p->vectors = 1;
    int64_t most = least(MOST_VECTORS, column_vectors(c, t, p));
    double time = choose_tile(c, t, max_batch, most, p);
    if (time == 0) { /* even one step of the inner rows meets more scalars than there are registers */
        p->row = p->inner;
        p->inner = -1;
        time = choose_tile(c, t, max_batch, most, p);
    }
    return time * all_chains(c, max_batch, p);
}

/* Is the result of a product so narrow that columns along its other dimension are worth a turn of each tile? */
static bool is_narrow(const contraction *c, const ir_target *t, const contraction_plan *p)
{
    int turned = contraction_turned(c, p, p->rows);
    return turned >= 0 && !c->leaf && c->node->op == IR_DOT_GENERAL && !c->axis[turned].batch &&
           c->axis[turned].n < 2 * t->vector;
}

/* What the epilogue costs: by vectors, or element by element where columns do not lie side by side in the result.
 * Leaves are taken an example at a time, each reading and writing the partial sums. */
static double epilogue_time(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p)
{
    enum { VECTOR = 8, ELEMENT = 16, TURN = 64 };
    double count = c->leaf ? (double)max_batch : 1;
    for (int i = 0; i < c->naxes; i++)
        count *= (double)contraction_steps(&c->axis[i], max_batch);
    if (p->column >= 0 && c->axis[p->column].out == 1)
        return VECTOR * count / t->vector;
    if (!is_narrow(c, t, p))
        return ELEMENT * count;
    double rows = (double)(p->rows < t->vector ? p->rows : t->vector);
    return VECTOR * count / rows + TURN * count / (rows * t->vector);
}

double select_time(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *p)
{
    return tiles_time(c, t, max_batch, p) * all_chains(c, max_batch, p) + epilogue_time(c, t, max_batch, p);
}

contraction_plan select_tile(const contraction *c, const ir_target *t, int64_t max_batch, bool repack, bool *packs)
{
    contraction_plan best = {.column = -1};
    double best_time = 4 * (double)t->vector * complete(c, t, max_batch, &best);
    *packs = false;
    for (int i = 0; i < c->naxes; i++)
        for (int swap = 0; swap < 2; swap++) {
            const contraction_axis *a = &c->axis[i];
            bool pairs = contraction_scalar_stride(a, swap) == 1 && contraction_vector_stride(a, swap) == 1;
            if (a->batch || a->n == 1 || (contraction_scalar_stride(a, swap) != 0 && !pairs) ||
                contraction_vector_stride(a, swap) == 0)
                continue;
            contraction_plan p = {.swap = swap, .column = i};
            double time = complete(c, t, max_batch, &p) + epilogue_time(c, t, max_batch, &p);
            bool scattered = contraction_vector_stride(a, swap) != 1;
            if (scattered && repack)
                time += 2 * select_operand_count(c, swap, max_batch);
            else if (scattered)
                time *= 8;
            if (time < best_time) {
                best_time = time;
                best = p;
                *packs = scattered && repack;
            }
        }
    select_tasks(c, t, max_batch, &best);
    return best;
}

/* ---- packing ---- */

/* Is the operand one small panel, which many rows of each task pass over? A task's own copy costs less than to fetch
 * what another worker has packed. */
static bool packs_own(const contraction *c, const ir_target *t, const contraction_plan *p, int64_t bytes)
{
    enum { ROWS = 64 };
    return !contraction_packs_late(c, p) && contraction_panels(c, t->vector, p) == 1 && p->cut >= 0 &&
           p->cut == p->row && p->chunk >= ROWS && bytes <= t->l1 / 2;
}

bool select_pack(const contraction *c, const ir_target *t, int64_t max_batch, contraction_plan *p)
{
    enum { FEW = 4 }; /* tasks */
    bool large = 4 * select_operand_count(c, p->swap, max_batch) > 2 * (double)t->l1;
    int64_t wanted = select_wanted_tasks(c, max_batch), few = least(wanted, FEW);
    contraction_plan packed = *p;
    int64_t panel = contraction_panel(c, t->vector, max_batch, p);
    if (panel && packs_own(c, t, p, 4 * panel)) {
        p->pack = 1;
        return true;
    }
    if (!large || !panel)
        return false;
    if (!contraction_packs_late(c, p)) { /* tasks are panels */
        if (contraction_panels(c, t->vector, p) < few)
            choose_tile(c, t, max_batch, column_vectors(c, t, p) / few, &packed);
        if (contraction_panels(c, t->vector, &packed) < few)
            return false;
        packed.cut = -1;
        packed.chunk = 1;
        packed.pieces = select_even_pieces(contraction_panels(c, t->vector, &packed), wanted);
    }
    if (4 * contraction_panel(c, t->vector, max_batch, &packed) > t->l2 / 4 * 3)
        return false;
    *p = packed;
    p->pack = 1;
    return true;
}

/* ---- other plans to try ---- */

/* Tasks cut whole tiles, and panels as evenly as before. */
static void fit_tasks(const contraction *c, const ir_target *t, contraction_plan *p)
{
    if (p->cut >= 0 && p->cut == p->row)
        p->chunk = (p->chunk + p->rows - 1) / p->rows * p->rows;
    if (p->strip)
        p->strip = (p->strip + p->rows - 1) / p->rows * p->rows;
    p->pieces = select_even_pieces(contraction_panels(c, t->vector, p), p->pieces);
}

typedef struct {
    contraction_plan *plan;
    double time[SELECT_CANDIDATES];
    int count;
} candidate_list;

/* Keep the best ones, in order. */
static void add_candidate(candidate_list *l, const contraction_plan *p, double time)
{
    int at = l->count;
    while (at > 0 && l->time[at - 1] > time)
        at--;
    if (at == SELECT_CANDIDATES)
        return;
    l->count += l->count < SELECT_CANDIDATES;
    for (int i = l->count - 1; i > at; i--) {
        l->plan[i] = l->plan[i - 1];
        l->time[i] = l->time[i - 1];
    }
    l->plan[at] = *p;
    l->time[at] = time;
}

int select_candidates(const contraction *c, const ir_target *t, int64_t max_batch, const contraction_plan *base,
                      int64_t scratch, contraction_plan out[SELECT_CANDIDATES])
{
    candidate_list l = {.plan = out};
    int64_t columns = column_vectors(c, t, base);
    int64_t total = base->row >= 0 ? contraction_steps(&c->axis[base->row], max_batch) : 1;
    for (int64_t vectors = 1; vectors <= MOST_VECTORS && vectors <= columns; vectors++)
        for (int64_t rows = 1; rows <= total && fits_registers(c, t, base, rows, vectors); rows++) {
            contraction_plan p = *base;
            p.rows = rows;
            p.vectors = vectors;
            fit_tasks(c, t, &p);
            bool same = rows == base->rows && vectors == base->vectors;
            if (!same && contraction_plan_fits(c, t->vector, max_batch, &p, scratch))
                add_candidate(&l, &p, tiles_time(c, t, max_batch, &p));
        }
    /* The two last ones give way to the base with its loop unrolled less and more. */
    for (int i = 0; i < 2; i++) {
        int at = l.count < SELECT_CANDIDATES ? l.count++ : SELECT_CANDIDATES - 1 - i;
        out[at] = *base;
        out[at].unroll = i ? 2 * base->unroll : (base->unroll + 1) / 2;
    }
    return l.count;
}
