/* backend/nest/print.c - loop nests as text, for people (`lamina dump --after=lower`).
 *
 *     kernel "dense1.forward"
 *       #0 image : f32 read
 *       #1 out : f32 written
 *       phase 0, tasks = ceil(128 * B / 8) * 4
 *         for %0 = 0 to B step 1 carry (%1 = 0:f32x16) {
 *           %2 = load image[%0 + 3 stride 2] active 5 : f32x16
 *           %3 = add %1, %2 : f32x16
 *           next (%3)
 *         } -> (%4)
 *
 * Constants stand where they are used. Values count from 0 in the order of their lines. */
#include "backend/nest/nest.h"
#include <inttypes.h>

typedef struct {
    const nest_kernel *kernel;
    text *out;
    int32_t next_id;
    int depth;
} printer;

static void indent(printer *p)
{
    for (int i = 0; i < p->depth; i++)
        text_add(p->out, "  ");
}

static void print_type(printer *p, const nest_value *v)
{
    text_add(p->out, ir_dtype_name(v->dtype));
    if (v->lanes > 1)
        text_printf(p->out, "x%d", v->lanes);
}

static void print_constant(printer *p, const nest_value *v)
{
    text_printf(p->out, "%.17g", v->number);
    if (v->dtype != IR_I64 || v->lanes > 1) {
        text_add(p->out, ":");
        print_type(p, v);
    }
}

static void print_use(printer *p, const nest_value *v)
{
    switch (v->kind) {
    case NEST_CONST:
        print_constant(p, v);
        break;
    case NEST_BATCH:
        text_add(p->out, "B");
        break;
    case NEST_TASK:
        text_add(p->out, "task");
        break;
    case NEST_LANES:
        text_printf(p->out, "lanes:%d", v->lanes);
        break;
    case NEST_NUMBER:
        text_printf(p->out, "%" PRId64, p->kernel->numbers[v->index]);
        break;
    default:
        text_printf(p->out, "%%%d", v->id);
    }
}

static void print_uses(printer *p, nest_value *const *in, int count)
{
    for (int i = 0; i < count; i++) {
        text_add(p->out, i ? ", " : "");
        print_use(p, in[i]);
    }
}

static void print_buffer(printer *p, int index)
{
    const char *name = p->kernel->buffers[index].name;
    if (name)
        text_add(p->out, name);
    else
        text_printf(p->out, "#%d", index);
}

/* image[%3 + 5 stride 2] active %7 */
static void print_place(printer *p, const nest_value *v)
{
    print_buffer(p, v->buffer);
    text_add(p->out, "[");
    bool offset = v->in[0]->kind != NEST_CONST || v->in[0]->number != 0;
    if (offset)
        print_use(p, v->in[0]);
    if (!offset)
        text_printf(p->out, "%" PRId64, v->disp);
    else if (v->disp)
        text_printf(p->out, " %c %" PRId64, v->disp < 0 ? '-' : '+', v->disp < 0 ? -v->disp : v->disp);
    if (v->lanes > 1 && v->stride != 1)
        text_printf(p->out, " stride %" PRId64, v->stride);
    text_add(p->out, "]");
    if (v->active) {
        text_add(p->out, " active ");
        print_use(p, v->active);
    } else if (v->active_count < v->lanes) {
        text_printf(p->out, " active %d", v->active_count);
    }
}

static void print_block(printer *p, const nest_block *b);

static void number_loop_values(printer *p, nest_value *loop)
{
    nest_loop_index(loop)->id = p->next_id++;
    for (int i = 0; i < loop->ncarry; i++)
        loop->carry[i]->id = p->next_id++;
}

static void print_loop(printer *p, nest_value *loop)
{
    number_loop_values(p, loop);
    text_printf(p->out, "for %%%d = ", nest_loop_index(loop)->id);
    print_use(p, loop->in[0]);
    text_add(p->out, " to ");
    print_use(p, loop->in[1]);
    text_printf(p->out, " step %" PRId64, loop->step);
    for (int i = 0; i < loop->ncarry; i++) {
        text_printf(p->out, "%s%%%d = ", i ? ", " : " carry (", loop->carry[i]->id);
        print_use(p, loop->init[i]);
    }
    text_add(p->out, loop->ncarry ? ") {\n" : " {\n");
    p->depth++;
    print_block(p, &loop->body);
    if (loop->ncarry) {
        indent(p);
        text_add(p->out, "next (");
        print_uses(p, loop->next, loop->ncarry);
        text_add(p->out, ")\n");
    }
    p->depth--;
    indent(p);
    text_add(p->out, "}");
    for (int i = 0; i < loop->ncarry; i++) {
        loop->final[i]->id = p->next_id++;
        text_printf(p->out, "%s%%%d", i ? ", " : " -> (", loop->final[i]->id);
    }
    text_add(p->out, loop->ncarry ? ")\n" : "\n");
}

