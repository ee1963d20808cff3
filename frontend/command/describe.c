/* frontend/command/describe.c - lamina data: what a network's data sets hold, input by input and column by column. */
#include "frontend/command/cmd.h"
#include "frontend/command/data.h"
#include "frontend/command/sheet.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_ROWS = 256, MOST_CLASSES = 1000, PRINTED_CLASSES = 12 };

typedef struct {
    cmd_build build; /* of it, what is changed of the YAML */
    bool json;
    const char *augmented; /* the file to draw to; NULL: none */
} describe_options;

/* Some elements of each record of an input. */
typedef struct {
    const lamina_dataset *data;
    const lamina_tensor *t;
    int32_t input;
    int64_t first, count; /* of the elements */
    int64_t missing;      /* NaN */
    double least, most, mean;
    int64_t *classes; /* by number; NULL: no classes */
} column;

/* ---- numbers ---- */

static double element(const lamina_tensor *t, const void *record, int64_t i)
{
    switch (t->dtype) {
    case LAMINA_F32:
        return (double)((const float *)record)[i];
    case LAMINA_I32:
        return ((const int32_t *)record)[i];
    default: /* all types that a YAML's inputs have */
        return ((const uint8_t *)record)[i];
    }
}

static void measure(column *c)
{
    int64_t numbers = 0, records = lamina_dataset_count(c->data);
    double sum = 0;
    for (int64_t r = 0; r < records; r++) {
        const void *record = lamina_dataset_record(c->data, c->input, r);
        for (int64_t i = c->first; i < c->first + c->count; i++) {
            double v = element(c->t, record, i);
            if (isnan(v)) {
                c->missing++;
                continue;
            }
            c->least = !numbers || v < c->least ? v : c->least;
            c->most = !numbers || v > c->most ? v : c->most;
            sum += v;
            numbers++;
        }
    }
    c->mean = numbers ? sum / (double)numbers : NAN;
    if (!numbers)
        c->least = c->most = NAN;
}

/* An integer a record, from 0, is a class. */
static void count_classes(column *c, int64_t elements, arena *mem)
{
    if (c->t->dtype == LAMINA_F32 || elements != 1 || c->least < 0 || c->most >= MOST_CLASSES)
        return;
    c->classes = arena_new_array(mem, int64_t, MOST_CLASSES);
    for (int64_t r = 0; r < lamina_dataset_count(c->data); r++)
        c->classes[(int)element(c->t, lamina_dataset_record(c->data, c->input, r), 0)]++;
}

static const char *class_name(const column *c, int64_t i, arena *mem)
{
    const char *name = lamina_dataset_name(c->data, c->input, i);
    return name ? name : arena_printf(mem, "%" PRId64, i);
}

/* ---- text ---- */

static void print_classes(const column *c, arena *mem)
{
    int printed = 0;
    for (int64_t i = 0; i <= (int64_t)c->most; i++) {
        if (!c->classes[i] && !lamina_dataset_name(c->data, c->input, i))
            continue;
        if (printed++ == PRINTED_CLASSES) {
            printf(", ...");
            break;
        }
        printf("%s%s %" PRId64, printed > 1 ? ", " : "  ", class_name(c, i, mem), c->classes[i]);
    }
}

static void print_row(const column *c, const char *name, arena *mem)
{
    printf("    %-26.60s %12.6g %12.6g %12.6g %9" PRId64, name, c->least, c->most, c->mean, c->missing);
    if (c->classes)
        print_classes(c, mem);
    printf("\n");
}

/* ---- JSON ---- */

static void print_string(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if ((unsigned char)*s < ' ')
            printf("\\u%04x", *s);
        else
            printf(*s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
    }
    putchar('"');
}

static void print_number(const char *key, double v)
{
    printf(isfinite(v) ? ", \"%s\": %.9g" : ", \"%s\": null", key, v);
}

