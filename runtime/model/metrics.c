/* runtime/model/metrics.c - metrics from their sums. The formulas stand in lamina_abi.h. */
#include "runtime/model/metrics.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/model.h"
#include "runtime/model/ranking.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- kinds ---- */

int32_t lamina_metric_formula(const lamina_metric *m)
{
    return m->kind & (LAMINA_METRIC_MACRO - 1);
}

int32_t lamina_metric_average(const lamina_metric *m)
{
    return m->kind - lamina_metric_formula(m);
}

bool lamina_metric_sums(const lamina_metric *m)
{
    return lamina_metric_formula(m) < LAMINA_METRIC_AUC;
}

bool lamina_metric_learns(const lamina_metric *m)
{
    return lamina_metric_formula(m) < LAMINA_METRIC_CONFUSION_MATRIX;
}

bool lamina_metric_is_one(const lamina_metric *m)
{
    return lamina_metric_formula(m) != LAMINA_METRIC_CONFUSION_MATRIX && lamina_metric_average(m) != LAMINA_METRIC_EACH;
}

/* Is there an average, and of one kind, where the formula has classes, and none elsewhere? */
static bool has_average(const lamina_metric *m)
{
    int32_t f = lamina_metric_formula(m), average = lamina_metric_average(m);
    bool needed = (f >= LAMINA_METRIC_PRECISION && f <= LAMINA_METRIC_IOU) || f >= LAMINA_METRIC_AUC;
    return needed ? average >= LAMINA_METRIC_MACRO && average <= LAMINA_METRIC_EACH : average == 0;
}

/* A f64 state within what inference has, of no dimension, or of two. */
static bool is_sum(const lamina_net *net, int32_t tensor, bool scalar)
{
    if (tensor < net->param_count || tensor >= net->tensor_count)
        return false;
    const lamina_tensor *t = &net->tensors[tensor];
    uint64_t state = lamina_net_sizes(net, true).state;
    return t->dtype == LAMINA_F64 && t->offset % 8 == 0 && t->bytes <= state && t->offset <= state - t->bytes &&
           (scalar ? t->bytes == 8 : t->rank == 2 && t->bytes == 8 * (uint64_t)t->dim[0] * (uint64_t)t->dim[1]);
}

static bool is_known(const lamina_net *net, const lamina_metric *m)
{
    int32_t f = lamina_metric_formula(m);
    if (f < LAMINA_METRIC_MEAN || f > LAMINA_METRIC_AVERAGE_PRECISION || !has_average(m))
        return false;
    if (!lamina_metric_sums(m))
        return m->sum >= 0 && m->sum < net->output_count && m->count >= 0 && m->count < net->input_count;
    if (!is_sum(net, m->sum, f <= LAMINA_METRIC_ROOT_MEAN) || !is_sum(net, m->count, true))
        return false;
    const int64_t *dim = net->tensors[m->sum].dim;
    return f <= LAMINA_METRIC_ROOT_MEAN || (lamina_metric_learns(m) ? dim[0] == 3 : dim[0] == dim[1]);
}

lamina_status lamina_metrics_check(const lamina_net *net, lamina_error *e)
{
    for (int32_t i = 0; i < net->metric_count; i++)
        if (!is_known(net, &net->metrics[i]))
            return lamina_fail(
                e, LAMINA_UNSUPPORTED,
                "%s: metric '%s': expected a kind known to ABI %d.%d and the states it is made of, found "
                "kind %" PRId32,
                net->name, net->metrics[i].name, LAMINA_ABI_MAJOR, LAMINA_ABI_MINOR, net->metrics[i].kind);
    return LAMINA_OK;
}

/* ---- sums ---- */

int64_t lamina_metric_width(const lamina_net *net, int32_t index)
{
    const lamina_metric *m = &net->metrics[index];
    return lamina_metric_sums(m) ? (int64_t)(net->tensors[m->sum].bytes / sizeof(double)) : 0;
}

static double *state_of(const lamina_model *m, int32_t tensor)
{
    return (double *)(void *)((char *)m->call.state + m->net->tensors[tensor].offset);
}

double *lamina_metric_sum(const lamina_model *m, int32_t index)
{
    return state_of(m, m->net->metrics[index].sum);
}

double *lamina_metric_count(const lamina_model *m, int32_t index)
{
    return state_of(m, m->net->metrics[index].count);
}

