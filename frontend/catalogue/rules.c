/* frontend/catalogue/rules.c - what the rules of layers, losses and activations have in common. */
#include "frontend/catalogue/catalogue.h"
#include <inttypes.h>
#include <string.h>

/* Elements of one example, or of a parameter: any shape they take has dimensions that the IR allows. */
static const int64_t MOST_ELEMENTS = INT32_MAX;

/* ---- reading ---- */

bool fe_check_size(fe_reader *r, src_loc at, const char *what, const ir_type *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++) {
        if (t->dim[i].n > MOST_ELEMENTS / count) {
            diag_error(r->d, at, "%s: more than %" PRId64 " elements", what, MOST_ELEMENTS);
            return false;
        }
        count *= t->dim[i].n;
    }
    return true;
}

const char *fe_describe_type(arena *mem, const ir_type *t)
{
    static const char *const names[IR_NDTYPES] = {[IR_F32] = "float32", [IR_I32] = "int32", [IR_UI8] = "uint8"};
    text s = {0};
    text_printf(&s, "%s of shape [", names[t->dtype]);
    for (int i = 1; i < t->rank; i++)
        text_printf(&s, "%s%" PRId64, i > 1 ? ", " : "", t->dim[i].n);
    text_add(&s, "]");
    const char *words = arena_strdup(mem, text_get(&s));
    text_free(&s);
    return words;
}

/* ---- building ---- */

uint32_t fe_stream(const char *path)
{
    uint32_t hash = 2166136261u;
    for (; *path; path++)
        hash = (hash ^ (unsigned char)*path) * 16777619u;
    return hash;
}

ir_node *fe_reduce_last(ir_graph *g, const char *kind, ir_node *x)
{
    return ir_reduce(g, kind, x, (int64_t[]){x->type.rank - 1}, 1);
}

ir_node *fe_spread_rows(ir_graph *g, ir_node *v, const ir_node *x)
{
    int64_t dims[IR_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++)
        dims[i] = i;
    return ir_broadcast_in_dim(g, v, x->type, dims);
}

ir_node *fe_spread_last(ir_graph *g, ir_node *v, const ir_node *x)
{
    return ir_broadcast_in_dim(g, v, x->type, (int64_t[]){x->type.rank - 1});
}

ir_node *fe_log_softmax(ir_graph *g, ir_node *x)
{
    ir_node *highest = ir_stop_gradient(g, fe_reduce_last(g, "max", x));
    ir_node *shifted = ir_subtract(g, x, fe_spread_rows(g, highest, x));
    ir_node *log_sum = ir_log(g, fe_reduce_last(g, "sum", ir_exponential(g, shifted)));
    return ir_subtract(g, shifted, fe_spread_rows(g, log_sum, x));
}

static ir_symbol *param_symbol(fe_builder *b, const fe_layer *l, const char *role)
{
    for (int i = 0; i < l->nparams; i++)
        if (!strcmp(l->param[i].role, role))
            return ir_symbol_find(b->m, l->param[i].name);
    ir_bug("layer '%s' has no parameter '%s'", l->name, role);
}

ir_node *fe_use_param(fe_builder *b, const fe_layer *l, const char *role)
{
    ir_symbol *s = param_symbol(b, l, role);
    ir_symbol *average = b->training ? NULL : ir_symbol_find(b->m, arena_printf(b->m->mem, "average/%s", s->name));
    s = average ? average : s;
    ir_node *n = s->segment == SEG_PARAM ? ir_param(b->g, s) : ir_state(b->g, s);
    n->name = s->name;
    return n;
}

static ir_node *assign_of(const fe_builder *b, const ir_symbol *s)
{
    ir_node *n = b->g->last;
    while (n && (n->op != IR_ASSIGN || n->symbol != s))
        n = n->prev;
    return n;
}

ir_node *fe_use_state(fe_builder *b, const fe_layer *l, const char *role)
{
    const ir_node *assign = l->owner ? assign_of(b, param_symbol(b, l, role)) : NULL;
    return assign ? assign->in[0] : fe_use_param(b, l, role);
}

void fe_leave_state(fe_builder *b, const fe_layer *l, const char *role, ir_node *value)
{
    ir_symbol *s = param_symbol(b, l, role);
    ir_node *earlier = l->owner ? assign_of(b, s) : NULL;
    if (earlier)
        ir_unlink(earlier);
    ir_assign(b->g, s, value);
}
