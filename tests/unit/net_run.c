#include "tests/unit/net_run.h"
#include "backend/backend.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool run_passes(ir_module *m, const net_variant *v, diag *d)
{
    const pass_options o = {.disabled = v->disabled,
                            .hook = v->hook,
                            .hook_after = "select",
                            .hook_name = "hook",
                            .hook_user = v->hook_user,
                            .dump_after = v->dumps ? "all" : NULL,
                            .dump = v->dumps};
    return passes_run(m, &o, d);
}

static fe_network *find_part(fe_network *n, const char *part)
{
    const fe_hierarchy *h = n ? fe_stages(n) : NULL;
    for (int i = 0; part && h && i < h->count; i++)
        if (!strcmp(h->parts[i].name, part))
            return h->parts[i].net;
    return part ? NULL : n;
}

ir_module *net_module(const char *yaml, const net_variant *v)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    fe_network *net = find_part(fe_read(yaml, mem, d), v->part);
    ir_module *m = net ? fe_build(net, d) : NULL;
    if (m) {
        int64_t batch = v->max_batch ? v->max_batch : fe_train_options(net)->batch;
        ir_attr_set_ints(m->mem, &m->attrs, "max_batch", &batch, 1);
        ir_attr_set_word(m->mem, &m->attrs, "partition", v->partition ? v->partition : "fused");
        if (v->gemm)
            ir_attr_set_word(m->mem, &m->attrs, "gemm", v->gemm);
        if (v->convolution)
            ir_attr_set_word(m->mem, &m->attrs, "convolution", v->convolution);
        if (v->balance)
            ir_attr_set_word(m->mem, &m->attrs, "balance", v->balance);
        if (v->stages)
            ir_attr_set_ints(m->mem, &m->attrs, "stages", &v->stages, 1);
    }
    bool known = m && be_target(v->cpu ? v->cpu : "native", m->mem, &m->target, d);
    if (known && v->l2)
        m->target.l2 = v->l2;
    if (m && (!known || !run_passes(m, v, d))) {
        ir_module_free(m);
        m = NULL;
    }
    text out = {0};
    diag_print(d, &out, false);
    fputs(text_get(&out), stderr);
    text_free(&out);
    diag_free(d);
    arena_free(mem);
    return m;
}

void *guarded_new(size_t bytes, size_t *mapped)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), rounded = (bytes + 63) / 64 * 64;
    *mapped = (rounded + page - 1) / page * page + page;
    char *p = mmap(NULL, *mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + *mapped - page, page, PROT_NONE))
        abort();
    /* What a kernel reads before it wrote it should hurt: these bytes are NaN in every float type. */
    memset(p, 0xff, *mapped - page);
    return p + *mapped - page - rounded;
}

void guarded_free(void *p, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), rounded = (bytes + 63) / 64 * 64;
    size_t mapped = (rounded + page - 1) / page * page + page;
    munmap((char *)p + rounded + page - mapped, mapped);
}

