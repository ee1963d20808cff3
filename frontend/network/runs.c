/* frontend/network/runs.c - layers of another file among those of a network.
 *
 *     encoder.yaml: conv1 latent logits, of which latent is the output
 *     layers: a b, the file behind a        =>      a encoder_conv1 encoder_latent b
 *
 * The file has been read by itself, so that its errors are those of an ordinary network. What its output needs is
 * copied here: names of layers, and with them those of parameters, begin with the stage's name and '_', and each input
 * is bound to a value of this network that has its type. The stage's name alone means the output. */
#include "frontend/network/network.h"
#include <string.h>

bool fe_has_file_stage(const fe_network *n, src_loc *at)
{
    *at = n->nruns ? n->runs[0].at : n->at;
    return n->nruns > 0;
}

int64_t fe_run_layers(const fe_network *n)
{
    int64_t count = 0;
    for (int i = 0; i < n->nruns; i++)
        count += n->runs[i].net ? n->runs[i].count : 0;
    return count;
}

/* A layer with the stage's name before its own; what it reads is its own list, for the caller to fill. */
static fe_layer renamed(fe_network *n, const fe_run *run, int index)
{
    fe_layer l = run->net->layers[index];
    const char *begin = arena_printf(n->mem, "%s_", run->name);
    l.name = arena_printf(n->mem, "%s%s", begin, l.name);
    fe_param *param = arena_new_array(n->mem, fe_param, (size_t)l.nparams);
    for (int i = 0; i < l.nparams; i++) {
        param[i] = l.param[i];
        param[i].name = arena_printf(n->mem, "%s%s", begin, param[i].name);
        param[i].group = NULL;
    }
    l.param = param;
    l.in = arena_new_array(n->mem, fe_ref, (size_t)l.nin);
    l.group = NULL;
    l.is_read = l.is_output = false;
    return l;
}

static bool place_layer(fe_reader *r, fe_network *n, fe_run *run, int index)
{
    fe_layer *l = &n->layers[n->nlayers];
    *l = renamed(n, run, index);
    run->place[index] = n->nlayers;
    bool ok = fe_is_name(l->name) || fe_mismatch(r, run->at, "name",
                                                 "at most 63 characters in the stage's name, '_' and a layer's of its "
                                                 "file",
                                                 l->name);
    ok = ok && fe_take_name(r, n, l, n->nlayers);
    n->nlayers++;
    return ok;
}

static bool place_run(fe_reader *r, fe_network *n, fe_run *run)
{
    bool ok = true;
    run->first = n->nlayers;
    for (int i = 0; i < run->net->nlayers; i++)
        if (run->taken[i])
            ok &= place_layer(r, n, run, i);
    return ok && fe_name_output(r, n, run->name, run->at, run->place[run->output]);
}

bool fe_place_runs(fe_reader *r, fe_network *n, const char *behind)
{
    bool ok = true;
    for (int i = 0; i < n->nruns; i++) {
        fe_run *run = &n->runs[i];
        bool here = run->first < 0 && (run->behind ? behind && !strcmp(run->behind, behind)
                                       : i         ? n->runs[i - 1].first >= 0
                                                   : !behind);
        if (here && run->net)
            ok &= place_run(r, n, run);
    }
    return ok;
}

fe_run *fe_run_at(const fe_network *n, int layer)
{
    for (int i = 0; i < n->nruns; i++)
        if (n->runs[i].first == layer)
            return &n->runs[i];
    return NULL;
}

/* ---- what the file's inputs are here ---- */

static bool same_type(const ir_type *a, const ir_type *b)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int i = 1; same && i < a->rank; i++)
        same = a->dim[i].n == b->dim[i].n;
    return same;
}

/* "uint8 of shape [28, 28], times 0.0039". */
static const char *describe(arena *mem, const ir_type *type, double scale, bool channels_first)
{
    const char *words =
        arena_printf(mem, "%s%s", fe_describe_type(mem, type), channels_first ? ", channels first" : "");
    return scale == 1 ? words : arena_printf(mem, "%s, times %g", words, scale);
}

