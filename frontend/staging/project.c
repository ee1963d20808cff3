/* frontend/staging/project.c - a part of a network as a network of its own.
 *
 *     layers a b c d, of which b and c are kept      =>      inputs: what b and c read of the inputs, and a
 *                                                            layers: b c, with the names and numbers they had
 *
 * What a kept layer or loss reads and the part does not keep becomes an input of the part, called as the layer is. So a
 * part computes what it computes in the whole, given what the layers before it make; names of layers, and with them
 * those of parameters, their first values and dropout's random numbers, are the same in every part and in the whole. */
#include "frontend/staging/staging.h"
#include <string.h>

enum { ABSENT = -1 };

typedef struct {
    const fe_network *all;
    const fe_selection *keep;
    fe_network *part;
    int *input_at, *layer_at; /* what the inputs of all and its layers are in the part, or ABSENT */
    bool *is_boundary;        /* layers of all that are inputs of the part: layer_at is that input's number */
} projection;

/* ---- which inputs ---- */

static void need(projection *p, fe_ref ref)
{
    if (ref.is_input)
        p->input_at[ref.index] = 0;
    else if (!p->keep->layers[ref.index])
        p->is_boundary[ref.index] = true;
}

static void find_needed(projection *p)
{
    const fe_network *all = p->all;
    for (int i = 0; i < all->ninputs; i++)
        p->input_at[i] = ABSENT;
    for (int i = 0; i < all->nlayers; i++)
        for (int k = 0; p->keep->layers[i] && k < all->layers[i].nin; k++)
            need(p, all->layers[i].in[k]);
    for (int i = 0; i < all->nlosses; i++)
        for (int k = 0; p->keep->losses[i] && k < all->losses[i].nin; k++)
            need(p, all->losses[i].in[k]);
}

/* The inputs of all come first, in their order; then boundaries in that of the layers. */
static void make_inputs(projection *p)
{
    const fe_network *all = p->all;
    fe_network *part = p->part;
    part->inputs = arena_new_array(part->mem, fe_input, (size_t)(all->ninputs + all->nlayers) + 1);
    for (int i = 0; i < all->ninputs; i++) {
        if (p->input_at[i] == ABSENT)
            continue;
        fe_input input = all->inputs[i];
        input.layer_reads = input.loss_reads = input.raw_reads = false;
        p->input_at[i] = part->ninputs;
        part->inputs[part->ninputs++] = input;
    }
    for (int i = 0; i < all->nlayers; i++) {
        const fe_layer *l = &all->layers[i];
        p->layer_at[i] = ABSENT;
        if (!p->is_boundary[i])
            continue;
        p->layer_at[i] = part->ninputs;
        part->inputs[part->ninputs++] = (fe_input){.name = l->name, .at = l->at, .type = l->type, .read_type = l->type};
    }
}

/* ---- layers and losses ---- */

static fe_ref moved(const projection *p, fe_ref ref)
{
    if (ref.is_input)
        return (fe_ref){true, p->input_at[ref.index]};
    return (fe_ref){p->is_boundary[ref.index], p->layer_at[ref.index]};
}

/* Does this value of all come from another stage than 'stage'? */
static bool crosses(const projection *p, int stage, fe_ref from)
{
    return p->keep->stage && !from.is_input && p->keep->stage[from.index] != stage;
}

static const bool *stops_of(const projection *p, int index)
{
    const fe_layer *l = &p->all->layers[index];
    bool *stops = arena_new_array(p->part->mem, bool, (size_t)l->nin), any = false;
    for (int k = 0; p->keep->stage && k < l->nin; k++)
        any |= stops[k] = crosses(p, p->keep->stage[index], l->in[k]);
    return any ? stops : NULL;
}

static void make_layers(projection *p)
{
    const fe_network *all = p->all;
    fe_network *part = p->part;
    part->layers = arena_new_array(part->mem, fe_layer, (size_t)all->nlayers + 1);
    for (int i = 0; i < all->nlayers; i++) {
        if (!p->keep->layers[i])
            continue;
        fe_layer l = all->layers[i];
        l.is_read = l.is_output = false;
        l.stops = stops_of(p, i);
        l.in = arena_new_array(part->mem, fe_ref, (size_t)l.nin);
        for (int k = 0; k < l.nin; k++) {
            l.in[k] = moved(p, all->layers[i].in[k]);
            *(l.in[k].is_input ? &part->inputs[l.in[k].index].layer_reads : &part->layers[l.in[k].index].is_read) =
                true;
        }
        p->layer_at[i] = part->nlayers;
        part->layers[part->nlayers++] = l;
    }
}

