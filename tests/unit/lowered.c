/* tests/unit/lowered.c - see lowered.h. */
#include "tests/unit/lowered.h"
#include "backend/backend.h"
#include "backend/library/interface.h"
#include "ir/graph/layout.h"
#include "ir/ops/eval.h"
#include "passes/passes.h"
#include "runtime/lamina_abi.h"
#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <dlfcn.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_VALUES = 16 };

/* ---- modules ---- */

static ir_module *parse(const char *source, const char *name)
{
    text out = {0};
    diag *d = diag_new();
    ir_module *m = ir_parse(source, name, d);
    if (m)
        ir_verify(m, d);
    if (diag_errors(d)) {
        diag_print(d, &out, false);
        fputs(text_get(&out), stderr);
        CU_FAIL_FATAL("the module is broken");
    }
    text_free(&out);
    diag_free(d);
    return m;
}

static bool compile(ir_module *m, const lowered_variant *v, const char *output)
{
    diag *d = diag_new();
    const pass_options run = {.disabled = v->disabled, .hook = v->hook, .hook_after = "select", .hook_name = "test"};
    const be_options options = {.kind = BE_SO, .output = output};
    bool ok = be_target(v->cpu, m->mem, &m->target, d);
    m->target.l2 = v->l2 ? v->l2 : m->target.l2;
    ok = ok && passes_run(m, &run, d) && be_compile(m, &options, d);
    text out = {0};
    diag_print(d, &out, false);
    fputs(text_get(&out), stderr);
    text_free(&out);
    diag_free(d);
    return ok;
}

/* ---- memory ---- */

typedef struct {
    void *bytes;
    size_t size, room;
} block;

static block block_new(size_t size)
{
    block b = {.size = size, .room = size ? size : 64};
    size_t mapped;
    b.bytes = guarded_new(b.room, &mapped);
    return b;
}

static void block_free(block *b)
{
    guarded_free(b->bytes, b->room);
}

static uint32_t next_random(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    return *s ^= *s << 5;
}

/* Small numbers of both signs, some of them equal, some zeros of both signs; if 'special', infinities and NaNs too. */
static void fill(evaluator *e, eval_tensor *t, uint32_t seed, bool special)
{
    uint32_t s = seed * 2654435761u + 977;
    int64_t count = ir_count(&t->type, t->batch);
    for (int64_t i = 0; i < count; i++) {
        uint32_t v = next_random(&s);
        double x = (double)(v >> 8) * 0x1p-23 - 1;
        if (v % 16 == 0)
            x = v % 32 ? -0.0 : 0.5;
        if (special && v % 512 < 3)
            x = v % 512 == 0 ? NAN : v % 512 == 1 ? INFINITY : -INFINITY;
        if (!ir_dtype_is_float(t->type.dtype))
            x = t->type.dtype == IR_I1 ? v >> 9 & 1 : v >> 20 & 7;
        evaluator_put(e, t, i, x);
    }
}

/* ---- calls ---- */

typedef struct {
    const ir_module *plain, *planned;
    const char *path; /* of the library */
    const char *what; /* for messages */
    void *library;
    be_interface interface;
    arena *mem;
} subject;

/* Tasks in an order that nobody would choose. */
static void shuffled(void *host, lamina_task *task, void *context, int64_t tasks)
{
    (void)host;
    for (int64_t i = 1; i < tasks; i += 2)
        task(context, i);
    for (int64_t i = (tasks - 1) / 2 * 2; i >= 0; i -= 2)
        task(context, i);
}

static bool is_nan(const eval_tensor *t, const char *at)
{
    float f;
    double d;
    memcpy(&f, at, t->type.dtype == IR_F32 ? sizeof f : 0);
    memcpy(&d, at, t->type.dtype == IR_F64 ? sizeof d : 0);
    return t->type.dtype == IR_F32 ? isnan(f) : t->type.dtype == IR_F64 && isnan(d);
}

