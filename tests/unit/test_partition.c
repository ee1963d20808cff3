/* tests/unit/test_partition.c - the cut of a list of layers into stages is compared with all possible cuts of that
 * list. */
#include "passes/partition/cut.h"
#include <CUnit/CUnit.h>
#include <float.h>

enum { MOST_LAYERS = 9, LISTS = 400 };

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

static price price_of(const layer_costs *l, unsigned cut)
{
    price p = {.legal = true, .stages = 1};
    double own = 0;
    bool holds = false;
    for (int i = 0; i < l->count; i++) {
        own += l->layer[i].cycles;
        holds |= l->layer[i].parameters > 0;
        p.dearest = own > p.dearest ? own : p.dearest;
        if (i + 1 == l->count || !(cut >> i & 1))
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

static unsigned cut_of(const layer_costs *l)
{
    unsigned cut = 0;
    for (int i = 0; i + 1 < l->count; i++)
        cut |= (l->layer[i].stage != l->layer[i + 1].stage ? 1u : 0u) << i;
    return cut;
}

static void check_list(uint32_t seed, int stages)
{
    layer_cost layer[MOST_LAYERS] = {0};
    layer_costs l = {.layer = layer, .count = 1 + (int)draw(&seed, MOST_LAYERS)};
    for (int i = 0; i < l.count; i++) {
        layer[i].cycles = 1 + draw(&seed, 40);
        layer[i].crossing = 1 + draw(&seed, 20);
        layer[i].parameters = draw(&seed, 3);
    }
    double dearest = DBL_MAX, crossing = DBL_MAX;
    unsigned all = 1u << (l.count - 1);
    for (int search = 0; search < 2; search++)
        for (unsigned cut = 0; cut < all; cut++) {
            price p = price_of(&l, cut);
            if (!p.legal || p.stages != stages)
                continue;
            if (!search)
                dearest = p.dearest < dearest ? p.dearest : dearest;
            else if (p.dearest <= 1.1 * dearest)
                crossing = p.crossing < crossing ? p.crossing : crossing;
        }
    CU_ASSERT_EQUAL(cut_layers(&l, stages, BALANCE_TIME), dearest != DBL_MAX);
    if (dearest == DBL_MAX)
        return;
    price got = price_of(&l, cut_of(&l));
    CU_ASSERT_TRUE(got.legal);
    CU_ASSERT_EQUAL(got.stages, stages);
    CU_ASSERT_TRUE(got.dearest <= 1.1 * dearest);
    CU_ASSERT_EQUAL(got.crossing, crossing);
    CU_ASSERT_EQUAL(layer[0].stage, 1);
    CU_ASSERT_EQUAL(layer[l.count - 1].stage, stages);
}

static void best_of_all_cuts(void)
{
    for (uint32_t i = 0; i < LISTS; i++)
        for (int stages = 1; stages <= 4; stages++)
            check_list(i * 7919u + (uint32_t)stages, stages);
}

void suite_partition(void);
void suite_partition(void)
{
    CU_pSuite s = CU_add_suite("partition", NULL, NULL);
    CU_add_test(s, "a cut is the best of all", best_of_all_cuts);
}
