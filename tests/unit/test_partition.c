/* tests/unit/test_partition.c - the cut of a list of layers into stages is compared with all possible cuts of that
 * list, and what crosses a cut of a net with skips is counted edge by edge. */
#include "ir/graph/build.h"
#include "passes/partition/cut.h"
#include <CUnit/CUnit.h>
#include <float.h>

enum { MOST_LAYERS = 9, LISTS = 400, MOST_STAGES = 4, NETS = 60, BATCH = 8 };

static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* What a cut costs: its dearest stage, and what crosses its boundaries. Bit i of 'cut': a boundary behind layer i. */
typedef struct {
    bool legal; /* every stage has parameters */
    int stages;
    double dearest, crossing;
} price;

static double own_cost(const layer_cost *l, balance by)
{
    const double of[BALANCE_COUNT] = {l->forward + l->backward + l->update, l->operations, l->bytes,
                                      (double)l->parameters};
    return of[by];
}

static price price_of(const layer_costs *l, unsigned cut, balance by)
{
    price p = {.legal = true, .stages = 1};
    double own = 0;
    bool holds = false;
    for (int i = 0; i < l->count; i++) {
        bool ends = i + 1 < l->count && (cut >> i & 1), begins = i > 0 && (cut >> (i - 1) & 1);
        own += own_cost(&l->layer[i], by);
        own += by == BALANCE_TIME && begins ? l->layer[i - 1].parting : 0;
        own += by == BALANCE_TIME && ends ? l->layer[i].parting : 0;
        holds |= l->layer[i].parameters > 0;
        p.dearest = own > p.dearest ? own : p.dearest;
        if (!ends)
            continue;
        p.crossing += l->layer[i].crossing;
        p.legal &= holds;
        p.stages++;
        own = 0;
        holds = false;
    }
    p.legal &= holds;
    return p;
}

static unsigned bits_of(const layer_cut *cut)
{
    unsigned bits = 0;
    for (int k = 1; k < cut->stages; k++)
        bits |= 1u << (cut->begin[k] - 1);
    return bits;
}

/* Is there cost between a boundary of the one and that of the other? Both have as many. */
static bool differ(const layer_costs *l, balance by, unsigned a, unsigned b)
{
    for (int i = 0; i < l->count; i++) {
        bool apart = __builtin_popcount(a & ((1u << i) - 1)) != __builtin_popcount(b & ((1u << i) - 1));
        if (apart && own_cost(&l->layer[i], by) > 0)
            return true;
    }
    return false;
}

/* The least dearest stage of all legal cuts but one, and the least crossing of those within 'slack' of it. */
static price best_of_all(const layer_costs *l, int stages, balance by, double slack, const unsigned *but)
{
    price best = {.dearest = DBL_MAX, .crossing = DBL_MAX, .stages = stages};
    for (int search = 0; search < 2; search++)
        for (unsigned cut = 0; cut < 1u << (l->count - 1); cut++) {
            price p = price_of(l, cut, by);
            if (!p.legal || p.stages != stages || (but && !differ(l, by, cut, *but)))
                continue;
            best.legal = true;
            if (!search)
                best.dearest = p.dearest < best.dearest ? p.dearest : best.dearest;
            else if (p.dearest <= slack * best.dearest)
                best.crossing = p.crossing < best.crossing ? p.crossing : best.crossing;
        }
    return best;
}

