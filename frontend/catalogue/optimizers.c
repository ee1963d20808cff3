/* frontend/catalogue/optimizers.c - the optimizers' keys. What an optimizer does is a graph that optimize_update makes;
 * here it is a row of numbers. */
#include "frontend/catalogue/catalogue.h"

static const fe_kind rows[] = {
    {.name = "sgd",
     .short_key = "learning_rate",
     .keys = {{"learning_rate", FE_RATE, "0.01"}, {"momentum", FE_UNIT, "0"}, {"nesterov", FE_BOOL, "false"}}},
    {.name = "adam",
     .short_key = "learning_rate",
     .keys = {{"learning_rate", FE_RATE, "0.001"},
              {"beta_1", FE_UNIT, "0.9"},
              {"beta_2", FE_UNIT, "0.999"},
              {"epsilon", FE_POSITIVE, "1e-7"}}},
};

const fe_catalogue fe_optimizers = {"optimizer", FE_ONE_TABLE(rows), {{0}}, NULL};
