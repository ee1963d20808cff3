/* frontend/command/directory.h - the directory of a training run, which belongs to one process at a time. */
#ifndef FRONTEND_CMD_DIRECTORY_H
#define FRONTEND_CMD_DIRECTORY_H

#include "ir/base/diag.h"

/* Keep other runs out of a directory for as long as this process lives; false after an error in d, which names the
 * process that works there. Where the file system has no locks there is none. */
bool cmd_lock_directory(const char *dir, diag *d);

/* Remove what processes that are dead left half written beside the file dir/name: name.PID-... */
void cmd_sweep(const char *dir, const char *name);

#endif