static void check_cut(const layer_costs *l, int stages, balance by)
{
    double slack = by == BALANCE_TIME ? 1.01 : 1.1;
    price best = best_of_all(l, stages, by, slack, NULL);
    CU_ASSERT_EQUAL(stages <= most_stages(l), best.legal);
    if (!best.legal)
        return;
    arena *mem = arena_new();
    layer_cut cut = cut_layers(l, stages, by, mem), next;
    price got = price_of(l, bits_of(&cut), by);
    CU_ASSERT_TRUE(got.legal);
    CU_ASSERT_EQUAL(got.stages, stages);
    CU_ASSERT_EQUAL(got.dearest, cut.dearest);
    CU_ASSERT_TRUE(got.dearest <= slack * best.dearest);
    CU_ASSERT_EQUAL(got.crossing, best.crossing);
    CU_ASSERT_EQUAL(got.crossing, cut.crossing);
    CU_ASSERT_EQUAL(cut.begin[0], 0);
    CU_ASSERT_EQUAL(cut.begin[stages], l->count);
    unsigned bits = bits_of(&cut);
    price second = best_of_all(l, stages, by, 1, &bits);
    CU_ASSERT_EQUAL(cut_next(l, &cut, by, mem, &next), second.legal);
    if (second.legal) {
        CU_ASSERT_TRUE(differ(l, by, bits_of(&next), bits));
        CU_ASSERT_EQUAL(next.dearest, second.dearest);
        CU_ASSERT_EQUAL(next.crossing, second.crossing);
    }
    arena_free(mem);
}

static void check_list(uint32_t seed, int stages)
{
    layer_cost layer[MOST_LAYERS] = {0};
    layer_costs l = {.layer = layer, .count = 1 + (int)draw(&seed, MOST_LAYERS)};
    for (int i = 0; i < l.count; i++) {
        layer[i].forward = 1 + draw(&seed, 40);
        layer[i].backward = draw(&seed, 80);
        layer[i].update = draw(&seed, 9);
        layer[i].parting = draw(&seed, 12);
        layer[i].crossing = 1 + draw(&seed, 20);
        layer[i].operations = 1 + draw(&seed, 40);
        layer[i].bytes = 1 + draw(&seed, 40);
        layer[i].parameters = draw(&seed, 3);
    }
    for (int by = 0; by < BALANCE_COUNT; by++)
        check_cut(&l, stages, (balance)by);
}

static void best_of_all_cuts(void)
{
    for (uint32_t i = 0; i < LISTS; i++)
        for (int stages = 1; stages <= MOST_STAGES; stages++)
            check_list(i * 7919u + (uint32_t)stages, stages);
}

/* ---- nets with skips ---- */

/* Layer i reads layer i - 1, and by an addition some layer above it: 'skip', -1 for none. All values are f32[B, 4]. */
typedef struct {
    int count, skip[MOST_LAYERS];
} net;

static net draw_net(uint32_t *seed, bool skips)
{
    net n = {.count = 2 + (int)draw(seed, MOST_LAYERS - 2)};
    for (int i = 0; i < n.count; i++)
        n.skip[i] = skips && i > 1 && draw(seed, 2) ? (int)draw(seed, (uint32_t)i - 1) : -1;
    return n;
}

static ir_graph *build_net(const net *n, ir_module *m)
{
    static const int64_t batch = BATCH;
    ir_graph *g = ir_function_new(m, "train_step", (src_loc){0});
    const ir_type value = {.dtype = IR_F32, .rank = 2, .dim = {{1, true}, {4, false}}};
    const ir_type weight = {.dtype = IR_F32, .rank = 2, .dim = {{4, false}, {4, false}}};
    ir_node *made[MOST_LAYERS + 1] = {ir_input_new(g, "x", value)};
    ir_attr_set_ints(m->mem, &m->attrs, "max_batch", &batch, 1);
    for (int i = 0; i < n->count; i++) {
        const char *label = arena_printf(m->mem, "layer%d.forward", i);
        ir_symbol *w = ir_symbol_new(m, SEG_PARAM, arena_printf(m->mem, "layer%d.weight", i), weight, (src_loc){0});
        g->at_label = label;
        ir_node *y = ir_matmul(g, made[i], ir_param(g, w));
        made[i + 1] = n->skip[i] >= 0 ? ir_add(g, y, made[n->skip[i] + 1]) : y;
    }
    ir_number(g);
    return g;
}

