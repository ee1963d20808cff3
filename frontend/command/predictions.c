/* frontend/command/predictions.c - files of what a network says of records.
 *
 *     species,species=Adelie,species=Gentoo,mass        a table, RFC 4180: of classes the most probable one first
 *     Adelie,0.97,0.03,3.9
 *
 * or a NumPy file an output. A file is written beside its place, whose name it gets once it is whole. */
#include "frontend/command/predictions.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const char *path, *temporary; /* NULL: the standard output */
    FILE *f;
} file;

typedef struct {
    const lamina_tensor *tensor;
    const fe_answer *answer;
    int64_t elements, last; /* of a record; in its last dimension */
    bool chosen;
    file file; /* of NumPy's */
} column;

struct cmd_predictions {
    const lamina_net *net;
    const cmd_prediction_options *o;
    column *columns; /* by output */
    file table;
    int64_t *order; /* room to sort classes */
    arena *mem;
};

/* ---- files ---- */

/* Of a lost standard output the program tells when it ends. */
static bool fail(const file *f, const char *what, diag *d)
{
    if (f->path)
        diag_error(d, (src_loc){0}, "%s: cannot %s: %s", f->path, what, strerror(errno));
    return false;
}

static bool open_file(file *f, const char *path, arena *mem, diag *d)
{
    *f = (file){.path = path, .f = stdout};
    if (!path)
        return true;
    f->temporary = arena_printf(mem, "%s.%ld.tmp", path, (long)getpid());
    f->f = fopen(f->temporary, "wbx");
    return f->f || fail(f, "create", d);
}

static bool close_file(file *f, bool keep, diag *d)
{
    if (!f->f)
        return true;
    bool ok = !ferror(f->f) && fflush(f->f) == 0;
    if (!f->path)
        return ok || !keep || fail(f, "write", d);
    ok = fclose(f->f) == 0 && ok;
    ok = ok && (!keep || rename(f->temporary, f->path) == 0);
    if (!ok && keep)
        fail(f, "write", d);
    if (!ok || !keep)
        unlink(f->temporary);
    f->f = NULL;
    return ok;
}

/* ---- tables ---- */

static void put_text(const cmd_predictions *p, const char *word)
{
    FILE *f = p->table.f;
    const char special[] = {p->o->delimiter, '"', '\n', '\r', 0};
    if (!strpbrk(word, special)) {
        fputs(word, f);
        return;
    }
    putc('"', f);
    for (; *word; word++) {
        if (*word == '"')
            putc('"', f);
        putc(*word, f);
    }
    putc('"', f);
}

/* The next cell of a line. */
static void begin_cell(const cmd_predictions *p, bool *first)
{
    if (!*first)
        putc(p->o->delimiter, p->table.f);
    *first = false;
}

static void put_number(const cmd_predictions *p, bool *first, float v)
{
    begin_cell(p, first);
    if (isnan(v))
        fputs("nan", p->table.f); /* without the sign that printf gives some */
    else
        fprintf(p->table.f, "%.9g", (double)v);
}

/* The class as it is called, or its number; nothing where its value is no number. */
static void put_class(const cmd_predictions *p, bool *first, const column *c, const float *values, int64_t number)
{
    const char *name = c->answer->names ? c->answer->names[number] : NULL;
    begin_cell(p, first);
    if (isnan(values[number]))
        return;
    if (name)
        put_text(p, name);
    else
        fprintf(p->table.f, "%" PRId64, number);
}

static void put_names(const cmd_predictions *p, bool *first, const column *c)
{
    const char *name = c->tensor->name;
    for (int64_t k = 1; k <= p->o->top && k <= c->answer->classes; k++) {
        begin_cell(p, first);
        fprintf(p->table.f, "%s_%" PRId64 "%c%s_%" PRId64 "_%s", name, k, p->o->delimiter, name, k,
                p->o->raw_logits ? "logit" : "probability");
    }
    if (p->o->top && c->answer->classes)
        return;
    if (c->answer->classes) {
        begin_cell(p, first);
        put_text(p, name);
    }
    for (int64_t i = 0; i < c->elements; i++) {
        const char *class = c->answer->names ? c->answer->names[i] : NULL;
        begin_cell(p, first);
        put_text(p, c->elements == 1 ? name
                    : class          ? arena_printf(p->mem, "%s=%s", name, class)
                                     : arena_printf(p->mem, "%s[%" PRId64 "]", name, i));
    }
}

/* Numbers of the k most probable classes; of equal ones the first. NaN is the least. */
static void sort_classes(const column *c, const float *values, int64_t k, int64_t *order)
{
    for (int64_t n = 0; n < k; n++) {
        int64_t best = -1;
        for (int64_t i = 0; i < c->answer->classes; i++) {
            bool taken = false;
            for (int64_t j = 0; j < n; j++)
                taken |= order[j] == i;
            if (!taken && (best < 0 || values[i] > values[best] || (isnan(values[best]) && !isnan(values[i]))))
                best = i;
        }
        order[n] = best;
    }
}

static void put_answer(const cmd_predictions *p, bool *first, const column *c, const float *values)
{
    int64_t classes = c->answer->classes, top = p->o->top < classes ? p->o->top : classes;
    if (classes)
        sort_classes(c, values, top ? top : 1, p->order);
    for (int64_t k = 0; k < top; k++) {
        put_class(p, first, c, values, p->order[k]);
        put_number(p, first, values[p->order[k]]);
    }
    if (top)
        return;
    if (classes)
        put_class(p, first, c, values, p->order[0]);
    for (int64_t i = 0; i < c->elements; i++)
        put_number(p, first, values[i]);
}

