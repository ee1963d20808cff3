/* runtime/training/stages_tensors.c - parameters and states of all stages, plain and by name.
 *
 * Networks of one description call a layer's tensors alike wherever the layer stands, so what one stage has learned the
 * next network finds by name. States of training (moments, step counters, metric sums) are each stage's own, and so is
 * all that a teacher has. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/model.h"
#include "runtime/training/stages.h"
#include <string.h>

static bool is_of_training(const lamina_net *net, int32_t tensor)
{
    return tensor >= net->param_count && !lamina_is_statistic(net, tensor);
}

int32_t lamina_stages_shared(const lamina_stages *s, const char *name)
{
    for (int32_t i = 0; i < s->shared_count; i++)
        if (strcmp(s->rows[i].name, name) == 0)
            return i;
    return -1;
}

/* The part that has a shared row first. */
static const char *name_of_first(const lamina_stages *s, int32_t row)
{
    for (int32_t p = 0; p < s->count; p++)
        for (int32_t i = 0; i < s->parts[p].o.net->tensor_count; i++)
            if (s->parts[p].row[i] == row)
                return s->parts[p].o.name;
    return s->parts[s->count].o.name;
}

/* "stage/tensor", to be released. */
static char *own_name(const lamina_part *p, const lamina_tensor *t)
{
    size_t n = strlen(p->o.name) + strlen(t->name) + 2;
    char *name = lamina_allocate(n, 1);
    if (name)
        snprintf(name, n, "%s/%s", p->o.name, t->name);
    return name;
}

static lamina_status check_shared(const lamina_stages *s, const lamina_part *p, const lamina_tensor *t, int32_t row,
                                  lamina_error *e)
{
    char want[128], found[128];
    const lamina_tensor *first = &s->rows[row];
    if (lamina_same_type(t, first))
        return LAMINA_OK;
    lamina_shape_text(first->dtype, first->rank, first->dim, -1, want, sizeof want);
    lamina_shape_text(t->dtype, t->rank, t->dim, -1, found, sizeof found);
    return lamina_fail(e, LAMINA_BAD_ARG, "stage '%s': tensor '%s': expected %s as in stage '%s', found %s", p->o.name,
                       t->name, want, name_of_first(s, row), found);
}

/* A row that has a value from the beginning: of a layer. */
static lamina_status new_shared(lamina_stages *s, const lamina_part *p, const lamina_tensor *t, lamina_error *e)
{
    int32_t row = s->shared_count++;
    s->rows[row] = *t;
    s->values[row] = lamina_allocate(1, t->bytes);
    if (p->o.teacher)
        s->rows[row].name = s->names[row] = own_name(p, t);
    if (!s->values[row] || !s->rows[row].name)
        return lamina_fail_memory(e, t->name, t->bytes);
    lamina_stages_hold(s, t->bytes);
    return LAMINA_OK;
}

static lamina_status add_shared(lamina_stages *s, lamina_part *p, int32_t tensor, lamina_error *e)
{
    const lamina_tensor *t = &p->o.net->tensors[tensor];
    int32_t row = p->o.teacher ? -1 : lamina_stages_shared(s, t->name);
    p->row[tensor] = row >= 0 ? row : s->shared_count;
    return row >= 0 ? check_shared(s, p, t, row, e) : new_shared(s, p, t, e);
}

static lamina_status add_own(lamina_stages *s, lamina_part *p, int32_t tensor, lamina_error *e)
{
    const lamina_tensor *t = &p->o.net->tensors[tensor];
    char *name = own_name(p, t);
    if (!name)
        return lamina_fail_memory(e, t->name, strlen(t->name));
    s->names[s->row_count] = name;
    s->rows[s->row_count] = *t;
    s->rows[s->row_count].name = name;
    p->row[tensor] = s->row_count++;
    return LAMINA_OK;
}

static lamina_status add_rows_of(lamina_stages *s, lamina_part *p, bool own, lamina_error *e)
{
    lamina_status status = LAMINA_OK;
    for (int32_t i = 0; !status && i < p->o.net->tensor_count; i++)
        if (is_of_training(p->o.net, i) == own)
            status = own ? add_own(s, p, i, e) : add_shared(s, p, i, e);
    return status;
}

lamina_status lamina_stages_add_rows(lamina_stages *s, lamina_error *e)
{
    size_t most = 0;
    for (int32_t p = 0; p <= s->count; p++) {
        size_t tensors = (size_t)s->parts[p].o.net->tensor_count;
        most += tensors;
        s->parts[p].row = lamina_allocate(tensors, sizeof *s->parts[p].row);
        if (!s->parts[p].row)
            return lamina_fail_memory(e, s->parts[p].o.name, tensors * sizeof *s->parts[p].row);
        for (size_t i = 0; i < tensors; i++)
            s->parts[p].row[i] = -1;
    }
    s->rows = lamina_allocate(most, sizeof *s->rows);
    s->names = lamina_allocate(most, sizeof *s->names);
    s->values = lamina_allocate(most, sizeof *s->values);
    if (!s->rows || !s->names || !s->values)
        return lamina_fail_memory(e, "the stages' tensors", most * sizeof *s->rows);
    lamina_status status = LAMINA_OK;
    for (int32_t p = 0; !status && p <= s->count; p++)
        status = add_rows_of(s, &s->parts[p], false, e);
    s->row_count = s->shared_count;
    for (int32_t p = 0; !status && p <= s->count; p++)
        status = add_rows_of(s, &s->parts[p], true, e);
    return status;
}

