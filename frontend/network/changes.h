/* frontend/network/changes.h - single values of a file replaced before it is read. */
#ifndef FRONTEND_CHANGES_H
#define FRONTEND_CHANGES_H

#include "frontend/document/options.h"

/* The tree with changes in it, "key.key=YAML" one after the other, NULL behind the last. NULL after an error, whose
 * place is `--set` and the change. The tree itself stays as it is; what is broken in it is not changed. */
const fe_yaml *fe_changed(fe_reader *r, const fe_yaml *root, const char *const *changes);

#endif
