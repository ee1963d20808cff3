/* frontend/staging/files.c - stages that are files of their own.
 *
 *     stages:
 *       - {name: encoder, net: encoder.yaml, output: latent, inputs: {image: picture}}
 *
 * Each file is read once, by itself, as every network is: its errors carry its own name and lines. What the stage's
 * output needs of it become layers of this network. Files may name files; one that comes to name itself is an error. */
#include "frontend/staging/staging.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

struct fe_open_file {
    fe_open_file *next;
    dev_t device;
    ino_t number;
    bool open; /* it is still being read */
    const fe_staging *read;
};

/* ---- a file by itself ---- */

/* That an input is read by nothing is said of networks without an error. */
fe_staging *fe_read_sections(fe_reader *r, const fe_yaml *root, const char *path)
{
    int count;
    fe_run *runs = fe_read_files(r, root, path, &count);
    fe_network *n = fe_read_network(r, root, path, runs, count);
    fe_staging *s = NULL;
    bool ok = !fe_enough(r) && fe_read_data(r, n, root);
    ok &= !fe_enough(r) && fe_read_train(r, n, root);
    ok &= !fe_enough(r) && fe_read_start(r, n, root);
    if (!fe_enough(r))
        s = fe_read_staging(r, n, root);
    if (diag_errors(r->d))
        return NULL;
    if (!ok || !s)
        ir_bug("a network was refused without an error");
    for (int i = 0; i < n->ninputs; i++)
        n->inputs[i] = s->all->inputs[i]; /* which stages' losses read too */
    return fe_check_inputs_read(r, n) ? s : NULL;
}

static const fe_staging *read_text(fe_reader *r, const text *content, const char *file)
{
    diag_source(r->d, file, text_get(content));
    const fe_yaml *root = fe_yaml_parse(text_get(content), content->length, file, r->mem, r->d);
    if (!root || !fe_expect_kind(r, root, "network", FE_MAP, "a mapping of sections"))
        return NULL;
    return fe_read_sections(r, root, file);
}

static fe_open_file *find_file(const fe_reader *r, const struct stat *s)
{
    fe_open_file *f = r->files;
    while (f && (f->device != s->st_dev || f->number != s->st_ino))
        f = f->next;
    return f;
}

static fe_open_file *add_file(fe_reader *r, const struct stat *s)
{
    fe_open_file *f = arena_make(r->mem, fe_open_file);
    *f = (fe_open_file){.next = r->files, .device = s->st_dev, .number = s->st_ino, .open = true};
    r->files = f;
    return f;
}

void fe_begin_file(fe_reader *r, const char *path)
{
    struct stat s;
    if (stat(path, &s) == 0)
        add_file(r, &s);
}

/* Read it, unless it was read before; 'y' names it. */
static const fe_staging *read_file(fe_reader *r, const char *path, const fe_yaml *y)
{
    struct stat s = {0};
    text content = {0};
    fe_open_file *f = stat(path, &s) == 0 ? find_file(r, &s) : NULL;
    if (f && f->open)
        fe_mismatch(r, y->at, "net", "a file that does not come to name itself", arena_printf(r->mem, "'%s'", path));
    if (f)
        return f->open ? NULL : f->read;
    if (!text_read_file(&content, path)) {
        diag_error(r->d, y->at, "%s: cannot be read: %s", path, strerror(errno));
        return NULL;
    }
    f = add_file(r, &s);
    f->read = read_text(r, &content, path);
    f->open = false;
    text_free(&content);
    return f->read;
}

/* ---- what a stage needs of it ---- */

static bool is_word(const fe_yaml *y)
{
    return y && y->kind == FE_SCALAR && !y->broken && *y->word;
}

/* The output is one of the layers that the file lists, or a file of its has: heads are no part of a network. */
static bool find_output(fe_reader *r, fe_run *run, const fe_network *file, const fe_yaml *output)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)file->nlayers);
    run->output = file->nlayers - 1;
    if (!output)
        return true;
    for (int i = 0; i < file->nlayers; i++)
        known[i] = file->layers[i].name;
    for (int i = 0; i < file->nlayers; i++)
        if (!strcmp(known[i], output->word)) {
            run->output = i;
            return true;
        }
    return fe_unknown(r, output->at, "output: layer", output->word, known, (size_t)file->nlayers);
}

/* What the output needs, and room for where things are here. 'n' has the heads too. */
static void take_needed(fe_reader *r, fe_run *run, const fe_network *n)
{
    run->taken = arena_new_array(r->mem, bool, (size_t)n->nlayers);
    run->place = arena_new_array(r->mem, int, (size_t)n->nlayers);
    run->bound = arena_new_array(r->mem, fe_ref, (size_t)n->ninputs);
    run->is_bound = arena_new_array(r->mem, bool, (size_t)n->ninputs);
    run->taken[run->output] = true;
    for (int i = run->output; i >= 0; i--)
        for (int k = 0; run->taken[i] && k < n->layers[i].nin; k++)
            if (!n->layers[i].in[k].is_input)
                run->taken[n->layers[i].in[k].index] = true;
    for (int i = 0; i < n->nlayers; i++) {
        run->count += run->taken[i];
        run->place[i] = -1;
    }
}

static void read_run(fe_reader *r, fe_run *run, const fe_yaml *stage, const char *path)
{
    const fe_yaml *net = fe_yaml_find(stage, "net"), *output = fe_yaml_find(stage, "output");
    if (!fe_expect_kind(r, net, "net", FE_SCALAR, "the path of a file") || !is_word(fe_yaml_find(stage, "name")))
        return;
    const fe_staging *file = read_file(r, fe_beside_yaml(r, path, net->word), net);
    bool ok = file && (!output || is_word(output)) && find_output(r, run, file->file, output);
    if (run->binding)
        ok &= fe_expect_kind(r, run->binding, "inputs", FE_MAP, "a mapping of the file's inputs to names here");
    if (!ok)
        return;
    run->file = file;
    run->net = file->all;
    take_needed(r, run, file->all);
}

/* The layer behind which a stage's file stands, as far as it can be told: that of the stage before it. */
static const char *place_behind(const fe_yaml *before)
{
    const fe_yaml *through = before ? fe_yaml_find(before, "through") : NULL;
    if (!before || fe_yaml_find(before, "net"))
        return NULL;
    return is_word(through) ? through->word : "";
}

fe_run *fe_read_files(fe_reader *r, const fe_yaml *root, const char *path, int *count)
{
    const fe_yaml *y = fe_yaml_find(root, "stages");
    int stages = y && y->kind == FE_LIST ? y->count : 0;
    fe_run *runs = arena_new_array(r->mem, fe_run, (size_t)stages);
    *count = 0;
    for (int i = 0; i < stages && !fe_enough(r); i++) {
        const fe_yaml *stage = y->item[i], *name = fe_yaml_find(stage, "name");
        if (!fe_yaml_find(stage, "net"))
            continue;
        fe_run *run = &runs[(*count)++];
        *run = (fe_run){.name = is_word(name) ? name->word : "",
                        .at = stage->at,
                        .first = -1,
                        .behind = place_behind(i ? y->item[i - 1] : NULL),
                        .binding = fe_yaml_find(stage, "inputs")};
        read_run(r, run, stage, path);
    }
    return runs;
}
