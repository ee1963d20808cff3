/* frontend/command/sweep.c - lamina sweep: train a network many times with other values, and say which were best.
 *
 * A trial is a process of `lamina train` with its values as --set, in a directory of its own: one that breaks or is
 * killed takes no other with it. By halving, all are trained for a few epochs, the better half goes on for twice as
 * many, and so on (Jamieson and Talwalkar 2016). What is done is never done again: a sweep that goes on lets every
 * trial go on, which of one that is done takes no step. */
#include "frontend/command/sweep.h"
#include "backend/library/link.h"
#include "frontend/command/cmd.h"
#include "frontend/command/directory.h"
#include "runtime/lamina.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_KEYS = 32, MOST_JOBS = 256 };

typedef struct {
    const char *out, *metric, *mode;
    const char *lists[MOST_KEYS + 1], *ranges[MOST_KEYS + 1];
    int64_t trials, seed, jobs, threads, epochs;
    bool halving, resume, overwrite, json;
    cmd_build build; /* of it, what is changed in all trials */
} sweep_options;

typedef struct {
    const sweep_options *o;
    sweep *s;
    pid_t process[MOST_JOBS]; /* 0: none */
    int trial[MOST_JOBS];     /* that it trains */
    const volatile int32_t *stop;
    bool asked; /* the trials were asked to end */
} runner;

/* ---- a trial ---- */

static const char *path_in(const sweep *s, const sweep_trial *t, const char *name)
{
    return arena_printf(s->mem, "%s/%s", t->dir, name);
}

static void add_word(const sweep *s, char ***words, int *count, const char *word)
{
    *words = arena_grown(s->mem, *words, (size_t)*count, sizeof **words);
    (*words)[(*count)++] = word ? arena_strdup(s->mem, word) : NULL;
}

static char **command_of(const runner *r, const sweep_trial *t, int64_t epochs)
{
    const sweep *s = r->s;
    char **words = NULL;
    int count = 0;
    bool begun = access(path_in(s, t, "checkpoint/last.safetensors"), F_OK) == 0;
    add_word(s, &words, &count, "lamina");
    add_word(s, &words, &count, "train");
    add_word(s, &words, &count, s->net);
    add_word(s, &words, &count, arena_printf(s->mem, "--out=%s", t->dir));
    add_word(s, &words, &count, arena_printf(s->mem, "--epochs=%" PRId64, epochs));
    add_word(s, &words, &count, arena_printf(s->mem, "--threads=%" PRId64, r->o->threads));
    add_word(s, &words, &count, begun ? "--resume" : "--overwrite");
    for (const char *const *c = r->o->build.changes; *c; c++)
        add_word(s, &words, &count, arena_printf(s->mem, "--set=%s", *c));
    for (int k = 0; k < s->key_count; k++)
        add_word(s, &words, &count, arena_printf(s->mem, "--set=%s=%s", s->keys[k].key, t->values[k]));
    add_word(s, &words, &count, NULL);
    return words;
}

/* In the child: the trial ends with the sweep, however that ends; what it says goes to a file. */
static void become(char **words, const char *output)
{
    int fd = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666), none = open("/dev/null", O_RDONLY);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(none, STDIN_FILENO);
    if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0)
        execv("/proc/self/exe", words);
    _exit(EXIT_FAILED);
}

static bool start(runner *r, int slot, int trial, int64_t epochs)
{
    sweep_trial *t = &r->s->trials[trial];
    if (!cmd_make_directories(t->dir, r->s->d))
        return false;
    char **words = command_of(r, t, epochs);
    const char *output = path_in(r->s, t, "output.txt");
    t->epochs = epochs;
    pid_t child = fork();
    if (child == 0)
        become(words, output);
    t->failed = child < 0; /* else that is seen when it ends */
    t->why = t->failed ? arena_printf(r->s->mem, "no process can be made: %s", strerror(errno)) : NULL;
    r->process[slot] = child > 0 ? child : 0;
    r->trial[slot] = trial;
    return true;
}

