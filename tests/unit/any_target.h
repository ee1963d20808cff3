/* tests/unit/any_target.h - a machine for tests that only want there to be one: the same on every machine. */
#ifndef TESTS_UNIT_ANY_TARGET_H
#define TESTS_UNIT_ANY_TARGET_H

#include "ir/ir.h"

static const ir_target any_target = {.triple = "x86_64-unknown-linux-gnu",
                                     .cpu = "haswell",
                                     .features = "",
                                     .vector = 8,
                                     .registers = 16,
                                     .fma = true,
                                     .l1 = 32 << 10,
                                     .l2 = 256 << 10,
                                     .l3 = 8 << 20};

#endif
