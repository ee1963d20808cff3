/* tests/unit/lowered.h - whole functions of a module, generated code against the evaluator, bit for bit. */
#ifndef TESTS_LOWERED_H
#define TESTS_LOWERED_H

#include "ir/base/diag.h"
#include "ir/ir.h"

typedef struct {
    const char *cpu, *disabled; /* optional passes; NULL: none */
    int64_t l2;                 /* bytes of the target's second cache; 0: as the CPU has it */
    /* What is done to the module after pass select, or NULL. */
    bool (*hook)(ir_module *m, void *user, diag *d);
} lowered_variant;

/* Compile the module in 'source' (an IR text, 'name' for messages) and run each of its functions at these batch sizes
 * (those within its max_batch), with one worker and with three whose tasks come in another order, on memory full of
 * NaNs that ends at a page that faults, some on operands with infinities and NaNs among them. Results and symbols must
 * have the bits that the evaluator gives them; if not, the running test fails. */
void lowered_check(const char *source, const char *name, const lowered_variant *v, const int64_t *batches, int count);

/* Can this machine run code for x86-64-v4? */
bool lowered_for_avx512(void);

#endif