bool net_open_module(net_run *r, const ir_module *m, int64_t workers)
{
    memset(r, 0, sizeof *r);
    char dir[] = "/tmp/lamina-test-XXXXXX", path[256];
    if (!mkdtemp(dir))
        return false;
    snprintf(path, sizeof path, "%s/%s.so", dir, m->name);
    diag *d = diag_new();
    const be_options o = {BE_SO, path, false, NULL};
    lamina_error e;
    bool ok = be_compile(m, &o, d);
    text out = {0};
    diag_print(d, &out, false);
    fputs(text_get(&out), stderr);
    text_free(&out);
    diag_free(d);
    if (ok && lamina_library_open(path, &r->library, &e) != LAMINA_OK) {
        fprintf(stderr, "%s\n", e.text);
        ok = false;
    }
    unlink(path);
    rmdir(dir);
    if (!ok)
        return false;
    const lamina_net *n = r->net = lamina_library_net(r->library);
    const size_t bytes[NET_RUN_SEGMENTS] = {
        [PARAMS] = n->params_bytes,
        [STATE] = n->state_bytes,
        [GRADIENTS] = n->gradient_bytes,
        [SAVED] = n->saved_bytes,
        [WORKSPACE] = n->workspace_bytes + (size_t)workers * n->workspace_worker_bytes,
        [INFERENCE_STATE] = n->inference_state_bytes,
        [INFERENCE_WORKSPACE] = n->inference_workspace_bytes + (size_t)workers * n->inference_worker_bytes};
    size_t mapped;
    for (int i = 0; i < NET_RUN_SEGMENTS; i++)
        r->segment[i] = guarded_new(r->segment_bytes[i] = bytes[i], &mapped);
    r->call = (lamina_call){.struct_size = sizeof(lamina_call),
                            .params = r->segment[PARAMS],
                            .state = r->segment[STATE],
                            .gradients = r->segment[GRADIENTS],
                            .inputs = r->inputs,
                            .outputs = r->outputs,
                            .saved = r->segment[SAVED],
                            .workspace = r->segment[WORKSPACE]};
    return net_set_workers(r, workers);
}

bool net_set_workers(net_run *r, int64_t workers)
{
    lamina_error e;
    lamina_pool_free(r->pool);
    r->pool = NULL;
    if (workers > 1 && lamina_pool_new(workers, false, &r->pool, &e) != LAMINA_OK)
        return false;
    r->call.workers = workers;
    r->call.parallel_for = r->pool ? lamina_pool_run : NULL;
    r->call.host = r->pool;
    return true;
}

bool net_open(net_run *r, const char *yaml, const net_variant *v, int64_t workers)
{
    ir_module *m = net_module(yaml, v);
    bool ok = m && net_open_module(r, m, workers);
    ir_module_free(m);
    return ok;
}

/* What net_set_batch made; pointers that a caller set have no size here. */
static void free_batch(net_run *r)
{
    for (int i = 0; i < NET_RUN_TENSORS; i++) {
        if (r->input_bytes[i])
            guarded_free((void *)r->inputs[i], r->input_bytes[i]);
        if (r->output_bytes[i])
            guarded_free(r->outputs[i], r->output_bytes[i]);
        r->input_bytes[i] = r->output_bytes[i] = 0;
    }
}

void net_close(net_run *r)
{
    free_batch(r);
    for (int i = 0; i < NET_RUN_SEGMENTS; i++)
        if (r->segment[i])
            guarded_free(r->segment[i], r->segment_bytes[i]);
    lamina_pool_free(r->pool);
    lamina_library_free(r->library);
}

void net_initialize(net_run *r, uint64_t seed)
{
    const lamina_net *n = r->net;
    void **tensors = calloc((size_t)n->tensor_count, sizeof *tensors);
    for (int32_t i = 0; i < n->tensor_count; i++) {
        tensors[i] = malloc(n->tensors[i].bytes);
        lamina_initial_values(&n->tensors[i], seed, tensors[i]);
    }
    const lamina_weights w = {sizeof w, r->call.params, r->call.state, tensors};
    n->import_weights(&w);
    for (int32_t i = 0; i < n->tensor_count; i++)
        free(tensors[i]);
    free(tensors);
}

uint32_t input_seed(uint32_t step, int32_t input)
{
    return step * 8 + (uint32_t)input + 1;
}

void net_set_batch(net_run *r, int64_t batch, const int64_t *classes, uint32_t seed)
{
    const lamina_net *n = r->net;
    size_t mapped;
    free_batch(r);
    for (int32_t i = 0; i < n->input_count; i++) {
        void *data = guarded_new(r->input_bytes[i] = (size_t)n->inputs[i].bytes * (size_t)batch, &mapped);
        fill_input(&n->inputs[i], data, batch, classes ? classes[i] : 10, input_seed(seed, i));
        r->inputs[i] = data;
    }
    for (int32_t i = 0; i < n->output_count; i++)
        r->outputs[i] = guarded_new(r->output_bytes[i] = (size_t)n->outputs[i].bytes * (size_t)batch, &mapped);
}