static bool same_bits(const subject *s, const char *function, const char *name, const eval_tensor *want,
                      const void *got)
{
    int64_t count = ir_count(&want->type, want->batch), size = ir_dtype_size(want->type.dtype);
    for (int64_t i = 0; i < count; i++) {
        const char *a = (const char *)want->data + i * size, *b = (const char *)got + i * size;
        if (!memcmp(a, b, (size_t)size) || (is_nan(want, a) && is_nan(want, b)))
            continue;
        uint64_t x = 0, y = 0;
        memcpy(&x, a, (size_t)size);
        memcpy(&y, b, (size_t)size);
        fprintf(stderr, "%s: @%s, batch %" PRId64 ": %s[%" PRId64 "] is %" PRIx64 ", expected %" PRIx64 "\n", s->what,
                function, want->batch, name, i, y, x);
        return false;
    }
    return true;
}

typedef struct {
    block params, state, gradients, saved, workspace, inputs[MOST_VALUES], outputs[MOST_VALUES];
    const void *input[MOST_VALUES];
    void *output[MOST_VALUES];
    lamina_call call;
} environment;

static char *symbol_memory(environment *e, const ir_symbol *y)
{
    block *b = y->segment == SEG_PARAM      ? &e->params
               : y->segment == SEG_STATE    ? &e->state
               : y->segment == SEG_GRADIENT ? &e->gradients
                                            : &e->saved;
    return (char *)b->bytes + y->place.offset;
}

/* A symbol's memory from row-major elements, or back. */
static void move_symbol(const ir_symbol *y, char *resident, char *plain, int64_t bytes, bool to_resident)
{
    ir_node memory = {.op = IR_PARAM, .symbol = (ir_symbol *)y};
    ir_layout at = ir_layout_of(&y->type, &memory);
    int64_t size = ir_dtype_size(y->type.dtype), columns = at.cut < 0 ? 1 : y->type.dim[1].n;
    if (at.cut < 0)
        memcpy(to_resident ? resident : plain, to_resident ? plain : resident, (size_t)bytes);
    for (int64_t i = 0; at.cut >= 0 && i < bytes / size; i++) {
        int64_t index[] = {i / columns, i % columns}, cut = index[at.cut], other = index[1 - at.cut];
        int64_t to = cut / at.width * at.panel + cut % at.width * at.stride[at.cut] + other * at.stride[1 - at.cut];
        memcpy(to_resident ? resident + to * size : plain + i * size,
               to_resident ? plain + i * size : resident + to * size, (size_t)size);
    }
}

static bool symbol_is(const subject *s, environment *e, const ir_graph *f, evaluator *reference, const ir_symbol *y)
{
    const eval_tensor *want = evaluator_symbol(reference, y->name);
    if (!want)
        return true;
    int64_t bytes = evaluator_bytes(reference, want);
    block plain = block_new((size_t)bytes);
    move_symbol(y, symbol_memory(e, y), plain.bytes, bytes, false);
    bool same = same_bits(s, f->name, y->name, want, plain.bytes);
    block_free(&plain);
    return same;
}

/* Memory for a call, with the evaluator's symbols and inputs in it. */
static void open_environment(environment *e, const subject *s, const ir_graph *f, const ir_graph *planned,
                             evaluator *reference, int64_t batch, int64_t workers)
{
    memset(e, 0, sizeof *e);
    const be_interface *i = &s->interface;
    e->params = block_new((size_t)i->params_bytes);
    e->state = block_new((size_t)i->state_bytes);
    e->gradients = block_new((size_t)i->gradient_bytes);
    e->saved = block_new((size_t)i->saved_bytes);
    e->workspace = block_new((size_t)(i->workspace_bytes + workers * i->workspace_worker_bytes));
    for (const ir_symbol *y = s->planned->symbols; y; y = y->next) {
        const eval_tensor *t = evaluator_symbol(reference, y->name);
        if (t)
            move_symbol(y, symbol_memory(e, y), t->data, evaluator_bytes(reference, t), true);
    }
    for (int k = 0; k < f->ninputs; k++) {
        eval_tensor *t = evaluator_input(reference, f, k);
        int64_t at = planned->inputs[k]->place.offset;
        e->inputs[at] = block_new((size_t)evaluator_bytes(reference, t));
        memcpy(e->inputs[at].bytes, t->data, e->inputs[at].size);
        e->input[at] = e->inputs[at].bytes;
    }
    for (int k = 0; k < f->nresults; k++) {
        int64_t count = ir_count(&f->results[k]->type, batch) * ir_dtype_size(f->results[k]->type.dtype);
        e->outputs[k] = block_new((size_t)count);
        e->output[k] = e->outputs[k].bytes;
    }
    e->call = (lamina_call){.struct_size = sizeof e->call,
                            .batch = batch,
                            .params = e->params.bytes,
                            .state = e->state.bytes,
                            .gradients = e->gradients.bytes,
                            .inputs = e->input,
                            .outputs = e->output,
                            .saved = e->saved.bytes,
                            .workspace = e->workspace.bytes,
                            .workers = workers,
                            .parallel_for = workers > 1 ? shuffled : NULL,
                            .learning_rate = 0.01f,
                            .loss_scale = 1.0f / (float)batch,
                            .micro_batch = 1};
}

