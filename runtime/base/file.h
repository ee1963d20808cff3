/* runtime/base/file.h - open regular files for reading. */
#ifndef RUNTIME_FILE_H
#define RUNTIME_FILE_H

#include "runtime/lamina.h"

/* Open a regular file for reading and tell its size; IO for anything else. *fd is -1 on an error. */
lamina_status lamina_open_regular(const char *path, int *fd, uint64_t *bytes, lamina_error *e);

#endif
