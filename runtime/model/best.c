/* runtime/model/best.c - the weights of the best epoch so far, kept beside the model's: what inference reads,
 * parameters and running statistics, plain and row-major. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/model.h"
#include <string.h>

bool lamina_is_for_inference(const lamina_net *net, int32_t tensor)
{
    return tensor < net->param_count || lamina_is_statistic(net, tensor);
}

static bool is_seen(const lamina_seen *s)
{
    return s->epoch > 0 || s->wait > 0;
}

bool lamina_watch_has_seen(const lamina_watch *w)
{
    return is_seen(&w->seen.stop) || is_seen(&w->seen.plateau) || w->seen.cooldown > 0 || w->seen.reduced > 0;
}

lamina_tensor lamina_watch_row(const char *name, int64_t watches)
{
    return (lamina_tensor){.name = name,
                           .kind = LAMINA_TENSOR_STATE,
                           .dtype = LAMINA_F64,
                           .rank = 2,
                           .batch_dim = -1,
                           .dim = {watches, LAMINA_WATCH_NUMBERS},
                           .bytes = (uint64_t)watches * sizeof(lamina_watch_seen)};
}

static void drop(lamina_watch *w, int32_t tensors)
{
    for (int32_t i = 0; w->best && i < tensors; i++)
        lamina_release(w->best[i]);
    lamina_release(w->best);
    w->best = NULL;
    w->bytes = 0;
    w->kept = w->exchanged = false;
}

void lamina_watch_free(lamina_watch *w, const lamina_net *net)
{
    drop(w, net->tensor_count);
    w->seen = (lamina_watch_seen){0};
}

void lamina_watch_forget(lamina_model *m)
{
    m->bytes -= m->watch.bytes;
    lamina_watch_free(&m->watch, m->net);
}

void lamina_watch_settle(lamina_model *m)
{
    if (!m->watch.exchanged)
        return;
    m->bytes -= m->watch.bytes;
    drop(&m->watch, m->net->tensor_count);
}

void lamina_watch_take(lamina_model *m, lamina_watch *from)
{
    lamina_watch_forget(m);
    m->watch = *from;
    m->bytes += from->bytes;
    *from = (lamina_watch){0};
}

void lamina_watch_give(lamina_model *m, lamina_watch *to)
{
    lamina_watch_free(to, m->net);
    *to = m->watch;
    m->bytes -= to->bytes;
    m->watch = (lamina_watch){0};
}

lamina_status lamina_watch_reserve(lamina_watch *w, const lamina_net *net, lamina_error *e)
{
    uint64_t bytes = 0;
    if (w->best)
        return LAMINA_OK;
    w->best = lamina_allocate((size_t)net->tensor_count, sizeof *w->best);
    bool ok = w->best;
    for (int32_t i = 0; ok && i < net->tensor_count; i++)
        if (lamina_is_for_inference(net, i)) {
            w->best[i] = lamina_allocate(1, net->tensors[i].bytes);
            ok = w->best[i];
            bytes += net->tensors[i].bytes;
        }
    w->bytes = bytes;
    if (ok)
        return LAMINA_OK;
    drop(w, net->tensor_count);
    return lamina_fail_memory(e, "the best weights", bytes);
}

lamina_status lamina_best_reserve(lamina_model *m, lamina_error *e)
{
    m->bytes -= m->watch.bytes;
    lamina_status s = lamina_watch_reserve(&m->watch, m->net, e);
    m->bytes += m->watch.bytes;
    return s;
}

lamina_status lamina_best_keep(lamina_model *m, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < m->net->tensor_count; i++)
        if (m->watch.best[i])
            s = lamina_export(m, i, m->watch.best[i], e);
    m->watch.kept = !s;
    return s;
}

lamina_status lamina_best_exchange(lamina_model *m, lamina_error *e)
{
    size_t largest = lamina_largest_tensor(m->net);
    void *other = lamina_allocate(1, largest);
    if (!other)
        return lamina_fail_memory(e, m->net->name, largest);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < m->net->tensor_count; i++) {
        void *best = m->watch.best[i];
        if (!best || (s = lamina_export(m, i, other, e)) || (s = lamina_import(m, i, best, e)))
            continue;
        memcpy(best, other, m->net->tensors[i].bytes);
    }
    lamina_release(other);
    m->watch.exchanged = !m->watch.exchanged;
    return s;
}
