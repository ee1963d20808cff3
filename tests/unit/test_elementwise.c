/* tests/unit/test_elementwise.c - generated code of every elementwise operator against the evaluator's rule, bit for
 * bit: over random bit patterns, NaNs, infinities and subnormals among them, at several widths and for several CPUs. */
#include "ir/graph/build.h"
#include "ir/math/math.h"
#include "ir/ops/eval.h"
#include "tests/unit/bare_kernels.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ELEMENTS_TESTED = 1003 }; /* no multiple of a width: the last vector is masked */

typedef struct {
    char name[48];
    ir_op op;
    ir_dtype operand[3], result;
    int nin;
    const char *word;
} op_case;

static op_case make_case(ir_op op, ir_dtype from, ir_dtype to, const char *word)
{
    op_case c = {.op = op, .operand = {from, from, from}, .result = to, .nin = ir_ops[op].inputs, .word = word};
    if (op == IR_SELECT)
        c.operand[0] = IR_I1;
    sprintf(c.name, "%s_%s_%s_%s", ir_ops[op].name, ir_dtype_name(from), ir_dtype_name(to), word ? word : "");
    return c;
}

/* for (i = 0; i < B; i += lanes) out[i] = op(x[i], y[i], z[i]) */
static void build_op(fixture *f, const op_case *c, int lanes)
{
    nest_kernel *k = fixture_kernel(f, arena_printf(f->mem, "%s_%d", c->name, lanes));
    nest_value *in[3];
    nest_block *outer;
    int from[3];
    for (int i = 0; i < c->nin; i++)
        from[i] = fixture_buffer(k, "in", c->operand[i]);
    int to = fixture_buffer(k, "out", c->result);
    nest_value *batch = nest_batch(k);
    nest_value *loop = nest_loop_begin(k, nest_i64(k, 0), batch, lanes, NULL, 0, &outer);
    nest_value *index = nest_loop_index(loop), *left = lanes > 1 ? nest_sub(k, batch, index) : NULL;
    for (int i = 0; i < c->nin; i++)
        in[i] = nest_load(k, from[i], index, 0, 1, lanes, lanes, left);
    nest_value *out = nest_op(k, c->op, c->result, in, c->nin, c->word);
    nest_store(k, to, index, 0, 1, out, lanes, left);
    nest_loop_end(k, loop, NULL, outer);
}

static void reference(const op_case *c, void *const *data)
{
    ir_module *m = ir_module_new("reference");
    ir_graph *g = ir_function_new(m, "f", (src_loc){0});
    ir_dim all = {ELEMENTS_TESTED, false};
    ir_node *in[3];
    eval_tensor tensor[4];
    const eval_tensor *operand[3];
    for (int i = 0; i < c->nin; i++) {
        in[i] = ir_input_new(g, NULL, ir_type_make(c->operand[i], 1, &all));
        tensor[i] = (eval_tensor){in[i]->type, 1, data[i]};
        operand[i] = &tensor[i];
    }
    ir_node *n = ir_node_new(g, c->op, in, c->nin, ir_type_make(c->result, 1, &all));
    if (c->word)
        ir_set_word(n, "direction", c->word);
    diag *d = diag_new();
    CU_ASSERT_TRUE_FATAL(ir_infer(n, d));
    diag_free(d);
    eval_tensor out = {n->type, 1, data[3]};
    eval_context context = {.mode = EVAL_F32, .batch = 1, .mem = m->mem};
    eval_rules[c->op](&context, n, operand, &out);
    ir_module_free(m);
}

/* data[3] is the reference's result, data[4] the code's. */
static void compare_op(fixture *f, const op_case *c, int lanes, void *const *data)
{
    char name[64];
    void *buffers[4];
    snprintf(name, sizeof name, "%s_%d", c->name, lanes);
    for (int i = 0; i < c->nin; i++)
        buffers[i] = data[i];
    buffers[c->nin] = data[4];
    memset(data[4], 0xA5, 8 * (ELEMENTS_TESTED + 16));
    fixture_run(f, name, ELEMENTS_TESTED, buffers);
    int wrong = 0;
    for (int64_t i = 0; i < ELEMENTS_TESTED; i++)
        if (!same_element(c->result, data[3], data[4], i) && wrong++ == 0) {
            printf("\n%s for %s: ", name, f->target.cpu);
            for (int o = 0; o < c->nin; o++)
                print_element(c->operand[o], data[o], i);
            printf("gives ");
            print_element(c->result, data[4], i);
            printf("not ");
            print_element(c->result, data[3], i);
        }
    CU_ASSERT_EQUAL(wrong, 0);
    size_t end = (size_t)ir_dtype_size(c->result) * ELEMENTS_TESTED;
    CU_ASSERT_EQUAL(((unsigned char *)data[4])[end], 0xA5);
}

