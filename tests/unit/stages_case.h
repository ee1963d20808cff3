/* tests/unit/stages_case.h - what the tests of stages share: the nets of tests/nets/stages, compiled, and data. */
#ifndef TESTS_UNIT_STAGES_CASE_H
#define TESTS_UNIT_STAGES_CASE_H

#include "tests/unit/net_run.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STAGES = 3, WHOLE = STAGES, NETS, BATCH = 8, RECORDS = 45, VALID = 13, CLASSES = 3, SEED = 5 };

extern net_run stage_nets[NETS];
extern char stages_folder[64];
extern lamina_error stages_error;
extern lamina_dataset *stages_data, *stages_valid; /* for the whole's inputs */

#define OK(call) CU_ASSERT_EQUAL_FATAL(call, LAMINA_OK)

int stages_open_nets(void);
int stages_close_nets(void); /* fails if anything was left in the folder */
lamina_dataset *stages_make_data(int64_t records, uint32_t seed);
/* Stages 'first', 'second' and 'third', initialized; learning as 'change' says, or two epochs each. */
lamina_stages *stages_new(const lamina_stage_options *change);
/* Tensors that both have and no training owns alone must be equal; how many they are. */
int stages_compare(lamina_model *a, lamina_model *b);
/* A model of the whole with what the stages have learned. */
lamina_model *stages_whole(lamina_stages *s);

/* Cases of test_stages_resume.c, added to the suite. */
void add_stages_resume(CU_pSuite s);

#endif
