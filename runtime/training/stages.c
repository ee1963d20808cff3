/* runtime/training/stages.c - stages that learn on their own: their networks, and which reads what of whom.
 *
 * A stage is an ordinary compiled network; what makes several of them one hierarchy are names. An input of a stage that
 * is called as an output of an earlier stage is that output, any other is a field of the data. */
#include "runtime/training/stages.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/files/matching.h"
#include "runtime/model/model.h"
#include <inttypes.h>
#include <string.h>

/* ---- life ---- */

void lamina_stages_drop_lent(lamina_stages *s)
{
    for (int32_t i = 0; s->lent && i <= s->count; i++) {
        lamina_part_close(s, s->lent[i]);
        s->lent[i] = NULL;
    }
}

void lamina_stages_stop(lamina_stages *s)
{
    lamina_stages_drop_lent(s);
    lamina_part_close(s, s->model);
    s->model = NULL;
    s->running = -1;
}

static void free_part(lamina_part *p)
{
    if (p->o.net)
        lamina_watch_free(&p->watch, p->o.net);
    lamina_release(p->maker);
    lamina_release(p->output);
    lamina_release(p->row);
    lamina_release(p->wanted);
    lamina_release(p->scored);
    lamina_release(p->values);
    *p = (lamina_part){0};
}

void lamina_stages_free(lamina_stages *s)
{
    if (!s)
        return;
    lamina_stages_stop(s);
    lamina_stages_free_rows(s);
    for (int32_t i = 0; s->parts && i <= s->count + 1; i++)
        free_part(&s->parts[i]);
    lamina_scores_free(s);
    lamina_release(s->parts);
    lamina_release(s->field_rows);
    lamina_release(s->marked);
    lamina_release(s->lent);
    lamina_release(s);
}

static lamina_status new_part(lamina_part *p, const lamina_stage_options *o, lamina_error *e)
{
    size_t inputs = (size_t)o->net->input_count, outputs = (size_t)o->net->output_count;
    p->o = *o;
    p->o.frozen |= o->teacher;
    p->maker = lamina_allocate(inputs, sizeof *p->maker);
    p->output = lamina_allocate(inputs, sizeof *p->output);
    p->wanted = lamina_allocate(outputs, sizeof *p->wanted);
    p->scored = lamina_allocate(outputs, sizeof *p->scored);
    p->values = lamina_allocate((size_t)o->net->metric_count, sizeof *p->values);
    if (!p->maker || !p->output || !p->wanted || !p->scored || !p->values)
        return lamina_fail_memory(e, o->name, 2 * inputs * sizeof *p->maker + 2 * outputs);
    return LAMINA_OK;
}

static lamina_status add_parts(lamina_stages *s, const lamina_net *whole, const lamina_stage_options *stages,
                               lamina_error *e)
{
    const lamina_stage_options last = {.name = whole->name, .net = whole};
    size_t parts = (size_t)s->count + 1, inputs = 0;
    for (size_t i = 0; i < parts; i++)
        inputs += (size_t)(i < parts - 1 ? stages[i].net : whole)->input_count;
    s->parts = lamina_allocate(parts + 1, sizeof *s->parts); /* and a place for what measures combinations */
    s->lent = lamina_allocate(parts, sizeof *s->lent);
    s->marked = lamina_allocate(parts, sizeof *s->marked);
    s->field_rows = lamina_allocate(inputs, sizeof *s->field_rows);
    if (!s->parts || !s->lent || !s->marked || !s->field_rows)
        return lamina_fail_memory(e, "the stages", parts * sizeof *s->parts + inputs * sizeof *s->field_rows);
    lamina_status status = LAMINA_OK;
    for (size_t i = 0; !status && i < parts; i++)
        status = new_part(&s->parts[i], i < parts - 1 ? &stages[i] : &last, e);
    return status;
}

/* ---- what reads what ---- */

static lamina_status fail_types(const lamina_part *p, const lamina_tensor *want, const lamina_tensor *has,
                                const char *whose, lamina_error *e)
{
    char wanted[128], found[128];
    lamina_shape_text(want->dtype, want->rank, want->dim, want->batch_dim, wanted, sizeof wanted);
    lamina_shape_text(has->dtype, has->rank, has->dim, has->batch_dim, found, sizeof found);
    return lamina_fail(e, LAMINA_BAD_ARG, "stage '%s': input '%s': expected %s, found that of stage '%s', which is %s",
                       p->o.name, want->name, wanted, whose, found);
}

