/* runtime/model/library.c - load a compiled network and make sure that it can run here. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/cpu.h"
#include "runtime/model/elf.h"
#include "runtime/model/metrics.h"
#include "runtime/model/model.h"
#include <dlfcn.h>
#include <inttypes.h>
#include <link.h>
#include <string.h>

struct lamina_library {
    void *handle;
    const lamina_net *net;
    char file[]; /* the path with a slash in it: dlopen searches the system's folders for a name without */
};

/* ---- descriptor ---- */

/* Does the descriptor have a field of 8 bytes, or is it older? */
static bool has_field(const lamina_net *net, size_t offset)
{
    return net->struct_size >= offset + sizeof(uint64_t);
}

uint64_t lamina_net_needs(const lamina_net *net)
{
    return has_field(net, offsetof(lamina_net, needs)) ? net->needs : 0;
}

lamina_sizes lamina_net_sizes(const lamina_net *net, bool inference)
{
    lamina_sizes s = {net->params_bytes, net->state_bytes,     net->gradient_bytes,
                      net->saved_bytes,  net->workspace_bytes, net->workspace_worker_bytes};
    if (inference)
        s.gradients = s.saved = 0;
    if (inference && has_field(net, offsetof(lamina_net, inference_worker_bytes))) {
        s.state = net->inference_state_bytes;
        s.workspace = net->inference_workspace_bytes;
        s.worker = net->inference_worker_bytes;
    }
    return s;
}

/* A descriptor that is older than the question does not say what inference reads. There states of training are known by
 * their names, as the compiler gives them: step and seed are scalars, moments have that of their parameter behind a
 * slash. */
bool lamina_is_statistic(const lamina_net *net, int32_t tensor)
{
    const lamina_tensor *t = &net->tensors[tensor];
    if (t->kind != LAMINA_TENSOR_STATE)
        return false;
    for (int32_t i = 0; i < net->metric_count; i++)
        if (lamina_metric_sums(&net->metrics[i]) && (net->metrics[i].sum == tensor || net->metrics[i].count == tensor))
            return false;
    return has_field(net, offsetof(lamina_net, inference_state_bytes)) ? t->offset < net->inference_state_bytes
                                                                       : t->rank > 0 && !strchr(t->name, '/');
}

static lamina_status check_tensors(const lamina_net *net, const lamina_tensor *tensors, int32_t count, lamina_error *e)
{
    for (int32_t i = 0; i < count; i++) {
        const lamina_tensor *t = &tensors[i];
        if (lamina_dtype_bytes(t->dtype) == 0 || t->rank < 0 || t->rank > LAMINA_MAX_RANK)
            return lamina_fail(e, LAMINA_UNSUPPORTED,
                               "%s: tensor '%s': expected a type and rank known to ABI %d.%d, found type %" PRId32
                               " of rank %" PRId32,
                               net->name, t->name, LAMINA_ABI_MAJOR, LAMINA_ABI_MINOR, t->dtype, t->rank);
    }
    return LAMINA_OK;
}

lamina_status lamina_net_check(const lamina_net *net, lamina_error *e)
{
    if (!net)
        return lamina_fail(e, LAMINA_UNSUPPORTED,
                           "the network was compiled for another ABI than this runtime's %d.%d; recompile it with "
                           "'lamina compile'",
                           LAMINA_ABI_MAJOR, LAMINA_ABI_MINOR);
    if (net->abi_major != LAMINA_ABI_MAJOR || net->struct_size < offsetof(lamina_net, needs))
        return lamina_fail(e, LAMINA_UNSUPPORTED,
                           "%s: compiled for ABI %" PRId32 ".%" PRId32 " (descriptor of %" PRIu64
                           " bytes), this runtime has ABI %d.%d (%zu bytes); recompile it with 'lamina compile'",
                           net->name, net->abi_major, net->abi_minor, net->struct_size, LAMINA_ABI_MAJOR,
                           LAMINA_ABI_MINOR, sizeof(lamina_net));
    const uint64_t known = LAMINA_NEEDS_SGEMM | LAMINA_NEEDS_SUMS | LAMINA_NEEDS_IDENTITY | LAMINA_NEEDS_DATA |
                           LAMINA_NEEDS_SCHEDULE | LAMINA_NEEDS_ORTHOGONAL | LAMINA_NEEDS_METRICS;
    if (lamina_net_needs(net) & ~known)
        return lamina_fail(e, LAMINA_UNSUPPORTED,
                           "%s: compiled for ABI %" PRId32 ".%" PRId32 ", needs more of its host than this runtime's "
                           "%d.%d gives; link a newer runtime",
                           net->name, net->abi_major, net->abi_minor, LAMINA_ABI_MAJOR, LAMINA_ABI_MINOR);
    char missing[64];
    if (net->features && !lamina_cpu_has_all(net->features, missing, sizeof missing))
        return lamina_fail(e, LAMINA_UNSUPPORTED,
                           "%s: compiled for %s, needs the instruction set '%s' that this processor does not have; "
                           "recompile it with 'lamina compile --cpu=native'",
                           net->name, net->cpu, missing);
    lamina_status s;
    if ((s = lamina_rate_check(net, e)) || (s = check_tensors(net, net->tensors, net->tensor_count, e)) ||
        (s = check_tensors(net, net->inputs, net->input_count, e)) ||
        (s = check_tensors(net, net->outputs, net->output_count, e)))
        return s;
    return lamina_metrics_check(net, e);
}

