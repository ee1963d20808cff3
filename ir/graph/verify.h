/* ir/graph/verify.h - the parts of ir_verify, for verify.c and rows.c only. */
#ifndef IR_VERIFY_H
#define IR_VERIFY_H

#include "ir/ir.h"

/* Bounds of a dimension and of the elements of one example, so that no product of sizes overflows. */
#define MOST_DIM ((int64_t)1 << 31)
#define MOST_COUNT ((int64_t)1 << 40)

/* The type of "param 'w'" or "input 'x'": sizes within bounds, the batch once at most. */
bool verify_type_of(const char *what, const char *name, const ir_type *t, src_loc at, diag *d);
bool verify_symbols(const ir_module *m, diag *d);
bool verify_rows(const ir_module *m, diag *d);
bool verify_rate(const ir_row *r, diag *d);

#endif
