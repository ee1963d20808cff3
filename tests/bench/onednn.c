/* tests/bench/onednn.c - single contractions by oneDNN 2 (Debian: libdnnl-dev): onednn
 *
 * Operands are gemm.c's, images channels last. Weights are packed as oneDNN likes them before any timing, and a
 * convolution's weight gradient is left in oneDNN's layout; all else is read and written plain. Of oneDNN's primitives
 * and implementations that compute a case the fastest of a short trial is kept; stderr says which. Answers each line on
 * stdin with one line:
 *     case KIND M N K   the sum of magnitudes
 *     run SECONDS       seconds of one call
 * KIND: NN, NT (B stored [N, K]), TN (A stored [K, M]), or forward, input, weight with _BATCHxSIDExINxOUT.
 */
#include "tests/bench/side.h"
#include <dnnl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if DNNL_VERSION_MAJOR != 2
#error "written for the C interface of oneDNN 2"
#endif

enum { OPERANDS = 3, TRIALS = 5 };
static const double TRIAL = 0.01; /* seconds each */

typedef struct {
    int argument;              /* what oneDNN calls it */
    uint32_t number;           /* of its start values, as gemm.c counts; 2 is the result */
    dnnl_memory_desc_t stored; /* as Lamina has it */
    bool packed;               /* oneDNN may choose another layout, outside the timing */
} operand;

/* An implementation ready to run. */
typedef struct {
    dnnl_primitive_t primitive;
    dnnl_exec_arg_t arguments[OPERANDS];
    double seconds;
    char name[64];
} way;

typedef struct {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    operand operands[OPERANDS];
    way best;
} subject;

static void check(dnnl_status_t status, const char *what)
{
    if (status != dnnl_success) {
        fprintf(stderr, "onednn: %s: status %d\n", what, (int)status);
        exit(1);
    }
}

static operand make_operand(int argument, uint32_t number, bool packed, int rank, const dnnl_dims_t dims,
                            dnnl_format_tag_t tag)
{
    operand o = {.argument = argument, .number = number, .packed = packed};
    check(dnnl_memory_desc_init_by_tag(&o.stored, rank, dims, dnnl_f32, tag), "tensor");
    return o;
}

/* What the primitive is asked for: the layout as stored, or any. */
static dnnl_memory_desc_t asked(const operand *o)
{
    dnnl_memory_desc_t d = o->stored;
    if (o->packed)
        check(dnnl_memory_desc_init_by_tag(&d, d.ndims, d.dims, dnnl_f32, dnnl_format_tag_any), "tensor");
    return d;
}

static float *data_of(dnnl_memory_t m)
{
    void *p;
    check(dnnl_memory_get_data_handle(m, &p), "data");
    return p;
}

static dnnl_memory_t new_memory(const subject *s, const dnnl_memory_desc_t *d)
{
    dnnl_memory_t m;
    check(dnnl_memory_create(&m, d, s->engine, DNNL_MEMORY_ALLOCATE), "memory");
    return m;
}

static void run_primitive(const subject *s, dnnl_primitive_t p, const dnnl_exec_arg_t *arguments, int count)
{
    check(dnnl_primitive_execute(p, s->stream, count, arguments), "execute");
    check(dnnl_stream_wait(s->stream), "wait");
}

/* A copy of 'from' in layout 'd'; ends 'from'. */
static dnnl_memory_t reordered(const subject *s, dnnl_memory_t from, const dnnl_memory_desc_t *d)
{
    const dnnl_memory_desc_t *old;
    check(dnnl_memory_get_memory_desc(from, &old), "layout");
    if (dnnl_memory_desc_equal(old, d))
        return from;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t p;
    dnnl_memory_t to = new_memory(s, d);
    check(dnnl_reorder_primitive_desc_create(&pd, old, s->engine, d, s->engine, NULL), "reorder");
    check(dnnl_primitive_create(&p, pd), "reorder");
    run_primitive(s, p, (dnnl_exec_arg_t[]){{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, 2);
    check(dnnl_primitive_destroy(p), "end");
    check(dnnl_primitive_desc_destroy(pd), "end");
    check(dnnl_memory_destroy(from), "end");
    return to;
}

static dnnl_memory_t filled(const subject *s, const operand *o)
{
    dnnl_memory_t m = new_memory(s, &o->stored);
    float *p = data_of(m);
    size_t count = dnnl_memory_desc_get_size(&o->stored) / sizeof *p;
    for (size_t i = 0; i < count; i++)
        p[i] = side_value(o->number, (uint32_t)i);
    return m;
}

static void close_way(way *w)
{
    if (!w->primitive)
        return;
    check(dnnl_primitive_destroy(w->primitive), "end");
    for (int i = 0; i < OPERANDS; i++)
        check(dnnl_memory_destroy(w->arguments[i].memory), "end");
    *w = (way){0};
}

static way open_way(const subject *s, const_dnnl_primitive_desc_t pd)
{
    way w = {0};
    const char *name;
    check(dnnl_primitive_create(&w.primitive, pd), "primitive");
    check(dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name), "name");
    snprintf(w.name, sizeof w.name, "%s", name);
    for (int i = 0; i < OPERANDS; i++) {
        const operand *o = &s->operands[i];
        const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, o->argument);
        w.arguments[i] = (dnnl_exec_arg_t){o->argument, reordered(s, filled(s, o), d)};
    }
    return w;
}

