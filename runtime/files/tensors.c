/* runtime/files/tensors.c - a model's tensors as files hold them: as in the descriptor, parameters, then states. */
#include "runtime/files/safetensors.h"
#include "runtime/model/model.h"

static lamina_status get(void *model, int32_t tensor, void *plain, lamina_error *e)
{
    return lamina_export(model, tensor, plain, e);
}

/* A model for inference passes over what only training uses. */
static lamina_status set(void *model, int32_t tensor, const void *plain, lamina_error *e)
{
    lamina_model *m = model;
    m->missing[tensor] = false;
    return lamina_model_holds(m, tensor) ? lamina_import(m, tensor, plain, e) : LAMINA_OK;
}

static bool is_parameter(void *model, int32_t tensor)
{
    const lamina_model *m = model;
    return tensor < m->net->param_count;
}

static bool is_for_inference(void *model, int32_t tensor)
{
    return lamina_is_for_inference(((const lamina_model *)model)->net, tensor);
}

lamina_tensor_set lamina_tensors_to_read(lamina_model *m, bool states)
{
    const lamina_net *net = m->net;
    return (lamina_tensor_set){.owner = net->name,
                               .tensors = net->tensors,
                               .count = net->tensor_count,
                               .required = states ? NULL : is_parameter,
                               .get = get,
                               .set = set,
                               .user = m};
}

lamina_tensor_set lamina_tensors_to_match(lamina_model *m)
{
    lamina_tensor_set all = lamina_tensors_to_read(m, false);
    all.counts = is_for_inference;
    all.required = NULL;
    return all;
}

lamina_tensor_set lamina_tensors_to_write(lamina_model *m)
{
    lamina_tensor_set all = lamina_tensors_to_read(m, false);
    all.written = is_for_inference;
    return all;
}

const char *lamina_missing_statistic(const lamina_model *m, int32_t i)
{
    for (int32_t t = 0; m && t < m->net->tensor_count; t++)
        if (m->missing[t] && i-- == 0)
            return m->net->tensors[t].name;
    return NULL;
}
