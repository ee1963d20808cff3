/* frontend/command/autotune.c - choose register tiles by measuring them: a step between the passes select and schedule,
 * in the driver since passes run no code.
 *
 *     for each distinct contraction: its plan from the cache, or candidates beside the plan it has
 *     round r: every kernel that has an r-th candidate takes it; compile the whole network without chains,
 *              launch by launch; time it between two runs of the network as it was
 *     a last round with the fastest of each: those that keep a clear lead stay, and go into the cache
 *
 * Kernels are measured where they will run, on their own operands at the largest batch, on one core. The machine's
 * speed changes while we measure: what counts is the ratio to the same kernel's first plan in the same round. A plan
 * changes no bit (ir/contraction/plan.h), so a bad choice costs time and nothing else.
 *
 * The cache is a file a kernel, $XDG_CACHE_HOME/lamina/HASH.plan (or in ~/.cache): the text that the hash is of, then
 * the plan. What cannot be read, or is about something else, is measured anew. */
#include "backend/library/link.h"
#include "frontend/command/bench.h"
#include "passes/select/plans.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What one text of a kernel came to. */
typedef struct {
    const char *key;
    contraction_plan base, best, candidate[SELECT_CANDIDATES];
    int candidates;
    double lead; /* of best: how many times as fast as base */
    bool cached;
} tuned;

/* A contraction of the module; kernels count in the order of functions and nodes. */
typedef struct {
    ir_node *node;
    int32_t number; /* among all kernels of the module */
    tuned *of;
} subject;

typedef struct {
    bench b;
    const char *folder; /* of the cache, NULL: none */
    tuned **choices;
    int32_t choice_count;
    subject *subjects;
    int32_t subject_count;
    bench_function functions[5];
    int32_t function_count;
} tuner;

/* ---- distinct kernels ---- */

static bool is_subject(const ir_node *n)
{
    contraction_plan p;
    return n->op == IR_FUSED && ir_word_is(n, "kind", "contraction") && contraction_core(n) &&
           contraction_plan_read(n, &p);
}

static void add_layout(text *t, const ir_node *n)
{
    const ir_layout at = ir_layout_of(&n->type, ir_memory(n));
    ir_type_print(&n->type, t);
    for (int i = 0; i < n->type.rank; i++)
        text_printf(t, " %" PRId64, at.stride[i]);
    text_printf(t, " B %" PRId64 " first %" PRId64 " cut %d %" PRId64 " %" PRId64 "\n", at.batch_stride, at.first,
                (int)at.cut, at.width, at.panel);
}

static uint64_t hash_bytes(const char *s, size_t n) /* FNV-1a */
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * UINT64_C(1099511628211);
    return h;
}

/* Another compiler may make other code of the same plan. */
static uint64_t compiler_hash(void)
{
    text program = {0};
    uint64_t h = text_read_file(&program, "/proc/self/exe") ? hash_bytes(text_get(&program), program.length) : 0;
    text_free(&program);
    return h;
}

/* Everything that a kernel's time depends on. */
static const char *key_of(const tuner *t, const ir_node *n, uint64_t compiler)
{
    int64_t v[CONTRACTION_PLAN];
    text key = {0};
    contraction_plan base = {0};
    contraction_plan_read(n, &base);
    text_printf(&key, "lamina %s %016" PRIx64 "\ncpu %s\nbatch %" PRId64 "\nplan", LAMINA_VERSION, compiler,
                t->b.module->target.cpu, t->b.batch);
    contraction_plan_numbers(&base, v);
    for (int i = 0; i < CONTRACTION_PLAN; i++)
        text_printf(&key, " %" PRId64, v[i]);
    text_add(&key, "\n");
    for (int i = 0; i < n->nin; i++)
        add_layout(&key, n->in[i]);
    add_layout(&key, n);
    ir_print_graph(n->region, false, &key);
    const char *copy = arena_strdup(t->b.mem, text_get(&key));
    text_free(&key);
    return copy;
}

static int64_t scratch_elements(const ir_node *n)
{
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->op == IR_SCRATCH)
            return ir_static_count(&n->in[i]->type);
    return 0;
}

static tuned *new_choice(tuner *t, const ir_node *n, const char *key)
{
    contraction c;
    tuned *choice = arena_make(t->b.mem, tuned);
    choice->key = key;
    contraction_plan_read(n, &choice->base);
    choice->best = choice->base;
    choice->lead = 1;
    if (contraction_describe(contraction_core(n), 0, t->b.mem, &c))
        choice->candidates = select_candidates(&c, &t->b.module->target, t->b.batch, &choice->base, scratch_elements(n),
                                               choice->candidate);
    t->choices = arena_grown(t->b.mem, t->choices, (size_t)t->choice_count, sizeof(tuned *));
    return t->choices[t->choice_count++] = choice;
}

