/* frontend/network/layer_info.c - what a driver may know of a network's layers. */
#include "frontend/network/network.h"

int fe_layer_count(const fe_network *n)
{
    return n->nlayers;
}

fe_layer_info fe_layer_at(const fe_network *n, int index)
{
    const fe_layer *l = &n->layers[index];
    fe_layer_info info = {.name = l->name, .kind = l->kind->kind.name, .at = l->at, .type = l->type};
    for (int i = 0; !l->owner && i < l->nparams; i++) {
        int64_t elements = ir_static_count(&l->param[i].type);
        *(l->param[i].state ? &info.statistics : &info.parameters) += elements;
    }
    return info;
}