static void run_best(void *context)
{
    const subject *s = context;
    run_primitive(s, s->best.primitive, s->best.arguments, OPERANDS);
}

/* The least of some trials: whatever else the machine does only adds. */
static double trial(subject *s)
{
    double best = INFINITY;
    run_best(s);
    for (int i = 0; i < TRIALS; i++)
        best = fmin(best, side_time(run_best, s, TRIAL));
    return best;
}

static bool is_reference(const_dnnl_primitive_desc_t pd)
{
    const char *name;
    check(dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name), "name");
    return strstr(name, "ref") != NULL;
}

/* Every implementation of an operation, against the best so far. Plain loops are not worth their trial. */
static void consider(subject *s, const_dnnl_op_desc_t operation, const_dnnl_primitive_desc_t forward)
{
    dnnl_primitive_desc_iterator_t next;
    if (dnnl_primitive_desc_iterator_create(&next, operation, NULL, s->engine, forward) != dnnl_success)
        return;
    do {
        dnnl_primitive_desc_t pd = dnnl_primitive_desc_iterator_fetch(next);
        if (!is_reference(pd)) {
            way before = s->best;
            s->best = open_way(s, pd);
            s->best.seconds = trial(s);
            way worse = before;
            if (before.primitive && before.seconds <= s->best.seconds) {
                worse = s->best;
                s->best = before;
            }
            close_way(&worse);
        }
        check(dnnl_primitive_desc_destroy(pd), "end");
    } while (dnnl_primitive_desc_iterator_next(next) == dnnl_success);
    check(dnnl_primitive_desc_iterator_destroy(next), "end");
}

/* ---- matrices ---- */

static void consider_matmul(subject *s, const char *kind, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k)
{
    bool ta = kind[0] == 'T', tb = kind[1] == 'T';
    operand *o = s->operands;
    o[0] = make_operand(DNNL_ARG_SRC, 0, false, 2, (dnnl_dims_t){m, k}, ta ? dnnl_ba : dnnl_ab);
    o[1] = make_operand(DNNL_ARG_WEIGHTS, 1, !ta, 2, (dnnl_dims_t){k, n}, tb ? dnnl_ba : dnnl_ab);
    o[2] = make_operand(DNNL_ARG_DST, 2, false, 2, (dnnl_dims_t){m, n}, dnnl_ab);
    dnnl_memory_desc_t a = asked(&o[0]), b = asked(&o[1]), c = asked(&o[2]);
    dnnl_matmul_desc_t d;
    check(dnnl_matmul_desc_init(&d, &a, &b, NULL, &c), "matmul");
    consider(s, &d, NULL);
}

/* The same as a dense layer, which has kernels of its own. */
static void consider_inner_product(subject *s, const char *kind, dnnl_dim_t m, dnnl_dim_t n, dnnl_dim_t k)
{
    operand *o = s->operands;
    dnnl_inner_product_desc_t d;
    if (kind[0] == 'T') { /* the gradient of weights [m, n] */
        o[0] = make_operand(DNNL_ARG_DIFF_DST, 0, false, 2, (dnnl_dims_t){k, m}, dnnl_ab);
        o[1] = make_operand(DNNL_ARG_SRC, 1, false, 2, (dnnl_dims_t){k, n}, dnnl_ab);
        o[2] = make_operand(DNNL_ARG_DIFF_WEIGHTS, 2, false, 2, (dnnl_dims_t){m, n}, dnnl_ab);
    } else {
        o[0] = make_operand(DNNL_ARG_SRC, 0, false, 2, (dnnl_dims_t){m, k}, dnnl_ab);
        o[1] = make_operand(DNNL_ARG_WEIGHTS, 1, true, 2, (dnnl_dims_t){n, k}, kind[1] == 'T' ? dnnl_ab : dnnl_ba);
        o[2] = make_operand(DNNL_ARG_DST, 2, false, 2, (dnnl_dims_t){m, n}, dnnl_ab);
    }
    dnnl_memory_desc_t a = asked(&o[0]), b = asked(&o[1]), c = asked(&o[2]);
    if (kind[0] != 'T') {
        check(dnnl_inner_product_forward_desc_init(&d, dnnl_forward_inference, &a, &b, NULL, &c), "dense");
        consider(s, &d, NULL);
        return;
    }
    dnnl_inner_product_desc_t f;
    dnnl_primitive_desc_t forward;
    check(dnnl_inner_product_forward_desc_init(&f, dnnl_forward_training, &b, &c, NULL, &a), "dense");
    check(dnnl_primitive_desc_create(&forward, &f, NULL, s->engine, NULL), "dense");
    check(dnnl_inner_product_backward_weights_desc_init(&d, &b, &c, NULL, &a), "dense");
    consider(s, &d, forward);
    check(dnnl_primitive_desc_destroy(forward), "end");
}

