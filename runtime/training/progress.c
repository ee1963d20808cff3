/* runtime/training/progress.c - what a person sees of a training run.
 *
 *     epoch 2/5 [=========>          ] 211/469  loss 0.3121  accuracy 0.9102  412000/s  ETA 0:07
 *
 * Below an epoch stands what came of it: a learning rate that was reduced, why the run ended early. A rate that is not
 * that of the epoch before is shown too. On a terminal the line above is redrawn ten times a second and an epoch's last
 * one stays; elsewhere only the last ones are written. The only file of the runtime that prints. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/metrics.h"
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 20, LINE = 4096 };

static const double redraw_seconds = 0.1;

struct lamina_progress {
    FILE *file;
    bool terminal;
    bool open;    /* the line above the cursor is drawn over next; the cursor waits below, for others' words */
    double drawn; /* total_seconds of the last line */
    double rate;  /* of the last epoch that was told; 0: of none */
    size_t used;
    char line[LINE];
};

__attribute__((format(printf, 2, 3))) static void add(lamina_progress *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(p->line + p->used, LINE - p->used, format, args);
    va_end(args);
    if (n > 0)
        p->used = p->used + (size_t)n < LINE ? p->used + (size_t)n : LINE - 1;
}

static void add_bar(lamina_progress *p, const lamina_report *r)
{
    int done = r->steps > 0 ? (int)(r->step * BAR / r->steps) : BAR;
    done = done < BAR ? done : BAR;
    char bar[BAR + 1];
    memset(bar, ' ', BAR);
    memset(bar, '=', (size_t)done);
    if (done < BAR)
        bar[done] = '>';
    bar[BAR] = 0;
    add(p, " [%s]", bar);
}

/* One number each; what is not measured in training is left out of its values. */
static void add_metrics(lamina_progress *p, const char *prefix, const lamina_report *r, const double *values)
{
    for (int32_t i = 0; i < r->metric_count; i++)
        if (lamina_metric_is_one(&r->metrics[i]) && (values != r->train || lamina_metric_learns(&r->metrics[i])))
            add(p, "  %s%s %.4f", prefix, r->metrics[i].name, values[i]);
}

static void add_time(lamina_progress *p, double seconds)
{
    int64_t s = (int64_t)(seconds + 0.5);
    if (s >= 3600)
        add(p, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
    else
        add(p, "%d:%02d", (int)(s / 60), (int)(s % 60));
}

/* What a line may have: a longer one would wrap, and the next one be drawn below it. */
static size_t width_of(const lamina_progress *p)
{
    struct winsize w;
    bool known = ioctl(fileno(p->file), TIOCGWINSZ, &w) == 0 && w.ws_col > 1;
    return known ? w.ws_col - 1u : LINE;
}

static void compose(lamina_progress *p, const lamina_report *r, bool last, bool bar)
{
    p->used = 0;
    add(p, "epoch %" PRId64 "/%" PRId64, r->epoch, r->epochs);
    if (bar)
        add_bar(p, r);
    add(p, " %" PRId64 "/%" PRId64, r->step, r->steps);
    add_metrics(p, "", r, r->train);
    if (r->validation)
        add_metrics(p, "validation ", r, r->validation);
    double examples = (double)(r->examples - r->examples_before);
    if (last && p->rate > 0 && r->learning_rate != p->rate)
        add(p, "  rate %.3g", r->learning_rate);
    if (r->seconds > 0)
        add(p, "  %.0f/s", examples / r->seconds);
    if (last) {
        add(p, "  ");
        add_time(p, r->seconds);
    } else if (examples > 0) {
        double epochs = (double)(r->steps - r->step) / (double)r->steps + (double)(r->epochs - r->epoch);
        add(p, "  ETA ");
        add_time(p, epochs * (double)r->records * r->seconds / examples);
    }
}

/* Where there is no room for all of it the bar goes first: the numbers say the same. */
static void draw(lamina_progress *p, const lamina_report *r, bool last)
{
    compose(p, r, last, p->terminal);
    if (p->terminal && p->used > width_of(p))
        compose(p, r, last, false);
    p->rate = last ? r->learning_rate : p->rate;
    if (!p->terminal) {
        fprintf(p->file, "%s\n", p->line);
    } else {
        if (p->used > width_of(p))
            p->line[width_of(p)] = 0;
        fprintf(p->file, "%s%s\033[K\n", p->open ? "\033[A\r" : "", p->line);
        p->open = !last;
    }
    fflush(p->file);
    p->drawn = r->total_seconds;
}

/* What came of an epoch, on lines below it. */
static void tell_changes(const lamina_progress *p, const lamina_report *r)
{
    if (r->reduced_to > 0)
        fprintf(p->file, "learning rate reduced to %.3g\n", r->reduced_to);
    if (r->stopped)
        fprintf(p->file, "stopped early: %s\n", r->stopped);
    fflush(p->file);
}

void lamina_progress_report(void *progress, const lamina_report *r)
{
    lamina_progress *p = progress;
    bool last = r->event == LAMINA_EVENT_EPOCH;
    if (last || (p->terminal && r->total_seconds - p->drawn >= redraw_seconds))
        draw(p, r, last);
    if (last)
        tell_changes(p, r);
}

void lamina_progress_leave(lamina_progress *p)
{
    p->open = false;
}

lamina_status lamina_progress_new(FILE *f, lamina_progress **out, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_progress_new", "f out", f, out);
    if (s)
        return s;
    *out = lamina_allocate(1, sizeof **out);
    if (!*out)
        return lamina_fail_memory(e, "the progress bar", sizeof **out);
    (*out)->file = f;
    (*out)->terminal = isatty(fileno(f));
    return LAMINA_OK;
}

void lamina_progress_free(lamina_progress *p)
{
    lamina_release(p);
}
