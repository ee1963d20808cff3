/* frontend/command/inference.c - a network compiled at once, weights of a file, and records. */
#include "frontend/command/inference.h"
#include "backend/backend.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cmd_load_compiled(ir_module *m, arena *mem, const cmd_build *b, lamina_library **out, diag *d)
{
    const char *tmp = getenv("TMPDIR");
    tmp = tmp && *tmp ? tmp : "/tmp";
    char *dir = arena_printf(mem, "%s/lamina-XXXXXX", tmp);
    if (!mkdtemp(dir)) {
        diag_error(d, (src_loc){0}, "%s: a directory cannot be made there: %s", tmp, strerror(errno));
        return false;
    }
    const char *library = arena_printf(mem, "%s/%s.so", dir, m->name);
    be_options o = {BE_SO, library, false, NULL};
    bool ok = cmd_run_passes(m, b, d) && be_compile(m, &o, d) && cmd_library(library, out, d);
    unlink(library);
    rmdir(dir);
    return ok;
}

bool cmd_load_model(const lamina_net *net, const char *weights, int64_t threads, lamina_model **out, diag *d)
{
    lamina_error e;
    const char *name;
    const lamina_options how = {.workers = threads ? threads : lamina_processors(), .inference = true};
    if (lamina_model_new(net, &how, out, &e) != LAMINA_OK || lamina_load_weights(*out, weights, &e) != LAMINA_OK) {
        diag_error(d, (src_loc){0}, "%s", e.text);
        return false;
    }
    for (int32_t i = 0; (name = lamina_missing_statistic(*out, i)); i++)
        diag_warning(d, (src_loc){0}, "%s lacks '%s': its initial values are used", weights, name);
    return true;
}

/* ---- records ---- */

/* Of the words behind --set the last one that is no KEY=VALUE is a data set's name. It is taken out. */
static const char *take_set(const char **changes)
{
    const char *set = NULL, **kept = changes;
    for (const char **word = changes; *word; word++) {
        if (strchr(*word, '='))
            *kept++ = *word;
        else
            set = *word;
    }
    *kept = NULL;
    return set;
}

bool cmd_choose_records(const char *command, const char *const *files, cmd_build *b, cmd_records *r)
{
    const char *set = take_set(b->changes);
    r->files = files;
    while (files[r->file_count])
        r->file_count++;
    r->set = r->file_count ? "given" : set ? set : "test";
    if (!r->weights)
        fprintf(stderr, "lamina %s: expected --weights=FILE, found none\n", command);
    else if (r->file_count && set)
        fprintf(stderr, "lamina %s: expected --set or files, found both\n", command);
    else if (set && strcmp(set, "train") != 0 && strcmp(set, "validation") != 0 && strcmp(set, "test") != 0)
        fprintf(stderr, "lamina %s: --set: expected train, validation or test, found '%s'\n", command, set);
    else
        return true;
    return false;
}

bool cmd_check_records(const char *path, const fe_network *net, const cmd_records *r, diag *d)
{
    const char *needed = r->file_count ? "train" : r->set;
    if (net && fe_data(net, needed)->present)
        return true;
    diag_error(d, (src_loc){path, 0, 0}, "expected a YAML with 'data:' and a '%s:' set, found none", needed);
    return false;
}

bool cmd_read_chosen(const fe_network *net, const lamina_net *compiled, const cmd_records *r, lamina_dataset **out,
                     arena *mem, diag *d)
{
    if (r->file_count)
        return cmd_read_files(net, r->files, r->file_count, r->all, compiled, out, mem, d);
    int64_t seed = r->seed >= 0 ? r->seed : fe_train_options(net)->seed;
    return cmd_dataset(net, r->set, compiled, (uint64_t)seed, out, d);
}
