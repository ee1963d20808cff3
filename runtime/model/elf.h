/* runtime/model/elf.h - whether a file can be loaded as a shared object. */
#ifndef RUNTIME_ELF_H
#define RUNTIME_ELF_H

#include "runtime/lamina.h"

/* The dynamic loader trusts a file: one that ends early, as a partial copy does, raises SIGBUS where a page is missing.
 * BAD_FILE unless 'path' is a whole shared object for this machine, and, if it is sealed (LAMINA_SEAL), no bit of it
 * changed. */
lamina_status lamina_elf_check(const char *path, lamina_error *e);

#endif