static void list_subjects(tuner *t)
{
    int32_t number = 0;
    uint64_t compiler = compiler_hash();
    for (ir_graph *g = t->b.module->functions; g; g = g->next)
        for (ir_node *n = g->first; n; n = n->next) {
            if (n->op != IR_FUSED)
                continue;
            number++;
            if (!is_subject(n))
                continue;
            const char *key = key_of(t, n, compiler);
            tuned *found = NULL;
            for (int32_t i = 0; i < t->choice_count && !found; i++)
                found = strcmp(t->choices[i]->key, key) ? NULL : t->choices[i];
            t->subjects = arena_grown(t->b.mem, t->subjects, (size_t)t->subject_count, sizeof *t->subjects);
            t->subjects[t->subject_count++] = (subject){n, number - 1, found ? found : new_choice(t, n, key)};
        }
}

/* ---- cache ---- */

static const char *cache_folder(arena *mem)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/') /* others are to be ignored, says the XDG base directory specification */
        return arena_printf(mem, "%s/lamina", cache);
    return home && *home ? arena_printf(mem, "%s/.cache/lamina", home) : NULL;
}

static const char *cache_path(const tuner *t, const tuned *choice)
{
    return arena_printf(t->b.mem, "%s/%016" PRIx64 ".plan", t->folder, hash_bytes(choice->key, strlen(choice->key)));
}

static bool is_candidate(const tuned *choice, const int64_t v[CONTRACTION_PLAN], contraction_plan *out)
{
    for (int i = -1; i < choice->candidates; i++) {
        const contraction_plan *p = i < 0 ? &choice->base : &choice->candidate[i];
        int64_t own[CONTRACTION_PLAN];
        contraction_plan_numbers(p, own);
        if (!memcmp(own, v, sizeof own)) {
            *out = *p;
            return true;
        }
    }
    return false;
}

static bool read_numbers(const char *s, int64_t v[CONTRACTION_PLAN])
{
    for (int i = 0; i < CONTRACTION_PLAN; i++) {
        char *end;
        v[i] = strtoll(s, &end, 10);
        if (end == s)
            return false;
        s = end;
    }
    return !strcmp(s, "\n");
}

static void read_cache(tuner *t)
{
    for (int32_t i = 0; t->folder && i < t->choice_count; i++) {
        tuned *choice = t->choices[i];
        text file = {0};
        size_t length = strlen(choice->key);
        int64_t v[CONTRACTION_PLAN];
        choice->cached = text_read_file(&file, cache_path(t, choice)) && file.length > length &&
                         !memcmp(text_get(&file), choice->key, length) && read_numbers(text_get(&file) + length, v) &&
                         is_candidate(choice, v, &choice->best);
        text_free(&file);
    }
}

/* A cache that cannot be written is no fault of the network's. */
static void write_cache(const tuner *t)
{
    diag *unheard = diag_new();
    bool there = t->folder && cmd_make_directories(t->folder, unheard);
    for (int32_t i = 0; there && i < t->choice_count; i++) {
        const tuned *choice = t->choices[i];
        text file = {0};
        int64_t v[CONTRACTION_PLAN];
        if (choice->cached)
            continue;
        contraction_plan_numbers(&choice->best, v);
        text_add(&file, choice->key);
        for (int k = 0; k < CONTRACTION_PLAN; k++)
            text_printf(&file, "%s%" PRId64, k ? " " : "", v[k]);
        text_add(&file, "\n");
        be_write_file(cache_path(t, choice), text_get(&file), file.length, unheard);
        text_free(&file);
    }
    diag_free(unheard);
}

/* ---- measuring ---- */

enum { FIRST = -1, BEST = -2 }; /* rounds before the first and after the last candidate */

static const contraction_plan *plan_in(const tuned *choice, int round)
{
    if (choice->cached || round == BEST)
        return &choice->best;
    return round >= 0 && round < choice->candidates ? &choice->candidate[round] : &choice->base;
}

/* The module as it is now, with the plans of a round, planned to the end; nodes[i] becomes subject i's kernel there.
 * What there is to remark will be said of the module itself. */