static int add_alike(op_case *list, int n, ir_op op, const ir_dtype *types, int count)
{
    for (int i = 0; i < count; i++)
        list[n++] = make_case(op, types[i], types[i], NULL);
    return n;
}

static const ir_dtype numbers[] = {IR_F32, IR_I32, IR_I64, IR_UI32, IR_UI8};
static const ir_dtype wholes[] = {IR_I32, IR_I64, IR_UI32, IR_UI8};
static const ir_dtype bits[] = {IR_I32, IR_I64, IR_UI32, IR_UI8, IR_I1};
static const ir_dtype everything[] = {IR_F32, IR_F64, IR_I32, IR_I64, IR_UI32, IR_UI8, IR_I1};

static int plain_cases(op_case *list)
{
    static const ir_op of_numbers[] = {IR_ADD,     IR_SUBTRACT, IR_MULTIPLY, IR_DIVIDE, IR_MAXIMUM,
                                       IR_MINIMUM, IR_NEGATE,   IR_ABS,      IR_SIGN,   IR_CLAMP};
    static const ir_op of_bits[] = {IR_AND, IR_OR, IR_XOR, IR_NOT};
    static const ir_op of_floats[] = {IR_ROUND_NEAREST_EVEN, IR_FLOOR, IR_SQRT, IR_RSQRT};
    int n = 0;
    for (size_t i = 0; i < COUNT(of_numbers); i++)
        n = add_alike(list, n, of_numbers[i], numbers, COUNT(numbers));
    for (size_t i = 0; i < COUNT(of_bits); i++)
        n = add_alike(list, n, of_bits[i], bits, COUNT(bits));
    for (size_t i = 0; i < COUNT(of_floats); i++)
        list[n++] = make_case(of_floats[i], IR_F32, IR_F32, NULL);
    n = add_alike(list, n, IR_SHIFT_LEFT, wholes, COUNT(wholes));
    n = add_alike(list, n, IR_SHIFT_RIGHT, wholes, COUNT(wholes));
    n = add_alike(list, n, IR_SELECT, everything, COUNT(everything));
    list[n++] = make_case(IR_ADD, IR_F64, IR_F64, NULL);
    list[n++] = make_case(IR_IS_FINITE, IR_F32, IR_I1, NULL);
    list[n++] = make_case(IR_BITCAST_CONVERT, IR_F32, IR_I32, NULL);
    list[n++] = make_case(IR_BITCAST_CONVERT, IR_UI32, IR_F32, NULL);
    return n;
}

static int typed_cases(op_case *list)
{
    static const char *const directions[] = {"EQ", "NE", "LT", "LE", "GT", "GE"};
    int n = 0;
    for (size_t i = 0; i < COUNT(directions); i++) {
        for (size_t t = 0; t < COUNT(numbers); t++)
            list[n++] = make_case(IR_COMPARE, numbers[t], IR_I1, directions[i]);
        list[n++] = make_case(IR_COMPARE, IR_I1, IR_I1, directions[i]);
    }
    for (size_t from = 0; from < COUNT(everything); from++)
        for (size_t to = 0; to < COUNT(everything); to++)
            list[n++] = make_case(IR_CONVERT, everything[from], everything[to], NULL);
    return n;
}

static int math_cases(op_case *list)
{
    int n = 0;
    for (int op = 0; op < IR_NOPS; op++)
        if (math_find((ir_op)op))
            list[n++] = make_case((ir_op)op, IR_F32, IR_F32, NULL);
    return n;
}