/* Those that a layer of the part learns by. */
static void make_groups(projection *p)
{
    const fe_network *all = p->all;
    fe_network *part = p->part;
    part->groups = arena_new_array(part->mem, fe_group, (size_t)all->ngroups + 1);
    for (int g = 0; g < all->ngroups; g++) {
        bool is_used = false;
        for (int i = 0; i < part->nlayers; i++)
            is_used |= fe_learns_by(&part->layers[i], all->groups[g].name);
        if (is_used)
            part->groups[part->ngroups++] = all->groups[g];
    }
}

static const char *name_in_part(const projection *p, int loss, const char *name)
{
    const char *prefix = p->keep->prefix ? p->keep->prefix[loss] : NULL;
    return prefix ? arena_printf(p->part->mem, "%s_%s", prefix, name) : name;
}

/* Of losses with a prefix, the only one that has it is the loss of what the prefix names. */
static const char *loss_name(const projection *p, int index)
{
    const char *const *prefix = p->keep->prefix, *name = p->all->losses[index].name;
    for (int i = 0; prefix && prefix[index] && i < p->all->nlosses; i++)
        if (i != index && p->keep->losses[i] && prefix[i] == prefix[index])
            return name_in_part(p, index, name);
    return name_in_part(p, index, prefix && prefix[index] ? "loss" : name);
}

static void make_loss(projection *p, int index)
{
    const fe_network *all = p->all;
    const fe_loss *from = &all->losses[index];
    fe_network *part = p->part;
    fe_loss *l = &part->losses[part->nlosses++];
    *l = *from;
    l->name = loss_name(p, index);
    for (int k = 0; k < l->nin; k++) {
        l->in[k] = moved(p, from->in[k]);
        l->stops[k] =
            k && !from->in[0].is_input && p->keep->stage && crosses(p, p->keep->stage[from->in[0].index], from->in[k]);
        fe_note_reading(part, l, k);
    }
    for (int i = 0; i < all->nmetrics; i++)
        if (all->metrics[i].loss == from) {
            fe_metric *m = &part->metrics[part->nmetrics++];
            *m = fe_metric_at(&all->metrics[i], all->metrics[i].at, l);
            m->name = name_in_part(p, index, m->name);
        }
}

static void make_losses(projection *p)
{
    const fe_network *all = p->all;
    p->part->losses = arena_new_array(p->part->mem, fe_loss, (size_t)all->nlosses + 1);
    p->part->metrics = arena_new_array(p->part->mem, fe_metric, (size_t)all->nmetrics + 1);
    for (int i = 0; i < all->nlosses; i++)
        if (p->keep->losses[i])
            make_loss(p, i);
}

/* ---- outputs ---- */

/* Layers of all that something reads which the part does not keep. */
static bool *read_elsewhere(const projection *p)
{
    const fe_network *all = p->all;
    bool *read = arena_new_array(p->part->mem, bool, (size_t)all->nlayers + 1);
    for (int i = 0; i < all->nlayers; i++)
        for (int k = 0; !p->keep->layers[i] && k < all->layers[i].nin; k++)
            if (!all->layers[i].in[k].is_input)
                read[all->layers[i].in[k].index] = true;
    for (int i = 0; i < all->nlosses; i++)
        for (int k = 0; !p->keep->losses[i] && k < all->losses[i].nin; k++)
            if (!all->losses[i].in[k].is_input)
                read[all->losses[i].in[k].index] = true;
    return read;
}

static void mark_outputs(projection *p)
{
    fe_network *part = p->part;
    const bool *read = read_elsewhere(p);
    for (int i = 0; i < p->all->nlayers; i++)
        if (p->keep->layers[i]) {
            fe_layer *l = &part->layers[p->layer_at[i]];
            l->is_output = !l->is_read || (p->keep->exports && read[i]);
        }
    for (int i = 0; i < part->nlosses; i++)
        if (!part->losses[i].in[0].is_input)
            part->layers[part->losses[i].in[0].index].is_output = true;
}

fe_network *fe_project(const fe_network *all, const fe_selection *keep)
{
    arena *mem = all->mem;
    fe_network *part = arena_make(mem, fe_network);
    *part = (fe_network){.mem = mem, .path = all->path, .name = keep->name, .at = keep->at};
    projection p = {.all = all, .keep = keep, .part = part};
    p.input_at = arena_new_array(mem, int, (size_t)all->ninputs + 1);
    p.layer_at = arena_new_array(mem, int, (size_t)all->nlayers + 1);
    p.is_boundary = arena_new_array(mem, bool, (size_t)all->nlayers + 1);
    find_needed(&p);
    make_inputs(&p);
    make_layers(&p);
    make_losses(&p);
    make_groups(&p);
    mark_outputs(&p);
    return part;
}
