/* tests/unit/test_ops.c - every operator's rules, from tests/ops/<operator>.ir.
 *
 * A file holds cases. A case is a module with one function and, in comments around it, what goes in and comes out:
 *     # CASE name                 starts a case; what stands above the first one is for the reader
 *     # BATCH 3                   1 unless said
 *     # F32                       the bits of f32 are the point: no run in double
 *     # CALL loss_scale = 0.5     a field of the call
 *     # INPUT x = 1 2 3           elements in memory order: the batch outermost, the rest row-major
 *     # SYMBOL s = 4              a symbol's value on entry
 *     # WANT y = 2 nan 6          a result, to the bit (any NaN equals any NaN)
 *     # ABOUT y = 2.71828183      a result of an elementary function, within 4 units in the last place
 *     # WANT @s = 5               a symbol's value on exit
 *     # ERROR 4:3: message        or else what the verifier says; the line of `module` counts as 1
 * Every case with values runs once more in double, where floats only have to be close. */
#include "ir/ops/eval.h"
#include "tests/unit/ir_files.h"
#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void suite_ops(void);

typedef struct {
    const char *path;
    char *name, *body; /* the lines after # CASE */
    ir_module *m;
    const ir_graph *f;
} op_case;

static void fail(const op_case *c, const char *what, const char *detail)
{
    fprintf(stderr, "%s, %s: %s%s\n", c->path, c->name, what, detail);
    CU_FAIL("a case of tests/ops failed");
}

/* ---- directives ---- */

/* The next line "# WORD rest" from *at on, as "rest", ended by a zero; *at moves behind it. NULL if there is none. */
static char *next_directive(char **at, const char *word)
{
    size_t length = strlen(word);
    for (char *line = *at; line && *line;) {
        char *end = strchr(line, '\n');
        bool found = !strncmp(line, "# ", 2) && !strncmp(line + 2, word, length) && strchr(" \n", line[2 + length]);
        *at = end ? end + 1 : line + strlen(line);
        if (found) {
            char *rest = line + 2 + length;
            rest += *rest == ' ';
            return strndup(rest, (size_t)((end ? end : *at) - rest));
        }
        line = end ? end + 1 : NULL;
    }
    return NULL;
}

static char *directive(const op_case *c, const char *word)
{
    char *at = c->body;
    return next_directive(&at, word);
}

/* Split "name = numbers" in place; the numbers, or NULL after a failure. */
static char *split_name(const op_case *c, char *line)
{
    char *equals = strstr(line, " = ");
    if (!equals) {
        fail(c, "expected 'name = numbers', found ", line);
        return NULL;
    }
    *equals = 0;
    return equals + 3;
}

/* ---- values ---- */

static bool read_numbers(const op_case *c, const evaluator *e, eval_tensor *t, const char *numbers)
{
    int64_t count = ir_count(&t->type, t->batch);
    char *end;
    for (int64_t i = 0; i < count; i++, numbers = end) {
        double v = strtod(numbers, &end);
        if (end == numbers) {
            fail(c, "too few numbers", "");
            return false;
        }
        /* Nine digits name a float; in double they would be another number. */
        evaluator_put(e, t, i, t->type.dtype == IR_F32 ? (double)(float)v : v);
    }
    if (numbers[strspn(numbers, " ")])
        fail(c, "too many numbers: ", numbers);
    return !numbers[strspn(numbers, " ")];
}

typedef enum { TO_THE_BIT, WITHIN_4_ULP, CLOSE } closeness;

static bool same(double got, double want, closeness how)
{
    if (isnan(got) || isnan(want))
        return isnan(got) && isnan(want);
    if (how == TO_THE_BIT)
        return got == want && !signbit(got) == !signbit(want);
    float size = fabsf((float)want);
    double allowed = how == CLOSE ? 1e-5 * (1 + fabs(want)) : 4.0 * (nextafterf(size, INFINITY) - size);
    return got == want || fabs(got - want) <= allowed;
}

static void compare(const op_case *c, const evaluator *e, closeness how, const char *name, const eval_tensor *got,
                    const char *numbers)
{
    eval_tensor want = *got;
    want.data = calloc(1, (size_t)evaluator_bytes(e, got));
    if (!ir_dtype_is_float(got->type.dtype))
        how = TO_THE_BIT;
    int64_t count = ir_count(&got->type, got->batch);
    for (int64_t i = 0; want.data && i < count && read_numbers(c, e, &want, numbers); i++) {
        double g = evaluator_get(e, got, i), w = evaluator_get(e, &want, i);
        char detail[128];
        snprintf(detail, sizeof detail, "%s[%d] is %.17g, wanted %.17g%s", name, (int)i, g, w,
                 how == CLOSE ? ", in double" : "");
        if (!same(g, w, how)) {
            fail(c, detail, "");
            break;
        }
    }
    free(want.data);
}

static int index_of_input(const ir_graph *f, const char *name)
{
    for (int i = 0; i < f->ninputs; i++)
        if (!strcmp(f->inputs[i]->name, name))
            return i;
    return -1;
}

static int index_of_result(const ir_graph *f, const char *name)
{
    for (int i = 0; i < f->nresults; i++)
        if (!strcmp(f->result_names[i], name))
            return i;
    return -1;
}

/* ---- running ---- */

static bool fill(const op_case *c, evaluator *e)
{
    bool ok = true;
    char *at = c->body, *line, *numbers;
    for (; (line = next_directive(&at, "CALL")); free(line))
        if ((numbers = split_name(c, line)))
            evaluator_set_call_value(e, line, strtod(numbers, NULL));
    for (at = c->body; (line = next_directive(&at, "INPUT")); free(line)) {
        numbers = split_name(c, line);
        int i = index_of_input(c->f, line);
        ok = ok && numbers && i >= 0 && read_numbers(c, e, evaluator_input(e, c->f, i), numbers);
    }
    for (at = c->body; (line = next_directive(&at, "SYMBOL")); free(line)) {
        numbers = split_name(c, line);
        eval_tensor *t = evaluator_symbol(e, line);
        ok = ok && numbers && t && read_numbers(c, e, t, numbers);
    }
    if (!ok)
        fail(c, "an INPUT or a SYMBOL cannot be read", "");
    return ok;
}