/* The stage's output that others know under this name, or -1. A teacher's begin with its own name. */
static int32_t find_output(const lamina_part *maker, const char *name)
{
    size_t n = strlen(maker->o.name);
    if (!maker->o.teacher)
        return lamina_net_output(maker->o.net, name);
    return strncmp(name, maker->o.name, n) == 0 && name[n] == '_' ? lamina_net_output(maker->o.net, name + n + 1) : -1;
}

static lamina_status link_input(lamina_stages *s, int32_t part, int32_t input, lamina_error *e)
{
    lamina_part *p = &s->parts[part];
    const lamina_tensor *want = &p->o.net->inputs[input];
    int32_t makers = part == s->count ? 0 : part < s->count ? part : s->count; /* the whole makes all itself */
    p->maker[input] = LAMINA_FROM_DATA;
    for (int32_t i = 0; !p->o.teacher && i < makers; i++) {
        lamina_part *maker = &s->parts[i];
        int32_t output = find_output(maker, want->name);
        if (output < 0)
            continue;
        if (p->maker[input] >= 0)
            return lamina_fail(e, LAMINA_BAD_ARG,
                               "stage '%s': input '%s': expected one earlier stage that has such an "
                               "output, found '%s' and '%s'",
                               p->o.name, want->name, s->parts[p->maker[input]].o.name, maker->o.name);
        if (!lamina_same_type(want, &maker->o.net->outputs[output]))
            return fail_types(p, want, &maker->o.net->outputs[output], maker->o.name, e);
        p->maker[input] = i;
        p->output[input] = output;
        (part < s->count ? maker->wanted : maker->scored)[output] = true;
    }
    return LAMINA_OK;
}

void lamina_stages_mark(lamina_stages *s, int32_t stage)
{
    memset(s->marked, 0, ((size_t)s->count + 1) * sizeof *s->marked);
    s->marked[stage] = s->marked[s->count] = true;
    for (int32_t i = stage == s->count ? 0 : stage + 1; i < s->count; i++) {
        s->marked[i] = stage == s->count; /* the whole has parameters of all */
        for (int32_t k = 0; k < s->parts[i].o.net->input_count; k++)
            if (s->parts[i].maker[k] >= 0 && s->marked[s->parts[i].maker[k]])
                s->marked[i] = true;
    }
}

/* The part that reads a field first. */
static const char *first_reader(const lamina_stages *s, const char *field)
{
    int32_t i = 0;
    while (i < s->count && (s->parts[i].o.train || lamina_net_input(s->parts[i].o.net, field) < 0))
        i++;
    return s->parts[i].o.name;
}

static lamina_status add_field(lamina_stages *s, const lamina_part *p, const lamina_tensor *input, lamina_error *e)
{
    int32_t field = lamina_net_input(&s->fields, input->name);
    if (field < 0)
        s->field_rows[s->fields.input_count++] = *input;
    else if (!lamina_same_type(input, &s->field_rows[field]))
        return fail_types(p, input, &s->field_rows[field], first_reader(s, input->name), e);
    return LAMINA_OK;
}

static lamina_status link_parts(lamina_stages *s, lamina_error *e)
{
    lamina_status status = LAMINA_OK;
    s->fields.name = s->parts[s->count].o.name;
    s->fields.inputs = s->field_rows;
    for (int32_t part = 0; !status && part <= s->count; part++) {
        const lamina_part *p = &s->parts[part];
        for (int32_t i = 0; !status && i < p->o.net->input_count; i++) {
            status = link_input(s, part, i, e);
            if (!status && p->maker[i] < 0 && !p->o.train)
                status = add_field(s, p, &p->o.net->inputs[i], e);
        }
    }
    return status;
}

/* ---- new ---- */

static lamina_status check_stage(const lamina_stage_options *stages, int32_t i, lamina_error *e)
{
    const lamina_stage_options *o = &stages[i];
    if (!o->name || !*o->name)
        return lamina_fail(e, LAMINA_BAD_ARG, "stage %" PRId32 ": expected a name, found none", i + 1);
    for (int32_t k = 0; k < i; k++)
        if (strcmp(stages[k].name, o->name) == 0)
            return lamina_fail(e, LAMINA_BAD_ARG, "stages %" PRId32 " and %" PRId32 ": expected two names, found '%s'",
                               k + 1, i + 1, o->name);
    if (!(o->learning_rate >= 0))
        return lamina_fail(e, LAMINA_BAD_ARG, "stage '%s': learning_rate: expected 0 or more, found %g", o->name,
                           (double)o->learning_rate);
    if (o->teacher && !o->weights)
        return lamina_fail(e, LAMINA_BAD_ARG, "stage '%s': expected a weights file, which a teacher needs, found none",
                           o->name);
    return lamina_net_check(o->net, e);
}

