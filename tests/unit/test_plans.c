/* tests/unit/test_plans.c - any plan of a contraction that is accepted gives the bits of the evaluator.
 *
 * Plans come from a text too, which somebody may have edited. Here each contraction of some modules takes numbers drawn
 * at random until contraction_plan_fits accepts them, with scratch memory for packing and blocks where it has none of
 * its own: tiles of any shape on any axes, far from what pass select would choose. */
#include "ir/base/text.h"
#include "ir/contraction/plan.h"
#include "passes/select/select.h"
#include "tests/unit/lowered.h"
#include <CUnit/CUnit.h>
#include <stdio.h>

enum { TRIES = 1000, SCRATCH = 1 << 17, MAX_BATCH = 128 };

static uint64_t state;
static int replaced;

static int64_t draw(int64_t least, int64_t most)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return least + (int64_t)(state % (uint64_t)(most - least + 1));
}

static bool has_scratch(const ir_node *kernel)
{
    for (int i = 0; i < kernel->nin; i++)
        if (kernel->in[i]->op == IR_SCRATCH)
            return true;
    return false;
}

/* Numbers around what may fit. Whether sums wait by leaves is not the plan's choice. */
static contraction_plan draw_plan(const contraction *c, const contraction_plan *own, bool scratch)
{
    contraction_plan p = {.swap = draw(0, 1), .rows = draw(1, 6), .unroll = draw(1, 5), .cut = own->cut};
    p.column = draw(0, 3) ? draw(-1, c->naxes - 1) : -1;
    p.row = draw(-1, c->naxes - 1);
    p.inner = draw(0, 1) ? draw(-1, c->naxes - 1) : -1;
    p.vectors = p.column < 0 ? 1 : draw(1, 4);
    p.pieces = p.column < 0 ? 1 : draw(1, 3);
    p.chunk = draw(1, 9);
    if (!c->leaf)
        p.cut = draw(-1, c->naxes - 1);
    if (!scratch)
        return p;
    p.pack = draw(0, 1);
    p.block = draw(0, 1) ? draw(1, 20) : 0;
    p.strip = p.pack && p.block && draw(0, 1) ? p.rows * draw(1, 3) : 0;
    return p;
}

static void replace(ir_node *kernel, int64_t vector, int64_t max_batch, arena *mem)
{
    contraction c;
    contraction_plan own;
    if (!contraction_plan_read(kernel, &own) || own.pack == CONTRACTION_STREAM || has_scratch(kernel) ||
        !contraction_describe(contraction_core(kernel), 0, mem, &c))
        return;
    bool scratch = !c.leaf && draw(0, 1);
    for (int i = 0; i < TRIES; i++) {
        contraction_plan p = draw_plan(&c, &own, scratch);
        if (!contraction_plan_fits(&c, vector, max_batch, &p, scratch ? SCRATCH : 0))
            continue;
        contraction_plan_write(kernel, &p);
        if (scratch)
            select_scratch(kernel, IR_F32, 1, SCRATCH)->place.segment = SEG_WORKER;
        replaced++;
        return;
    }
}

static bool replace_all(ir_module *m, void *user, diag *d)
{
    (void)user;
    (void)d;
    const ir_attr *batch = ir_attr_find(m->attrs, "max_batch");
    arena *mem = arena_new();
    for (ir_graph *g = m->functions; g; g = g->next)
        for (ir_node *n = g->first; n; n = n->next)
            if (n->op == IR_FUSED && ir_word_is(n, "kind", "contraction") && contraction_core(n))
                replace(n, m->target.vector, batch ? (int64_t)batch->number[0] : MAX_BATCH, mem);
    arena_free(mem);
    return true;
}

static void check(const char *name)
{
    enum { ROUNDS = 4 };
    static const int64_t batches[] = {1, 11};
    static const lowered_variant variants[] = {{.cpu = "x86-64-v3", .hook = replace_all},
                                               {.cpu = "x86-64-v4", .hook = replace_all}};
    char path[4096];
    text source = {0};
    snprintf(path, sizeof path, "%s/lower/%s", LAMINA_TESTS_DIR, name);
    CU_ASSERT_TRUE_FATAL(text_read_file(&source, path));
    state = 88172645463325252u;
    replaced = 0;
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i <= lowered_for_avx512(); i++)
            lowered_check(text_get(&source), name, &variants[i], batches, 2);
    CU_ASSERT_TRUE(replaced >= 4 * (1 + lowered_for_avx512()) * ROUNDS);
    text_free(&source);
}

static void products(void)
{
    check("dot.ir");
}

static void narrow_products(void)
{
    check("narrow.ir");
}

static void convolutions(void)
{
    check("convolution.ir");
}

void suite_plans(void);

void suite_plans(void)
{
    CU_pSuite s = CU_add_suite("plans", NULL, NULL);
    CU_add_test(s, "products", products);
    CU_add_test(s, "narrow products", narrow_products);
    CU_add_test(s, "convolutions", convolutions);
}
