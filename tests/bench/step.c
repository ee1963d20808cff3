/* tests/bench/step.c - Lamina's side of the bench: step LIBRARY.so BATCH THREADS RATE
 *
 * Loads a compiled net and writes
 *     first PEAK_BYTES                after one training step
 *     losses L0 ... L9                of ten steps with that rate from the start values that all sides share
 *     note segment=bytes ...
 * and then answers each line on stdin with a line of seconds for one operation:
 *     train SECONDS | infer SECONDS   measure for about that long
 *     dump FILE                       write inputs, labels and parameters as floats; answers 0 */
#include "runtime/lamina.h"
#include "tests/bench/side.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE = 1000, LABEL = 2000, CHECKED_STEPS = 10 }; /* the first two stand where a tensor's number does */

typedef struct {
    lamina_library *library;
    const lamina_net *net;
    lamina_model *model;
    int64_t batch;
    float *image, *logits;
    int32_t *label;
    const void *inputs[2];
    void *outputs[1];
} side;

static void check(lamina_status s, const lamina_error *e)
{
    if (s) {
        fprintf(stderr, "step: %s\n", e->text);
        exit(1);
    }
}

static void *allocate(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p) {
        fputs("step: out of memory\n", stderr);
        exit(1);
    }
    return p;
}

/* As the system counts it; -1 where it does not tell. */
static int64_t peak_memory(void)
{
    char line[256];
    int64_t kilobytes = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %" SCNd64, &kilobytes) == 1)
            break;
    if (f)
        fclose(f);
    return kilobytes < 0 ? -1 : kilobytes * 1024;
}

static int64_t elements(const lamina_tensor *t)
{
    int64_t n = 1;
    for (int32_t i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

static void open_net(side *s, const char *path, int64_t threads)
{
    lamina_error e;
    check(lamina_library_open(path, &s->library, &e), &e);
    s->net = lamina_library_net(s->library);
    const lamina_options options = {.workers = threads, .dedicated = true};
    check(lamina_model_new(s->net, &options, &s->model, &e), &e);
    check(lamina_initialize(s->model, 1, &e), &e);
}

static void make_data(side *s)
{
    int64_t pixels = elements(&s->net->inputs[0]), classes = elements(&s->net->outputs[0]);
    s->image = allocate((size_t)(s->batch * pixels), sizeof *s->image);
    s->label = allocate((size_t)s->batch, sizeof *s->label);
    s->logits = allocate((size_t)(s->batch * classes), sizeof *s->logits);
    for (int64_t i = 0; i < s->batch * pixels; i++)
        s->image[i] = (float)side_bits(IMAGE, (uint32_t)i) * 0x1p-24f - 0.5f;
    for (int64_t i = 0; i < s->batch; i++)
        s->label[i] = (int32_t)(side_bits(LABEL, (uint32_t)i) % classes);
    s->inputs[lamina_net_input(s->net, "image")] = s->image;
    s->inputs[lamina_net_input(s->net, "label")] = s->label;
    s->outputs[0] = s->logits;
}

/* Weights of a variance that keeps activations in range; biases within 0.1. */
static float *start_values(const lamina_tensor *t, int32_t number)
{
    int64_t count = elements(t);
    float limit = t->rank > 1 ? (float)sqrt(3.0 / (double)(count / t->dim[t->rank - 1])) : 0.1f;
    float *v = allocate((size_t)count, sizeof *v);
    for (int64_t i = 0; i < count; i++)
        v[i] = side_value((uint32_t)number, (uint32_t)i) * limit;
    return v;
}

static void set_start_values(side *s)
{
    lamina_error e;
    check(lamina_initialize(s->model, 1, &e), &e); /* the optimizer's state too */
    for (int32_t t = 0; t < s->net->param_count; t++) {
        const lamina_tensor *tensor = &s->net->tensors[t];
        float *v = start_values(tensor, t);
        check(lamina_set_tensor(s->model, tensor->name, v, tensor->bytes, &e), &e);
        free(v);
    }
}

static void train(void *context)
{
    side *s = context;
    lamina_error e;
    check(lamina_train_step(s->model, s->inputs, s->batch, &e), &e);
}

static void infer(void *context)
{
    side *s = context;
    lamina_error e;
    check(lamina_infer(s->model, s->inputs, s->batch, s->outputs, &e), &e);
}

static void print_losses(side *s, float rate)
{
    lamina_set_learning_rate(s->model, rate);
    printf("losses");
    for (int i = 0; i < CHECKED_STEPS; i++) {
        lamina_reset_metrics(s->model);
        train(s);
        printf(" %.9g", lamina_metric_value(s->model, 0));
    }
    putchar('\n');
    lamina_set_learning_rate(s->model, NAN); /* the net's own */
}

static void print_note(const side *s)
{
    const lamina_net *n = s->net;
    printf("note params=%" PRIu64 " state=%" PRIu64 " saved=%" PRIu64 " workspace=%" PRIu64 " worker=%" PRIu64 "\n",
           n->params_bytes, n->state_bytes, n->saved_bytes, n->workspace_bytes, n->workspace_worker_bytes);
}

static void dump(const side *s, const char *path)
{
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(1);
    }
    fwrite(s->image, sizeof *s->image, (size_t)(s->batch * elements(&s->net->inputs[0])), f);
    for (int64_t i = 0; i < s->batch; i++)
        fwrite(&(float){(float)s->label[i]}, sizeof(float), 1, f);
    for (int32_t t = 0; t < s->net->param_count; t++) {
        float *v = start_values(&s->net->tensors[t], t);
        fwrite(v, sizeof *v, (size_t)elements(&s->net->tensors[t]), f);
        free(v);
    }
    fclose(f);
}

static void answer(side *s)
{
    char word[16], argument[1024];
    while (scanf("%15s %1023s", word, argument) == 2) {
        if (!strcmp(word, "dump")) {
            dump(s, argument);
            puts("0");
        } else {
            printf("%.9g\n", side_time(strcmp(word, "infer") ? train : infer, s, atof(argument)));
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fputs("usage: step LIBRARY.so BATCH THREADS RATE\n", stderr);
        return 2;
    }
    side s = {.batch = atoll(argv[2])};
    setvbuf(stdout, NULL, _IOLBF, 0);
    open_net(&s, argv[1], atoll(argv[3]));
    make_data(&s);
    train(&s);
    printf("first %" PRId64 "\n", peak_memory());
    set_start_values(&s);
    print_losses(&s, (float)atof(argv[4]));
    print_note(&s);
    answer(&s);
    lamina_model_free(s.model);
    lamina_library_free(s.library);
    free(s.image);
    free(s.label);
    free(s.logits);
    return 0;
}
