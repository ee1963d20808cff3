/* frontend/command/sheet.h - records beside what augmentation makes of them, to look at. */
#ifndef FRONTEND_CMD_SHEET_H
#define FRONTEND_CMD_SHEET_H

#include "frontend/frontend.h"
#include "runtime/lamina.h"

/* Write the first records of 'train', which 'a' augments, and what its first epochs make of them, to a file. False
 * after an error in d. */
bool cmd_write_sheet(const lamina_net *net, const fe_augment *a, const lamina_dataset *train, uint64_t seed,
                     const char *path, arena *mem, diag *d);

#endif
