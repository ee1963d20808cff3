/* backend/lower/elementwise.c - kernels of elementwise and shape operators.
 *
 * Results and assigned values of one shape share a loop nest. If a shape has the batch, tasks are ranges of
 * examples, and the first task also does the shapes without the batch. Otherwise tasks are ranges of the elements of
 * all shapes, one shape after the other. If a symbol is assigned in one shape and still read in another, the
 * assigning shape waits for phase 1.
 *
 * plan = [elements a task] */
#include "backend/lower/lower.h"

typedef struct {
    ir_type type;
    lower_roots roots;
    lower_walk walk;
    int64_t units, chunk, tasks; /* without the batch: what is cut, into which pieces, how many */
    int phase;
} domain;

typedef struct {
    domain *of;
    int count;
} domains;

static void add_domain(lowering *l, domains *all, const ir_type *t)
{
    for (int i = 0; i < all->count; i++)
        if (ir_shape_equal(&all->of[i].type, t))
            return;
    domain *own = &all->of[all->count++];
    own->type = *t;
    own->roots = lower_roots_of(l, t, NULL);
    own->walk = lower_walk_of(l, t, &own->roots, l->kernel->target->vector);
    own->units = lower_walk_units(t, &own->walk);
}

static domains find_domains(lowering *l)
{
    int most = l->region->nresults + 1;
    for (const ir_node *n = l->region->first; n; n = n->next)
        most++;
    domains all = {.of = arena_new_array(l->kernel->mem, domain, (size_t)most)};
    for (int i = 0; i < l->region->nresults; i++)
        add_domain(l, &all, &l->region->results[i]->type);
    for (const ir_node *n = l->region->first; n; n = n->next)
        if (n->op == IR_ASSIGN)
            add_domain(l, &all, &n->in[0]->type);
    return all;
}

/* ---- assigns in place ---- */

static const ir_symbol *symbol_of(const lowering *l, const ir_node *input)
{
    for (int i = 0; i < l->region->ninputs; i++)
        if (l->region->inputs[i] == input) {
            const ir_node *n = l->fused->in[i];
            while (n->op == IR_RESHAPE)
                n = n->in[0];
            return n->symbol;
        }
    return NULL;
}

/* How a symbol is read by the values of a domain: at their own element, at others. */
enum { NOT = 0, AT_OWN = 1, AT_OTHERS = 2 };

static int reads(const lowering *l, const domain *d, const ir_symbol *y)
{
    int *how = arena_new_array(l->kernel->mem, int, (size_t)l->count + 1), all = NOT;
    for (int i = 0; i < l->region->ninputs; i++)
        if (symbol_of(l, l->region->inputs[i]) == y)
            how[l->region->inputs[i]->id] = AT_OWN;
    for (const ir_node *n = l->region->first; n; n = n->next) {
        bool moves = !((ir_ops[n->op].traits & OP_ELTWISE) || n->op == IR_STOP_GRADIENT);
        for (int i = 0; i < n->nin; i++)
            how[n->id] |= moves && how[n->in[i]->id] ? AT_OTHERS : how[n->in[i]->id];
    }
    for (int i = 0; i < d->roots.count; i++)
        all |= how[d->roots.node[i]->id];
    return all;
}

static bool order_domains(lowering *l, domains *all, diag *d)
{
    for (const ir_node *n = l->region->first; n; n = n->next) {
        if (n->op != IR_ASSIGN)
            continue;
        for (int i = 0; i < all->count; i++) {
            bool own = ir_shape_equal(&all->of[i].type, &n->in[0]->type);
            if (own && (reads(l, &all->of[i], n->symbol) & AT_OTHERS))
                return lower_unsupported(n, d, "an assign of what the same kernel reads elsewhere");
            if (own || !reads(l, &all->of[i], n->symbol))
                continue;
            for (int k = 0; k < all->count; k++)
                if (ir_shape_equal(&all->of[k].type, &n->in[0]->type))
                    all->of[k].phase = 1;
        }
    }
    /* What phase 1 reads, phase 0 must not have assigned; a domain of phase 1 assigns only for itself. */
    for (const ir_node *n = l->region->first; n; n = n->next)
        for (int i = 0; n->op == IR_ASSIGN && i < all->count; i++)
            if (all->of[i].phase == 1 && !ir_shape_equal(&all->of[i].type, &n->in[0]->type) &&
                reads(l, &all->of[i], n->symbol))
                return lower_unsupported(n, d, "a circle of assigns between shapes");
    return true;
}

