/* ir/contraction/winograd.c - the additions of each transform of winograd.h, in their order, which defines the bits. */
#include "ir/contraction/winograd.h"

static const winograd_transform transforms[WINOGRAD_NKINDS] = {
    [WINOGRAD_INPUT] =
        {4, 4, 4, {{IR_SUBTRACT, 0, 2}, {IR_ADD, 1, 2}, {IR_SUBTRACT, 2, 1}, {IR_SUBTRACT, 1, 3}}, {4, 5, 6, 7}},
    [WINOGRAD_FILTER] =
        {3,
         4,
         5,
         {{IR_ADD, 0, 2}, {IR_ADD, 3, 1}, {IR_SUBTRACT, 3, 1}, {IR_MULTIPLY, 4, -1}, {IR_MULTIPLY, 5, -1}},
         {0, 6, 7, 2}},
    [WINOGRAD_OUTPUT] = {4, 2, 4, {{IR_ADD, 0, 1}, {IR_ADD, 4, 2}, {IR_SUBTRACT, 1, 2}, {IR_SUBTRACT, 6, 3}}, {5, 7}},
    [WINOGRAD_OUTPUT_GRADIENT] = {2, 4, 3, {{IR_ADD, 0, 1}, {IR_SUBTRACT, 0, 1}, {IR_NEGATE, 1, -1}}, {0, 2, 3, 4}},
    [WINOGRAD_FILTER_GRADIENT] = {4,
                                  3,
                                  6,
                                  {{IR_ADD, 1, 2},
                                   {IR_SUBTRACT, 1, 2},
                                   {IR_MULTIPLY, 4, -1},
                                   {IR_MULTIPLY, 5, -1},
                                   {IR_ADD, 0, 6},
                                   {IR_ADD, 6, 3}},
                                  {8, 7, 9}},
};

static const char *const words[WINOGRAD_NKINDS] = {"input", "filter", "output", "output_gradient", "filter_gradient"};

const winograd_transform *winograd_of(winograd_kind kind)
{
    return &transforms[kind];
}

winograd_kind winograd_kind_of(const ir_node *n)
{
    for (int i = 0; i < WINOGRAD_NKINDS; i++)
        if (ir_word_is(n, "kind", words[i]))
            return (winograd_kind)i;
    ir_bug("winograd: a kind that does not exist");
}

int64_t winograd_tiles(int64_t outputs)
{
    return (outputs + WINOGRAD_TILE - 1) / WINOGRAD_TILE;
}