/* Values made up to layer 'last' and read behind it. */
static double bytes_behind(const net *n, int last)
{
    int values = 0;
    for (int made = 0; made <= last; made++) {
        bool read = made == last && last + 1 < n->count;
        for (int i = last + 1; i < n->count; i++)
            read |= n->skip[i] == made;
        values += read;
    }
    return 4.0 * 4 * BATCH * values;
}

static void check_net(uint32_t seed, bool skips)
{
    net n = draw_net(&seed, skips);
    ir_module *m = ir_module_new("net");
    layer_costs l = layer_costs_of(build_net(&n, m), m->mem);
    CU_ASSERT_EQUAL_FATAL(l.count, n.count);
    for (int i = 0; i < n.count; i++) {
        CU_ASSERT_EQUAL(l.layer[i].parameters, 16);
        CU_ASSERT_EQUAL(l.layer[i].crossing, bytes_behind(&n, i));
    }
    for (int stages = 2; stages <= 3; stages++)
        for (int by = 1; by < BALANCE_COUNT; by++)
            check_cut(&l, stages, (balance)by);
    ir_module_free(m);
}

static void chains_and_skips(void)
{
    for (uint32_t i = 0; i < NETS; i++) {
        check_net(i * 104729u, false);
        check_net(i * 104729u, true);
    }
}

/* ---- how many stages ---- */

/* Eight equal layers: on eight workers as many stages as the hand-over is worth; none where a step is short. */
static void count_follows_workers(void)
{
    layer_cost layer[8] = {0};
    layer_costs l = {.layer = layer, .count = 8};
    for (int i = 0; i < 8; i++)
        layer[i] = (layer_cost){.forward = 1e6, .backward = 2e6, .update = 1e5, .parameters = 1};
    CU_ASSERT_EQUAL(cut_count(&l, 1, 256), 1);
    CU_ASSERT_EQUAL(cut_count(&l, 2, 256), 2);
    CU_ASSERT_EQUAL(cut_count(&l, 3, 256), 3);
    CU_ASSERT_EQUAL(cut_count(&l, 8, 256), 8);
    CU_ASSERT_EQUAL(cut_count(&l, 64, 256), 8);
    for (int i = 0; i < 8; i++)
        layer[i].update = 0;
    CU_ASSERT_EQUAL(cut_count(&l, 8, 8), 1); /* a single micro-batch: stages would only wait for each other */
    for (int i = 0; i < 8; i++)
        layer[i] = (layer_cost){.forward = 1e3, .backward = 2e3, .update = 1e2, .parameters = 1};
    CU_ASSERT_EQUAL(cut_count(&l, 8, 256), 1);
}

/* A stage's time is that of M + N - 1 micro-batches of M, its update and the hand-overs. */
static void step_of_a_pipeline(void)
{
    layer_cost layer[2] = {{.forward = 100, .backward = 300, .update = 50, .parting = 16, .parameters = 1},
                           {.forward = 60, .backward = 100, .update = 10, .parameters = 1}};
    layer_costs l = {.layer = layer, .count = 2};
    int begin[] = {0, 1, 2}, whole[] = {0, 2};
    CU_ASSERT_EQUAL(pipeline_cycles(&l, &(layer_cut){.stages = 2, .begin = begin}, 64), 9.0 / 8 * 416 + 50 + 9 * 4000);
    CU_ASSERT_EQUAL(pipeline_cycles(&l, &(layer_cut){.stages = 1, .begin = whole}, 64), 620);
}

void suite_partition(void);
void suite_partition(void)
{
    CU_pSuite s = CU_add_suite("partition", NULL, NULL);
    CU_add_test(s, "a cut is the best of all, and the next one too", best_of_all_cuts);
    CU_add_test(s, "bytes and cuts of chains and of nets with skips", chains_and_skips);
    CU_add_test(s, "how many stages", count_follows_workers);
    CU_add_test(s, "a step of a pipeline", step_of_a_pipeline);
}
