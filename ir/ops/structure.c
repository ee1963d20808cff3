/* ir/ops/structure.c - infer and eval of the operators that hold a graph together: those with regions, the arguments
 * of functions and regions, parameters and states, and values that the caller passes. */
#include "ir/ops/rules.h"
#include <inttypes.h>
#include <string.h>

static bool check_type(const ir_node *n, const ir_type *want, const ir_type *found, diag *d)
{
    return ir_type_equal(want, found) ||
           rule_error(n, d, "expected the type %s, found %s", rule_type_text(n, want), rule_type_text(n, found));
}

/* Under EVAL_F64 and EVAL_F32 alike both tensors have one type, so their bytes are alike. */
static void copy_tensor(const eval_context *c, const eval_tensor *from, eval_tensor *to)
{
    memcpy(to->data, from->data, (size_t)evaluator_bytes(c->env, to));
}

/* ---- regions ---- */

/* The verifier looks at regions before it infers; only a builder can come here without a fitting one. */
static bool infer_region(const ir_node *n, ir_type *type)
{
    const ir_graph *r = n->region;
    if (!r || r->ninputs != n->nin)
        ir_bug("%s without a region for its operands", ir_ops[n->op].name);
    for (int i = 0; i < n->nin; i++)
        if (!ir_type_equal(&r->inputs[i]->type, &n->in[i]->type))
            ir_bug("%s: region input %d is not of its operand's type", ir_ops[n->op].name, i);
    *type = r->nresults ? r->results[0]->type : ir_type_none();
    return true;
}

bool infer_composite(const ir_node *n, ir_type *type, diag *d)
{
    (void)d;
    return infer_region(n, type);
}

void eval_composite(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    eval_region(c, n, in, out);
}

bool infer_fused(const ir_node *n, ir_type *type, diag *d)
{
    (void)d;
    return infer_region(n, type);
}

void eval_fused(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    eval_region(c, n, in, out);
}

bool infer_result(const ir_node *n, ir_type *type, diag *d)
{
    const ir_graph *region = n->in[0]->region;
    int64_t index;
    if (!region)
        return rule_error(n, d, "expected an operator with a region, found %s", ir_ops[n->in[0]->op].name);
    if (!rule_ints(n, "index", 1, &index, d))
        return false;
    if (index < 1 || index >= region->nresults)
        return rule_error(n, d, "'index' must be from 1 to %d, found %" PRId64, region->nresults - 1, index);
    return check_type(n, &region->results[index]->type, type, d);
}

void eval_result(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)in;
    copy_tensor(c, eval_region_result(c, n->in[0], ir_int(n, "index", 0)), out);
}

/* ---- memory and arguments ---- */

bool infer_scratch(const ir_node *n, ir_type *type, diag *d)
{
    (void)n, (void)type, (void)d;
    return true;
}

/* Undefined contents; here zeros. */
void eval_scratch(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)c, (void)n, (void)in, (void)out;
}

bool infer_input(const ir_node *n, ir_type *type, diag *d)
{
    (void)n, (void)type, (void)d;
    return true;
}

void eval_input(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)c, (void)n, (void)in, (void)out;
    ir_bug("an input stands among the nodes");
}

/* ---- symbols ---- */

bool infer_param(const ir_node *n, ir_type *type, diag *d)
{
    (void)d;
    *type = n->symbol->type;
    return true;
}

void eval_param(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)in;
    copy_tensor(c, eval_symbol(c, n->symbol), out);
}

bool infer_state(const ir_node *n, ir_type *type, diag *d)
{
    (void)d;
    *type = n->symbol->type;
    return true;
}

void eval_state(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)in;
    copy_tensor(c, eval_symbol(c, n->symbol), out);
}

bool infer_assign(const ir_node *n, ir_type *type, diag *d)
{
    *type = ir_type_none();
    return check_type(n, &n->symbol->type, &n->in[0]->type, d);
}

void eval_assign(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)out;
    copy_tensor(c, in[0], eval_symbol(c, n->symbol));
}

/* ---- the caller's values ---- */

bool infer_call_value(const ir_node *n, ir_type *type, diag *d)
{
    if (!rule_word(n, "field", "learning_rate loss_scale micro_batch sgemm", d))
        return false;
    bool whole = ir_word_is(n, "field", "micro_batch") || ir_word_is(n, "field", "sgemm");
    return rule_scalar(n, type, whole ? IR_I64 : IR_F32, d);
}

void eval_call_value(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)in;
    evaluator_put(c->env, out, 0, eval_call_field(c, ir_word(n, "field")));
}

/* ---- for autodiff; both say something about the graph and compute nothing ---- */

bool infer_minimize(const ir_node *n, ir_type *type, diag *d)
{
    ir_type scalar = ir_type_scalar(IR_F32);
    *type = ir_type_none();
    return check_type(n, &scalar, &n->in[0]->type, d) && check_type(n, &scalar, &n->in[1]->type, d);
}

void eval_minimize(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)c, (void)n, (void)in, (void)out;
}

bool infer_param_gradient(const ir_node *n, ir_type *type, diag *d)
{
    *type = ir_type_none();
    return check_type(n, &n->symbol->type, &n->in[0]->type, d);
}

void eval_param_gradient(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    (void)c, (void)n, (void)in, (void)out;
}
