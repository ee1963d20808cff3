/* passes/split.c - cut a staged net into the functions of its stages.
 *     func @train_step {S1, S2 forward; S2, S1 backward with updates}
 *  => the same, and  func @S1.forward, @S2.forward, @S2.backward_update, @S1.backward_update    (from train_step)
 *                    func @S2.backward, @S1.backward        (from gradients)
 *                    func @S1.update, @S2.update            (from update)
 *
 * The functions hold the same kernels on the same values, so a staged step has the bits of a whole one. A kernel is of
 * the forward or the update part if its label's role says so and it depends on nothing of the backward part (which
 * begins at the call's loss_scale), else of the backward part. A value that one function makes and another reads has a
 * slot in the segment `saved`: a result of the one and an input of the other, both named saved.N. What needs no kernel
 * (parameters, reshapes, constants) is repeated where it is read. Scalars that all stages share (Adam's step size) are
 * computed in each function that needs them and assigned in the first stage's, whose update runs last.
 *
 * Where gradients are clipped by the norm of all, no update may run before all stages' backward: then there is no
 * backward_update, and a stage's forward comes from gradients too. Each stage's update computes the norm, as it does
 * other shared scalars.
 *
 * backward (from gradients) and backward_update (from train_step) read what one forward saved: both functions come from
 * the same graph, so their slots agree one by one, which is checked.
 *
 * No function may read what one that runs after it makes; stages that partition labelled and fuse respected never ask
 * for that, a text with stages of its own may.
 *
 * Needs:  stages labelled, kernels made (with fuse disabled: one node each).
 * Keeps:  the whole functions.      Breaks: nothing. */
#include "passes/labels.h"
#include "passes/memory.h"
#include "passes/passes.h"
#include <inttypes.h>
#include <string.h>

typedef enum { PART_NONE, PART_FORWARD, PART_BACKWARD, PART_UPDATE } part;

typedef struct {
    ir_type type;
    const char *name;
    int64_t offset;
} slot;

typedef struct {
    ir_graph *g; /* train_step, gradients or update */
    arena *mem;
    int32_t n;
    ir_node **node;
    part *part;
    int64_t *stage;
    int32_t *slot; /* of values that cross, else -1 */
    int32_t slots;
    const ir_node *hasty; /* reads what a function after its own makes; NULL: none does */
} source;

/* Repeated in each function rather than passed between them. */
static bool is_repeated(const ir_node *n)
{
    bool names_memory = !mem_is_kernel(n) && n->op != IR_RESULT;
    return names_memory || mem_is_leaf(n) || n->op == IR_BROADCAST_IN_DIM;
}

/* The kernel a value comes from. */
static const ir_node *maker(const ir_node *x)
{
    return x->op == IR_RESULT ? x->in[0] : x;
}

/* What no stage has as its own is the optimizer's. 'late': the backward part must have run before. */
static part part_of(const ir_node *n, bool late, int64_t stage)
{
    if (!late && (!stage || label_is_update(n)))
        return PART_UPDATE;
    return !late && label_is_forward(n) ? PART_FORWARD : PART_BACKWARD;
}

static void classify(source *s)
{
    bool *late = arena_new_array(s->mem, bool, (size_t)s->n + 1);
    for (int32_t id = 0; id < s->n; id++) {
        const ir_node *n = s->node[id];
        late[id] = n->op == IR_CALL_VALUE && ir_word_is(n, "field", "loss_scale");
        for (int i = 0; i < n->nin; i++)
            late[id] |= late[n->in[i]->id];
        s->stage[id] = ir_int(n, "stage", 0);
        s->slot[id] = -1;
        if (!is_repeated(n))
            s->part[id] = part_of(n, late[id], s->stage[id]);
        late[id] |= s->part[id] == PART_BACKWARD;
    }
}

static void open_source(source *s, ir_graph *g, arena *mem)
{
    *s = (source){.g = g, .mem = mem, .n = ir_number(g)};
    size_t count = (size_t)s->n + 1;
    s->node = arena_new_array(mem, ir_node *, count);
    s->part = arena_new_array(mem, part, count);
    s->stage = arena_new_array(mem, int64_t, count);
    s->slot = arena_new_array(mem, int32_t, count);
    for (int i = 0; i < g->ninputs; i++)
        s->node[g->inputs[i]->id] = g->inputs[i];
    for (ir_node *n = g->first; n; n = n->next)
        s->node[n->id] = n;
    classify(s);
}

/* ---- values that cross ---- */

/* Do both belong to one function? Backward and update parts do. */
static bool same_home(const source *s, const ir_node *a, const ir_node *b)
{
    a = maker(a);
    b = maker(b);
    return (s->part[a->id] == PART_FORWARD) == (s->part[b->id] == PART_FORWARD) && s->stage[a->id] == s->stage[b->id];
}

