/* frontend/network/warnings.c - what is legal in a network and surely not meant. */
#include "frontend/network/network.h"
#include <string.h>

bool fe_ends_in(const fe_layer *l, const char *activation)
{
    for (int i = 0; i < l->options->count; i++) {
        const fe_choice *c = l->options->options[i].choice;
        if (c && l->options->options[i].key->type == FE_ACTIVATION && !strcmp(c->kind->name, activation))
            return true;
    }
    return false;
}

bool fe_reads_logits(const fe_loss *l)
{
    for (int i = 0; i < l->options->count; i++)
        if (!strcmp(l->options->options[i].key->name, "from_logits"))
            return l->options->options[i].yes;
    return l->kind->applies;
}

static void warn_of_logits(fe_reader *r, const fe_network *n, const fe_loss *l)
{
    const char *kind = l->kind->kind.name, *applies = l->kind->applies;
    if (fe_reads_logits(l) && !l->in[0].is_input && fe_ends_in(&n->layers[l->in[0].index], applies))
        diag_warning(r->d, l->at, "%s: expected logits, found layer '%s', which ends in %s already", kind,
                     n->layers[l->in[0].index].name, applies);
    if (l->kind->classes && l->in_type[0].dim[1].n == 1)
        diag_warning(r->d, l->at, "%s: expected two classes or more, found one, for which the loss is always 0", kind);
}

/* By layer: does a trainable parameter of it, or of a layer that it reads, take part in its value? */
static bool *find_trained(fe_reader *r, const fe_network *n)
{
    bool *trained = arena_new_array(r->mem, bool, (size_t)n->nlayers);
    for (int i = 0; i < n->nlayers; i++) {
        const fe_layer *l = &n->layers[i];
        for (int k = 0; k < l->nparams; k++)
            trained[i] |= fe_learns_param(l, k);
        for (int k = 0; k < l->nin; k++)
            trained[i] |= !l->in[k].is_input && trained[l->in[k].index];
    }
    return trained;
}

static bool is_kind(const fe_layer *l, const char *name)
{
    return !strcmp(l->kind->kind.name, name);
}

/* A pool whose windows are single elements, each of which it takes; in one dimension there is no second size. */
static void warn_of_pool(fe_reader *r, const fe_layer *l)
{
    bool pools = !strncmp(l->kind->kind.name, "max_pool", 8) || !strncmp(l->kind->kind.name, "average_pool", 12);
    const fe_option *size = pools ? fe_get(l->options, "pool_size") : NULL;
    if (pools && size->list[0] == 1 && size->list[1] <= 1 && ir_type_equal(&l->type, &l->in_type[0]))
        diag_warning(r->d, l->at, "%s: windows of one element leave the input as it is", l->kind->kind.name);
}

/* Of one element softmax makes 1, whatever it is. */
static void warn_of_softmax(fe_reader *r, const fe_layer *l)
{
    if (fe_ends_in(l, "softmax") && l->type.rank > 1 && l->type.dim[l->type.rank - 1].n == 1)
        diag_warning(r->d, l->at, "%s: softmax over one element is always 1; expected two or more, or sigmoid",
                     l->kind->kind.name);
}

static void warn_of_layer(fe_reader *r, const fe_network *n, const fe_layer *l)
{
    const fe_layer *below = l->nin == 1 && !l->in[0].is_input ? &n->layers[l->in[0].index] : NULL;
    warn_of_pool(r, l);
    warn_of_softmax(r, l);
    if (below && is_kind(l, "batch_norm") && is_kind(below, "batch_norm"))
        diag_warning(r->d, l->at, "batch_norm: its input '%s' is normalised by a batch_norm already", below->name);
}

void fe_warn(fe_reader *r, const fe_network *n)
{
    for (int i = 0; i < n->nlayers; i++)
        warn_of_layer(r, n, &n->layers[i]);
    const bool *trained = find_trained(r, n);
    for (int i = 0; i < n->nlosses; i++) {
        const fe_loss *l = &n->losses[i];
        bool learns = false;
        for (int k = 0; k < l->nin; k++)
            learns |= !l->in[k].is_input && trained[l->in[k].index];
        warn_of_logits(r, n, l);
        if (!learns)
            diag_warning(r->d, l->at,
                         "loss '%s': no trainable parameter has a part in what it measures, so it trains nothing",
                         l->name);
    }
}
