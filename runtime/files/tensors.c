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
    return lamina_model_holds(model, tensor) ? lamina_import(model, tensor, plain, e) : LAMINA_OK;
}

lamina_tensor_set lamina_tensors_to_read(lamina_model *m, bool states)
{
    const lamina_net *net = m->net;
    return (lamina_tensor_set){.owner = net->name,
                               .tensors = net->tensors,
                               .count = net->tensor_count,
                               .required = states ? net->tensor_count : net->param_count,
                               .get = get,
                               .set = set,
                               .user = m};
}

lamina_tensor_set lamina_tensors_to_write(lamina_model *m, bool states)
{
    lamina_tensor_set all = lamina_tensors_to_read(m, states);
    all.count = all.required;
    return all;
}
