/* frontend/read.c - a YAML file to the description of a network: its sections in order. */
#include "frontend/staging/staging.h"
#include <errno.h>
#include <string.h>

static fe_network *read_sections(fe_reader *r, const fe_yaml *root, const char *path)
{
    fe_network *n = fe_read_network(r, root, path);
    if (!n || !fe_read_data(r, n, root) || !fe_read_train(r, n, root))
        return NULL;
    fe_network *whole = fe_read_staging(r, n, root);
    if (!whole || !fe_check_inputs_read(r, n))
        return NULL;
    fe_warn(r, whole);
    return whole;
}

fe_network *fe_read_text(const char *content, size_t length, const char *path, arena *mem, diag *d)
{
    fe_reader r = {mem, d, &fe_activations, &fe_initializers};
    const char *file = arena_strdup(mem, path);
    diag_source(d, file, content);
    fe_yaml *root = fe_yaml_parse(content, length, file, mem, d);
    if (!root || !fe_expect_kind(&r, root, "network", FE_MAP, "a mapping of sections"))
        return NULL;
    return read_sections(&r, root, file);
}

fe_network *fe_read(const char *path, arena *mem, diag *d)
{
    text content = {0};
    fe_network *n = NULL;
    if (text_read_file(&content, path))
        n = fe_read_text(text_get(&content), content.length, path, mem, d);
    else
        diag_error(d, (src_loc){arena_strdup(mem, path), 0, 0}, "cannot be read: %s", strerror(errno));
    text_free(&content);
    return n;
}
