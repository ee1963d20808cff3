/* frontend/command/images.c - the records of folders of pictures. */
#include "runtime/images/images.h"
#include "frontend/command/data.h"
#include <inttypes.h>
#include <string.h>

/* The input that holds this of a picture, if it is compiled here; else NULL. */
static const char *input_of(const fe_data_set *set, const lamina_net *compiled, const char *content)
{
    for (int i = 0; i < set->field_count; i++)
        if (!strcmp(set->fields[i].paths[0], content) && lamina_net_input(compiled, set->fields[i].input) >= 0)
            return set->fields[i].input;
    return NULL;
}

bool cmd_read_images(const fe_data_set *set, const lamina_net *compiled, lamina_dataset *out, diag *d)
{
    static const lamina_resize resize[] = {LAMINA_RESIZE_NONE, LAMINA_RESIZE_BILINEAR, LAMINA_RESIZE_NEAREST};
    const fe_images *i = set->images;
    const lamina_image_options o = {.pixels = input_of(set, compiled, "pixels"),
                                    .label = input_of(set, compiled, "class"),
                                    .by_class = i->by_class,
                                    .classes = i->classes,
                                    .class_count = i->class_count,
                                    .classes_of = i->classes_of,
                                    .resize = resize[i->resize]};
    const char *const *paths = i->files ? i->files : &i->path;
    int64_t skipped;
    lamina_error e;
    if (lamina_dataset_add_images(out, paths, i->files ? i->file_count : 1, &o, &skipped, &e) != LAMINA_OK) {
        diag_error(d, i->at, "%s", e.text);
        return false;
    }
    if (skipped)
        diag_remark(d, i->at, "files passed over, whose names are not those of pictures: %" PRId64, skipped);
    return true;
}
