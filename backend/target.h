/* backend/target.h - what the backend itself asks about a target. */
#ifndef BACKEND_TARGET_H
#define BACKEND_TARGET_H

#include "ir/target.h"

/* The CPU whose instructions may be used (the target's own name is for tuning): "x86-64-v3". */
const char *be_target_code_cpu(const ir_target *t);
/* The instruction sets the code needs, separated by commas: "avx2,fma". */
const char *be_target_needs(const ir_target *t);

#endif