/* Compare what the lines "# WORD name = numbers" name; how many there are. */
static int compare_all(const op_case *c, evaluator *e, const char *word, closeness how)
{
    int count = 0;
    char *at = c->body, *line;
    for (; (line = next_directive(&at, word)); free(line), count++) {
        const char *numbers = split_name(c, line);
        int i = index_of_result(c->f, line);
        const eval_tensor *got = *line == '@' ? evaluator_symbol(e, line + 1) : i < 0 ? NULL : evaluator_result(e, i);
        if (numbers && got)
            compare(c, e, how, line, got, numbers);
        else
            fail(c, "a result that the function does not have: ", line);
    }
    return count;
}

static void run_values(const op_case *c, eval_mode mode, diag *d)
{
    char *batch = directive(c, "BATCH");
    evaluator *e = evaluator_new(c->m, mode, batch ? atoi(batch) : 1);
    if (fill(c, e)) {
        if (!evaluator_run(e, c->f, d))
            fail(c, "the evaluator refused", "");
        else if (compare_all(c, e, "WANT", mode == EVAL_F32 ? TO_THE_BIT : CLOSE) +
                     compare_all(c, e, "ABOUT", mode == EVAL_F32 ? WITHIN_4_ULP : CLOSE) ==
                 0)
            fail(c, "neither WANT nor ERROR", "");
    }
    evaluator_free(e);
    free(batch);
}

/* The first message without its file and kind: "4:3: add: ...". */
static void compare_error(const op_case *c, const diag *d, const char *want)
{
    text said = {0}, line = {0};
    diag_print_plain(d, &said, false);
    int at_line = 0, at_col = 0, skip = 0;
    const char *got = text_get(&said);
    if (sscanf(got, "case.ir:%d:%d: error: %n", &at_line, &at_col, &skip) == 2 && skip) {
        text_printf(&line, "%d:%d: ", at_line, at_col);
        text_add_bytes(&line, got + skip, strcspn(got + skip, "\n"));
    }
    if (strcmp(text_get(&line), want)) {
        fail(c, "another error than wanted:\n    ", want);
        fprintf(stderr, "  found:\n    %s\n", line.length ? line.bytes : got);
    }
    text_free(&said);
    text_free(&line);
}

static bool holds(const ir_graph *g, const char *op)
{
    for (const ir_node *n = g->first; n; n = n->next)
        if (!strcmp(ir_ops[n->op].name, op) || (n->region && holds(n->region, op)))
            return true;
    return !strcmp(op, "input") && g->ninputs;
}

/* True if the case computes something with operator 'op'. */
static bool run_case(op_case *c, const char *op)
{
    bool reached = false;
    diag *d = diag_new();
    char *want_error = directive(c, "ERROR"), *f32 = directive(c, "F32");
    const char *source = strstr(c->body, "module @");
    c->m = source ? ir_parse(source, "case.ir", d) : NULL;
    if (want_error) {
        compare_error(c, d, want_error);
    } else if (!c->m || !c->m->functions) {
        text said = {0};
        diag_print_plain(d, &said, false);
        fail(c, "not a module with a function\n", text_get(&said));
        text_free(&said);
    } else {
        c->f = c->m->functions;
        reached = holds(c->f, op);
        run_values(c, EVAL_F32, d);
        if (!f32)
            run_values(c, EVAL_F64, d);
    }
    ir_module_free(c->m);
    free(want_error);
    free(f32);
    diag_free(d);
    return reached;
}

/* ---- files ---- */

static void operator_file(void)
{
    static const char mark[] = "# CASE ";
    char path[4096], op[64];
    ir_files_path("ops", path, sizeof path);
    const char *file = CU_get_current_test()->pName;
    snprintf(op, sizeof op, "%.*s", (int)(strlen(file) - strlen(".ir")), file);
    text source = {0};
    CU_ASSERT_FATAL(text_read_file(&source, path));
    bool reached = false;
    for (char *at = strstr(source.bytes, mark), *next; at; at = next) {
        next = strstr(at + 1, mark);
        char *body = strchr(at, '\n');
        if (!body)
            break;
        size_t end = next ? (size_t)(next - body) : strlen(body);
        size_t name_length = (size_t)(body - at) - strlen(mark);
        op_case c = {.path = path, .name = strndup(at + strlen(mark), name_length), .body = strndup(body, end)};
        reached |= run_case(&c, op);
        free(c.name);
        free(c.body);
    }
    if (!reached)
        fprintf(stderr, "%s: no case computes with %s\n", path, op);
    CU_ASSERT(reached);
    text_free(&source);
}

static void every_operator_has_a_file(void)
{
    for (int op = 0; op < IR_NOPS; op++) {
        char path[4096];
        text source = {0};
        snprintf(path, sizeof path, "%s/ops/%s.ir", LAMINA_TESTS_DIR, ir_ops[op].name);
        if (!text_read_file(&source, path)) {
            fprintf(stderr, "%s is missing\n", path);
            CU_FAIL("an operator without a file in tests/ops");
        }
        text_free(&source);
    }
}

void suite_ops(void)
{
    CU_pSuite suite = CU_add_suite("operators", NULL, NULL);
    CU_add_test(suite, "every operator has a file", every_operator_has_a_file);
    ir_files_add(suite, "ops", operator_file);
}