int64_t lamina_sum_count(const lamina_net *net)
{
    int64_t count = 0;
    for (int32_t i = 0; i < net->metric_count; i++)
        count += lamina_metric_learns(&net->metrics[i]) ? lamina_metric_width(net, i) + 1 : 0;
    return count;
}

/* One way or the other. */
static void move_sums(const lamina_model *m, double *to, const double *from)
{
    for (int32_t i = 0; i < m->net->metric_count; i++) {
        if (!lamina_metric_learns(&m->net->metrics[i]))
            continue;
        size_t width = (size_t)lamina_metric_width(m->net, i);
        double *sum = lamina_metric_sum(m, i), *count = lamina_metric_count(m, i);
        memcpy(to ? to : sum, to ? sum : from, width * sizeof *sum);
        *(to ? to + width : count) = to ? *count : from[width];
        to += to ? width + 1 : 0;
        from += from ? width + 1 : 0;
    }
}

void lamina_read_sums(const lamina_model *m, double *out)
{
    move_sums(m, out, NULL);
}

void lamina_write_sums(lamina_model *m, const double *from)
{
    move_sums(m, NULL, from);
}

static void clear(lamina_model *m, bool all)
{
    for (int32_t i = 0; i < m->net->metric_count; i++) {
        const lamina_metric *metric = &m->net->metrics[i];
        if (!lamina_metric_sums(metric) || (!all && !lamina_metric_learns(metric)))
            continue;
        memset(lamina_metric_sum(m, i), 0, (size_t)lamina_metric_width(m->net, i) * sizeof(double));
        *lamina_metric_count(m, i) = 0;
    }
}

void lamina_clear_sums(lamina_model *m)
{
    clear(m, false);
}

void lamina_reset_metrics(lamina_model *m)
{
    clear(m, true);
    lamina_ranking_reset(m);
}

/* ---- formulas ---- */

/* sum: errors, targets, squares. What rounding can make of equal targets is no variance. */
static double r2(const double *sum, double count, int64_t places)
{
    const double least = 1e-14;
    double total = 0;
    for (int64_t i = 0; i < places; i++) {
        double error = sum[i], target = sum[places + i], square = sum[2 * places + i];
        double spread = square - target * target / count;
        total += spread > least * square ? 1 - error / spread : error == 0 ? 1 : spread != spread ? NAN : 0;
    }
    return total / (double)places;
}

/* Of how many are said rightly, are said, and are true. */
static double ratio(int32_t formula, double right, double said, double are)
{
    switch (formula) {
    case LAMINA_METRIC_PRECISION:
        return right / said;
    case LAMINA_METRIC_RECALL:
        return right / are;
    case LAMINA_METRIC_F1:
        return 2 * right / (said + are);
    default:
        return right / (said + are - right);
    }
}

static double average(const lamina_metric *m, const double *sum, int64_t classes)
{
    int32_t formula = lamina_metric_formula(m), how = lamina_metric_average(m);
    double right = 0, said = 0, are = 0, above = 0, below = 0;
    for (int64_t i = 0; i < classes; i++) {
        const double *each[3] = {sum + i, sum + classes + i, sum + 2 * classes + i};
        double value = ratio(formula, *each[0], *each[1], *each[2]);
        double weight = how == LAMINA_METRIC_WEIGHTED ? *each[2] : *each[1] + *each[2] > 0;
        right += *each[0];
        said += *each[1];
        are += *each[2];
        above += isnan(value) ? 0 : weight * value;
        below += weight;
    }
    return how == LAMINA_METRIC_MICRO ? ratio(formula, right, said, are) : above / below;
}

/* What a matrix says besides its cells: the sums of rows and columns. */
typedef struct {
    double all, right, chance, rows, columns; /* chance: of both; rows, columns: of squares */
} margins;

static margins margins_of(const double *cell, int64_t classes)
{
    margins m = {0};
    for (int64_t i = 0; i < classes; i++) {
        double row = 0, column = 0;
        for (int64_t k = 0; k < classes; k++) {
            row += cell[i * classes + k];
            column += cell[k * classes + i];
        }
        m.all += row;
        m.right += cell[i * classes + i];
        m.chance += row * column;
        m.rows += row * row;
        m.columns += column * column;
    }
    return m;
}

/* Gorodkin 2004; 0 where one side is all of one class, as in scikit-learn. */
static double matthews(const margins *m)
{
    double below = sqrt(m->all * m->all - m->rows) * sqrt(m->all * m->all - m->columns);
    double above = m->right * m->all - m->chance;
    return below > 0 ? above / below : m->all > 0 ? 0 : NAN;
}

