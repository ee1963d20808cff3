/* tests/unit/test_ir.c - the parts of the IR itself: text that prints and parses back to the same bytes, numbers,
 * and what arena and diag promise. */
#include "ir/ir.h"
#include <CUnit/CUnit.h>
#include <string.h>

/* Print what was parsed; parse and print that again. */
static void check_round_trip(const char *source)
{
    diag *d = diag_new();
    text once = {0}, twice = {0}, messages = {0};
    ir_module *m = ir_parse(source, "test", d);
    diag_print_plain(d, &messages, false);
    if (messages.length)
        CU_FAIL(text_get(&messages));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    for (int locations = 0; locations < 2; locations++) {
        ir_print(m, locations, &once);
        ir_module *again = ir_parse(text_get(&once), "again", d);
        CU_ASSERT_PTR_NOT_NULL_FATAL(again);
        ir_print(again, locations, &twice);
        CU_ASSERT_STRING_EQUAL(text_get(&once), text_get(&twice));
        if (!locations)
            CU_ASSERT_STRING_EQUAL(text_get(&once), source);
        text_free(&once);
        text_free(&twice);
        ir_module_free(again);
    }
    ir_module_free(m);
    text_free(&messages);
    diag_free(d);
}

static void round_trip(void)
{
    check_round_trip("module @net {abi = [1], after = fuse, source = \"a b.yaml\"}\n"
                     "target {triple = \"x86_64-unknown-linux-gnu\", cpu = \"znver4\", features = \"\", vector = [16], "
                     "registers = [32], fma = [1], cache = [32768, 1048576, 33554432]}\n"
                     "row values @loss {kind = mean, sum = metric.loss, a = [0.001, -0, 1e+30, inf, nan]}\n"
                     "param @dense1.weight : f32[784, 10] {init = uniform, a = [-0.1], b = [0.1]} @param+0\n"
                     "state @adam.m/dense1.weight : f32[784, 10] @state+64\n"
                     "func @infer(%image : f32[B, 784] @input+0) -> (logits : f32[B, 10]) {\n"
                     "  %w = param @dense1.weight : f32[784, 10] @param+0\n"
                     "  %1 = fused \"dense1.forward\" (%image, %w) {kind = contraction} {\n"
                     "    %2 = dot_general %image, %w {lhs_contract = [1], rhs_contract = [0]} : f32[B, 10]\n"
                     "    %3 = constant {value = [0.1]} : f32[B, 10]\n"
                     "    %4 = add %2, %3 : f32[B, 10]\n"
                     "    return %4\n"
                     "  } : f32[B, 10] @output+0\n"
                     "  return %1\n"
                     "}\n"
                     "func @update() {\n"
                     "  %1 = state @adam.m/dense1.weight : f32[784, 10]\n"
                     "  assign @dense1.weight %1\n"
                     "}\n");
}

static void batch_dimensions(void)
{
    check_round_trip("module @shapes\n"
                     "func @f(%x : ui8[28, B, 3], %y : f64[], %z : i1[6*B, 2]) -> (r : ui8[28, B, 3]) {\n"
                     "  return %x\n"
                     "}\n");
    const ir_dim dims[] = {{28, false}, {2, true}, {3, false}};
    ir_type t = ir_type_make(IR_F32, 3, dims);
    int64_t stride[IR_MAX_RANK], batch_stride;
    ir_strides(&t, stride, &batch_stride);
    CU_ASSERT_EQUAL(stride[0], 6);
    CU_ASSERT_EQUAL(stride[1], 3);
    CU_ASSERT_EQUAL(stride[2], 1);
    CU_ASSERT_EQUAL(batch_stride, 168);
    CU_ASSERT_EQUAL(ir_count(&t, 5), 840);
}

static void nearest_words(void)
{
    static const char *const known[] = {"dense", "dropout", "flatten"};
    CU_ASSERT_STRING_EQUAL(diag_nearest("dens", known, 3), "dense");
    CU_ASSERT_STRING_EQUAL(diag_nearest("droput", known, 3), "dropout");
    CU_ASSERT_PTR_NULL(diag_nearest("conv2d", known, 3));
}

static void messages_show_their_line(void)
{
    diag *d = diag_new();
    diag_source(d, "net.yaml", "name: x\nlayers:\n  - dens: 3\n");
    diag_error(d, (src_loc){"net.yaml", 3, 5}, "unknown layer '%s'", "dens");
    text out = {0};
    diag_print(d, &out, false);
    CU_ASSERT_STRING_EQUAL(text_get(&out), "net.yaml:3:5: error: unknown layer 'dens'\n"
                                           "    3 |   - dens: 3\n"
                                           "      |     ^\n");
    text_free(&out);
    diag_free(d);
}

static void attributes_are_not_shared_by_accident(void)
{
    ir_module *m = ir_module_new("m");
    ir_attr *a = NULL;
    int64_t one = 1, two = 2;
    ir_attr_set_ints(m->mem, &a, "x", &one, 1);
    ir_attr_set_ints(m->mem, &a, "y", &one, 1);
    ir_attr *b = a;
    ir_attr_set_ints(m->mem, &b, "y", &two, 1);
    ir_attr_remove(m->mem, &b, "x");
    CU_ASSERT_EQUAL(ir_attr_find(a, "y")->number[0], 1);
    CU_ASSERT_PTR_NOT_NULL(ir_attr_find(a, "x"));
    CU_ASSERT_EQUAL(ir_attr_find(b, "y")->number[0], 2);
    CU_ASSERT_PTR_NULL(ir_attr_find(b, "x"));
    ir_module_free(m);
}

void suite_ir(void);
void suite_ir(void)
{
    CU_pSuite s = CU_add_suite("ir", NULL, NULL);
    CU_add_test(s, "text prints and parses to the same bytes", round_trip);
    CU_add_test(s, "batch dimensions", batch_dimensions);
    CU_add_test(s, "nearest words", nearest_words);
    CU_add_test(s, "messages show their line", messages_show_their_line);
    CU_add_test(s, "attributes are immutable cells", attributes_are_not_shared_by_accident);
}
