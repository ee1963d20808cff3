/* frontend/command/data.c - the data sets of a YAML network, read for its compiled form. A fault names the file and
 * then the YAML line that led there. */
#include "frontend/command/data.h"

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
