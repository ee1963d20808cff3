/* tests/unit/test_blocks.c - blocks and `repeat`: the network is that of the layers they stand for, written out. */
#include "frontend/frontend.h"
#include "ir/ir.h"
#include <CUnit/CUnit.h>
#include <string.h>

static void print(const char *yaml, text *out)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    fe_network *n = fe_read_text(yaml, strlen(yaml), "net.yaml", mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    CU_ASSERT_EQUAL(diag_errors(d), 0);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    ir_print(m, false, out);
    ir_module_free(m);
    diag_free(d);
    arena_free(mem);
}

static void expect_same(const char *blocks, const char *written_out)
{
    text a = {0}, b = {0};
    print(blocks, &a);
    print(written_out, &b);
    CU_ASSERT_STRING_EQUAL(text_get(&a), text_get(&b));
    text_free(&a);
    text_free(&b);
}

#define HEAD "name: net\ninputs: {x: [8], t: [8]}\n"
#define TAIL "losses: [mean_squared_error]\noptimizer: sgd\n"

static void repeated(void)
{
    expect_same(HEAD
                "layers:\n"
                "  - repeat: {name: r, times: 3, layers: [dense: {units: 8 * $index, activation: relu}, dense: 8]}\n"
                "  - add: [r_1, r_3]\n" TAIL,
                HEAD "layers:\n"
                     "  - dense: {name: r_1_dense1, units: 8, activation: relu}\n"
                     "  - dense: {name: r_1, units: 8}\n"
                     "  - dense: {name: r_2_dense1, units: 16, activation: relu}\n"
                     "  - dense: {name: r_2, units: 8}\n"
                     "  - dense: {name: r_3_dense1, units: 24, activation: relu}\n"
                     "  - dense: {name: r_3, units: 8}\n"
                     "  - add: [r_1, r_3]\n" TAIL);
}

/* A block's arguments, its input by name, names within it before those around it. */
static void residual(void)
{
    expect_same(HEAD "blocks:\n"
                     "  residual:\n"
                     "    parameters: {units: ~, how: relu, other: x}\n"
                     "    layers:\n"
                     "      - dense: {name: a, units: 2 * $units, activation: $how}\n"
                     "      - dense: {name: b, units: $units}\n"
                     "      - add: [b, $input, $other]\n"
                     "layers:\n"
                     "  - dense: {name: a, units: 8}\n"
                     "  - residual: 8\n"
                     "  - dense: 8\n"
                     "  - residual: {name: end, units: 8, how: {elu: 0.5}, other: a, input: residual1}\n" TAIL,
                HEAD "layers:\n"
                     "  - dense: {name: a, units: 8}\n"
                     "  - activation: {name: residual1_input, activation: linear}\n"
                     "  - dense: {name: residual1_a, units: 16, activation: relu}\n"
                     "  - dense: {name: residual1_b, units: 8}\n"
                     "  - add: {name: residual1, inputs: [residual1_b, residual1_input, x]}\n"
                     "  - dense: {name: dense2, units: 8}\n"
                     "  - activation: {name: end_input, activation: linear, input: residual1}\n"
                     "  - dense: {name: end_a, units: 16, activation: {elu: 0.5}}\n"
                     "  - dense: {name: end_b, units: 8}\n"
                     "  - add: {name: end, inputs: [end_b, end_input, a]}\n" TAIL);
}

/* Blocks in blocks and in repetitions; a repetition at the end of a block ends with the block's name. */
static void nested(void)
{
    expect_same(HEAD "blocks:\n"
                     "  one: {parameters: {units: 8}, layers: [dense: $units, activation: relu]}\n"
                     "  two:\n"
                     "    parameters: {times: 2}\n"
                     "    layers:\n"
                     "      - one: {name: o, units: 6}\n"
                     "      - repeat: {name: r, times: $times, layers: [one, add: [o, o], dense: 8]}\n"
                     "layers: [two, two: {name: last, times: 1}]\n" TAIL,
                HEAD "layers:\n"
                     "  - dense: {name: two1_o_dense1, units: 6}\n"
                     "  - activation: {name: two1_o, activation: relu}\n"
                     "  - dense: {name: two1_r_1_one1_dense1, units: 8}\n"
                     "  - activation: {name: two1_r_1_one1, activation: relu}\n"
                     "  - add: {name: two1_r_1_add1, inputs: [two1_o, two1_o]}\n"
                     "  - dense: {name: two1_r_1, units: 8}\n"
                     "  - dense: {name: two1_r_2_one1_dense1, units: 8}\n"
                     "  - activation: {name: two1_r_2_one1, activation: relu}\n"
                     "  - add: {name: two1_r_2_add1, inputs: [two1_o, two1_o]}\n"
                     "  - dense: {name: two1, units: 8}\n"
                     "  - dense: {name: last_o_dense1, units: 6}\n"
                     "  - activation: {name: last_o, activation: relu}\n"
                     "  - dense: {name: last_r_1_one1_dense1, units: 8}\n"
                     "  - activation: {name: last_r_1_one1, activation: relu}\n"
                     "  - add: {name: last_r_1_add1, inputs: [last_o, last_o]}\n"
                     "  - dense: {name: last, units: 8}\n" TAIL);
}

/* What a layer says for all that share its parameters is left out of the others. */
static void sharing(void)
{
    expect_same(HEAD "blocks:\n"
                     "  two: {layers: [dense: {name: a, units: 8, bias_initializer: ones}, layer_norm]}\n"
                     "layers:\n"
                     "  - repeat: {name: r, times: 2, share: true, layers: [prelu: {alpha_initializer: ones}, two]}\n"
                     "  - two\n"
                     "  - two: {name: more, share: two1}\n"
                     "  - prelu: {share: r_1_prelu1, input: r_1}\n" TAIL,
                HEAD "layers:\n"
                     "  - prelu: {name: r_1_prelu1, alpha_initializer: ones}\n"
                     "  - dense: {name: r_1_two1_a, units: 8, bias_initializer: ones}\n"
                     "  - layer_norm: {name: r_1}\n"
                     "  - prelu: {name: r_2_prelu1, share: r_1_prelu1}\n"
                     "  - dense: {name: r_2_two1_a, share: r_1_two1_a}\n"
                     "  - layer_norm: {name: r_2, share: r_1}\n"
                     "  - dense: {name: two1_a, units: 8, bias_initializer: ones}\n"
                     "  - layer_norm: {name: two1}\n"
                     "  - dense: {name: more_a, share: two1_a}\n"
                     "  - layer_norm: {name: more, share: two1}\n"
                     "  - prelu: {name: prelu1, share: r_1_prelu1, input: r_1}\n" TAIL);
}

void suite_blocks(void);
void suite_blocks(void)
{
    CU_pSuite s = CU_add_suite("blocks", NULL, NULL);
    CU_add_test(s, "layers that are repeated", repeated);
    CU_add_test(s, "a block with arguments and its input", residual);
    CU_add_test(s, "blocks in blocks and repetitions", nested);
    CU_add_test(s, "blocks and repetitions that share parameters", sharing);
}