/* Cohen 1960: (agreement - chance) / (1 - chance). */
static double cohen_kappa(const margins *m)
{
    return (m->right * m->all - m->chance) / (m->all * m->all - m->chance);
}

double lamina_metric_of(const lamina_net *net, int32_t index, const double *sum, double count)
{
    const lamina_metric *m = &net->metrics[index];
    int64_t last = net->tensors[m->sum].dim[1];
    int32_t formula = lamina_metric_formula(m);
    if (!(count > 0))
        return NAN;
    if (formula <= LAMINA_METRIC_ROOT_MEAN)
        return formula == LAMINA_METRIC_MEAN ? *sum / count : sqrt(*sum / count);
    if (formula == LAMINA_METRIC_R2)
        return r2(sum, count, last);
    if (formula <= LAMINA_METRIC_IOU)
        return average(m, sum, last);
    margins all = margins_of(sum, last);
    return formula == LAMINA_METRIC_MATTHEWS      ? matthews(&all)
           : formula == LAMINA_METRIC_COHEN_KAPPA ? cohen_kappa(&all)
                                                  : all.right / all.all;
}

double lamina_metric_value(const lamina_model *m, int32_t index)
{
    if (index < 0 || index >= m->net->metric_count)
        return NAN;
    if (!lamina_metric_sums(&m->net->metrics[index]))
        return lamina_ranking_value(m, &m->net->metrics[index]);
    return lamina_metric_of(m->net, index, lamina_metric_sum(m, index), *lamina_metric_count(m, index));
}

/* ---- more numbers than one ---- */

static lamina_numbers shape_of(const lamina_net *net, const lamina_metric *m)
{
    if (lamina_metric_is_one(m))
        return (lamina_numbers){0};
    if (lamina_metric_average(m) != LAMINA_METRIC_EACH)
        return (lamina_numbers){2, net->tensors[m->sum].dim[1], NULL};
    int64_t classes = lamina_metric_sums(m) ? net->tensors[m->sum].dim[1] : lamina_ranking_classes(net, m);
    return (lamina_numbers){1, classes, NULL};
}

static int64_t count_numbers(const lamina_numbers *n)
{
    return n->rank == 0 ? 0 : n->rank == 1 ? n->classes : n->classes * n->classes;
}

/* The numbers follow the list, each metric's behind those of the one before. */
lamina_status lamina_numbers_new(const lamina_net *net, lamina_numbers **out, lamina_error *e)
{
    size_t count = (size_t)net->metric_count, bytes = count * sizeof **out;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        const lamina_numbers n = shape_of(net, &net->metrics[i]);
        bytes += (size_t)count_numbers(&n) * sizeof(double);
    }
    if (bytes == count * sizeof **out)
        return LAMINA_OK;
    *out = lamina_allocate(1, bytes);
    return *out ? LAMINA_OK : lamina_fail_memory(e, net->name, bytes);
}

/* False: it was not measured. */
static bool read_numbers(const lamina_model *m, int32_t index, const lamina_numbers *n, double *out)
{
    const lamina_metric *metric = &m->net->metrics[index];
    if (!lamina_metric_sums(metric))
        return lamina_ranking_each(m, metric, out);
    const double *sum = lamina_metric_sum(m, index);
    double any = 0;
    if (n->rank == 2)
        memcpy(out, sum, (size_t)count_numbers(n) * sizeof *out);
    for (int64_t i = 0; n->rank == 1 && i < n->classes; i++)
        out[i] = ratio(lamina_metric_formula(metric), sum[i], sum[n->classes + i], sum[2 * n->classes + i]);
    for (int64_t i = 0; i < lamina_metric_width(m->net, index); i++)
        any += sum[i];
    return any > 0;
}

void lamina_numbers_read(const lamina_model *m, lamina_numbers *numbers)
{
    double *at = numbers ? (double *)(void *)(numbers + m->net->metric_count) : NULL;
    for (int32_t i = 0; at && i < m->net->metric_count; i++) {
        numbers[i] = shape_of(m->net, &m->net->metrics[i]);
        if (numbers[i].rank && read_numbers(m, i, &numbers[i], at))
            numbers[i].at = at;
        at += count_numbers(&numbers[i]);
    }
}

const lamina_numbers *lamina_metric_numbers(lamina_model *m)
{
    lamina_numbers_read(m, m->numbers);
    return m->numbers;
}