static bool check_type(fe_reader *r, const fe_network *n, const fe_input *input, src_loc at, fe_ref ref)
{
    const fe_input *here = ref.is_input ? &n->inputs[ref.index] : NULL;
    const ir_type *type = here ? &here->type : &n->layers[ref.index].type;
    double scale = here && here->scaled ? here->scale : 1, wanted = input->scaled ? input->scale : 1;
    bool first = here && here->channels_first;
    if (same_type(&input->type, type) && first == input->channels_first &&
        (scale == wanted || (!here && !input->scaled)))
        return true;
    const char *name = here ? here->name : n->layers[ref.index].name;
    const char *expected = arena_printf(r->mem, "'%s' to be %s", input->name,
                                        describe(r->mem, &input->type, wanted, input->channels_first));
    return fe_mismatch(r, at, "inputs", expected,
                       arena_printf(r->mem, "'%s', which is %s", name, describe(r->mem, type, scale, first)));
}

/* The name here of the file's input: what `inputs` says, else the same. */
static const char *bound_name(fe_reader *r, const fe_run *run, const fe_input *input, src_loc *at)
{
    const fe_yaml *y = run->binding ? fe_yaml_find(run->binding, input->name) : NULL;
    *at = y ? y->at : run->binding ? run->binding->at : run->at;
    if (!y)
        return input->name;
    return fe_expect_kind(r, y, "inputs", FE_SCALAR, "the name of an input or layer") ? y->word : NULL;
}

bool fe_bind(fe_reader *r, fe_network *n, fe_run *run, int input, int layers, fe_ref *out)
{
    const fe_input *wanted = &run->net->inputs[input];
    src_loc at;
    if (!run->is_bound[input]) {
        const char *name = bound_name(r, run, wanted, &at);
        int errors = diag_errors(r->d);
        bool ok = name && fe_resolve(r, n, layers, name, at, &run->bound[input]) &&
                  check_type(r, n, wanted, at, run->bound[input]);
        if (diag_errors(r->d) > errors)
            diag_note(r->d, wanted->at, "input '%s' of the file is declared here", wanted->name);
        if (!ok)
            return false;
        run->is_bound[input] = true;
    }
    *out = run->bound[input];
    return true;
}

bool fe_not_shared(fe_reader *r, const fe_run *run, int layer)
{
    return fe_mismatch(r, run->at, "output", "to need all that stages of the file read of each other",
                       arena_printf(r->mem, "'%s', which it does not", run->net->layers[layer].name));
}

bool fe_run_ref(fe_reader *r, fe_network *n, fe_run *run, fe_ref from, int layers, fe_ref *out)
{
    if (from.is_input)
        return fe_bind(r, n, run, from.index, layers, out);
    *out = (fe_ref){false, run->place[from.index]};
    return out->index >= 0 || fe_not_shared(r, run, from.index);
}

static bool bind_layer(fe_reader *r, fe_network *n, fe_run *run, int index)
{
    const fe_layer *from = &run->net->layers[index];
    fe_layer *l = &n->layers[run->place[index]];
    for (int k = 0; k < l->nin; k++) {
        if (!fe_run_ref(r, n, run, from->in[k], run->place[index], &l->in[k])) {
            l->failed = true;
            return false;
        }
        *(l->in[k].is_input ? &n->inputs[l->in[k].index].layer_reads : &n->layers[l->in[k].index].is_read) = true;
    }
    return true;
}

/* Each key of `inputs` is an input of the file. */
static bool check_binding(fe_reader *r, const fe_run *run)
{
    const char **known = arena_new_array(r->mem, const char *, (size_t)run->net->ninputs + 1);
    bool ok = true;
    for (int i = 0; i < run->net->ninputs; i++)
        known[i] = run->net->inputs[i].name;
    for (int i = 0; run->binding && i < run->binding->count; i++) {
        int k = 0;
        while (k < run->net->ninputs && strcmp(known[k], run->binding->key[i]->word))
            k++;
        if (k == run->net->ninputs)
            ok = fe_unknown(r, run->binding->key[i]->at, "input of the file", run->binding->key[i]->word, known,
                            (size_t)k);
    }
    return ok;
}

bool fe_bind_run(fe_reader *r, fe_network *n, fe_run *run)
{
    bool ok = check_binding(r, run);
    for (int i = 0; i < run->net->nlayers; i++)
        if (run->taken[i] && !bind_layer(r, n, run, i)) {
            ok = false;
            break; /* the layers behind it would say the same */
        }
    for (int i = 0; !ok && i < run->net->nlayers; i++)
        if (run->taken[i])
            n->layers[run->place[i]].failed = true;
    return ok;
}

bool fe_append_run_layer(fe_reader *r, fe_network *n, fe_run *run, int index)
{
    return place_layer(r, n, run, index) && bind_layer(r, n, run, index);
}