static void close_environment(environment *e)
{
    block *all[] = {&e->params, &e->state, &e->gradients, &e->saved, &e->workspace};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        block_free(all[i]);
    for (int i = 0; i < MOST_VALUES; i++) {
        if (e->inputs[i].bytes)
            block_free(&e->inputs[i]);
        if (e->outputs[i].bytes)
            block_free(&e->outputs[i]);
    }
}

static evaluator *open_reference(const subject *s, const ir_graph *f, int64_t batch, bool special)
{
    evaluator *e = evaluator_new(s->plain, EVAL_F32, batch);
    evaluator_set_call_value(e, "learning_rate", 0.01f);
    evaluator_set_call_value(e, "loss_scale", 1.0f / (float)batch);
    evaluator_set_call_value(e, "micro_batch", 1);
    uint32_t seed = 1;
    for (const ir_symbol *y = s->plain->symbols; y; y = y->next)
        fill(e, evaluator_symbol(e, y->name), seed++, special);
    for (int i = 0; i < f->ninputs; i++)
        fill(e, evaluator_input(e, f, i), seed++, special);
    return e;
}

static bool run_both(const subject *s, const ir_graph *f, int64_t batch, int64_t workers, bool special)
{
    const ir_graph *planned = ir_function_find(s->planned, f->name);
    evaluator *reference = open_reference(s, f, batch, special);
    environment e;
    open_environment(&e, s, f, planned, reference, batch, workers);
    diag *d = diag_new();
    bool ok = evaluator_run(reference, f, d);
    lamina_function *function =
        (lamina_function *)dlsym(s->library, be_function_symbol(&s->interface, s->mem, f->name));
    ok = ok && function && function(&e.call) == LAMINA_CALL_OK;
    for (int i = 0; i < f->nresults && ok; i++)
        ok = same_bits(s, f->name, f->result_names[i], evaluator_result(reference, i), e.output[i]);
    for (const ir_symbol *y = s->planned->symbols; y && ok; y = y->next)
        ok = symbol_is(s, &e, f, reference, y);
    diag_free(d);
    close_environment(&e);
    evaluator_free(reference);
    return ok;
}

/* Each function at each batch size, with one worker and with three. */
static void run_functions(const subject *s, const int64_t *batches, int count)
{
    for (const ir_graph *f = s->plain->functions; f; f = f->next)
        for (int i = 0; i < count; i++)
            for (int64_t workers = 1; workers <= 3; workers += 2)
                if (batches[i] <= s->interface.max_batch)
                    CU_ASSERT_TRUE(run_both(s, f, batches[i], workers, workers > 1 && i % 2));
}

void lowered_check(const char *source, const char *name, const lowered_variant *v, const int64_t *batches, int count)
{
    char library[64], what[256];
    snprintf(library, sizeof library, "/tmp/lamina-lowering-%ld.so", (long)getpid());
    snprintf(what, sizeof what, "%s, %s%s%s%s", name, v->cpu, v->disabled ? ", optional passes off" : "",
             v->l2 ? ", short slices" : "", v->hook ? ", other plans" : "");
    ir_module *plain = parse(source, name), *planned = parse(source, name);
    subject s = {.plain = plain, .planned = planned, .path = library, .what = what, .mem = arena_new()};
    CU_ASSERT_TRUE(compile(planned, v, library));
    be_interface_read(planned, s.mem, &s.interface);
    s.library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    CU_ASSERT_PTR_NOT_NULL(s.library);
    if (s.library) {
        run_functions(&s, batches, count);
        dlclose(s.library);
    }
    unlink(library);
    arena_free(s.mem);
    ir_module_free(plain);
    ir_module_free(planned);
}

bool lowered_for_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
