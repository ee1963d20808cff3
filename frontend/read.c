/* frontend/read.c - a YAML file to the description of a network: its sections in order. */
#include "frontend/staging/staging.h"
#include <errno.h>
#include <string.h>

static fe_network *read_whole(fe_reader *r, const fe_yaml *root, const char *path)
{
    fe_begin_file(r, path);
    const fe_staging *s = fe_read_sections(r, root, path);
    if (s)
        fe_warn(r, s->whole);
    return s ? s->whole : NULL;
}

fe_network *fe_read_text(const char *content, size_t length, const char *path, arena *mem, diag *d)
{
    fe_reader r = {mem, d, &fe_activations, &fe_initializers, NULL};
    const char *file = arena_strdup(mem, path);
    fe_network *n = NULL;
    diag_source(d, file, content);
    fe_yaml *root = fe_yaml_parse(content, length, file, mem, d);
    if (root && fe_expect_kind(&r, root, "network", FE_MAP, "a mapping of sections"))
        n = read_whole(&r, root, file);
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
