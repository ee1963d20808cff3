/* runtime/training/stages_flow.c - the outputs of stages for a batch of records, by their infer.
 *
 *     data --> stage 1 --> stage 3        a stage's inputs are fields of the data, boundaries that are kept,
 *         \--> stage 2 ---/               or outputs of stages that ran before it on the same records */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/training/stages.h"
#include <string.h>

lamina_origin lamina_stages_origin(const lamina_supply *u, int32_t part, int32_t input, const lamina_dataset *d)
{
    const lamina_part *p = &u->s->parts[part];
    int32_t field = lamina_net_input(lamina_dataset_net(d), p->o.net->inputs[input].name);
    if (field >= 0 && lamina_dataset_has(d, field))
        return (lamina_origin){.data = d, .maker = LAMINA_FROM_DATA, .input = field};
    int32_t maker = p->maker[input], output = p->output[input];
    const lamina_boundary *b = maker >= 0 ? lamina_boundary_find(u, maker, d) : NULL;
    return (lamina_origin){.records = b ? b->records[output] : NULL, .maker = maker, .input = output};
}

lamina_status lamina_origin_check(const lamina_part *p, int32_t input, const lamina_origin *o, lamina_error *e)
{
    const lamina_tensor *want = &p->o.net->inputs[input];
    const lamina_tensor *found = o->data ? &lamina_dataset_net(o->data)->inputs[o->input] : want;
    if (lamina_same_type(want, found))
        return LAMINA_OK;
    char wanted[128], has[128];
    lamina_shape_text(want->dtype, want->rank, want->dim, want->batch_dim, wanted, sizeof wanted);
    lamina_shape_text(found->dtype, found->rank, found->dim, found->batch_dim, has, sizeof has);
    return lamina_fail(e, LAMINA_BAD_ARG, "stage '%s': input '%s': expected %s, found a field of the data of %s",
                       p->o.name, want->name, wanted, has);
}

/* ---- life ---- */

static void close_producer(lamina_stages *s, lamina_producer *p, const lamina_net *net)
{
    for (int32_t i = 0; p->gathered && i < net->input_count; i++)
        lamina_release(p->gathered[i]);
    for (int32_t i = 0; p->outputs && i < net->output_count; i++)
        lamina_release(p->outputs[i]);
    lamina_release(p->origins);
    lamina_release(p->gathered);
    lamina_release(p->outputs);
    lamina_release(p->inputs);
    lamina_part_close(s, p->model);
}

void lamina_flow_close(lamina_flow *f)
{
    for (int32_t i = 0; f->producers && i < f->s->count; i++)
        close_producer(f->s, &f->producers[i], f->s->parts[i].o.net);
    lamina_release(f->producers);
    f->producers = NULL;
}

static bool lies_elsewhere(const lamina_origin *o)
{
    return o->data || o->records;
}

static lamina_status add_buffers(lamina_producer *p, const lamina_net *net, int64_t batch, lamina_error *e)
{
    bool all = true;
    for (int32_t i = 0; all && i < net->input_count; i++)
        if (lies_elsewhere(&p->origins[i]))
            all = (p->gathered[i] = lamina_allocate((size_t)batch, net->inputs[i].bytes)) != NULL;
    for (int32_t i = 0; all && i < net->output_count; i++)
        all = (p->outputs[i] = lamina_allocate((size_t)batch, net->outputs[i].bytes)) != NULL;
    return all ? LAMINA_OK
               : lamina_fail(e, LAMINA_NO_MEMORY, "%s: out of memory for a batch of its outputs", net->name);
}

