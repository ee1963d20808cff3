/* runtime/training/watch.c - metrics watched from epoch to epoch.
 *
 *     early stopping     Keras' EarlyStopping: an epoch improves by more than min_delta or waits; after 'patience' of
 *                        these in a row the run ends
 *     plateau            Keras' ReduceLROnPlateau: after 'patience' of them the learning rate is multiplied by
 *                        'factor', then 'cooldown' epochs do not count
 *
 * A value that is NaN never improves. */
#include "runtime/training/watch.h"
#include "runtime/base/error.h"
#include "runtime/model/metrics.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char default_metric[] = "validation.loss";

/* ---- options ---- */

static lamina_status fail_metric(const lamina_net *net, const char *option, const char *found, lamina_error *e)
{
    char known[512] = "";
    size_t at = 0;
    for (int32_t i = 0; i < net->metric_count && at < sizeof known; i++) {
        const char *name = net->metrics[i].name;
        if (!lamina_metric_is_one(&net->metrics[i]))
            continue;
        if (lamina_metric_learns(&net->metrics[i]))
            at += (size_t)snprintf(known + at, sizeof known - at, "%strain.%s", at ? ", " : "", name);
        if (at < sizeof known)
            at += (size_t)snprintf(known + at, sizeof known - at, "%svalidation.%s", at ? ", " : "", name);
    }
    return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s: monitor: expected one of %s, found '%s'", net->name, option, known,
                       found);
}

/* *metric -1: nothing is watched. */
static lamina_status find_metric(const lamina_net *net, const lamina_monitor *m, const char *option, bool validates,
                                 int32_t *metric, bool *validation, lamina_error *e)
{
    const char *name = m->metric ? m->metric : default_metric, *dot = strchr(name, '.');
    *metric = -1;
    if (m->patience < 0 || !(m->min_delta >= 0))
        return lamina_fail(e, LAMINA_BAD_ARG,
                           "%s: %s: expected a patience and min_delta of 0 or more, found %" PRId64 " and %g",
                           net->name, option, m->patience, m->min_delta);
    if (m->patience == 0)
        return LAMINA_OK;
    *validation = strncmp(name, "validation.", 11) == 0;
    for (int32_t i = 0; dot && (*validation || strncmp(name, "train.", 6) == 0) && i < net->metric_count; i++)
        if (strcmp(net->metrics[i].name, dot + 1) == 0 && lamina_metric_is_one(&net->metrics[i]) &&
            (*validation || lamina_metric_learns(&net->metrics[i])))
            *metric = i;
    if (*metric < 0)
        return fail_metric(net, option, name, e);
    if (*validation && !validates)
        return lamina_fail(e, LAMINA_BAD_ARG, "%s: %s: '%s': expected validation data, found none", net->name, option,
                           name);
    return LAMINA_OK;
}

static lamina_status check_plateau(const lamina_net *net, const lamina_plateau *p, lamina_error *e)
{
    if (p->monitor.patience == 0 || (p->factor >= 0 && p->factor < 1 && p->minimum >= 0 && p->cooldown >= 0))
        return LAMINA_OK;
    return lamina_fail(e, LAMINA_BAD_ARG,
                       "%s: plateau: expected a factor from 0, below 1, and a minimum and cooldown of 0 or more, found "
                       "%g, %g and %" PRId64,
                       net->name, p->factor, p->minimum, p->cooldown);
}

static void reduce(lamina_model *m, const lamina_plateau *p)
{
    m->reduced = m->watch.seen.reduced;
    m->least_rate = p->minimum;
}

lamina_status lamina_watch_begin(lamina_watcher *w, lamina_model *m, const lamina_fit_options *o, lamina_error *e)
{
    const lamina_net *net = m->net;
    *w = (lamina_watcher){.o = o};
    lamina_status s =
        find_metric(net, &o->early_stopping.monitor, "early_stopping", o->validation, &w->stop, &w->stop_validation, e);
    s = s ? s : find_metric(net, &o->plateau.monitor, "plateau", o->validation, &w->plateau, &w->plateau_validation, e);
    s = s ? s : check_plateau(net, &o->plateau, e);
    if (s)
        return s;
    if (m->watch.exchanged && (s = lamina_best_exchange(m, e))) /* the run goes on from the last weights */
        return s;
    if (o->first_epoch == 0 && o->first_step == 0)
        lamina_watch_forget(m);
    if (w->stop >= 0 && o->early_stopping.restore_best && (s = lamina_best_reserve(m, e)))
        return s;
    if (w->plateau >= 0)
        reduce(m, &o->plateau);
    return LAMINA_OK;
}

