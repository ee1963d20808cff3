/* frontend/command/scores.h - the libraries that a net with stages of their own is compiled to, and what is told of how
 * good the whole and its stages are. */
#ifndef FRONTEND_CMD_SCORES_H
#define FRONTEND_CMD_SCORES_H

#include "frontend/frontend.h"
#include "runtime/lamina.h"
#include <stdio.h>

/* A line for a data set and the whole, then one a stage:
 *     test (10000 examples): loss 0.3821, accuracy 0.8634
 *       features: loss 0.4123, accuracy 0.8512; 52.1 % of the loss, +0.0120 without it */
void cmd_print_scores(FILE *out, const char *set, int64_t examples, const lamina_stages_score *scores, int32_t count);

/* All of them in one line, for people who wait. */
void cmd_print_scores_line(FILE *out, const lamina_stages_score *scores, int32_t count);

/* What is the same of a part's options however it learns: name, network, what it combines or has as members. */
lamina_stage_options cmd_stage_options(const fe_hierarchy *h, int part, const lamina_net *net, arena *mem);

#endif
