/* runtime/training/log.c - a training run as JSON lines, for programs to read.
 *
 *     {"epoch": 1, "steps": 469, "total_steps": 469, "examples": 60000, "seconds": 0.31, "learning_rate": 0.001,
 *      "train": {"loss": 0.51, "accuracy": 0.82}, "validation": {"loss": 0.41, "accuracy": 0.85}}
 *
 * One line an epoch. A value that is not finite is null, as JSON has no word for it. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
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

static json_t *metrics(const lamina_report *r, const double *values)
{
    json_t *o = json_object();
    for (int32_t i = 0; i < r->metric_count; i++) {
        if (json_object_set_new(o, r->metrics[i].name, real(values[i]))) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
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

static json_t *line(const lamina_report *r)
{
    json_t *o =
        json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "epoch", (json_int_t)r->epoch, "steps", (json_int_t)r->steps,
                  "total_steps", (json_int_t)r->total_steps, "examples", (json_int_t)r->examples, "seconds",
                  real(r->seconds), "learning_rate", real(shortest(r->learning_rate)), "train", metrics(r, r->train));
    if (o && r->validation && json_object_set_new(o, "validation", metrics(r, r->validation))) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* jansson does not hand on every failure of its sink, so the log keeps it. */
static int put(const char *data, size_t size, void *log)
{
    lamina_log *l = log;
    while (size > 0 && !l->failed) {
        ssize_t n = write(l->fd, data, size);
        if (n < 0 && errno != EINTR)
            l->failed = errno;
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return l->failed ? -1 : 0;
}

void lamina_log_report(void *log, const lamina_report *r)
{
    lamina_log *l = log;
    if (r->event != LAMINA_EVENT_EPOCH || l->failed)
        return;
    json_t *o = line(r);
    bool whole = o && json_dump_callback(o, put, l, JSON_REAL_PRECISION(15)) == 0 && put("\n", 1, l) == 0;
    if (!whole && !l->failed)
        l->failed = ENOMEM;
    json_decref(o);
}

lamina_status lamina_log_new(const char *path, bool append, lamina_log **out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_log_new", "path out", path, out);
    if (status)
        return status;
    *out = NULL;
    size_t n = strlen(path) + 1;
    lamina_log *l = lamina_allocate(1, sizeof *l + n);
    if (!l)
        return lamina_fail_memory(e, path, sizeof *l + n);
    memcpy(l->path, path, n);
    l->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND | (append ? 0 : O_TRUNC), 0666);
    if (l->fd < 0) {
        lamina_release(l);
        return lamina_fail(e, LAMINA_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    *out = l;
    return LAMINA_OK;
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