static void print_json_row(const column *c, const char *name, bool first, arena *mem)
{
    printf("%s{\"name\": ", first ? "" : ", ");
    print_string(name);
    print_number("min", c->least);
    print_number("max", c->most);
    print_number("mean", c->mean);
    printf(", \"missing\": %" PRId64, c->missing);
    for (int64_t i = 0, any = 0; c->classes && i <= (int64_t)c->most; i++) {
        if (!c->classes[i] && !lamina_dataset_name(c->data, c->input, i))
            continue;
        printf(any++ ? ", " : ", \"classes\": {");
        print_string(class_name(c, i, mem));
        printf(": %" PRId64, c->classes[i]);
    }
    printf(c->classes ? "}}" : "}");
}

/* ---- inputs and sets ---- */

/* Each element of an input with names is a row, and so is an input without. */
static void describe_input(const lamina_dataset *data, const lamina_tensor *t, int32_t input, bool json)
{
    arena *mem = arena_new();
    int64_t elements = (int64_t)(t->bytes / lamina_dtype_bytes(t->dtype));
    bool rows = t->dtype == LAMINA_F32 && elements <= MOST_ROWS && lamina_dataset_name(data, input, 0);
    for (int64_t i = 0; i < (rows ? elements : 1); i++) {
        column c = {.data = data, .t = t, .input = input, .first = i, .count = rows ? 1 : elements};
        const char *name = rows ? lamina_dataset_name(data, input, i) : t->name;
        measure(&c);
        count_classes(&c, elements, mem);
        if (json)
            print_json_row(&c, name, !i, mem);
        else
            print_row(&c, name, mem);
    }
    arena_free(mem);
}

static const char *shape_of(const lamina_tensor *t, arena *mem)
{
    const char *shape = "[";
    for (int32_t i = 1; i < t->rank; i++)
        shape = arena_printf(mem, "%s%s%" PRId64, shape, i > 1 ? ", " : "", t->dim[i]);
    return arena_printf(mem, "%s]", shape);
}

static void describe_set(const char *name, const lamina_dataset *data, const lamina_net *net,
                         const lamina_table_report *r, bool table, arena *mem)
{
    printf("%s: %" PRId64 " records\n", name, lamina_dataset_count(data));
    if (table)
        printf("  %" PRId64 " in the files; left out %" PRId64 " that lack values, %" PRId64 " duplicates; %" PRId64
               " values filled, %" PRId64 " clipped, %" PRId64 " kept missing\n",
               r->records, r->missing, r->duplicates, r->filled, r->clipped, r->kept_missing);
    printf("    %-26s %12s %12s %12s %9s\n", "", "least", "most", "mean", "missing");
    for (int32_t i = 0; i < net->input_count; i++) {
        const lamina_tensor *t = &net->inputs[i];
        printf("  %s: %s %s\n", t->name, lamina_dtype_name(t->dtype), shape_of(t, mem));
        describe_input(data, t, i, false);
    }
}

static void describe_json_set(const char *name, const lamina_dataset *data, const lamina_net *net,
                              const lamina_table_report *r, bool table, bool first, arena *mem)
{
    printf("%s\"%s\": {\"records\": %" PRId64, first ? "" : ", ", name, lamina_dataset_count(data));
    if (table)
        printf(", \"files\": {\"records\": %" PRId64 ", \"missing\": %" PRId64 ", \"duplicates\": %" PRId64
               ", \"filled\": %" PRId64 ", \"clipped\": %" PRId64 ", \"kept_missing\": %" PRId64 "}",
               r->records, r->missing, r->duplicates, r->filled, r->clipped, r->kept_missing);
    printf(", \"inputs\": {");
    for (int32_t i = 0; i < net->input_count; i++) {
        const lamina_tensor *t = &net->inputs[i];
        printf("%s\"%s\": {\"type\": \"%s\", \"shape\": %s, \"columns\": [", i ? ", " : "", t->name,
               lamina_dtype_name(t->dtype), shape_of(t, mem));
        describe_input(data, t, i, true);
        printf("]}");
    }
    printf("}}");
}

/* ---- the whole ---- */