/* Does a's function run after b's? Forward parts run from the first stage to the last, then backward parts back. */
static bool runs_after(const source *s, const ir_node *a, const ir_node *b)
{
    bool a_returns = s->part[a->id] != PART_FORWARD, b_returns = s->part[b->id] != PART_FORWARD;
    if (a_returns != b_returns)
        return a_returns;
    int64_t ahead = s->stage[a->id] - s->stage[b->id];
    return a_returns ? ahead < 0 : ahead > 0;
}

static void mark_crossing(source *s, const ir_node *x, const ir_node *user)
{
    if (is_repeated(x)) {
        for (int i = 0; i < x->nin; i++)
            mark_crossing(s, x->in[i], user);
        return;
    }
    bool shared = s->part[maker(x)->id] == PART_UPDATE && s->stage[maker(x)->id] == 0;
    if (shared || same_home(s, x, user))
        return;
    s->slot[x->id] = 0;
    if (!s->hasty && runs_after(s, maker(x), user))
        s->hasty = user;
}

/* Number the crossing values in order; the first source decides the slots, later ones must agree. */
static bool number_slots(source *s, slot *slots, int32_t *count, bool decide)
{
    for (const ir_node *n = s->g->first; n; n = n->next)
        if (!is_repeated(n) && n->op != IR_RESULT)
            for (int i = 0; i < n->nin; i++)
                mark_crossing(s, n->in[i], n);
    for (int32_t id = 0; id < s->n; id++) {
        if (s->slot[id] < 0)
            continue;
        if (decide)
            slots[s->slots] = (slot){.type = s->node[id]->type};
        else if (s->slots >= *count || !ir_type_equal(&slots[s->slots].type, &s->node[id]->type))
            return false;
        s->slot[id] = s->slots++;
    }
    if (decide)
        *count = s->slots;
    return s->slots == *count;
}

static void place_slots(const source *s, slot *slots)
{
    ir_module *m = s->g->module;
    int64_t max_batch = mem_max_batch(m), at = 0;
    for (int32_t id = 0; id < s->n; id++)
        if (s->slot[id] >= 0) {
            slot *y = &slots[s->slot[id]];
            y->name = arena_printf(m->mem, "saved.%" PRId32, s->slot[id]);
            y->offset = at;
            at = (at + mem_bytes(&s->node[id]->type, s->node[id]->attrs, max_batch) + 63) & ~(int64_t)63;
        }
    ir_attr_set_ints(m->mem, &m->attrs, "saved_bytes", &at, 1);
}

/* ---- making a function ---- */

typedef struct {
    const source *s;
    const slot *slots;
    ir_graph *to;
    ir_node **map;
    part first, second; /* the parts it holds */
    int64_t stage;
    diag *d;
    bool failed;
} builder;

static bool holds(const builder *b, const ir_node *n)
{
    part p = b->s->part[n->id];
    return (p == b->first || p == b->second) && b->s->stage[n->id] == b->stage;
}

static ir_node *value_for(builder *b, ir_node *x);

static ir_node *repeat(builder *b, ir_node *x)
{
    if (x->op == IR_INPUT)
        return ir_input_new(b->to, x->name, x->type);
    for (int i = 0; i < x->nin; i++)
        value_for(b, x->in[i]);
    return ir_clone_node(b->to, x, b->map);
}

static void strip_assigns(ir_graph *region)
{
    for (ir_node *n = region->first, *next; n; n = next) {
        next = n->next;
        if (n->op == IR_ASSIGN)
            ir_unlink(n);
    }
}

/* What x is in this function: copied already, repeated, or an input from its slot. */
static ir_node *value_for(builder *b, ir_node *x)
{
    const source *s = b->s;
    if (b->map[x->id])
        return b->map[x->id];
    if (is_repeated(x))
        return b->map[x->id] = repeat(b, x);
    const ir_node *from = maker(x);
    if (s->part[from->id] == PART_UPDATE && s->stage[from->id] == 0) {
        b->map[x->id] = repeat(b, x);
        if (b->map[x->id]->region)
            strip_assigns(b->map[x->id]->region);
        return b->map[x->id];
    }
    if (s->slot[x->id] < 0) {
        if (!b->failed)
            diag_error(b->d, x->loc, "%s: another stage than that of its users, @%s, and no value that is saved",
                       ir_ops[x->op].name, b->to->name);
        b->failed = true;
        return b->map[x->id] = ir_input_new(b->to, NULL, x->type);
    }
    const slot *y = &b->slots[s->slot[x->id]];
    ir_node *in = ir_input_new(b->to, y->name, x->type);
    in->place = (ir_place){SEG_SAVED, y->offset};
    in->loc = x->loc;
    if (ir_attr_find(x->attrs, "halo"))
        in->attrs = x->attrs;
    return b->map[x->id] = in;
}

static bool reaches(const ir_node *x, const ir_node *input)
{
    if (x == input)
        return true;
    for (int i = 0; is_repeated(x) && i < x->nin; i++)
        if (reaches(x->in[i], input))
            return true;
    return false;
}

