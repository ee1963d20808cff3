/* runtime/model/copy.c - tensors from model to model by name: between a whole network and its stages. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/data.h"
#include "runtime/model/model.h"
#include <string.h>

/* The number in 'from' of a tensor of 'to', or -1 where one of them does not hold it. */
static int32_t counterpart(const lamina_model *to, const lamina_model *from, int32_t tensor)
{
    int32_t i = lamina_net_tensor(from->net, to->net->tensors[tensor].name);
    return i >= 0 && lamina_model_holds(to, tensor) && lamina_model_holds(from, i) ? i : -1;
}

/* Nothing is copied unless all can be. */
static lamina_status check_types(const lamina_model *to, const lamina_model *from, lamina_error *e)
{
    for (int32_t i = 0; i < to->net->tensor_count; i++) {
        int32_t k = counterpart(to, from, i);
        const lamina_tensor *a = &to->net->tensors[i], *b = k < 0 ? a : &from->net->tensors[k];
        if (lamina_same_type(a, b))
            continue;
        char want[128], found[128];
        lamina_shape_text(a->dtype, a->rank, a->dim, -1, want, sizeof want);
        lamina_shape_text(b->dtype, b->rank, b->dim, -1, found, sizeof found);
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: tensor '%s': expected %s, found %s in %s", to->net->name, a->name,
                           want, found, from->net->name);
    }
    return LAMINA_OK;
}

lamina_status lamina_copy_tensors(lamina_model *to, lamina_model *from, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_copy_tensors", "to from", to, from);
    if (s || (s = check_types(to, from, e)))
        return s;
    size_t bytes = lamina_largest_tensor(to->net);
    void *plain = lamina_allocate(1, bytes);
    if (!plain)
        return lamina_fail_memory(e, to->net->name, bytes);
    for (int32_t i = 0; !s && i < to->net->tensor_count; i++) {
        int32_t k = counterpart(to, from, i);
        if (k >= 0 && !(s = lamina_export(from, k, plain, e)))
            s = lamina_import(to, i, plain, e);
    }
    lamina_release(plain);
    to->steps = s ? to->steps : from->steps;
    return s;
}
