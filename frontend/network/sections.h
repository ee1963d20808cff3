/* frontend/network/sections.h - the keys of every section, of which readers and the schema of the language are made. */
#ifndef FRONTEND_SECTIONS_H
#define FRONTEND_SECTIONS_H

#include "frontend/document/options.h"

extern const fe_kind fe_input_keys, fe_repeat_keys, fe_group_keys, fe_pattern_keys, fe_weights_keys;
/* `data`: of a set that is split off, and of one that is a table; a set of other files has the inputs' names. */
extern const fe_kind fe_split_keys, fe_folds_keys, fe_table_keys, fe_augment_keys;
extern const fe_kind fe_train_keys, fe_clip_keys, fe_early_stopping_keys, fe_plateau_keys;
extern const fe_catalogue fe_averagings;
extern const fe_kind fe_stage_keys, fe_staging_keys, fe_combine_keys, fe_fine_tune_keys, fe_teacher_keys;

/* The sections' names. */
enum { FE_SECTIONS = 15 };
extern const char *const fe_sections[FE_SECTIONS];

#endif
