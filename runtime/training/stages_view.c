/* runtime/training/stages_view.c - the data set that a stage learns from: its inputs picked by name out of the fields
 * of the data and the outputs of earlier stages. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/training/stages.h"

/* Stages whose outputs the part reads have their boundaries first. */
static lamina_status add_boundaries(lamina_supply *u, int32_t part, const lamina_dataset *d, lamina_error *e)
{
    const lamina_net *net = u->s->parts[part].o.net;
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < net->input_count; i++) {
        lamina_origin o = lamina_stages_origin(u, part, i, d);
        if (!o.data && o.maker >= 0)
            s = add_boundaries(u, o.maker, d, e);
        if (!s && !o.data && o.maker >= 0)
            s = lamina_boundary_make(u, o.maker, d, e);
    }
    return s;
}

static lamina_status check_field(const lamina_supply *u, int32_t part, int32_t input, const lamina_origin *o,
                                 lamina_error *e)
{
    const lamina_part *p = &u->s->parts[part];
    if (o->data || o->maker >= 0)
        return lamina_origin_check(p, input, o, e);
    return lamina_fail(e, LAMINA_BAD_ARG,
                       "stage '%s': input '%s': expected a field of the data or an output of an earlier stage, found "
                       "neither",
                       p->o.name, p->o.net->inputs[input].name);
}

static lamina_status make_batch(void *view, lamina_loader *l, int64_t count, lamina_error *e)
{
    lamina_view *v = view;
    lamina_status s = lamina_flow_run(&v->flow, l->order, l->at, count, e);
    const lamina_net *net = lamina_dataset_net(v->data);
    for (int32_t i = 0; !s && i < net->input_count; i++)
        if (!v->origins[i].data && !v->origins[i].records)
            l->inputs[i] = v->flow.producers[v->origins[i].maker].outputs[v->origins[i].input];
    return s;
}

/* The stages whose outputs are made with each batch. */
static lamina_status make_with_batches(lamina_supply *u, int32_t part, const lamina_dataset *d, int64_t batch,
                                       lamina_view *v, lamina_error *e)
{
    const lamina_net *net = u->s->parts[part].o.net;
    bool *stages = lamina_allocate((size_t)u->s->count, sizeof *stages), any = false;
    if (!stages)
        return lamina_fail_memory(e, net->name, (size_t)u->s->count);
    for (int32_t i = 0; i < net->input_count; i++)
        if (!v->origins[i].data && !v->origins[i].records)
            any = stages[v->origins[i].maker] = true;
    lamina_status s = any ? lamina_flow_open(u, d, stages, batch, &v->flow, e) : LAMINA_OK;
    lamina_release(stages);
    if (any && !s)
        lamina_dataset_set_maker(v->data, make_batch, v);
    return s;
}

static void set_field(const lamina_supply *u, lamina_view *v, int32_t input, const lamina_dataset *d)
{
    const lamina_origin *o = &v->origins[input];
    const char *source = o->maker >= 0 ? u->s->parts[o->maker].o.name : NULL;
    if (o->data)
        lamina_dataset_lend(v->data, input, o->data, o->input);
    else if (o->records)
        lamina_dataset_lend_memory(v->data, input, o->records, source, lamina_dataset_count(d));
    else
        lamina_dataset_make(v->data, input, source, lamina_dataset_count(d));
}

static lamina_status fill(lamina_supply *u, int32_t part, const lamina_dataset *d, int64_t batch, bool keep,
                          lamina_view *v, lamina_error *e)
{
    const lamina_net *net = u->s->parts[part].o.net;
    v->origins = lamina_allocate((size_t)net->input_count, sizeof *v->origins);
    if (!v->origins)
        return lamina_fail_memory(e, net->name, (size_t)net->input_count * sizeof *v->origins);
    lamina_status s = keep ? add_boundaries(u, part, d, e) : LAMINA_OK;
    for (int32_t i = 0; !s && i < net->input_count; i++) {
        v->origins[i] = lamina_stages_origin(u, part, i, d);
        s = check_field(u, part, i, &v->origins[i], e);
    }
    if (!s)
        s = lamina_dataset_new(net, &v->data, e);
    for (int32_t i = 0; !s && i < net->input_count; i++)
        set_field(u, v, i, d);
    return s ? s : make_with_batches(u, part, d, batch, v, e);
}

void lamina_view_close(lamina_view *v)
{
    lamina_flow_close(&v->flow);
    lamina_dataset_free(v->data);
    lamina_release(v->origins);
    *v = (lamina_view){0};
}

lamina_status lamina_view_open(lamina_supply *u, int32_t part, const lamina_dataset *d, int64_t batch, bool keep,
                               lamina_view *out, lamina_error *e)
{
    *out = (lamina_view){0};
    lamina_status s = fill(u, part, d, batch, keep, out, e);
    if (s)
        lamina_view_close(out);
    return s;
}
