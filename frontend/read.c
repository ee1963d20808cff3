/* frontend/read.c - a YAML file to the description of a network: its sections in order. */
#include "frontend/network/changes.h"
#include "frontend/staging/staging.h"
#include <errno.h>
#include <string.h>

static fe_network *read_whole(fe_reader *r, const fe_yaml *root, const char *path)
{
    fe_begin_file(r, path);
    const fe_staging *s = fe_read_sections(r, root, path);
    if (!s || r->is_teacher)
        return s ? s->whole : NULL;
    if (!fe_check_watches(r, s->whole))
        return NULL;
    fe_warn(r, s->whole);
    return s->whole;
}

/* 'changes' as fe_read_changed has them. */
static fe_network *read_content(fe_reader *r, const char *content, size_t length, const char *file,
                                const char *const *changes)
{
    diag_source(r->d, file, content);
    const fe_yaml *root = fe_yaml_parse(content, length, file, r->mem, r->d);
    bool ok = root && fe_expect_kind(r, root, "network", FE_MAP, "a mapping of sections");
    root = ok && changes ? fe_changed(r, root, changes) : root;
    return ok && root ? read_whole(r, root, file) : NULL;
}

fe_network *fe_read_teacher_file(const fe_reader *r, const char *path, src_loc at)
{
    fe_reader own = *r;
    text content = {0};
    fe_network *n = NULL;
    own.is_teacher = true;
    own.files = NULL;
    if (text_read_file(&content, path))
        n = read_content(&own, text_get(&content), content.length, path, NULL);
    else
        diag_error(r->d, at, "%s: cannot be read: %s", path, strerror(errno));
    text_free(&content);
    return n;
}

static fe_network *read_text(const char *content, size_t length, const char *path, const char *const *changes,
                             arena *mem, diag *d)
{
    fe_reader r = {.mem = mem,
                   .d = d,
                   .activations = &fe_activations,
                   .initializers = &fe_initializers,
                   .regularizers = &fe_regularizers,
                   .rates = &fe_rates};
    const char *file = arena_strdup(mem, path);
    fe_network *n = read_content(&r, content, length, file, changes);
    bool enough = fe_enough(&r);
    diag_arrange(d, FE_MOST_ERRORS);
    if (enough)
        diag_note(d, (src_loc){file, 0, 0}, "reading ends after %d errors", FE_MOST_ERRORS);
    return n;
}

fe_network *fe_read_text(const char *content, size_t length, const char *path, arena *mem, diag *d)
{
    return read_text(content, length, path, NULL, mem, d);
}

fe_network *fe_read_changed(const char *path, const char *const *changes, arena *mem, diag *d)
{
    text content = {0};
    fe_network *n = NULL;
    if (text_read_file(&content, path))
        n = read_text(text_get(&content), content.length, path, changes, mem, d);
    else
        diag_error(d, (src_loc){arena_strdup(mem, path), 0, 0}, "cannot be read: %s", strerror(errno));
    text_free(&content);
    return n;
}

fe_network *fe_read(const char *path, arena *mem, diag *d)
{
    return fe_read_changed(path, NULL, mem, d);
}