lamina_status lamina_stages_new(const lamina_net *whole, const lamina_stage_options *stages, int32_t count,
                                const lamina_options *options, lamina_stages **out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_new", "out stages", out, stages);
    if (status)
        return status;
    *out = NULL;
    if (count < 1)
        return lamina_fail(e, LAMINA_BAD_ARG, "stages: expected 1 or more, found %" PRId32, count);
    if (options && options->inference)
        return lamina_fail(e, LAMINA_BAD_ARG, "stages: expected models that train, found options for inference only");
    status = lamina_net_check(whole, e);
    for (int32_t i = 0; !status && i < count; i++)
        status = check_stage(stages, i, e);
    if (status)
        return status;
    lamina_stages *s = lamina_allocate(1, sizeof *s);
    if (!s)
        return lamina_fail_memory(e, whole->name, sizeof *s);
    s->count = count;
    s->running = -1;
    if (options)
        s->options = *options;
    if (!(status = add_parts(s, whole, stages, e)) && !(status = link_parts(s, e)))
        status = lamina_stages_add_rows(s, e);
    if (status)
        lamina_stages_free(s);
    else
        *out = s;
    return status;
}

/* ---- what measures combinations ---- */

/* Its fields are those of the others. */
static lamina_status link_score_inputs(lamina_stages *s, const lamina_part *p, lamina_error *e)
{
    const lamina_net *net = p->o.net;
    lamina_status status = LAMINA_OK;
    for (int32_t i = 0; !status && i < net->input_count; i++) {
        status = link_input(s, s->count + 1, i, e);
        if (!status && p->maker[i] < 0 && lamina_net_input(&s->fields, net->inputs[i].name) < 0)
            status = lamina_fail(e, LAMINA_BAD_ARG,
                                 "%s: input '%s': expected an output of a stage or a field of the data, found neither",
                                 net->name, net->inputs[i].name);
    }
    return status;
}

/* And so are its parameters. */
static lamina_status link_score_tensors(lamina_stages *s, lamina_part *p, lamina_error *e)
{
    const lamina_net *net = p->o.net;
    p->row = lamina_allocate((size_t)net->tensor_count, sizeof *p->row);
    if (!p->row)
        return lamina_fail_memory(e, net->name, (size_t)net->tensor_count * sizeof *p->row);
    for (int32_t i = 0; i < net->tensor_count; i++) {
        int32_t row = p->row[i] = lamina_stages_shared(s, net->tensors[i].name);
        if (i < net->param_count && (row < 0 || !lamina_same_type(&net->tensors[i], &s->rows[row])))
            return lamina_fail(e, LAMINA_BAD_ARG,
                               "%s: tensor '%s': expected one that a stage or the whole has, found %s", net->name,
                               net->tensors[i].name, row < 0 ? "none" : "one of another type");
    }
    return LAMINA_OK;
}

lamina_status lamina_stages_set_scores(lamina_stages *s, const lamina_net *net, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_set_scores", "s", s);
    if (!status)
        status = lamina_net_check(net, e);
    if (status)
        return status;
    if (!net->evaluate)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: expected a network with losses, found none", net->name);
    lamina_part *p = &s->parts[s->count + 1];
    lamina_scores_free(s);
    free_part(p);
    for (int32_t i = 0; i < s->count; i++)
        memset(s->parts[i].scored, 0, (size_t)s->parts[i].o.net->output_count * sizeof *s->parts[i].scored);
    status = new_part(p, &(lamina_stage_options){.name = net->name, .net = net}, e);
    if (!status && !(status = link_score_inputs(s, p, e)))
        status = link_score_tensors(s, p, e);
    if (status)
        free_part(p);
    return status;
}

/* ---- values ---- */

typedef struct {
    lamina_stages *s;
    const lamina_part *part;
} loading;

/* Of a checkpoint the states of training are left: the stage begins anew. */
static lamina_status take_value(void *user, int32_t tensor, const void *plain, lamina_error *e)
{
    const loading *l = user;
    int32_t row = l->part->row[tensor];
    (void)e;
    if (row < l->s->shared_count)
        memcpy(l->s->values[row], plain, l->s->rows[row].bytes);
    return LAMINA_OK;
}

/* What never learns must have all that its inference reads. */
static bool is_required(void *user, int32_t tensor)
{
    const loading *l = user;
    const lamina_net *net = l->part->o.net;
    return l->part->o.frozen && (tensor < net->param_count || lamina_is_statistic(net, tensor));
}

