/* ir/ops/infer.c - run an operator's infer rule; and what the rules share.
 *
 * An infer rule derives the type of a result from operands, attributes and, for OP_TYPED operators, the type that is
 * stated. Around the rule ir_infer checks what is the same for all operators: the number of operands, that a stated
 * type is there where one is needed, and that sizes are so small that no later product of them can overflow. */
#include "ir/graph/verify.h"
#include "ir/ops/rules.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

infer_rule *const ir_infer_rules[IR_NOPS] = {
#define OP(ID, name, ...) [IR_##ID] = infer_##name,
#include "ir/ops.def"
};

bool rule_error(const ir_node *n, diag *d, const char *format, ...)
{
    text message = {0};
    va_list arguments;
    va_start(arguments, format);
    text_vprintf(&message, format, arguments);
    va_end(arguments);
    diag_error(d, n->loc, "%s: %s", ir_ops[n->op].name, text_get(&message));
    text_free(&message);
    return false;
}

static const char *keep(const ir_node *n, text *t)
{
    const char *s = arena_strdup(n->graph->module->mem, text_get(t));
    text_free(t);
    return s;
}

const char *rule_type_text(const ir_node *n, const ir_type *type)
{
    text t = {0};
    ir_type_print(type, &t);
    return keep(n, &t);
}

const char *rule_dim_text(const ir_node *n, ir_dim dim)
{
    text t = {0};
    if (dim.batch && dim.n == 1)
        text_add(&t, "B");
    else
        text_printf(&t, "%" PRId64 "%s", dim.n, dim.batch ? "*B" : "");
    return keep(n, &t);
}

static const char *set_text(const ir_node *n, int set)
{
    text t = {0};
    for (int dtype = IR_NONE + 1; dtype < IR_NDTYPES; dtype++)
        if (set & 1 << dtype) {
            set &= ~(1 << dtype);
            text_add(&t, !t.length ? "" : set ? ", " : " or ");
            text_add(&t, ir_dtype_name((ir_dtype)dtype));
        }
    return keep(n, &t);
}

bool rule_dtype(const ir_node *n, int index, int set, diag *d)
{
    const ir_type *t = &n->in[index]->type;
    return set & 1 << t->dtype ||
           rule_error(n, d, "operand %d must be of %s, found %s", index, set_text(n, set), rule_type_text(n, t));
}

bool rule_alike(const ir_node *n, diag *d)
{
    for (int i = 1; i < n->nin; i++)
        if (!ir_type_equal(&n->in[0]->type, &n->in[i]->type))
            return rule_error(n, d, "operand types differ, %s and %s", rule_type_text(n, &n->in[0]->type),
                              rule_type_text(n, &n->in[i]->type));
    return true;
}

bool rule_scalar(const ir_node *n, const ir_type *stated, ir_dtype t, diag *d)
{
    ir_type want = ir_type_scalar(t);
    return ir_type_equal(stated, &want) ||
           rule_error(n, d, "expected the type %s, found %s", rule_type_text(n, &want), rule_type_text(n, stated));
}

static const ir_attr *find_list(const ir_node *n, const char *name, diag *d)
{
    const ir_attr *a = ir_attr_find(n->attrs, name);
    if (!a)
        rule_error(n, d, "expected an attribute '%s', found none", name);
    else if (a->word)
        rule_error(n, d, "'%s' must be a list of numbers, found the word '%s'", name, a->word);
    return a && !a->word ? a : NULL;
}

bool rule_ints(const ir_node *n, const char *name, int count, int64_t *out, diag *d)
{
    const ir_attr *a = find_list(n, name, d);
    if (!a)
        return false;
    if (a->count != count)
        return rule_error(n, d, "'%s' must have %d numbers, found %d", name, count, a->count);
    for (int i = 0; i < count; i++) {
        double v = a->number[i];
        if (!(fabs(v) < (double)MOST_DIM) || v != floor(v))
            return rule_error(n, d, "'%s' must hold whole numbers below 2^31, found %.9g", name, v);
        out[i] = (int64_t)v;
    }
    return true;
}

bool rule_dims(const ir_node *n, const char *name, int rank, int64_t out[IR_MAX_RANK], int *count, diag *d)
{
    const ir_attr *a = find_list(n, name, d);
    if (!a)
        return false;
    if (a->count > rank)
        return rule_error(n, d, "'%s' must have at most %d numbers, found %d", name, rank, a->count);
    if (!rule_ints(n, name, a->count, out, d))
        return false;
    for (int i = 0; i < a->count; i++) {
        if (out[i] < 0 || out[i] >= rank)
            return rule_error(n, d, "'%s' must name dimensions 0 to %d, found %" PRId64, name, rank - 1, out[i]);
        for (int k = 0; k < i; k++)
            if (out[k] == out[i])
                return rule_error(n, d, "'%s' must name different dimensions, found %" PRId64 " twice", name, out[i]);
    }
    *count = a->count;
    return true;
}

bool rule_word(const ir_node *n, const char *name, const char *words, diag *d)
{
    const ir_attr *a = ir_attr_find(n->attrs, name);
    if (!a)
        return rule_error(n, d, "expected an attribute '%s', found none", name);
    size_t length = a->word ? strlen(a->word) : 0;
    for (const char *w = words; length && *w; w += strcspn(w, " "), w += *w == ' ')
        if (strcspn(w, " ") == length && !strncmp(w, a->word, length))
            return true;
    return rule_error(n, d, "'%s' must be one of '%s', found %s%s%s", name, words, a->word ? "'" : "",
                      a->word ? a->word : "numbers", a->word ? "'" : "");
}

bool rule_leaf(const ir_node *n, bool wanted, diag *d)
{
    int64_t leaf = 0;
    if (!ir_attr_find(n->attrs, "leaf"))
        return !wanted || rule_error(n, d, "a sum over the batch must have leaf = [8], found none");
    if (!wanted)
        return rule_error(n, d, "only a sum over the batch has a 'leaf', found one without");
    if (!rule_ints(n, "leaf", 1, &leaf, d))
        return false;
    return leaf == IR_LEAF || rule_error(n, d, "expected leaf = [8], found [%" PRId64 "]", leaf);
}

static bool check_size(const ir_node *n, const ir_type *t, diag *d)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        int64_t size = t->dim[i].n;
        if (size < 1 || size >= MOST_DIM)
            return rule_error(n, d, "the result must have dimensions from 1 to below 2^31, found %s",
                              rule_type_text(n, t));
        if (count > MOST_COUNT / size)
            return rule_error(n, d, "the result must have at most 2^40 elements, found %s", rule_type_text(n, t));
        count *= size;
    }
    return true;
}

bool ir_infer(ir_node *n, diag *d)
{
    const ir_op_info *op = &ir_ops[n->op];
    if (op->inputs >= 0 && n->nin != op->inputs)
        return rule_error(n, d, "expected %d operands, found %d", op->inputs, n->nin);
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->type.dtype == IR_NONE)
            ir_bug("%s: operand %d has no value", op->name, i);
    if (op->traits & OP_SYMBOL && !n->symbol)
        return rule_error(n, d, "expected a symbol, found none");
    if (op->traits & OP_TYPED && n->type.dtype == IR_NONE)
        return rule_error(n, d, "expected a type, found none");
    if (op->traits & OP_TYPED && !check_size(n, &n->type, d))
        return false;
    ir_type type = n->type;
    if (!ir_infer_rules[n->op](n, &type, d) || !check_size(n, &type, d))
        return false;
    n->type = type;
    return true;
}
