/* runtime/files/format.h - what the writer and the reader of weights files share; see safetensors.c. */
#ifndef RUNTIME_FORMAT_H
#define RUNTIME_FORMAT_H

#include "runtime/lamina.h"

/* How the header of a file with a checksum begins; the digits follow, zeros while the checksum is taken. */
#define LAMINA_BEFORE_CHECKSUM "{\"__metadata__\":{\"crc32\":\""
#define LAMINA_NO_CHECKSUM "00000000"
enum { LAMINA_DIGITS_AT = sizeof LAMINA_BEFORE_CHECKSUM - 1, LAMINA_DIGITS = sizeof LAMINA_NO_CHECKSUM - 1 };

/* The format's name of a LAMINA_F32 ... type. */
extern const char *const lamina_safetensors_dtypes[];

#endif