/* The first line that says why. */
static const char *find_error(const sweep *s, const sweep_trial *t)
{
    text content = {0};
    const char *why = "failed";
    if (text_read_file(&content, path_in(s, t, "output.txt"))) {
        const char *found = strstr(text_get(&content), "error: ");
        if (found)
            why = arena_strndup(s->mem, found, strcspn(found, "\n"));
    }
    text_free(&content);
    return why;
}

static void finish(runner *r, int slot, int status)
{
    sweep *s = r->s;
    sweep_trial *t = &s->trials[r->trial[slot]];
    r->process[slot] = 0;
    if (*r->stop)
        return; /* it was asked to end */
    t->metric = sweep_read_metric(path_in(s, t, "log.jsonl"), s->metric, t->epochs);
    t->failed = !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_OK;
    t->why = t->failed ? find_error(s, t) : NULL;
    if (!t->failed && isnan(t->metric)) {
        t->failed = true;
        t->why = arena_printf(s->mem, "its log has no number for %s", s->metric);
    }
    if (!r->o->json && !t->failed)
        printf("trial %d: %s %.6g after %" PRId64 " epochs\n", r->trial[slot] + 1, s->metric, t->metric, t->epochs);
    else if (!r->o->json)
        printf("trial %d: %s\n", r->trial[slot] + 1, t->why);
    fflush(stdout);
    sweep_write_csv(s);
}

/* ---- several at a time ---- */

static int find_slot(const runner *r, pid_t process)
{
    for (int i = 0; i < r->o->jobs; i++)
        if (r->process[i] == process)
            return i;
    return -1;
}

static bool is_running(const runner *r)
{
    for (int i = 0; i < r->o->jobs; i++)
        if (r->process[i])
            return true;
    return false;
}

/* A signal that only the sweep was sent is handed on; of a Ctrl-C, which all have, the second one within a moment does
 * not count (interrupt.c). */
static void hand_on(runner *r)
{
    for (int i = 0; !r->asked && i < r->o->jobs; i++)
        if (r->process[i])
            kill(r->process[i], SIGTERM);
    r->asked = true;
}

static void wait_for_one(runner *r)
{
    const struct timespec moment = {0, 20 * 1000 * 1000};
    int status;
    pid_t process = waitpid(-1, &status, WNOHANG);
    if (*r->stop)
        hand_on(r);
    if (process > 0 && find_slot(r, process) >= 0)
        finish(r, find_slot(r, process), status);
    else if (process == 0)
        nanosleep(&moment, NULL);
}

/* These trials, to so many epochs each. False after an error, or if it was interrupted. */
static bool run_trials(runner *r, const int *trials, int count, int64_t epochs)
{
    bool ok = true;
    for (int next = 0; next < count || is_running(r);) {
        int slot = find_slot(r, 0);
        if (ok && !*r->stop && next < count && slot >= 0)
            ok = start(r, slot, trials[next++], epochs);
        else if (is_running(r))
            wait_for_one(r);
        else
            break;
    }
    return ok && !*r->stop;
}

/* ---- rungs ---- */

/* The better half of those that were trained as long as any; those that failed do not go on. */
static int better_half(const sweep *s, int *trials, int count)
{
    const sweep_trial **order = sweep_order(s);
    int kept = 0;
    for (int i = 0; i < (count + 1) / 2; i++)
        if (!order[i]->failed && !isnan(order[i]->metric))
            trials[kept++] = (int)(order[i] - s->trials);
    return kept;
}

static bool run_all(runner *r, int64_t epochs)
{
    sweep *s = r->s;
    int count = s->count, *trials = arena_new_array(s->mem, int, (size_t)count);
    int64_t now = epochs;
    for (int i = 0; i < count; i++)
        trials[i] = i;
    for (int n = count; r->o->halving && n > 1 && now > 1; n = (n + 1) / 2)
        now = (now + 1) / 2;
    for (;;) {
        if (!run_trials(r, trials, count, now))
            return false;
        if (now >= epochs)
            return true;
        count = better_half(s, trials, count);
        now = 2 * now < epochs && count > 1 ? 2 * now : epochs;
    }
}

/* ---- the command ---- */

