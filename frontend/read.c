/* frontend/read.c - a YAML file to the description of a network: its sections in order. */
#include "frontend/staging/staging.h"
#include <errno.h>
#include <string.h>

/* NULL after an error. That an input is read by nothing, and warnings, are for networks without one. */
static fe_network *read_sections(fe_reader *r, const fe_yaml *root, const char *path)
{
    fe_network *n = fe_read_network(r, root, path), *whole = NULL;
    bool ok = !fe_enough(r) && fe_read_data(r, n, root);
    ok &= !fe_enough(r) && fe_read_train(r, n, root);
    if (!fe_enough(r))
        whole = fe_read_staging(r, n, root);
    if (diag_errors(r->d))
        return NULL;
    if (!ok || !whole)
        ir_bug("a network was refused without an error");
    if (!fe_check_inputs_read(r, n))
        return NULL;
    fe_warn(r, whole);
    return whole;
}

fe_network *fe_read_text(const char *content, size_t length, const char *path, arena *mem, diag *d)
{
    fe_reader r = {mem, d, &fe_activations, &fe_initializers};
    const char *file = arena_strdup(mem, path);
    fe_network *n = NULL;
    diag_source(d, file, content);
    fe_yaml *root = fe_yaml_parse(content, length, file, mem, d);
    if (root && fe_expect_kind(&r, root, "network", FE_MAP, "a mapping of sections"))
        n = read_sections(&r, root, file);
    bool enough = fe_enough(&r);
    diag_arrange(d, FE_MOST_ERRORS);
    if (enough)
        diag_note(d, (src_loc){file, 0, 0}, "reading ends after %d errors", FE_MOST_ERRORS);
    return n;
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