/* ---- phases ---- */

static void store_point(lowering *l, const lower_point *p, void *context)
{
    const domain *d = context;
    lower_store_results(l, &d->type, p);
}

/* A phase over examples: shapes without the batch belong to task 0. */
static void lower_batched(lowering *l, domains *all, int phase, int64_t elements)
{
    nest_kernel *k = l->kernel;
    int64_t largest = 1;
    for (int i = 0; i < all->count; i++)
        if (all->of[i].phase == phase && ir_batch_dim(&all->of[i].type) >= 0 &&
            ir_static_count(&all->of[i].type) > largest)
            largest = ir_static_count(&all->of[i].type);
    int64_t chunk = elements / largest > 1 ? elements / largest : 1;
    nest_tasks tasks = {.n = 1, .chunk = chunk, .inner = 1, .batch = true};
    lower_phase(l, phase, tasks);
    nest_value *from, *to;
    lower_share(l, tasks, &from, &to, NULL);
    for (int i = 0; i < all->count; i++) {
        domain *d = &all->of[i];
        if (d->phase != phase)
            continue;
        bool batch = ir_batch_dim(&d->type) >= 0;
        nest_value *first = nest_mul(k, nest_min(k, nest_task(k), nest_i64(k, 1)), d->units);
        lower_each(l, &d->type, &d->walk, batch ? from : first, batch ? to : nest_i64(k, d->units), store_point, d);
    }
    lower_zero_halos(l, from, to);
}

/* A phase over the ranges of shapes without the batch, one after the other. */
static void lower_static(lowering *l, domains *all, int phase, int64_t elements)
{
    nest_kernel *k = l->kernel;
    int64_t total = 0;
    for (int i = 0; i < all->count; i++) {
        domain *d = &all->of[i];
        int64_t per_unit = ir_static_count(&d->type) / d->units;
        d->chunk = elements / per_unit > 1 ? elements / per_unit : 1;
        d->tasks = (d->units + d->chunk - 1) / d->chunk;
        total += d->phase == phase ? d->tasks : 0;
    }
    lower_phase(l, phase, (nest_tasks){.n = total, .chunk = 1, .inner = 1});
    int64_t first = 0;
    for (int i = 0; i < all->count; i++) {
        domain *d = &all->of[i];
        if (d->phase != phase)
            continue;
        nest_value *from = nest_i64(k, 0), *to = nest_i64(k, d->units);
        if (total > 1) { /* a task of another range gets an empty share of this one */
            nest_value *start = nest_mul(k, nest_sub(k, nest_task(k), nest_i64(k, first)), d->chunk);
            from = nest_max(k, start, from);
            to = nest_min(k, nest_add(k, start, nest_i64(k, d->chunk)), to);
        }
        lower_each(l, &d->type, &d->walk, from, to, store_point, d);
        first += d->tasks;
    }
    lower_zero_halos(l, nest_i64(k, 0), nest_i64(k, 0));
}

bool lower_elementwise(lowering *l, diag *d)
{
    domains all = find_domains(l);
    if (!order_domains(l, &all, d))
        return false;
    int64_t elements = lower_plan(l, 0, 16384);
    for (int phase = 0; phase < 2; phase++) {
        bool any = false, batch = false;
        for (int i = 0; i < all.count; i++)
            if (all.of[i].phase == phase) {
                any = true;
                batch |= ir_batch_dim(&all.of[i].type) >= 0;
            }
        if (!any)
            continue;
        (batch ? lower_batched : lower_static)(l, &all, phase, elements);
    }
    return true;
}