static int32_t find(const lamina_tensor *tensors, int32_t count, const char *name)
{
    for (int32_t i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return i;
    return -1;
}

int32_t lamina_net_input(const lamina_net *net, const char *name)
{
    return find(net->inputs, net->input_count, name);
}

int32_t lamina_net_output(const lamina_net *net, const char *name)
{
    return find(net->outputs, net->output_count, name);
}

int32_t lamina_net_tensor(const lamina_net *net, const char *name)
{
    return find(net->tensors, net->tensor_count, name);
}

/* ---- files ---- */

/* A library says its version by answering to it. */
static lamina_status fail_version(const char *path, lamina_query *query, lamina_error *e)
{
    for (int32_t major = 0; major < 256; major++)
        if (query(major))
            return lamina_fail(e, LAMINA_UNSUPPORTED,
                               "%s: compiled for ABI %" PRId32
                               ", this runtime has ABI %d; recompile it with 'lamina compile NET.yaml -o %s'",
                               path, major, LAMINA_ABI_MAJOR, path);
    return lamina_fail(e, LAMINA_UNSUPPORTED,
                       "%s: compiled for an unknown ABI, this runtime has ABI %d; recompile it with 'lamina compile "
                       "NET.yaml -o %s'",
                       path, LAMINA_ABI_MAJOR, path);
}

/* Whether a symbol of a library is code: to call data would end the process. */
static bool is_function(const void *symbol)
{
    Dl_info info;
    const ElfW(Sym) *entry = NULL;
    return dladdr1(symbol, &info, (void **)&entry, RTLD_DL_SYMENT) && entry &&
           ELF64_ST_TYPE(entry->st_info) == STT_FUNC;
}

static lamina_status load(lamina_library *l, const char *path, lamina_error *e)
{
    lamina_status s = lamina_elf_check(path, e);
    if (s)
        return s;
    l->handle = dlopen(l->file, RTLD_NOW | RTLD_LOCAL);
    if (!l->handle) {
        const char *why = dlerror();
        return lamina_fail(e, LAMINA_IO, "%s: cannot load: %s", path, why ? why : "no reason given");
    }
    lamina_query *query;
    void *symbol = dlsym(l->handle, "lamina_net_query");
    if (!symbol || !is_function(symbol))
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: not a compiled network: it has no function lamina_net_query", path);
    memcpy(&query, &symbol, sizeof query); /* ISO C has no cast from an object pointer to a function's */
    l->net = query(LAMINA_ABI_MAJOR);
    return l->net ? lamina_net_check(l->net, e) : fail_version(path, query, e);
}

lamina_status lamina_library_open(const char *path, lamina_library **out, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_library_open", "out path", out, path);
    if (s)
        return s;
    *out = NULL;
    size_t bytes = sizeof(lamina_library) + strlen(path) + 3;
    lamina_library *l = lamina_allocate(1, bytes);
    if (!l)
        return lamina_fail_memory(e, path, bytes);
    sprintf(l->file, "%s%s", strchr(path, '/') ? "" : "./", path);
    s = load(l, path, e);
    if (s)
        lamina_library_free(l);
    else
        *out = l;
    return s;
}

const lamina_net *lamina_library_net(const lamina_library *l)
{
    return l->net;
}

void lamina_library_free(lamina_library *l)
{
    if (!l)
        return;
    if (l->handle)
        dlclose(l->handle);
    lamina_release(l);
}
