/* runtime/training/log.c - a training run as JSON lines, for programs to read.
 *
 *     {"epoch": 1, "steps": 469, "total_steps": 469, "examples": 60000, "seconds": 0.31, "learning_rate": 0.001,
 *      "train": {"loss": 0.51, "accuracy": 0.82}, "validation": {"loss": 0.41, "accuracy": 0.85}}
 *
 * One line an epoch, as log.schema.json has it. After one at which the learning rate was reduced there is "reduced_to",
 * after one at which early stopping ended the run "stopped", which says why. A value that is not finite is null, as
 * JSON has no word for it, and so is what is not measured while training. A metric of each class is a list of numbers,
 * a confusion matrix one of such lists.
 * A line of a run of stages has its stage's name and, where there is validation data, how the whole stands and each
 * stage:
 *
 *     "stage": "features", ..., "whole": {"loss": 0.38, "accuracy": 0.86},
 *     "stages": {"features": {"loss": 0.41, "accuracy": 0.85, "share": 0.52, "contribution": 0.02}, ...}} */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct lamina_log {
    int fd;
    int failed; /* errno of the first line that was lost */
    char path[];
};

static json_t *real(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* A number a class, or for each true class a list of what is said of it. */
static json_t *numbers(const double *at, int32_t rank, int64_t classes)
{
    json_t *list = json_array();
    for (int64_t i = 0; i < classes; i++) {
        json_t *entry = rank > 1 ? numbers(at + i * classes, 0, classes)
                        : rank   ? real(at[i])
                                 : json_integer((json_int_t)at[i]);
        if (json_array_append_new(list, entry)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *value_of(double value, const lamina_numbers *n)
{
    if (!n || !n->rank)
        return real(value);
    return n->at ? numbers(n->at, n->rank, n->classes) : json_null();
}

/* 'all' may be NULL: each metric is one number. */
static json_t *metrics(const lamina_metric *metrics, int32_t count, const double *values, const lamina_numbers *all)
{
    json_t *o = json_object();
    for (int32_t i = 0; i < count; i++) {
        if (json_object_set_new(o, metrics[i].name, value_of(values[i], all ? &all[i] : NULL))) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

/* What is not known is left out. */
static json_t *score(const lamina_stages_score *s)
{
    json_t *o = metrics(s->metrics, s->metric_count, s->values, NULL);
    bool bad = !isnan(s->share) && json_object_set_new(o, "share", json_real(s->share));
    if (!bad && !isnan(s->contribution))
        bad = json_object_set_new(o, "contribution", real(s->contribution));
    if (!bad)
        return o;
    json_decref(o);
    return NULL;
}

static bool add_scores(json_t *line, const lamina_stages_score *scores, int32_t count)
{
    json_t *stages = json_object();
    bool bad = !stages;
    for (int32_t i = 0; i < count && !bad; i++)
        bad = json_object_set_new(scores[i].stage ? stages : line, scores[i].stage ? scores[i].stage : "whole",
                                  score(&scores[i]));
    if (!bad && json_object_size(stages) > 0)
        return json_object_set_new(line, "stages", stages) == 0;
    json_decref(stages);
    return !bad;
}

/* The rate is an f32: its shortest decimal form, not the double next to it. */
static double shortest(double v)
{
    char text[32];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        double back;
        if (sscanf(text, "%lf", &back) == 1 && (float)back == (float)v)
            return back;
    }
    return v;
}

/* 'stage' may be NULL, which leaves the key out. */
static json_t *line(const char *stage, const lamina_report *r)
{
    json_t *o =
        json_pack("{s:I, s:s*, s:I, s:I, s:I, s:o, s:o, s:o}", "epoch", (json_int_t)r->epoch, "stage", stage, "steps",
                  (json_int_t)r->steps, "total_steps", (json_int_t)r->total_steps, "examples", (json_int_t)r->examples,
                  "seconds", real(r->seconds), "learning_rate", real(shortest(r->learning_rate)), "train",
                  metrics(r->metrics, r->metric_count, r->train, r->train_numbers));
    int failed = o && r->validation
                     ? json_object_set_new(o, "validation",
                                           metrics(r->metrics, r->metric_count, r->validation, r->validation_numbers))
                     : 0;
    if (o && r->reduced_to > 0)
        failed |= json_object_set_new(o, "reduced_to", real(shortest(r->reduced_to)));
    if (o && r->stopped)
        failed |= json_object_set_new(o, "stopped", json_string(r->stopped));
    if (!failed)
        return o;
    json_decref(o);
    return NULL;
}

static void put(lamina_log *l, const char *data, size_t size)
{
    while (size > 0 && !l->failed) {
        ssize_t n = write(l->fd, data, size);
        if (n < 0 && errno != EINTR)
            l->failed = errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

/* Written in one piece, so that a process that is killed leaves no half of a line. */
void lamina_log_scores(lamina_log *l, const char *stage, const lamina_report *r, const lamina_stages_score *scores,
                       int32_t count)
{
    if (r->event != LAMINA_EVENT_EPOCH || l->failed)
        return;
    json_t *o = line(stage, r);
    if (o && count > 0 && !add_scores(o, scores, count)) {
        json_decref(o);
        o = NULL;
    }
    size_t size = o ? json_dumpb(o, NULL, 0, JSON_REAL_PRECISION(15)) : 0;
    char *text = size ? lamina_allocate(1, size + 1) : NULL;
    if (text && json_dumpb(o, text, size, JSON_REAL_PRECISION(15)) == size) {
        text[size] = '\n';
        put(l, text, size + 1);
    } else {
        l->failed = ENOMEM;
    }
    lamina_release(text);
    json_decref(o);
}

void lamina_log_stage(lamina_log *l, const char *stage, const lamina_report *r)
{
    lamina_log_scores(l, stage, r, NULL, 0);
}

void lamina_log_report(void *log, const lamina_report *r)
{
    lamina_log_stage(log, NULL, r);
}

/* ---- opening ---- */

static lamina_status make(const char *path, int fd, lamina_log **out, lamina_error *e)
{
    size_t n = strlen(path) + 1;
    *out = NULL;
    if (fd < 0)
        return lamina_fail(e, LAMINA_IO, "%s: cannot open: %s", path,
                           errno == ELOOP ? "it is a symbolic link" : strerror(errno));
    lamina_log *l = lamina_allocate(1, sizeof *l + n);
    if (!l) {
        close(fd);
        return lamina_fail_memory(e, path, sizeof *l + n);
    }
    memcpy(l->path, path, n);
    l->fd = fd;
    *out = l;
    return LAMINA_OK;
}

lamina_status lamina_log_new(const char *path, bool append, lamina_log **out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_log_new", "path out", path, out);
    if (status)
        return status;
    if (strcmp(path, "-") == 0)
        return make("standard output", fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0), out, e);
    return make(path, open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (append ? 0 : O_TRUNC), 0666), out, e);
}

/* How far a log holds whole lines of epochs up to this one. All lines begin alike, as line() makes them. */
static size_t lines_until(const char *text, int64_t epochs)
{
    static const char head[] = "{\"epoch\": ";
    const char *at = text;
    for (const char *end; (end = strchr(at, '\n')); at = end + 1)
        if (strncmp(at, head, sizeof head - 1) != 0 || strtoll(at + sizeof head - 1, NULL, 10) > epochs)
            break;
    return (size_t)(at - text);
}

static lamina_status cut(const lamina_log *l, int64_t epochs, lamina_error *e)
{
    struct stat info;
    if (fstat(l->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return lamina_fail(e, LAMINA_IO, "%s: expected a regular file", l->path);
    size_t size = (size_t)info.st_size, have = 0;
    char *text = lamina_allocate(1, size + 1); /* zeros: it ends where reading did */
    if (!text)
        return lamina_fail_memory(e, l->path, size + 1);
    ssize_t n;
    while ((n = pread(l->fd, text + have, size - have, (off_t)have)) > 0)
        have += (size_t)n;
    size_t kept = lines_until(text, epochs);
    lamina_release(text);
    if (n < 0 || ftruncate(l->fd, (off_t)kept) != 0)
        return lamina_fail(e, LAMINA_IO, "%s: cannot write: %s", l->path, strerror(errno));
    return LAMINA_OK;
}

lamina_status lamina_log_resume(const char *path, int64_t epochs, lamina_log **out, lamina_error *e)
{
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
    lamina_log *log = NULL;
    lamina_status s = make(path, open(path, flags, 0666), &log, e);
    if (log && (s = cut(log, epochs, e))) {
        lamina_log_free(log, NULL);
        log = NULL;
    }
    *out = log;
    return s;
}

lamina_status lamina_log_free(lamina_log *l, lamina_error *e)
{
    if (!l)
        return LAMINA_OK;
    if (close(l->fd) != 0 && !l->failed)
        l->failed = errno;
    lamina_status s = LAMINA_OK;
    if (l->failed)
        s = lamina_fail(e, LAMINA_IO, "%s: cannot write: %s", l->path, strerror(l->failed));
    lamina_release(l);
    return s;
}