/* ---- an epoch ---- */

static bool is_higher_better(const lamina_monitor *m, const lamina_metric *metric)
{
    return m->mode == LAMINA_MODE_AUTO ? metric->higher_is_better : m->mode == LAMINA_MODE_MAX;
}

/* If it improves, it is the best from now on. */
static bool improves(const lamina_monitor *m, const lamina_metric *metric, double value, lamina_seen *seen)
{
    bool better = is_higher_better(m, metric) ? value > seen->best + m->min_delta : value < seen->best - m->min_delta;
    if (isnan(value) || (seen->epoch > 0 && !better))
        return false;
    seen->best = value;
    return true;
}

static double value_of(const lamina_report *r, int32_t metric, bool validation)
{
    return (validation ? r->validation : r->train)[metric];
}

static const char *name_of(const lamina_monitor *m)
{
    return m->metric ? m->metric : default_metric;
}

static void explain(lamina_watcher *w, const lamina_seen *seen)
{
    int64_t epochs = (int64_t)seen->wait;
    size_t at = (size_t)snprintf(w->why, sizeof w->why, "%s has not improved for %" PRId64 " %s",
                                 name_of(&w->o->early_stopping.monitor), epochs, epochs == 1 ? "epoch" : "epochs");
    if (seen->epoch > 0 && at < sizeof w->why)
        snprintf(w->why + at, sizeof w->why - at, ", its best is %.6g after epoch %" PRId64, seen->best,
                 (int64_t)seen->epoch);
}

static lamina_status watch_stop(lamina_watcher *w, lamina_model *m, lamina_report *r, lamina_error *e)
{
    const lamina_early_stopping *o = &w->o->early_stopping;
    lamina_seen *seen = &m->watch.seen.stop;
    lamina_status s = LAMINA_OK;
    if (improves(&o->monitor, &m->net->metrics[w->stop], value_of(r, w->stop, w->stop_validation), seen)) {
        seen->epoch = (double)r->epoch;
        seen->wait = 0;
        s = o->restore_best ? lamina_best_keep(m, e) : LAMINA_OK;
    } else {
        seen->wait++;
    }
    r->best_epoch = (int64_t)seen->epoch;
    if (seen->wait < (double)o->monitor.patience)
        return s;
    explain(w, seen);
    r->stopped = w->why;
    return s;
}

static void watch_plateau(const lamina_watcher *w, lamina_model *m, lamina_report *r)
{
    const lamina_plateau *o = &w->o->plateau;
    lamina_seen *seen = &m->watch.seen.plateau;
    double *cooldown = &m->watch.seen.cooldown;
    if (*cooldown > 0) {
        --*cooldown;
        seen->wait = 0;
    }
    if (improves(&o->monitor, &m->net->metrics[w->plateau], value_of(r, w->plateau, w->plateau_validation), seen)) {
        seen->epoch = (double)r->epoch;
        seen->wait = 0;
    } else if (*cooldown == 0 && ++seen->wait >= (double)o->monitor.patience &&
               lamina_learning_rate(m) > (float)o->minimum) {
        double before = m->watch.seen.reduced;
        m->watch.seen.reduced = (before > 0 ? before : 1) * (o->factor > 0 ? o->factor : 0.1);
        reduce(m, o);
        *cooldown = (double)o->cooldown;
        seen->wait = 0;
        r->reduced_to = (double)lamina_learning_rate(m);
    }
}

lamina_status lamina_watch_epoch(lamina_watcher *w, lamina_model *m, lamina_report *r, lamina_error *e)
{
    r->reduced_to = 0;
    if (w->plateau >= 0)
        watch_plateau(w, m, r);
    return w->stop >= 0 ? watch_stop(w, m, r, e) : LAMINA_OK;
}

bool lamina_watch_stopped(const lamina_watcher *w, const lamina_model *m)
{
    return w->stop >= 0 && m->watch.seen.stop.wait >= (double)w->o->early_stopping.monitor.patience;
}

/* ---- the end ---- */

lamina_status lamina_watch_end(const lamina_watcher *w, lamina_model *m, lamina_error *e)
{
    bool restores = w->stop >= 0 && w->o->early_stopping.restore_best && m->watch.best && m->watch.seen.stop.epoch > 0;
    return restores && m->watch.kept ? lamina_best_exchange(m, e) : LAMINA_OK;
}

void lamina_watch_leave(lamina_model *m)
{
    m->reduced = 0;
}