/* What makes another sweep, a line each: trials of one are not those of another. */
static void describe(const sweep_options *o, const char *net, int64_t epochs, text *out)
{
    text_printf(out, "%s\nepochs %" PRId64 "\nseed %" PRId64 "\n", net, epochs, o->seed);
    text_printf(out, "trials %" PRId64 "%s\n", o->trials, o->halving ? "\nhalving" : "");
    for (const char *const *w = o->lists; *w; w++)
        text_printf(out, "grid %s\n", *w);
    for (const char *const *w = o->ranges; *w; w++)
        text_printf(out, "random %s\n", *w);
    for (const char *const *w = o->build.changes; *w; w++)
        text_printf(out, "set %s\n", *w);
}

/* Is DIR free, or that of this sweep? */
static bool enter(const sweep_options *o, const sweep *s, int64_t epochs)
{
    text before = {0}, now = {0};
    const char *path = arena_printf(s->mem, "%s/sweep.txt", s->dir);
    describe(o, s->net, epochs, &now);
    bool ok = cmd_make_directories(s->dir, s->d) && cmd_lock_directory(s->dir, s->d);
    bool found = ok && text_read_file(&before, path);
    if (found && !o->resume && !o->overwrite) {
        diag_error(s->d, (src_loc){0}, "%s: holds another sweep: --resume goes on with it, --overwrite begins anew",
                   s->dir);
        ok = false;
    } else if (ok && o->resume && (!found || strcmp(text_get(&before), text_get(&now)) != 0)) {
        diag_error(s->d, (src_loc){0}, "%s: expected the sweep that is to go on, found %s", path,
                   found ? "one of other keys, values, seed or epochs" : "none");
        ok = false;
    }
    ok = ok && (o->resume || be_write_file(path, text_get(&now), now.length, s->d));
    text_free(&before);
    text_free(&now);
    return ok;
}

/* A sweep that begins anew begins each trial anew. */
static void forget_trials(const sweep *s)
{
    for (int t = 0; t < s->count; t++)
        unlink(path_in(s, &s->trials[t], "checkpoint/last.safetensors"));
}

/* The YAML with the first trial's values says whether keys and values are right, and what is not said on the command
 * line. */
static const fe_network *read_first(const sweep *s, const sweep_options *o)
{
    const char *changes[CMD_MOST_CHANGES + MOST_KEYS * 2 + 1] = {0};
    int count = 0;
    for (const char *const *c = o->build.changes; *c; c++)
        changes[count++] = *c;
    for (int k = 0; k < s->key_count; k++)
        changes[count++] = arena_printf(s->mem, "%s=%s", s->keys[k].key, s->trials[0].values[k]);
    return fe_read_changed(s->net, changes, s->mem, s->d);
}

static bool plan(sweep *s, const sweep_options *o)
{
    bool ok = true;
    for (const char *const *w = o->lists; ok && *w; w++)
        ok = sweep_add_list(s, *w);
    for (const char *const *w = o->ranges; ok && *w; w++)
        ok = sweep_add_range(s, *w);
    return ok && sweep_make_trials(s, o->trials, (uint64_t)o->seed);
}

static bool is_higher_better(const sweep_options *o, const char *metric)
{
    static const char *const kinds[] = {"accuracy", "top_k", "precision", "recall", "f1", "iou"};
    const char *name = strchr(metric, '.') + 1;
    for (size_t i = 0; !o->mode && i < sizeof kinds / sizeof *kinds; i++)
        if (!strncmp(name, kinds[i], strlen(kinds[i])))
            return true;
    return o->mode && !strcmp(o->mode, "max");
}

static int carry_out(sweep *s, const sweep_options *o, int64_t epochs)
{
    runner r = {.o = o, .s = s, .stop = cmd_catch_interrupts()};
    if (!o->resume)
        forget_trials(s);
    bool ok = run_all(&r, epochs);
    if (diag_errors(s->d) || !sweep_write_csv(s) || !sweep_write_plot(s))
        return EXIT_FAILED;
    if (o->json)
        sweep_print_json(s, stdout);
    else
        sweep_print(s, stdout);
    if (ok)
        return EXIT_OK;
    fprintf(stderr, "interrupted: go on with --resume\n");
    return EXIT_SIGNAL + *r.stop;
}