/* A line of the names, or of record 'i' of the outputs. */
static void put_line(const cmd_predictions *p, float *const *outputs, int64_t i)
{
    bool first = true;
    for (int32_t k = 0; k < p->net->output_count; k++) {
        const column *c = &p->columns[k];
        if (!c->chosen)
            continue;
        if (outputs)
            put_answer(p, &first, c, outputs[k] + i * c->elements);
        else
            put_names(p, &first, c);
    }
    putc('\n', p->table.f);
}

/* ---- NumPy's files ---- */

/* Version 1.0: magic, length of the header, and a header that ends at a multiple of 64. */
static bool put_npy_header(const column *c, int64_t count, arena *mem)
{
    const char *shape = arena_printf(mem, "(%" PRId64 ",", count);
    for (int32_t i = 0; i < c->tensor->rank; i++)
        if (i != c->tensor->batch_dim)
            shape = arena_printf(mem, "%s %" PRId64 ",", shape, c->tensor->dim[i]);
    const char *header = arena_printf(mem, "{'descr': '<f4', 'fortran_order': False, 'shape': %s), }", shape);
    size_t length = (strlen(header) + 1 + 10 + 63) / 64 * 64 - 10;
    const unsigned char magic[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, length & 255, (unsigned char)(length >> 8)};
    return fwrite(magic, 1, sizeof magic, c->file.f) == sizeof magic &&
           fprintf(c->file.f, "%-*s\n", (int)length - 1, header) > 0;
}

/* out.npy, or of several outputs out_NAME.npy. */
static const char *npy_path(const cmd_predictions *p, const column *c)
{
    if (p->o->output || p->net->output_count == 1)
        return p->o->path;
    return arena_printf(p->mem, "%.*s_%s.npy", (int)strlen(p->o->path) - 4, p->o->path, c->tensor->name);
}

/* ---- the whole ---- */

static bool open_files(cmd_predictions *p, int64_t count, diag *d)
{
    if (!p->o->npy) {
        if (!open_file(&p->table, p->o->path, p->mem, d))
            return false;
        put_line(p, NULL, 0);
        return true;
    }
    for (int32_t i = 0; i < p->net->output_count; i++) {
        column *c = &p->columns[i];
        if (c->chosen && !open_file(&c->file, npy_path(p, c), p->mem, d))
            return false;
        if (c->chosen && !put_npy_header(c, count, p->mem))
            return fail(&c->file, "write", d);
    }
    return true;
}

cmd_predictions *cmd_predictions_open(const lamina_net *net, const fe_answer *answers, const cmd_prediction_options *o,
                                      int64_t count, arena *mem, diag *d)
{
    cmd_predictions *p = arena_make(mem, cmd_predictions);
    int64_t classes = 1;
    *p = (cmd_predictions){.net = net, .o = o, .mem = mem};
    p->columns = arena_new_array(mem, column, (size_t)net->output_count);
    for (int32_t i = 0; i < net->output_count; i++) {
        const lamina_tensor *t = &net->outputs[i];
        column *c = &p->columns[i];
        *c = (column){.tensor = t, .answer = &answers[i], .elements = (int64_t)(t->bytes / sizeof(float))};
        c->last = t->rank > 1 ? t->dim[t->rank - 1] : 1;
        c->chosen = !o->output || !strcmp(o->output, t->name);
        classes = answers[i].classes > classes ? answers[i].classes : classes;
    }
    p->order = arena_new_array(mem, int64_t, (size_t)classes);
    if (open_files(p, count, d))
        return p;
    cmd_predictions_close(p, false, d);
    return NULL;
}

static void softmax(float *v, int64_t count)
{
    double sum = 0;
    float most = v[0];
    for (int64_t i = 1; i < count; i++)
        most = v[i] > most ? v[i] : most;
    for (int64_t i = 0; i < count; i++)
        sum += exp((double)v[i] - (double)most);
    for (int64_t i = 0; i < count; i++)
        v[i] = (float)(exp((double)v[i] - (double)most) / sum);
}

static void make_probabilities(const column *c, float *v, int64_t count)
{
    int64_t all = count * c->elements;
    if (!strcmp(c->answer->applies, "softmax"))
        for (int64_t i = 0; i < all; i += c->last)
            softmax(v + i, c->last);
    else if (!strcmp(c->answer->applies, "sigmoid"))
        for (int64_t i = 0; i < all; i++)
            v[i] = (float)(1 / (1 + exp(-(double)v[i])));
}

bool cmd_predictions_add(cmd_predictions *p, float *const *outputs, int64_t count, diag *d)
{
    for (int32_t i = 0; i < p->net->output_count; i++) {
        const column *c = &p->columns[i];
        if (!c->chosen)
            continue;
        if (c->answer->applies && !p->o->raw_logits)
            make_probabilities(c, outputs[i], count);
        size_t elements = (size_t)(count * c->elements);
        if (p->o->npy && fwrite(outputs[i], sizeof(float), elements, c->file.f) != elements)
            return fail(&c->file, "write", d);
    }
    for (int64_t i = 0; !p->o->npy && i < count; i++)
        put_line(p, outputs, i);
    return p->o->npy || !ferror(p->table.f) || fail(&p->table, "write", d);
}

bool cmd_predictions_close(cmd_predictions *p, bool keep, diag *d)
{
    bool ok = close_file(&p->table, keep, d);
    for (int32_t i = 0; i < p->net->output_count; i++)
        ok = close_file(&p->columns[i].file, keep && ok, d) && ok;
    return ok;
}
