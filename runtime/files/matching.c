/* runtime/files/matching.c - transfer: of another network's file those tensors that fit by name and shape. */
#include "runtime/files/matching.h"
#include "runtime/base/error.h"
#include "runtime/model/model.h"
#include <inttypes.h>
#include <stdio.h>

static void hear(void *user, const lamina_mismatch *m)
{
    lamina_matching *k = user;
    if (k->part && !m->here)
        return;
    if (k->count++ == 0)
        snprintf(k->first, sizeof k->first, "'%s' is %s here, %s there", m->name, m->here ? m->here : "not",
                 m->there ? m->there : "not");
    if (k->o->report)
        k->o->report(k->o->user, m);
}

static lamina_status accept_strict(void *user, const lamina_metadata *word, lamina_error *e)
{
    const lamina_matching *k = user;
    (void)word;
    if (!k->strict || !k->count)
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_BAD_FILE,
                       "%s: expected the tensors of network '%s', found %" PRId64 " that differ, of which the first %s",
                       k->path, k->owner, k->count, k->first);
}

lamina_status lamina_read_matching(lamina_tensor_set set, const char *path, const lamina_match_options *o,
                                   lamina_matching *k, lamina_error *e)
{
    static const lamina_match_options defaults;
    k->o = o ? o : &defaults;
    k->path = path;
    k->strict |= k->o->strict;
    set.owner = k->owner;
    set.some = true;
    set.from = k->o->from ? k->o->from : "";
    set.to = k->o->to ? k->o->to : "";
    set.mismatch = hear;
    set.listener = k;
    return lamina_safetensors_read(&set, path, NULL, 0, accept_strict, k, e);
}

lamina_status lamina_load_matching(lamina_model *m, const char *path, const lamina_match_options *o, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_load_matching", "m path", m, path);
    if (s)
        return s;
    lamina_matching k = {.owner = m->net->name};
    return lamina_read_matching(lamina_tensors_to_match(m), path, o, &k, e);
}
