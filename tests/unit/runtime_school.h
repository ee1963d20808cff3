/* tests/unit/runtime_school.h - two stages made of the hand-written net, for tests of runs of stages: the teacher is
 * the net, and the student learns to say what the teacher says. */
#ifndef TESTS_UNIT_RUNTIME_SCHOOL_H
#define TESTS_UNIT_RUNTIME_SCHOOL_H

#include "tests/unit/runtime_case.h"

typedef struct {
    lamina_net teacher, student, whole;
    lamina_tensor inputs[2], tensors[16], output; /* the student's */
    lamina_stage_options stages[2];
    lamina_stages *s;
    lamina_dataset *d;
} school;

/* The descriptions, to be changed before open_stages. */
void make_school(school *c);
lamina_status open_stages(school *c);
/* Both, and data. */
void open_school(school *c);
void close_school(school *c);

#endif
