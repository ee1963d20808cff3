/* tests/bench/gemm.c - single contractions: gemm THREADS
 *
 * A contraction of Lamina's is a library whose only function is infer: operands are its inputs and parameters, in that
 * order. OpenBLAS computes the same where it can. Answers each line on stdin with one line:
 *     case LIBRARY.so BATCH KIND M N K
 *                          load, compute; the sum of magnitudes by Lamina and by OpenBLAS (nan: it cannot)
 *     lamina SECONDS       seconds of one call
 *     openblas SECONDS
 *     peak SECONDS         multiply-adds that one core can do, as flop/s
 *     peak_avx2 SECONDS    those in vectors of 256 bits, nan without them
 *
 * KIND: NN, NT (B stored [N, K]), TN (A stored [K, M]), anything else is not a matrix product.
 */
#include "runtime/lamina.h"
#include "tests/bench/side.h"
#include <cblas.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef struct {
    int64_t threads, batch;
    lamina_library *library;
    lamina_model *model;
    float *operand[2];
    float *result, *blas_result;
    int64_t results;
    const void *inputs[2];
    void *outputs[1];
    char kind[32];
    int m, n, k;
} subject;

static void check(lamina_status s, const lamina_error *e)
{
    if (s) {
        fprintf(stderr, "gemm: %s\n", e->text);
        exit(1);
    }
}

/* ---- one core's peak: chains enough to hide the latency, and registers enough for them ---- */

#if defined(__x86_64__)
enum { CHAINS = 12, PEAK_ROUNDS = 20000 };
static volatile float sink;

/* clang-format off */
#define PEAK(name, isa, type, set1, fma) \
    __attribute__((target(isa))) static void name(void *context) \
    { \
        (void)context; \
        type a[CHAINS], x = set1(0.999f), y = set1(sink); \
        for (int c = 0; c < CHAINS; c++) \
            a[c] = set1((float)c); \
        for (int i = 0; i < PEAK_ROUNDS; i++) { \
            a[0] = fma(a[0], x, y); a[1] = fma(a[1], x, y); a[2] = fma(a[2], x, y); a[3] = fma(a[3], x, y); \
            a[4] = fma(a[4], x, y); a[5] = fma(a[5], x, y); a[6] = fma(a[6], x, y); a[7] = fma(a[7], x, y); \
            a[8] = fma(a[8], x, y); a[9] = fma(a[9], x, y); a[10] = fma(a[10], x, y); a[11] = fma(a[11], x, y); \
        } \
        float *f = (float *)a; \
        for (int c = 1; c < CHAINS * (int)(sizeof(type) / sizeof(float)); c++) \
            f[0] += f[c]; \
        sink = f[0] * 0; \
    }
/* clang-format on */
PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)

static double flops_in(side_operation *chains, int width, double seconds)
{
    return 2.0 * CHAINS * PEAK_ROUNDS * width / side_time(chains, NULL, seconds);
}

static double peak_of_avx2(double seconds)
{
    bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return has ? flops_in(peak_avx2, 8, seconds) : NAN;
}

static double peak(double seconds)
{
    double narrow = peak_of_avx2(seconds / 2);
    return __builtin_cpu_supports("avx512f") ? fmax(narrow, flops_in(peak_avx512, 16, seconds / 2)) : narrow;
}
#else
static double peak_of_avx2(double seconds)
{
    return seconds * NAN;
}

static double peak(double seconds)
{
    return seconds * NAN;
}
#endif

/* ---- a contraction ---- */

static float *filled(uint32_t tensor, int64_t count)
{
    float *p = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
    if (!p) {
        fputs("gemm: out of memory\n", stderr);
        exit(1);
    }
    for (int64_t i = 0; i < count; i++)
        p[i] = side_value(tensor, (uint32_t)i);
    return p;
}

static int64_t elements(const lamina_tensor *t, int64_t batch)
{
    int64_t n = t->batch_dim < 0 ? 1 : batch;
    for (int32_t i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

static void close_case(subject *s)
{
    lamina_model_free(s->model);
    lamina_library_free(s->library);
    for (int i = 0; i < 2; i++)
        free(s->operand[i]);
    free(s->result);
    free(s->blas_result);
    *s = (subject){.threads = s->threads};
}

static void open_case(subject *s, const char *path)
{
    lamina_error e;
    const lamina_options options = {.workers = s->threads, .dedicated = true};
    check(lamina_library_open(path, &s->library, &e), &e);
    const lamina_net *n = lamina_library_net(s->library);
    check(lamina_model_new(n, &options, &s->model, &e), &e);
    for (int32_t i = 0; i < 2; i++) {
        const lamina_tensor *t = i < n->input_count ? &n->inputs[i] : &n->tensors[i - n->input_count];
        s->operand[i] = filled((uint32_t)i, elements(t, s->batch));
        if (i < n->input_count)
            s->inputs[i] = s->operand[i];
        else
            check(lamina_set_tensor(s->model, t->name, s->operand[i], t->bytes, &e), &e);
    }
    s->results = elements(&n->outputs[0], s->batch);
    s->result = filled(2, s->results);
    s->blas_result = filled(2, s->results);
    s->outputs[0] = s->result;
}

static bool is_matrix_product(const subject *s)
{
    return !strcmp(s->kind, "NN") || !strcmp(s->kind, "NT") || !strcmp(s->kind, "TN");
}

static void run_lamina(void *context)
{
    subject *s = context;
    lamina_error e;
    check(lamina_infer(s->model, s->inputs, s->batch, s->outputs, &e), &e);
}

static void run_openblas(void *context)
{
    const subject *s = context;
    bool ta = s->kind[0] == 'T', tb = s->kind[1] == 'T';
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, s->m, s->n, s->k, 1,
                s->operand[0], ta ? s->m : s->k, s->operand[1], tb ? s->k : s->n, 0, s->blas_result, s->n);
}

static double magnitudes(const float *p, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += fabs((double)p[i]);
    return sum;
}

static void read_case(subject *s)
{
    char path[1024];
    close_case(s);
    if (scanf("%1023s %" SCNd64 " %31s %d %d %d", path, &s->batch, s->kind, &s->m, &s->n, &s->k) != 6) {
        fputs("gemm: case: expected LIBRARY.so BATCH KIND M N K\n", stderr);
        exit(2);
    }
    open_case(s, path);
    run_lamina(s);
    if (is_matrix_product(s))
        run_openblas(s);
    printf("%.9g %.9g\n", magnitudes(s->result, s->results),
           is_matrix_product(s) ? magnitudes(s->blas_result, s->results) : NAN);
}

static double measure(subject *s, const char *what, double seconds)
{
    if (!strcmp(what, "peak"))
        return peak(seconds);
    if (!strcmp(what, "peak_avx2"))
        return peak_of_avx2(seconds);
    if (!strcmp(what, "lamina"))
        return side_time(run_lamina, s, seconds);
    return !strcmp(what, "openblas") && is_matrix_product(s) ? side_time(run_openblas, s, seconds) : NAN;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: gemm THREADS\n", stderr);
        return 2;
    }
    subject s = {.threads = atoll(argv[1])};
    setvbuf(stdout, NULL, _IOLBF, 0);
    openblas_set_num_threads((int)s.threads);
    printf("note OpenBLAS kernels: %s\n", openblas_get_corename());
    char word[16];
    while (scanf("%15s", word) == 1) {
        double seconds;
        if (!strcmp(word, "case")) {
            read_case(&s);
        } else if (scanf("%lf", &seconds) == 1) {
            printf("%.9g\n", measure(&s, word, seconds));
        }
    }
    close_case(&s);
    return 0;
}
