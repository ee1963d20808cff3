/* frontend/command/transfer.c - begin with the weights of another network, and say what of them did not match. */
#include "frontend/command/session.h"
#include <inttypes.h>

enum { MOST_SHOWN = 20 };

typedef struct {
    arena *mem;
    int64_t count;
    const char *words[MOST_SHOWN];
} differences;

static void hear(void *user, const lamina_mismatch *m)
{
    differences *all = user;
    if (all->count < MOST_SHOWN)
        all->words[all->count] =
            !m->there  ? arena_printf(all->mem, "'%s', %s here, is not in the file", m->name, m->here)
            : !m->here ? arena_printf(all->mem, "'%s', %s in the file, is not here", m->name, m->there)
                       : arena_printf(all->mem, "'%s' is %s here, %s in the file", m->name, m->here, m->there);
    all->count++;
}

static void tell(const differences *all, const fe_weights *w, diag *d)
{
    if (!all->count)
        return;
    diag_warning(d, w->at, "%s: %" PRId64 " tensors have no match of their name and shape, and stay as they begin",
                 w->path, all->count);
    for (int64_t i = 0; i < all->count && i < MOST_SHOWN; i++)
        diag_note(d, (src_loc){0}, "%s", all->words[i]);
    if (all->count > MOST_SHOWN)
        diag_note(d, (src_loc){0}, "and %" PRId64 " more", all->count - MOST_SHOWN);
}

const fe_weights *cmd_session_start(cmd_session *s)
{
    if (s->o->resume)
        return NULL;
    if (!s->o->weights)
        return fe_weights_of(s->net);
    fe_weights *w = arena_make(s->mem, fe_weights);
    *w = (fe_weights){.path = s->o->weights, .from = "", .to = ""};
    return w;
}

bool cmd_session_transfer(cmd_session *s, const fe_weights *w, lamina_model *m, lamina_stages *stages,
                          const char *stage)
{
    lamina_error e;
    differences all = {.mem = s->mem};
    const lamina_match_options o = {.from = w->from, .to = w->to, .strict = w->strict, .report = hear, .user = &all};
    lamina_status status =
        m ? lamina_load_matching(m, w->path, &o, &e) : lamina_stages_load_matching(stages, stage, w->path, &o, &e);
    diag *d = diag_new();
    if (status == LAMINA_OK)
        tell(&all, w, d);
    else
        diag_error(s->d, w->at, "%s", e.text);
    cmd_report(d, false);
    diag_free(d);
    return status == LAMINA_OK;
}
