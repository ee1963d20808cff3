/* frontend/command/values.c - see values.h.
 *
 *     test (201 examples): loss 0.4127, accuracy 0.8706
 *       class        precision  recall
 *       0 Adelie        0.9012  0.8930
 *       1 Chinstrap     0.8444       -
 *       confusion_matrix: a row for each true class, a column for each that is said
 *                      0   1
 *       0 Adelie      73   8
 *       1 Chinstrap    9  38 */
#include "frontend/command/values.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { LEAST_WIDTH = 7, MOST_NAME = 32, MOST_MATRIX = 64 };

static bool is_matrix(const lamina_metric *m)
{
    return m->kind == LAMINA_METRIC_CONFUSION_MATRIX;
}

/* What the labels of a metric call class number 'class': "" if nothing, as the two classes of yes and no. */
static const char *class_name(const cmd_values *v, int32_t metric, int64_t class)
{
    const lamina_net *net = lamina_model_net(v->model);
    const char *labels = fe_metric_labels(v->net, net->metrics[metric].name);
    int32_t input = labels ? lamina_net_input(net, labels) : -1;
    bool truths = input >= 0 && is_matrix(&net->metrics[metric]) && net->inputs[input].dtype == LAMINA_F32;
    const char *name = input >= 0 && !truths ? lamina_dataset_name(v->data, input, class) : NULL;
    return name ? name : "";
}

/* How wide the numbers and names of classes are. */
static int label_width(const cmd_values *v, int32_t metric, int64_t classes)
{
    int most = LEAST_WIDTH;
    for (int64_t i = 0; i < classes; i++) {
        int width = snprintf(NULL, 0, "%" PRId64 " %.*s", i, MOST_NAME, class_name(v, metric, i));
        most = width > most ? width : most;
    }
    return most;
}

static void print_label(FILE *out, const cmd_values *v, int32_t metric, int64_t class, int width)
{
    char words[MOST_NAME + 32];
    snprintf(words, sizeof words, "%" PRId64 " %.*s", class, MOST_NAME, class_name(v, metric, class));
    fprintf(out, "  %-*s", width, words);
}

/* ---- a number for each class ---- */

/* Are both of the same classes? */
static bool are_alike(const cmd_values *v, const lamina_numbers *all, int32_t a, int32_t b)
{
    const lamina_net *net = lamina_model_net(v->model);
    const char *x = fe_metric_labels(v->net, net->metrics[a].name), *y = fe_metric_labels(v->net, net->metrics[b].name);
    return all[a].rank == 1 && all[b].rank == 1 && all[a].classes == all[b].classes && x && y && !strcmp(x, y);
}

/* The table of all metrics that are like this one. */
static void print_table(FILE *out, const cmd_values *v, const lamina_numbers *all, int32_t metric)
{
    const lamina_net *net = lamina_model_net(v->model);
    int width = label_width(v, metric, all[metric].classes);
    fprintf(out, "  %-*s", width, "class");
    for (int32_t i = metric; i < net->metric_count; i++)
        if (are_alike(v, all, metric, i))
            fprintf(out, "  %*s", LEAST_WIDTH, net->metrics[i].name);
    fputs("\n", out);
    for (int64_t k = 0; k < all[metric].classes; k++) {
        print_label(out, v, metric, k, width);
        for (int32_t i = metric; i < net->metric_count; i++) {
            int column = (int)strlen(net->metrics[i].name);
            column = column > LEAST_WIDTH ? column : LEAST_WIDTH;
            if (are_alike(v, all, metric, i) && (!all[i].at || isnan(all[i].at[k])))
                fprintf(out, "  %*s", column, "-");
            else if (are_alike(v, all, metric, i))
                fprintf(out, "  %*.4f", column, all[i].at[k]);
        }
        fputs("\n", out);
    }
}

/* ---- a matrix ---- */

static void print_matrix(FILE *out, const cmd_values *v, const lamina_numbers *n, int32_t metric)
{
    const char *name = lamina_model_net(v->model)->metrics[metric].name;
    int width = label_width(v, metric, n->classes), cell = 0;
    if (!n->at || n->classes > MOST_MATRIX) {
        fprintf(out, "  %s: of %" PRId64 " classes, which --json lists\n", name, n->classes);
        return;
    }
    for (int64_t i = 0; i < n->classes * n->classes; i++) {
        int digits = snprintf(NULL, 0, "%.0f", n->at[i]);
        cell = digits > cell ? digits : cell;
    }
    cell = cell > 2 ? cell : 2;
    fprintf(out, "  %s: a row for each true class, a column for each that is said\n  %*s", name, width, "");
    for (int64_t k = 0; k < n->classes; k++)
        fprintf(out, "  %*" PRId64, cell, k);
    fputs("\n", out);
    for (int64_t i = 0; i < n->classes; i++) {
        print_label(out, v, metric, i, width);
        for (int64_t k = 0; k < n->classes; k++)
            fprintf(out, "  %*.0f", cell, n->at[i * n->classes + k]);
        fputs("\n", out);
    }
}

/* ---- all ---- */

static bool is_first_of_table(const cmd_values *v, const lamina_numbers *all, int32_t metric)
{
    for (int32_t i = 0; i < metric; i++)
        if (are_alike(v, all, i, metric))
            return false;
    return true;
}

void cmd_print_values(FILE *out, const cmd_values *v)
{
    const lamina_net *net = lamina_model_net(v->model);
    const lamina_numbers *all = lamina_metric_numbers(v->model);
    const char *separator = "";
    fprintf(out, "%s (%" PRId64 " examples):", v->set, lamina_dataset_count(v->data));
    for (int32_t i = 0; i < net->metric_count; i++) {
        if (all && all[i].rank)
            continue;
        fprintf(out, "%s %s %.4f", separator, net->metrics[i].name, v->values[i]);
        separator = ",";
    }
    fputs("\n", out);
    for (int32_t i = 0; all && i < net->metric_count; i++) {
        if (all[i].rank == 1 && is_first_of_table(v, all, i))
            print_table(out, v, all, i);
        if (all[i].rank == 2)
            print_matrix(out, v, &all[i], i);
    }
}

static void print_number(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, "%.9g", value);
    else
        fputs("null", out); /* JSON has no word for it */
}

static void print_list(FILE *out, const double *at, int64_t count, int64_t width)
{
    fputs("[", out);
    for (int64_t i = 0; i < count; i++) {
        fputs(i ? ", " : "", out);
        if (width)
            print_list(out, at + i * width, width, 0);
        else
            print_number(out, at[i]);
    }
    fputs("]", out);
}

void cmd_print_values_json(FILE *out, const cmd_values *v)
{
    const lamina_net *net = lamina_model_net(v->model);
    const lamina_numbers *all = lamina_metric_numbers(v->model);
    fprintf(out, "{\"set\": \"%s\", \"examples\": %" PRId64, v->set, lamina_dataset_count(v->data));
    for (int32_t i = 0; i < net->metric_count; i++) {
        fprintf(out, ", \"%s\": ", net->metrics[i].name);
        if (!all || !all[i].rank)
            print_number(out, v->values[i]);
        else
            print_list(out, all[i].at, all[i].at ? all[i].classes : 0, all[i].rank == 2 ? all[i].classes : 0);
    }
    fputs("}\n", out);
}