static int run(sweep *s, sweep_options *o)
{
    const fe_network *net = plan(s, o) ? read_first(s, o) : NULL;
    if (!net)
        return cmd_report(s->d, false);
    int64_t epochs = o->epochs ? o->epochs : fe_train_options(net)->epochs;
    s->dir = o->out ? o->out : arena_printf(s->mem, "runs/%s_sweep", fe_name(net));
    for (int t = 0; t < s->count; t++)
        s->trials[t].dir = arena_printf(s->mem, "%s/trial_%04d", s->dir, t + 1);
    int code = enter(o, s, epochs) ? carry_out(s, o, epochs) : EXIT_INVALID;
    int said = cmd_report(s->d, false);
    return code == EXIT_OK ? said : code;
}

/* False, and the words printed, of options that fit nothing. */
static bool check_options(sweep_options *o)
{
    const char *dot = strchr(o->metric, '.');
    if (!dot || dot == o->metric || !dot[1])
        fprintf(stderr, "lamina sweep: --metric: expected one such as validation.loss, found '%s'\n", o->metric);
    else if (o->mode && strcmp(o->mode, "min") && strcmp(o->mode, "max"))
        fprintf(stderr, "lamina sweep: --mode: expected min or max, found '%s'\n", o->mode);
    else if (o->resume && o->overwrite)
        fputs("lamina sweep: expected --resume or --overwrite, found both\n", stderr);
    else
        return true;
    return false;
}

int cmd_sweep_values(int argc, char **argv)
{
    sweep_options o = {.metric = "validation.loss", .jobs = 1};
    const cmd_option options[] = {
        {"grid", "KEY=V,V...", "try each of these values, in all combinations", NULL, o.lists, NULL, 0, MOST_KEYS},
        {"random", "KEY=A..B", "draw numbers between; :log evenly in their logarithms, :int whole ones", NULL, o.ranges,
         NULL, 0, MOST_KEYS},
        {"trials", "N", "draw so many (default: 10 with --random, else all combinations)", NULL, NULL, &o.trials, 1,
         10000},
        {"seed", "N", "of what is drawn", NULL, NULL, &o.seed, 0, INT64_MAX},
        {"metric", "NAME", "what is compared (default: validation.loss)", NULL, &o.metric, NULL, 0, 0},
        {"mode", "WORD", "min or max: which is better (default: as the metric's name says)", NULL, &o.mode, NULL, 0, 0},
        {"epochs", "N", "instead of the YAML's", NULL, NULL, &o.epochs, 1, 1000000},
        {"halving", NULL, "few epochs for all, twice as many for the better half, and so on", &o.halving, NULL, NULL, 0,
         0},
        {"jobs", "N", "trials at a time, which share the processors (default: 1)", NULL, NULL, &o.jobs, 1, MOST_JOBS},
        {"threads", "N", "of each trial", NULL, NULL, &o.threads, 1, 1024},
        {"out", "DIR", "where everything goes (default: runs/NAME_sweep)", NULL, &o.out, NULL, 0, 0},
        {"resume", NULL, "go on with the sweep in DIR", &o.resume, NULL, NULL, 0, 0},
        {"overwrite", NULL, "begin anew in a DIR that holds another sweep", &o.overwrite, NULL, NULL, 0, 0},
        {"json", NULL, "print one object", &o.json, NULL, NULL, 0, 0},
        CMD_SET_OPTION(o.build),
        {0}};
    const cmd_syntax syntax = {"sweep", "lamina sweep NET.yaml --grid=KEY=V,V... --random=KEY=A..B [options]",
                               "Trains a network many times with other values of its YAML and says which were best.",
                               options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    if (code >= 0)
        return code;
    if (!check_options(&o))
        return EXIT_USAGE;
    if (!o.threads)
        o.threads = lamina_processors() / o.jobs > 0 ? lamina_processors() / o.jobs : 1;
    sweep s = {.net = path, .dir = "", .metric = o.metric, .mem = arena_new(), .d = diag_new()};
    s.higher_is_better = is_higher_better(&o, o.metric);
    code = run(&s, &o);
    diag_free(s.d);
    arena_free(s.mem);
    return code;
}