/* What a data set looks at in a compiled network: its inputs. */
static lamina_net inputs_of(const fe_network *n, arena *mem)
{
    static const int32_t dtypes[] = {[IR_F32] = LAMINA_F32, [IR_I32] = LAMINA_I32, [IR_UI8] = LAMINA_UI8};
    lamina_net net = {.name = fe_name(n)};
    ir_type type;
    while (fe_input_at(n, net.input_count, &type))
        net.input_count++;
    lamina_tensor *inputs = arena_new_array(mem, lamina_tensor, (size_t)net.input_count);
    for (int32_t i = 0; i < net.input_count; i++) {
        lamina_tensor *t = &inputs[i];
        const char *name = fe_input_at(n, i, &type);
        *t = (lamina_tensor){.name = name, .dtype = dtypes[type.dtype], .rank = type.rank, .batch_dim = 0};
        t->bytes = lamina_dtype_bytes(t->dtype);
        for (int32_t k = 0; k < type.rank; k++) {
            t->dim[k] = type.dim[k].n;
            t->bytes *= (uint64_t)type.dim[k].n;
        }
    }
    net.inputs = inputs;
    return net;
}

static bool draw_sheet(const fe_network *n, const lamina_net *net, const lamina_dataset *train, const char *file,
                       const char *path, arena *mem, diag *d)
{
    const fe_augment *a = fe_data(n, "train")->augment;
    if (a)
        return cmd_write_sheet(net, a, train, (uint64_t)fe_train_options(n)->seed, file, mem, d);
    diag_error(d, (src_loc){path, 0, 0}, "expected training data with 'augment:', found none");
    return false;
}

static bool describe(const char *path, const void *options, arena *mem, diag *d)
{
    static const char *const names[] = {"train", "validation", "test"};
    const describe_options *o = options;
    const fe_network *n = fe_read_changed(path, o->build.changes, mem, d);
    if (!n)
        return false;
    if (!fe_data(n, "train")->present && !fe_data(n, "validation")->present && !fe_data(n, "test")->present) {
        diag_error(d, (src_loc){path, 0, 0}, "expected a YAML with 'data:', found none");
        return false;
    }
    const lamina_net net = inputs_of(n, mem);
    lamina_dataset *set[3] = {NULL};
    lamina_table_report report[3] = {{0}};
    uint64_t seed = (uint64_t)fe_train_options(n)->seed;
    bool ok = true, first = true;
    for (int i = 0; ok && i < 3; i++) { /* as training does: the test set is taken off first */
        int s = (3 - i) % 3;
        if (fe_data(n, names[s])->present)
            ok = cmd_take_set(n, names[s], &net, seed, set[0], &set[s], &report[s], d);
    }
    if (set[0])
        ok = ok && cmd_augment(n, set[0], d);
    if (ok && o->augmented)
        ok = draw_sheet(n, &net, set[0], o->augmented, path, mem, d);
    if (ok && o->json)
        printf("{\"net\": \"%s\", \"sets\": {", fe_name(n));
    for (int s = 0; ok && s < 3; s++) {
        bool table = fe_data(n, names[s])->table;
        if (!set[s])
            continue;
        if (o->json)
            describe_json_set(names[s], set[s], &net, &report[s], table, first, mem);
        else
            describe_set(names[s], set[s], &net, &report[s], table, mem);
        first = false;
    }
    if (ok && o->json)
        printf("}}\n");
    for (int s = 0; s < 3; s++)
        lamina_dataset_free(set[s]);
    return ok;
}

int cmd_data(int argc, char **argv)
{
    describe_options o = {0};
    const cmd_option options[] = {
        {"json", NULL, "print one object", &o.json, NULL, NULL, 0, 0},
        {"augmented", "FILE", "draw records, and what training makes of them, as PPM", NULL, &o.augmented, NULL, 0, 0},
        CMD_SET_OPTION(o.build),
        {0}};
    const cmd_syntax syntax = {"data", "lamina data NET.yaml [--json] [--augmented=FILE] [--set=KEY=VALUE ...]",
                               "Reads a network's data and says what each input and column holds.", options};
    const char *path;
    int code = cmd_parse(&syntax, argc, argv, &path, 1, 1);
    return code >= 0 ? code : cmd_run(describe, path, &o, false);
}