static void check_cases(const char *cpu, const op_case *list, int count, const int *widths, int width_count)
{
    if (!fixture_host_runs(cpu))
        return;
    fixture f;
    fixture_open(&f, cpu);
    void *data[5];
    for (int i = 0; i < 5; i++)
        data[i] = arena_array(f.mem, ELEMENTS_TESTED + 16, 8);
    for (int w = 0; w < width_count; w++)
        for (int i = 0; i < count; i++)
            build_op(&f, &list[i], widths[w]);
    fixture_load(&f);
    for (int i = 0; i < count; i++) {
        for (int o = 0; o < list[i].nin; o++)
            random_elements(list[i].operand[o], data[o], ELEMENTS_TESTED);
        reference(&list[i], data);
        for (int w = 0; w < width_count; w++)
            compare_op(&f, &list[i], widths[w], data);
    }
    fixture_close(&f);
}

static void elementwise(void)
{
    static op_case list[160];
    int count = plain_cases(list);
    check_cases("x86-64-v4", list, count, (int[]){1, 8, 16}, 3);
    check_cases("x86-64-v3", list, count, (int[]){8}, 1);
    check_cases("x86-64-v2", list, count, (int[]){4}, 1);
    check_cases("x86-64", list, count, (int[]){1, 4}, 2);
}

static void comparisons_and_conversions(void)
{
    static op_case list[160];
    int count = typed_cases(list);
    check_cases("x86-64-v4", list, count, (int[]){1, 16}, 2);
    check_cases("x86-64-v3", list, count, (int[]){8}, 1);
    check_cases("x86-64", list, count, (int[]){4}, 1);
}

/* Without a fused multiply-add the tables give other bits, so only CPUs with one are compared. */
static void math_tables(void)
{
    static op_case list[IR_NOPS];
    int count = math_cases(list);
    CU_ASSERT_TRUE(count > 0);
    check_cases("x86-64-v4", list, count, (int[]){1, 8, 16}, 3);
    check_cases("x86-64-v3", list, count, (int[]){1, 8, 16}, 3);
}

/* ---- arithmetic that must not be contracted, and that which must ---- */

static void build_chain(fixture *f, const char *name, bool fused)
{
    nest_kernel *k = fixture_kernel(f, name);
    nest_value *x[3];
    for (int i = 0; i < 3; i++)
        x[i] = nest_load(k, fixture_buffer(k, "in", IR_F32), nest_i64(k, 0), 16 * i, 1, 16, 16, NULL);
    nest_value *product = nest_op(k, IR_MULTIPLY, IR_F32, x, 2, NULL), *terms[] = {product, x[2]};
    nest_value *sum = fused ? nest_fma(k, x[0], x[1], x[2]) : nest_op(k, IR_ADD, IR_F32, terms, 2, NULL);
    nest_store(k, fixture_buffer(k, "out", IR_F32), nest_i64(k, 0), 0, 1, sum, 16, NULL);
}

static void contraction(void)
{
    static const char *const cpus[] = {"x86-64-v3", "x86-64-v4"};
    for (size_t c = 0; c < COUNT(cpus) && fixture_host_runs(cpus[c]); c++) {
        fixture f;
        fixture_open(&f, cpus[c]);
        build_chain(&f, "apart", false);
        build_chain(&f, "fused", true);
        fixture_load(&f);
        int wrong = 0;
        for (int round = 0; round < 100; round++) {
            float x[3][16], apart[16], fused[16];
            for (int i = 0; i < 48; i++)
                x[i / 16][i % 16] = (float)((double)(int32_t)random_bits() * 0x1p-31);
            void *buffers[] = {x, x, x, apart}, *others[] = {x, x, x, fused};
            fixture_run(&f, "apart", 1, buffers);
            fixture_run(&f, "fused", 1, others);
            for (int i = 0; i < 16; i++) {
                volatile float product = x[0][i] * x[1][i];
                wrong += apart[i] != product + x[2][i];
                wrong += fused[i] != fmaf(x[0][i], x[1][i], x[2][i]);
            }
        }
        CU_ASSERT_EQUAL(wrong, 0);
        fixture_close(&f);
    }
}

void suite_elementwise(void);
void suite_elementwise(void)
{
    CU_pSuite s = CU_add_suite("elementwise", NULL, NULL);
    CU_add_test(s, "elementwise operators", elementwise);
    CU_add_test(s, "comparisons and conversions", comparisons_and_conversions);
    CU_add_test(s, "math tables", math_tables);
    CU_add_test(s, "contraction only where asked", contraction);
}