static void print_store(printer *p, const nest_value *v)
{
    text_add(p->out, "store ");
    print_use(p, v->in[1]);
    text_add(p->out, " to ");
    print_place(p, v);
    text_add(p->out, "\n");
}

/* "product m n k: a[..] ld 784 transposed, b[..] ld 128 to c[..] ld 128 by sgemm" */
static void print_product(printer *p, const nest_value *v)
{
    text_add(p->out, "product ");
    print_uses(p, v->in, 3);
    for (int i = 0; i < 3; i++) {
        text_add(p->out, i == 0 ? ": " : i == 1 ? ", " : " to ");
        print_buffer(p, v->product->buffer[i]);
        text_add(p->out, "[");
        print_use(p, v->in[3 + i]);
        text_printf(p->out, "] ld %" PRId64 "%s", v->product->ld[i],
                    i < 2 && v->product->transposed[i] ? " transposed" : "");
    }
    text_add(p->out, " by ");
    print_buffer(p, v->product->function);
    text_add(p->out, "\n");
}

static const char *kind_name(const nest_value *v)
{
    switch (v->kind) {
    case NEST_SPLAT:
        return "splat";
    case NEST_LANE:
        return "lane";
    case NEST_UNZIP:
        return v->index ? "unzip.odd" : "unzip.even";
    case NEST_FOLD:
        return "fold";
    case NEST_LOAD:
        return "load";
    case NEST_FMA:
        return "fma";
    case NEST_RNG:
        return "rng";
    case NEST_OP:
        return ir_ops[v->op].name;
    default:
        ir_bug("a value of kind %d has no line of its own", (int)v->kind);
    }
}

static void print_computed(printer *p, nest_value *v)
{
    v->id = p->next_id++;
    text_printf(p->out, "%%%d = %s ", v->id, kind_name(v));
    if (v->kind == NEST_FOLD)
        text_printf(p->out, "%s ", ir_ops[v->op].name);
    if (v->kind == NEST_OP && v->word)
        text_printf(p->out, "%s ", v->word);
    if (v->kind == NEST_LOAD)
        print_place(p, v);
    else
        print_uses(p, v->in, v->kind == NEST_RNG ? 4 : v->nin);
    if (v->kind == NEST_LANE)
        text_printf(p->out, "[%d]", v->index);
    if (v->kind == NEST_UNZIP)
        text_printf(p->out, " by %" PRId64, v->step);
    if (v->kind == NEST_RNG && v->lanes > 1 && v->step != 1)
        text_printf(p->out, " by %" PRId64, v->step);
    if (v->kind == NEST_RNG) {
        text_add(p->out, " stream ");
        print_use(p, v->in[4]);
    }
    text_add(p->out, " : ");
    print_type(p, v);
    text_add(p->out, "\n");
}

static void print_block(printer *p, const nest_block *b)
{
    for (nest_value *v = b->first; v; v = v->following) {
        if (nest_stands_alone(v))
            continue;
        indent(p);
        if (v->kind == NEST_LOOP)
            print_loop(p, v);
        else if (v->kind == NEST_STORE)
            print_store(p, v);
        else if (v->kind == NEST_PRODUCT)
            print_product(p, v);
        else
            print_computed(p, v);
    }
}

static void print_tasks(const nest_tasks *t, text *out)
{
    text_printf(out, "tasks = ");
    if (t->batch || t->chunk > 1)
        text_printf(out, "ceil(%" PRId64 "%s / %" PRId64 ")", t->n, t->batch ? " * B" : "", t->chunk);
    else
        text_printf(out, "%" PRId64, t->n);
    if (t->inner > 1)
        text_printf(out, " * %" PRId64, t->inner);
    text_add(out, "\n");
}

void nest_print(const nest_kernel *k, text *out)
{
    text_printf(out, "kernel \"%s\"\n", k->name ? k->name : "");
    for (int i = 0; i < k->nbuffers; i++) {
        const nest_buffer *b = &k->buffers[i];
        text_printf(out, "  #%d %s : %s %s\n", i, b->name ? b->name : "", ir_dtype_name(b->dtype),
                    b->local     ? "local"
                    : b->written ? "written"
                                 : "read");
    }
    for (int i = 0; i < k->nphases; i++) {
        text_printf(out, "  phase %d, ", i);
        print_tasks(&k->phase[i].tasks, out);
        printer p = {.kernel = k, .out = out, .depth = 2};
        print_block(&p, &k->phase[i].body);
    }
}