static ir_module *plan_copy(const tuner *t, int round, ir_node **nodes)
{
    const pass_options rest = {.disabled = "chain"};
    diag *unheard = diag_new();
    text source = {0};
    ir_print(t->b.module, false, &source);
    ir_module *m = ir_parse(text_get(&source), "autotune", unheard);
    text_free(&source);
    if (!m)
        ir_bug("a module that was printed cannot be read");
    int32_t number = 0, at = 0;
    for (ir_graph *g = m->functions; g; g = g->next)
        for (ir_node *n = g->first; n; n = n->next) {
            if (n->op != IR_FUSED)
                continue;
            if (at < t->subject_count && t->subjects[at].number == number) {
                contraction_plan_write(n, plan_in(t->subjects[at].of, round));
                nodes[at++] = n;
            }
            number++;
        }
    if (!passes_run(m, &rest, unheard))
        ir_bug("a module that was read back cannot be planned");
    diag_free(unheard);
    return m;
}

/* The network in one form: as it was, or in a round. */
typedef struct {
    ir_module *module;
    ir_node **nodes;
    double *seconds; /* of each subject's kernel, all its phases; 0 before it was seen */
    bench_profile profile;
} form;

static bool form_open(tuner *t, int round, form *f)
{
    *f = (form){.nodes = arena_new_array(t->b.mem, ir_node *, (size_t)t->subject_count),
                .seconds = arena_new_array(t->b.mem, double, (size_t)t->subject_count)};
    f->module = plan_copy(t, round, f->nodes);
    return bench_profile_open(&t->b, f->module, &f->profile);
}

static void form_close(form *f)
{
    bench_profile_close(&f->profile);
    ir_module_free(f->module);
}

/* The shortest time of each subject's kernel, of this run and those before. */
static bool form_run(tuner *t, form *f)
{
    const double seconds = 0.03;
    for (int32_t i = 0; i < t->function_count; i++) {
        bench_profile *p = &f->profile;
        if (!bench_profile_run(p, &t->functions[i], seconds))
            return false;
        for (int32_t k = 0; k < t->subject_count; k++) {
            double least = 0;
            for (int32_t l = 0; l < p->count; l++)
                if (p->launch[l]->kernel == f->nodes[k])
                    least += cmd_sample_least(&p->samples[l]);
            if (least > 0 && (f->seconds[k] == 0 || least < f->seconds[k]))
                f->seconds[k] = least;
        }
    }
    return true;
}

/* How many times as fast as at first the kernel of a choice was; 0: it did not run. Equal kernels run at about the same
 * speed: the first one speaks for all. */
static double ratio_of(const tuner *t, const tuned *choice, const form *base, const form *f)
{
    for (int32_t i = 0; i < t->subject_count; i++)
        if (t->subjects[i].of == choice && f->seconds[i] > 0 && base->seconds[i] > 0)
            return base->seconds[i] / f->seconds[i];
    return 0;
}

static void judge_round(const tuner *t, int round, const form *base, const form *f)
{
    for (int32_t i = 0; i < t->choice_count; i++) {
        tuned *choice = t->choices[i];
        double ratio = ratio_of(t, choice, base, f);
        if (round != BEST && (round >= choice->candidates || ratio <= choice->lead || choice->cached))
            continue;
        choice->lead = ratio;
        if (round != BEST)
            choice->best = choice->candidate[round];
    }
}

/* In turns, so that both meet the same hindrances. */
static bool run_round(tuner *t, int round, form *base)
{
    form f;
    int turns = round == BEST ? 5 : 2;
    memset(base->seconds, 0, sizeof(double) * (size_t)t->subject_count);
    bool ok = form_open(t, round, &f);
    for (int i = 0; ok && i < turns; i++)
        ok = form_run(t, base) && form_run(t, &f);
    if (ok)
        judge_round(t, round, base, &f);
    form_close(&f);
    return ok;
}

static bool has_function(const bench_function *f, const char *name)
{
    for (int32_t i = 0; i < f->part_count; i++)
        if (!strcmp(f->parts[i], name))
            return true;
    return false;
}

/* Is the choice's kernel in this function of the module? */
static bool is_in(const tuner *t, const tuned *choice, const bench_function *f)
{
    for (int32_t i = 0; i < t->subject_count; i++)
        if (t->subjects[i].of == choice && has_function(f, t->subjects[i].node->graph->name))
            return true;
    return false;
}

/* Does the last function have a kernel to measure that none before it has? */
static bool has_news(const tuner *t)
{
    for (int32_t i = 0; i < t->choice_count; i++) {
        bool seen = t->choices[i]->cached;
        for (int32_t k = 0; k < t->function_count - 1; k++)
            seen |= is_in(t, t->choices[i], &t->functions[k]);
        if (!seen && is_in(t, t->choices[i], &t->functions[t->function_count - 1]))
            return true;
    }
    return false;
}

