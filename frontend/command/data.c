/* frontend/command/data.c - the data sets of a YAML network, read for its compiled form. A fault names the file and
 * then the YAML line that led there. */
#include "frontend/command/data.h"
#include <math.h>

bool cmd_library(const char *path, lamina_library **out, diag *d)
{
    lamina_error e;
    if (lamina_library_open(path, out, &e) == LAMINA_OK)
        return true;
    diag_error(d, (src_loc){0}, "%s", e.text);
    return false;
}

bool cmd_dataset(const fe_network *net, const char *which, const lamina_net *compiled, lamina_dataset **out, diag *d)
{
    const fe_data_set *set = fe_data(net, which);
    lamina_error e;
    *out = NULL;
    if (lamina_dataset_new(compiled, out, &e) != LAMINA_OK) {
        diag_error(d, set->loc, "%s", e.text);
        return false;
    }
    for (int i = 0; i < set->field_count; i++) {
        const fe_data_field *f = &set->fields[i];
        int64_t classes = fe_classes(net, f->input);
        if (lamina_dataset_add_idx(*out, f->input, f->path, &e) != LAMINA_OK ||
            (classes && lamina_dataset_check_labels(*out, f->input, classes, &e) != LAMINA_OK)) {
            diag_error(d, f->loc, "%s", e.text);
            lamina_dataset_free(*out);
            *out = NULL;
            return false;
        }
    }
    return true;
}

bool cmd_training_data(const fe_network *net, const lamina_net *compiled, uint64_t seed, lamina_dataset **train,
                       lamina_dataset **validation, diag *d)
{
    const fe_data_set *other = fe_data(net, "validation");
    lamina_error e;
    *validation = NULL;
    if (!cmd_dataset(net, "train", compiled, train, d))
        return false;
    if (!other->present)
        return true;
    if (other->split <= 0)
        return cmd_dataset(net, "validation", compiled, validation, d);
    if (lamina_dataset_split(*train, other->split, seed, validation, &e) == LAMINA_OK)
        return true;
    diag_error(d, (src_loc){0}, "%s", e.text);
    return false;
}

static bool is_finite(lamina_model *m, const lamina_tensor *t, float *values)
{
    if (lamina_get_tensor(m, t->name, values, t->bytes, NULL) != LAMINA_OK)
        return true;
    for (size_t i = 0; i < t->bytes / sizeof *values; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

const char *cmd_not_finite(lamina_model *m)
{
    const lamina_net *net = lamina_model_net(m);
    const char *name = NULL;
    for (int32_t i = 0; !name && i < net->tensor_count; i++) {
        const lamina_tensor *t = &net->tensors[i];
        if (t->dtype != LAMINA_F32 || !lamina_model_holds(m, i))
            continue;
        arena *mem = arena_new(); /* freed at once: a large network has many large tensors */
        if (!is_finite(m, t, arena_new_array(mem, float, t->bytes / sizeof(float))))
            name = t->name;
        arena_free(mem);
    }
    return name;
}
