/* runtime/files/tensors.c - a model's tensors as files hold them: as in the descriptor, parameters, then states. */
#include "runtime/files/safetensors.h"
#include "runtime/model/model.h"
#include <string.h>

/* Where a net averages its parameters, inference reads "average/NAME" in place of parameter NAME. */
static const char average_prefix[] = "average/";

/* The number of a parameter's average, or -1. */
static int32_t average_of(const lamina_net *net, int32_t tensor)
{
    for (int32_t i = net->param_count; tensor < net->param_count && i < net->tensor_count; i++) {
        const char *name = net->tensors[i].name;
        size_t length = sizeof average_prefix - 1;
        if (!strncmp(name, average_prefix, length) && !strcmp(name + length, net->tensors[tensor].name))
            return i;
    }
    return -1;
}

static bool is_average(const lamina_net *net, int32_t tensor)
{
    return tensor >= net->param_count && !strncmp(net->tensors[tensor].name, average_prefix, sizeof average_prefix - 1);
}

/* What inference reads as a parameter. */
static lamina_status get(void *model, int32_t tensor, void *plain, lamina_error *e)
{
    int32_t average = average_of(((const lamina_model *)model)->net, tensor);
    return lamina_export(model, average < 0 ? tensor : average, plain, e);
}

static lamina_status set_one(lamina_model *m, int32_t tensor, const void *plain, lamina_error *e)
{
    m->missing[tensor] = false;
    return lamina_model_holds(m, tensor) ? lamina_import(m, tensor, plain, e) : LAMINA_OK;
}

/* A model for inference passes over what only training uses. A file with averages of its own has them behind. */
static lamina_status set(void *model, int32_t tensor, const void *plain, lamina_error *e)
{
    lamina_model *m = model;
    int32_t average = average_of(m->net, tensor);
    lamina_status s = set_one(m, tensor, plain, e);
    return s || average < 0 ? s : set_one(m, average, plain, e);
}

static bool is_parameter(void *model, int32_t tensor)
{
    const lamina_model *m = model;
    return tensor < m->net->param_count;
}

static bool is_for_inference(void *model, int32_t tensor)
{
    const lamina_net *net = ((const lamina_model *)model)->net;
    return lamina_is_for_inference(net, tensor) && !is_average(net, tensor);
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