/* The net's own inputs come first and in order. */
static void add_net_inputs(builder *b)
{
    const ir_graph *g = b->s->g;
    for (int i = 0; i < g->ninputs; i++) {
        bool used = false;
        for (const ir_node *n = g->first; n && !used; n = n->next)
            for (int k = 0; k < n->nin && holds(b, n); k++)
                used |= reaches(n->in[k], g->inputs[i]);
        if (!used)
            continue;
        ir_node *in = ir_input_new(b->to, g->inputs[i]->name, g->inputs[i]->type);
        in->loc = g->inputs[i]->loc;
        b->map[g->inputs[i]->id] = in;
    }
}

static bool belongs(const builder *b, const ir_node *n)
{
    if (is_repeated(n))
        return false;
    const ir_node *from = maker(n);
    bool shared = b->s->part[from->id] == PART_UPDATE && b->s->stage[from->id] == 0;
    return shared ? b->stage == 1 && (b->first == PART_UPDATE || b->second == PART_UPDATE) : holds(b, from);
}

static bool make_function(const source *s, const slot *slots, const char *stage_name, const char *what, part first,
                          part second, int64_t stage, diag *d)
{
    ir_module *m = s->g->module;
    builder b = {.s = s, .slots = slots, .first = first, .second = second, .stage = stage, .d = d};
    const char *name = arena_printf(m->mem, "%s.%s", stage_name, what);
    const ir_graph *taken = ir_function_find(m, name);
    if (taken) {
        diag_error(d, taken->loc, "@%s is the name of a function that split makes, found one", name);
        return false;
    }
    b.to = ir_function_new(m, name, s->g->loc);
    b.map = arena_new_array(s->mem, ir_node *, (size_t)s->n + 1);
    add_net_inputs(&b);
    for (ir_node *n = s->g->first; n; n = n->next) {
        if (!belongs(&b, n))
            continue;
        for (int i = 0; i < n->nin; i++)
            value_for(&b, n->in[i]);
        ir_node *copy = b.map[n->id] = ir_clone_node(b.to, n, b.map);
        if (s->slot[n->id] >= 0) {
            copy->place = (ir_place){SEG_SAVED, slots[s->slot[n->id]].offset};
            ir_result_add(b.to, slots[s->slot[n->id]].name, copy);
        }
    }
    return !b.failed;
}

static const char *stage_name(ir_module *m, int64_t stage)
{
    int64_t at = 1;
    for (const ir_row *r = m->rows; r; r = r->next)
        if (!strcmp(r->kind, "stage") && at++ == stage)
            return r->name;
    const char *name = arena_printf(m->mem, "stage%" PRId64, stage);
    ir_row_new(m, "stage", name, (src_loc){0});
    return name;
}

/* A text may have the functions of a training step in any state; the passes leave all three. */
static bool open_function(source *s, ir_module *m, const char *name, arena *mem, diag *d)
{
    ir_graph *g = ir_function_find(m, name);
    if (g)
        open_source(s, g, mem);
    else
        diag_error(d, m->functions->loc, "expected a function @%s beside those of a staged step, found none", name);
    return g;
}

static bool split_module(ir_module *m, int64_t stages, arena *mem, diag *d)
{
    bool apart = ir_row_find(m, "clip", "global_norm");
    source train, gradients, update;
    if (!open_function(&train, m, apart ? "gradients" : "train_step", mem, d) ||
        !open_function(&gradients, m, "gradients", mem, d) || !open_function(&update, m, "update", mem, d))
        return false;
    slot *slots = arena_new_array(mem, slot, (size_t)train.n + 1);
    int32_t count = 0;
    if (!number_slots(&train, slots, &count, true) || !number_slots(&gradients, slots, &count, false)) {
        diag_error(d, gradients.g->loc,
                   "expected stages that save the same values in @train_step and @gradients, "
                   "found others");
        return false;
    }
    const ir_node *hasty = train.hasty ? train.hasty : gradients.hasty;
    if (hasty) {
        diag_error(d, hasty->loc, "%s: stage %" PRId64 " reads a value here before the stage that makes it has run",
                   ir_ops[hasty->op].name, ir_int(hasty, "stage", 0));
        return false;
    }
    place_slots(&train, slots);
    bool ok = true;
    for (int64_t i = 1; i <= stages && ok; i++) {
        const char *name = stage_name(m, i);
        ok = make_function(&train, slots, name, "forward", PART_FORWARD, PART_NONE, i, d) &&
             (apart || make_function(&train, slots, name, "backward_update", PART_BACKWARD, PART_UPDATE, i, d)) &&
             make_function(&gradients, slots, name, "backward", PART_BACKWARD, PART_NONE, i, d) &&
             make_function(&update, slots, name, "update", PART_UPDATE, PART_NONE, i, d);
    }
    return ok;
}

bool pass_split(ir_module *m, diag *d)
{
    const ir_attr *how = ir_attr_find(m->attrs, "partition"), *stages = ir_attr_find(m->attrs, "stages");
    if (!how || !how->word || strcmp(how->word, "staged") || !stages || !ir_function_find(m, "gradients"))
        return true;
    arena *mem = arena_new();
    bool ok = split_module(m, (int64_t)stages->number[0], mem, d);
    arena_free(mem);
    return ok;
}
