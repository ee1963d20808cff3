/* backend/library/abi.c - the offsets of the ABI's fields, by the table in runtime/lamina_abi.def.
 *
 * The table is compared with the C structs of lamina_abi.h while this file is compiled. It gives the offsets for
 * targets other than this machine, too. */
#include "backend/library/abi.h"
#include "runtime/lamina_abi.h"

/* ---- every struct once more, made from the table: a field added, left out, moved or of another size shows ---- */

typedef uint64_t abi_U64;
typedef int64_t abi_I64;
typedef double abi_F64;
typedef uint32_t abi_U32;
typedef int32_t abi_I32;
typedef float abi_F32;
typedef void *abi_POINTER;
typedef int64_t abi_DIMS[LAMINA_MAX_RANK];
typedef lamina_rate abi_RATE;

#define STRUCT(S) typedef struct {
#define FIELD(S, KIND, NAME) abi_##KIND NAME;
#define END(S)                                                                                                         \
    }                                                                                                                  \
    copy_of_##S;
/* clang-format off */
#include "runtime/lamina_abi.def"
/* clang-format on */

#define STRUCT(S)
#define FIELD(S, KIND, NAME)                                                                                           \
    _Static_assert(offsetof(S, NAME) == offsetof(copy_of_##S, NAME) && sizeof((S){0}.NAME) == sizeof(abi_##KIND),      \
                   "lamina_abi.def: " #S "." #NAME);
#define END(S) _Static_assert(sizeof(S) == sizeof(copy_of_##S), "lamina_abi.def: " #S);
#include "runtime/lamina_abi.def"

/* ---- places ---- */

typedef enum { BEGIN, U64, I64, F64, U32, I32, F32, POINTER, DIMS, RATE, LAST } kind;

#define STRUCT(S) BEGIN,
#define FIELD(S, KIND, NAME) KIND,
#define END(S) LAST,
static const kind kinds[ABI_PLACES] = {
#include "runtime/lamina_abi.def"
};

static size_t size_of(kind k, size_t pointer)
{
    switch (k) {
    case U32:
    case I32:
    case F32:
        return 4;
    case POINTER:
        return pointer;
    case DIMS:
        return sizeof(abi_DIMS);
    case RATE:
        return sizeof(abi_RATE); /* without a pointer: the same everywhere */
    default:
        return 8;
    }
}

size_t abi_offset(abi_place place, size_t pointer)
{
    int first = (int)place;
    while (kinds[first] != BEGIN)
        first--;
    size_t at = 0, largest = 4;
    for (int i = first + 1; i <= (int)place; i++) {
        size_t size = kinds[i] == LAST ? 0 : size_of(kinds[i], pointer);
        size_t alignment = kinds[i] == LAST ? largest : size == 4 ? 4 : 8;
        largest = alignment > largest ? alignment : largest;
        at = (at + alignment - 1) / alignment * alignment;
        at += i < (int)place ? size : 0;
    }
    return at;
}
