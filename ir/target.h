/* ir/target.h - what passes may know of the machine that the code is for.
 *
 * The backend fills it from a CPU name, the module prints it as its `target` line, passes read it. No pass asks for a
 * CPU's name; sizes decide. */
#ifndef IR_TARGET_H
#define IR_TARGET_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *triple;   /* LLVM's, "x86_64-unknown-linux-gnu" */
    const char *cpu;      /* LLVM's name, "znver4" */
    const char *features; /* LLVM's feature string, may be "" */
    int32_t vector;       /* f32 lanes of a register: 16, 8 or 4 */
    int32_t registers;    /* vector registers: 32 or 16 */
    bool fma;             /* fused multiply-add in hardware; without it the bits differ (multiply, then add) */
    int64_t l1, l2, l3;   /* data cache bytes a core */
} ir_target;

#endif