static void add_function(tuner *t, const char *name, const char *const *parts, int count)
{
    bench_function *f = &t->functions[t->function_count++];
    *f = (bench_function){.name = name};
    for (int i = 0; i < count; i++) {
        f->parts = arena_grown(t->b.mem, f->parts, (size_t)f->part_count, sizeof *f->parts);
        f->parts[f->part_count++] = parts[i];
    }
    t->function_count -= !has_news(t);
}

static void list_functions(tuner *t, const lamina_net *n)
{
    static const char *const names[] = {"train_step", "infer", "evaluate", "gradients"};
    const bool there[] = {n->train_step && !n->stage_count, n->infer, n->evaluate, n->gradients && !n->stage_count};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (there[i])
            add_function(t, names[i], &names[i], 1);
    if (!n->stage_count)
        return;
    const bool whole = n->stages[0].backward_update;
    const char *const order[] = {"forward", whole ? "backward_update" : "backward", "update"};
    const char **parts = arena_new_array(t->b.mem, const char *, 3 * (size_t)n->stage_count);
    int32_t count = 0;
    for (int32_t i = 0; i < n->stage_count; i++)
        parts[count++] = arena_printf(t->b.mem, "%s.%s", n->stages[i].name, order[0]);
    for (int k = 1; k < (whole ? 2 : 3); k++)
        for (int32_t i = n->stage_count - 1; i >= 0; i--)
            parts[count++] = arena_printf(t->b.mem, "%s.%s", n->stages[i].name, order[k]);
    add_function(t, "train_step", parts, count);
}

static bool measure(tuner *t)
{
    form base;
    int rounds = 0;
    for (int32_t i = 0; i < t->choice_count; i++)
        if (!t->choices[i]->cached && t->choices[i]->candidates > rounds)
            rounds = t->choices[i]->candidates;
    if (!rounds)
        return true;
    bool ok = form_open(t, FIRST, &base);
    if (ok) {
        t->b.net = lamina_library_net(base.profile.library);
        list_functions(t, t->b.net);
        bench_data(&t->b);
    }
    for (int round = 0; ok && round < rounds; round++)
        ok = run_round(t, round, &base);
    ok = ok && run_round(t, BEST, &base);
    form_close(&base);
    return ok;
}

/* ---- the step ---- */

/* A lead within what measuring gets wrong is none. */
static void settle(tuner *t, diag *d)
{
    const double clear = 1.02;
    for (int32_t i = 0; i < t->choice_count; i++)
        if (t->choices[i]->lead < clear && !t->choices[i]->cached)
            t->choices[i]->best = t->choices[i]->base;
    for (int32_t i = 0; i < t->subject_count; i++) {
        const subject *s = &t->subjects[i];
        const contraction_plan *now = &s->of->best, *was = &s->of->base;
        if (now->rows == was->rows && now->vectors == was->vectors && now->unroll == was->unroll)
            continue;
        contraction_plan_write(s->node, now);
        text how = {0};
        text_printf(&how, s->of->cached ? "by the cache" : "%.2f times as fast", s->of->lead);
        diag_remark(d, s->node->loc,
                    "%s: %" PRId64 "x%" PRId64 " unrolled %" PRId64 " instead of %" PRId64 "x%" PRId64
                    " unrolled %" PRId64 ", %s",
                    s->node->label ? s->node->label : "", now->rows, now->vectors, now->unroll, was->rows, was->vectors,
                    was->unroll, text_get(&how));
        text_free(&how);
    }
}

static bool is_host(const ir_target *t, diag *d)
{
    arena *mem = arena_new();
    ir_target host;
    bool ok = be_target("native", mem, &host, d);
    if (ok && strcmp(host.cpu, t->cpu) != 0) {
        diag_error(d, (src_loc){0}, "--autotune measures on this machine: expected --cpu=%s, found %s", host.cpu,
                   t->cpu);
        ok = false;
    }
    arena_free(mem);
    return ok;
}

bool cmd_autotune(ir_module *m, void *build, diag *d)
{
    static const volatile int32_t never;
    if (!is_host(&m->target, d))
        return false;
    tuner t = {.b = {.mem = arena_new(),
                     .d = d,
                     .stop = &never,
                     .build = build,
                     .module = m,
                     .threads = 1,
                     .batch = (int64_t)ir_attr_find(m->attrs, "max_batch")->number[0]}};
    t.folder = cache_folder(t.b.mem);
    list_subjects(&t);
    read_cache(&t);
    bool ok = measure(&t);
    if (ok) {
        settle(&t, d);
        write_cache(&t);
    }
    arena_free(t.b.mem);
    return ok;
}
