/* runtime/model/gemm.c - find OpenBLAS when a network needs it; programs whose networks do not never load it.
 *
 * A network's own tasks share its work, so each call of OpenBLAS has to run on the thread that makes it. */
#include "runtime/model/gemm.h"
#include "runtime/base/error.h"
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

void lamina_gemm_close(void *handle)
{
    if (handle)
        dlclose(handle);
}

/* LAMINA_OPENBLAS may name the one to take. It stays in the process: its threads may outlive the last handle. */
static void *open_library(void)
{
    enum { HOW = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE };
    const char *named = getenv("LAMINA_OPENBLAS");
    if (named)
        return dlopen(named, HOW);
    void *handle = dlopen("libopenblas.so.0", HOW);
    return handle ? handle : dlopen("libopenblas.so", HOW);
}

lamina_status lamina_gemm_open(const lamina_net *net, void **handle, lamina_sgemm **out, lamina_error *e)
{
    void (*set_threads)(int count);
    *handle = open_library();
    if (!*handle) {
        const char *why = dlerror();
        return lamina_fail(e, LAMINA_UNSUPPORTED, "%s: compiled with --gemm=openblas: cannot load OpenBLAS: %s",
                           net->name, why ? why : "it is not there");
    }
    void *product = dlsym(*handle, "cblas_sgemm"), *threads = dlsym(*handle, "openblas_set_num_threads");
    if (!product || !threads)
        return lamina_fail(e, LAMINA_UNSUPPORTED, "%s: compiled with --gemm=openblas: libopenblas has no function %s",
                           net->name, product ? "openblas_set_num_threads" : "cblas_sgemm");
    memcpy(out, &product, sizeof *out); /* ISO C has no cast from an object pointer to a function's */
    memcpy(&set_threads, &threads, sizeof set_threads);
    set_threads(1);
    return LAMINA_OK;
}