/* ---- images: 3x3 kernels, one element of padding ---- */

static void consider_convolution(subject *s, const char *kind, dnnl_dim_t batch, dnnl_dim_t side, dnnl_dim_t in,
                                 dnnl_dim_t out)
{
    bool input = !strncmp(kind, "input", 5), weight = !strncmp(kind, "weight", 6);
    operand *o = s->operands, *x = &o[input ? 2 : 0], *w = &o[weight ? 2 : 1], *y = &o[input ? 0 : weight ? 1 : 2];
    *x = make_operand(input ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, (uint32_t)(x - o), false, 4,
                      (dnnl_dims_t){batch, in, side, side}, dnnl_nhwc);
    *w = make_operand(weight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, (uint32_t)(w - o), true, 4,
                      (dnnl_dims_t){out, in, 3, 3}, dnnl_hwio);
    *y = make_operand(input || weight ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, (uint32_t)(y - o), false, 4,
                      (dnnl_dims_t){batch, out, side, side}, dnnl_nhwc);
    const dnnl_dims_t one = {1, 1};
    dnnl_memory_desc_t dx = asked(x), dw = asked(w), dy = asked(y);
    dnnl_convolution_desc_t d, f;
    dnnl_primitive_desc_t forward;
    check(dnnl_convolution_forward_desc_init(&f, input || weight ? dnnl_forward_training : dnnl_forward_inference,
                                             dnnl_convolution_auto, &dx, &dw, NULL, &dy, one, one, one),
          "convolution");
    if (!input && !weight) {
        consider(s, &f, NULL);
        return;
    }
    check(dnnl_primitive_desc_create(&forward, &f, NULL, s->engine, NULL), "convolution");
    check((input ? dnnl_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, &dx, &dw, &dy, one, one, one)
                 : dnnl_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, &dx, &dw, NULL, &dy, one,
                                                               one, one)),
          "convolution");
    consider(s, &d, forward);
    check(dnnl_primitive_desc_destroy(forward), "end");
}

/* ---- answers ---- */

/* Of the result as Lamina has it, so that no padding counts; the best way's arguments stay as they are. */
static double magnitudes(const subject *s, const operand *result, const way *w)
{
    const dnnl_memory_desc_t *d;
    check(dnnl_memory_get_memory_desc(w->arguments[OPERANDS - 1].memory, &d), "layout");
    dnnl_memory_t copy = new_memory(s, d);
    memcpy(data_of(copy), data_of(w->arguments[OPERANDS - 1].memory), dnnl_memory_desc_get_size(d));
    copy = reordered(s, copy, &result->stored);
    const float *p = data_of(copy);
    double sum = 0;
    for (size_t i = 0; i < dnnl_memory_desc_get_size(&result->stored) / sizeof *p; i++)
        sum += fabs((double)p[i]);
    check(dnnl_memory_destroy(copy), "end");
    return sum;
}

static void read_case(subject *s)
{
    char kind[32], direction[16];
    long m, n, k, batch, side, in, out;
    if (scanf("%31s %ld %ld %ld", kind, &m, &n, &k) != 4) {
        fputs("onednn: case: expected KIND M N K\n", stderr);
        exit(2);
    }
    close_way(&s->best);
    if (sscanf(kind, "%15[a-z]_%ldx%ldx%ldx%ld", direction, &batch, &side, &in, &out) == 5) {
        consider_convolution(s, kind, batch, side, in, out);
    } else {
        consider_inner_product(s, kind, m, n, k);
        consider_matmul(s, kind, m, n, k);
    }
    fprintf(stderr, "onednn: %s %ld %ld %ld: %s\n", kind, m, n, k, s->best.primitive ? s->best.name : "nothing");
    if (s->best.primitive)
        run_best(s);
    printf("%.9g\n", s->best.primitive ? magnitudes(s, &s->operands[OPERANDS - 1], &s->best) : NAN);
}

int main(void)
{
    subject s = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    check(dnnl_engine_create(&s.engine, dnnl_cpu, 0), "engine");
    check(dnnl_stream_create(&s.stream, s.engine, dnnl_stream_default_flags), "stream");
    const dnnl_version_t *v = dnnl_version();
    printf("note oneDNN %d.%d.%d\n", v->major, v->minor, v->patch);
    char word[16];
    double seconds;
    while (scanf("%15s", word) == 1) {
        if (!strcmp(word, "case"))
            read_case(&s);
        else if (scanf("%lf", &seconds) == 1)
            printf("%.9g\n", s.best.primitive ? side_time(run_best, &s, seconds) : NAN);
    }
    close_way(&s.best);
    check(dnnl_stream_destroy(s.stream), "end");
    check(dnnl_engine_destroy(s.engine), "end");
    return 0;
}
