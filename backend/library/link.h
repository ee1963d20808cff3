/* backend/library/link.h - from object code to files. */
#ifndef BACKEND_LINK_H
#define BACKEND_LINK_H

#include "ir/base/diag.h"
#include <stddef.h>

/* Write a file whole or not at all: to a temporary file beside it, which then takes its name. */
bool be_write_file(const char *path, const void *bytes, size_t size, diag *d);
/* Link one object into a shared object at 'path', by the first of ld, ld.lld and cc that is installed, and seal it with
 * a checksum (LAMINA_SEAL). */
bool be_link_shared(const char *path, const void *object, size_t size, diag *d);
/* An ar archive of one member with an index of its symbols ('names', ended by NULL). */
void be_archive(const void *object, size_t size, const char *const *names, text *out);

#endif