void lamina_stages_free_rows(lamina_stages *s)
{
    for (int32_t i = 0; s->values && i < (s->row_count > s->shared_count ? s->row_count : s->shared_count); i++) {
        lamina_release(s->values[i]);
        lamina_release(s->names[i]);
    }
    lamina_release(s->rows);
    lamina_release(s->names);
    lamina_release(s->values);
}

void lamina_stages_hold(lamina_stages *s, size_t bytes)
{
    s->bytes += bytes;
    s->peak = s->bytes > s->peak ? s->bytes : s->peak;
}

/* ---- models ---- */

static lamina_status import_rows(lamina_stages *s, const lamina_part *p, lamina_model *m, lamina_error *e)
{
    lamina_status status = LAMINA_OK;
    for (int32_t i = 0; !status && i < p->o.net->tensor_count; i++)
        if (p->row[i] >= 0 && s->values[p->row[i]] && lamina_model_holds(m, i))
            status = lamina_import(m, i, s->values[p->row[i]], e);
    return status;
}

lamina_status lamina_part_open(lamina_stages *s, int32_t part, bool inference, lamina_model **out, lamina_error *e)
{
    const lamina_part *p = &s->parts[part];
    lamina_options options = s->options;
    options.inference = inference;
    lamina_status status = lamina_model_new(p->o.net, &options, out, e);
    if (status)
        return status;
    lamina_stages_hold(s, lamina_model_bytes(*out));
    status = lamina_initialize_from(*out, p->o.net->param_count, s->seed, e);
    if (!status)
        status = import_rows(s, p, *out, e);
    (*out)->steps = p->steps;
    if (!status)
        return LAMINA_OK;
    lamina_part_close(s, *out);
    *out = NULL;
    return status;
}

void lamina_part_close(lamina_stages *s, lamina_model *m)
{
    s->bytes -= m ? lamina_model_bytes(m) : 0;
    lamina_model_free(m);
}

static lamina_status add_value(lamina_stages *s, int32_t row, lamina_error *e)
{
    if (s->values[row])
        return LAMINA_OK;
    s->values[row] = lamina_allocate(1, s->rows[row].bytes);
    if (!s->values[row])
        return lamina_fail_memory(e, s->rows[row].name, s->rows[row].bytes);
    lamina_stages_hold(s, s->rows[row].bytes);
    return LAMINA_OK;
}

lamina_status lamina_part_show(lamina_stages *s, lamina_error *e)
{
    const lamina_part *p = s->running >= 0 ? &s->parts[s->running] : NULL;
    lamina_status status = LAMINA_OK;
    for (int32_t i = 0; !status && p && i < p->o.net->tensor_count; i++)
        if (p->row[i] < s->shared_count)
            status = lamina_export(s->model, i, s->values[p->row[i]], e);
    return status;
}

lamina_status lamina_part_finish(lamina_stages *s, bool needed, lamina_error *e)
{
    if (s->running < 0)
        return LAMINA_OK;
    lamina_part *p = &s->parts[s->running];
    lamina_status status = LAMINA_OK;
    for (int32_t i = 0; !status && i < p->o.net->tensor_count; i++) {
        int32_t row = p->row[i];
        if (row >= s->shared_count && !needed)
            continue;
        if (!(status = add_value(s, row, e)))
            status = lamina_export(s->model, i, s->values[row], e);
    }
    if (status)
        return status;
    p->steps = lamina_steps(s->model);
    if (needed)
        lamina_watch_give(s->model, &p->watch);
    if (!needed)
        lamina_part_forget(s, s->running);
    lamina_part_close(s, s->model);
    s->model = NULL;
    s->running = -1;
    return LAMINA_OK;
}

void lamina_part_forget(lamina_stages *s, int32_t part)
{
    lamina_part *p = &s->parts[part];
    p->steps = 0; /* as the states count them */
    s->bytes -= p->watch.bytes;
    lamina_watch_free(&p->watch, p->o.net);
    for (int32_t i = 0; i < p->o.net->tensor_count; i++) {
        int32_t row = p->row[i];
        if (row < s->shared_count || !s->values[row])
            continue;
        lamina_release(s->values[row]);
        s->values[row] = NULL;
        s->bytes -= s->rows[row].bytes;
    }
}
