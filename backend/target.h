/* backend/target.h - what the backend itself asks about a target. */
#ifndef BACKEND_TARGET_H
#define BACKEND_TARGET_H

#include "ir/base/arena.h"
#include "ir/target.h"

/* What a machine says of itself. */
typedef struct {
    const char *name;     /* LLVM's */
    const char *features; /* LLVM's list: "+sse2,+avx,-avx2" */
    int64_t l1, l2;       /* bytes of data cache a core; 0: unknown */
} be_host;

/* This machine. The texts live in mem. */
be_host be_host_ask(arena *mem);
/* CPUID: a leaf's subleaf to EAX, EBX, ECX, EDX. */
typedef void be_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t r[4]);
/* The caches that such answers describe. */
void be_host_caches(be_cpuid *ask, int64_t *l1, int64_t *l2);
/* What to generate for it. */
ir_target be_target_of_host(const be_host *h, arena *mem);

/* The CPU whose instructions may be used (the target's own name is for tuning): "x86-64-v3". */
const char *be_target_code_cpu(const ir_target *t);
/* The instruction sets the code needs, separated by commas: "avx2,fma". */
const char *be_target_needs(const ir_target *t);

#endif