static lamina_status load_weights(lamina_stages *s, const lamina_part *p, lamina_error *e)
{
    const lamina_net *net = p->o.net;
    loading l = {s, p};
    const lamina_tensor_set set = {.owner = net->name,
                                   .tensors = net->tensors,
                                   .count = net->tensor_count,
                                   .some = true,
                                   .required = is_required,
                                   .set = take_value,
                                   .user = &l};
    return lamina_safetensors_read(&set, p->o.weights, NULL, 0, NULL, NULL, e);
}

lamina_status lamina_stages_initialize(lamina_stages *s, uint64_t seed, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_initialize", "s", s);
    if (status)
        return status;
    lamina_stages_stop(s);
    s->seed = seed;
    for (int32_t i = 0; i < s->shared_count; i++)
        lamina_initial_values(&s->rows[i], seed, s->values[i]);
    for (int32_t i = 0; i <= s->count; i++) {
        lamina_part_forget(s, i);
        s->parts[i].print = 0;
    }
    for (int32_t i = 0; !status && i < s->count; i++)
        if (s->parts[i].o.weights)
            status = load_weights(s, &s->parts[i], e);
    return status;
}

/* ---- transfer ---- */

static lamina_status take_row(void *user, int32_t row, const void *plain, lamina_error *e)
{
    lamina_stages *s = user;
    (void)e;
    memcpy(s->values[row], plain, s->rows[row].bytes);
    return LAMINA_OK;
}

static bool is_of_inference(void *user, int32_t tensor)
{
    const loading *l = user;
    const lamina_net *net = l->part->o.net;
    return l->part->row[tensor] < l->s->shared_count && (tensor < net->param_count || lamina_is_statistic(net, tensor));
}

static int32_t find_part(const lamina_stages *s, const char *name)
{
    int32_t i = 0;
    while (name && i < s->count && strcmp(s->parts[i].o.name, name) != 0)
        i++;
    return name ? i : s->count;
}

lamina_status lamina_stages_load_matching(lamina_stages *s, const char *stage, const char *path,
                                          const lamina_match_options *o, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_load_matching", "s path", s, path);
    if (status)
        return status;
    const lamina_part *p = &s->parts[find_part(s, stage)];
    if (stage && p == &s->parts[s->count])
        return lamina_fail(e, LAMINA_BAD_ARG, "no stage '%s'", stage);
    lamina_stages_stop(s);
    for (int32_t i = 0; i <= s->count; i++)
        s->parts[i].print = 0;
    loading l = {s, p};
    lamina_matching k = {.owner = p->o.net->name, .strict = stage && p->o.frozen, .part = stage};
    lamina_tensor_set set = {.tensors = s->rows, .count = s->shared_count, .set = take_row, .user = s};
    if (stage)
        set = (lamina_tensor_set){.tensors = p->o.net->tensors,
                                  .count = p->o.net->tensor_count,
                                  .counts = is_of_inference,
                                  .set = take_value,
                                  .user = &l};
    return lamina_read_matching(set, path, o, &k, e);
}

/* ---- looking ---- */

const lamina_net *lamina_stages_fields(const lamina_stages *s)
{
    return &s->fields;
}

size_t lamina_stages_bytes(const lamina_stages *s)
{
    return s->peak;
}

uint64_t lamina_stages_fingerprint(const lamina_stages *s, const lamina_dataset *train)
{
    uint64_t print = lamina_dataset_fingerprint(train);
    for (int32_t i = 0; i < s->count; i++)
        if (s->parts[i].o.train)
            print = print * UINT64_C(0x100000001b3) + lamina_dataset_fingerprint(s->parts[i].o.train);
    return print;
}

static bool is_learned(const lamina_stages *s, int32_t row)
{
    for (int32_t p = 0; p < s->count; p++)
        for (int32_t i = 0; i < s->parts[p].o.net->param_count; i++)
            if (s->parts[p].row[i] == row && (!s->parts[p].o.frozen || s->parts[p].o.weights))
                return true;
    return false;
}

const char *lamina_stages_untrained(const lamina_stages *s, int32_t i)
{
    const lamina_part *whole = &s->parts[s->count];
    for (int32_t t = 0; t < whole->o.net->param_count; t++)
        if (!is_learned(s, whole->row[t]) && i-- == 0)
            return whole->o.net->tensors[t].name;
    return NULL;
}

lamina_status lamina_stages_model(lamina_stages *s, const char *name, lamina_model **out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_stages_model", "s out", s, out);
    if (status)
        return status;
    *out = NULL;
    int32_t part = find_part(s, name);
    if (name && part == s->count)
        return lamina_fail(e, LAMINA_BAD_ARG, "no stage '%s'", name);
    status = lamina_part_finish(s, true, e);
    if (!status && !s->lent[part])
        status = lamina_part_open(s, part, false, &s->lent[part], e);
    *out = status ? NULL : s->lent[part];
    return status;
}