static lamina_status open_producer(lamina_flow *f, const lamina_supply *u, int32_t stage, const lamina_dataset *d,
                                   lamina_error *e)
{
    const lamina_net *net = f->s->parts[stage].o.net;
    lamina_producer *p = &f->producers[stage];
    size_t inputs = (size_t)net->input_count;
    p->origins = lamina_allocate(inputs, sizeof *p->origins);
    p->gathered = lamina_allocate(inputs, sizeof *p->gathered);
    p->inputs = lamina_allocate(inputs, sizeof *p->inputs);
    p->outputs = lamina_allocate((size_t)net->output_count, sizeof *p->outputs);
    if (!p->origins || !p->gathered || !p->inputs || !p->outputs)
        return lamina_fail_memory(e, net->name, inputs * sizeof *p->origins);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < net->input_count; i++) {
        p->origins[i] = lamina_stages_origin(u, stage, i, d);
        s = lamina_origin_check(&f->s->parts[stage], i, &p->origins[i], e);
    }
    if (!s)
        s = add_buffers(p, net, f->batch, e);
    return s ? s : lamina_part_open(f->s, stage, true, &p->model, e);
}

/* From the last stage to the first: who is in the flow asks for those whose outputs it reads. */
static void close_under_reading(const lamina_supply *u, const lamina_dataset *d, bool *in)
{
    for (int32_t stage = u->s->count - 1; stage >= 0; stage--)
        for (int32_t i = 0; in[stage] && i < u->s->parts[stage].o.net->input_count; i++) {
            lamina_origin o = lamina_stages_origin(u, stage, i, d);
            if (!lies_elsewhere(&o) && o.maker >= 0)
                in[o.maker] = true;
        }
}

static lamina_status open_all(lamina_flow *f, const lamina_supply *u, const lamina_dataset *d, const bool *stages,
                              lamina_error *e)
{
    size_t count = (size_t)u->s->count;
    bool *in = lamina_allocate(count, sizeof *in);
    if (!in)
        return lamina_fail_memory(e, "a flow", count);
    memcpy(in, stages, count * sizeof *in);
    close_under_reading(u, d, in);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < u->s->count; i++)
        s = in[i] ? open_producer(f, u, i, d, e) : LAMINA_OK;
    lamina_release(in);
    return s;
}

lamina_status lamina_flow_open(const lamina_supply *u, const lamina_dataset *d, const bool *stages, int64_t batch,
                               lamina_flow *out, lamina_error *e)
{
    size_t count = (size_t)u->s->count;
    *out = (lamina_flow){.s = u->s, .batch = batch, .producers = lamina_allocate(count, sizeof *out->producers)};
    if (!out->producers)
        return lamina_fail_memory(e, "a flow", count * sizeof *out->producers);
    lamina_status s = open_all(out, u, d, stages, e);
    if (s)
        lamina_flow_close(out);
    return s;
}

/* ---- a batch ---- */

static const void *record_at(const lamina_origin *o, uint64_t bytes, int64_t i)
{
    return o->data ? lamina_dataset_record(o->data, o->input, i) : o->records + (uint64_t)i * bytes;
}

static void gather(const lamina_origin *o, uint64_t bytes, const int64_t *order, int64_t first, int64_t count, char *to)
{
    for (int64_t i = 0; i < count; i++)
        memcpy(to + (uint64_t)i * bytes, record_at(o, bytes, order ? order[first + i] : first + i), bytes);
}

/* What nobody has stays NULL: infer reads no labels, and says so if it should miss another input. */
static lamina_status produce(lamina_flow *f, int32_t stage, const int64_t *order, int64_t first, int64_t count,
                             lamina_error *e)
{
    const lamina_net *net = f->s->parts[stage].o.net;
    lamina_producer *p = &f->producers[stage];
    for (int32_t i = 0; i < net->input_count; i++) {
        const lamina_origin *o = &p->origins[i];
        if (lies_elsewhere(o))
            gather(o, net->inputs[i].bytes, order, first, count, p->gathered[i]);
        p->inputs[i] = lies_elsewhere(o) ? p->gathered[i]
                       : o->maker >= 0   ? f->producers[o->maker].outputs[o->input]
                                         : NULL;
    }
    return lamina_infer(p->model, p->inputs, count, p->outputs, e);
}

lamina_status lamina_flow_run(lamina_flow *f, const int64_t *order, int64_t first, int64_t count, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < f->s->count; i++)
        s = f->producers[i].model ? produce(f, i, order, first, count, e) : LAMINA_OK;
    return s;
}