int32_t net_step(net_run *r, int64_t batch)
{
    const lamina_net *n = r->net;
    r->call.batch = batch;
    r->call.loss_scale = 1.0f / (float)batch;
    if (!n->stage_count)
        return n->train_step(&r->call);
    if (!n->stages[0].backward_update)
        return net_gradients_update(r, batch);
    int32_t code = LAMINA_CALL_OK;
    for (int32_t i = 0; i < n->stage_count && !code; i++)
        code = n->stages[i].forward(&r->call);
    for (int32_t i = n->stage_count - 1; i >= 0 && !code; i--)
        code = n->stages[i].backward_update(&r->call);
    return code;
}

int32_t net_gradients_update(net_run *r, int64_t batch)
{
    const lamina_net *n = r->net;
    r->call.batch = batch;
    r->call.loss_scale = 1.0f / (float)batch;
    int32_t code = LAMINA_CALL_OK;
    if (!n->stage_count) {
        code = n->gradients(&r->call);
        return code ? code : n->update(&r->call);
    }
    for (int32_t i = 0; i < n->stage_count && !code; i++)
        code = n->stages[i].forward(&r->call);
    for (int32_t i = n->stage_count - 1; i >= 0 && !code; i--)
        code = n->stages[i].backward(&r->call);
    for (int32_t i = n->stage_count - 1; i >= 0 && !code; i--)
        code = n->stages[i].update(&r->call);
    return code;
}

static int32_t call_inference(net_run *r, lamina_function *function, int64_t batch)
{
    lamina_call call = r->call;
    call.batch = batch;
    call.state = r->segment[INFERENCE_STATE];
    call.workspace = r->segment[INFERENCE_WORKSPACE];
    call.gradients = call.saved = NULL;
    memcpy(call.state, r->call.state, r->segment_bytes[INFERENCE_STATE]);
    int32_t code = function(&call);
    memcpy(r->call.state, call.state, r->segment_bytes[INFERENCE_STATE]);
    return code;
}

int32_t net_infer(net_run *r, int64_t batch)
{
    return call_inference(r, r->net->infer, batch);
}

int32_t net_evaluate(net_run *r, int64_t batch)
{
    return call_inference(r, r->net->evaluate, batch);
}

void *net_export(net_run *r, size_t *bytes)
{
    const lamina_net *n = r->net;
    void **tensors = calloc((size_t)n->tensor_count, sizeof *tensors);
    *bytes = 0;
    for (int32_t i = 0; i < n->tensor_count; i++)
        *bytes += n->tensors[i].bytes;
    char *all = malloc(*bytes), *at = all;
    for (int32_t i = 0; i < n->tensor_count; at += n->tensors[i++].bytes)
        tensors[i] = at;
    const lamina_weights w = {sizeof w, r->call.params, r->call.state, tensors};
    n->export_weights(&w);
    free(tensors);
    return all;
}

/* xorshift: any reproducible bytes will do */
static uint32_t next(uint32_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 17;
    return *s ^= *s << 5;
}

void fill_input(const lamina_tensor *t, void *data, int64_t count, int64_t classes, uint32_t seed)
{
    int64_t elements = count;
    uint32_t s = seed * 2654435761u + 12345;
    for (int32_t i = 0; i < t->rank; i++)
        elements *= t->dim[i];
    for (int64_t i = 0; i < elements; i++) {
        uint32_t v = next(&s);
        if (t->dtype == LAMINA_UI8)
            ((uint8_t *)data)[i] = (uint8_t)(v >> 8);
        else if (t->dtype == LAMINA_I32)
            ((int32_t *)data)[i] = (int32_t)(v % (uint32_t)classes);
        else
            ((float *)data)[i] = (float)(v >> 8) * 0x1p-23f - 1;
    }
}
