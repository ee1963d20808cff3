/* backend/library/abi.h - where the fields of the ABI's structs lie, for a target whose pointers have 4 or 8 bytes. */
#ifndef BACKEND_ABI_H
#define BACKEND_ABI_H

#include <stddef.h>

/* ABI(lamina_call, batch): a field; ABI_SIZE(lamina_call): the place right behind the last one. */
#define ABI(S, NAME) ABI_##S##_##NAME
#define ABI_SIZE(S) ABI_##S##_END
#define STRUCT(S) ABI_##S##_BEGIN,
#define FIELD(S, KIND, NAME) ABI_##S##_##NAME,
#define END(S) ABI_##S##_END,
typedef enum {
#include "runtime/lamina_abi.def"
    ABI_PLACES
} abi_place;

/* Bytes from the struct's start; of an ABI_SIZE, the struct's size. */
size_t abi_offset(abi_place place, size_t pointer);

#endif
