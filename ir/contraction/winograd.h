/* ir/contraction/winograd.h - the transforms of Winograd's minimal filtering F(2x2, 3x3), for the rules of operator
 * `winograd` and for the code that is made of it.
 *
 * A convolution with a 3x3 kernel g makes 2x2 outputs of 4x4 inputs d with 16 multiplications a channel instead of 36:
 *
 *     Y = At [(G g Gt) . (Bt d B)] A                      (Lavin and Gray 2016, section 4.1)
 *
 * Its transposes give the weight gradient of an output gradient dY: dg = Gt [(A dY At) . (Bt d B)] G. Each transform is
 * a matrix M applied to both sides of a square of numbers, M x Mt. (So an infinite input may make its tile NaN.)
 *
 *     input            Bt  4x4   inputs of a tile to 16 places       | 1 0 -1 0 | 0 1 1 0 | 0 -1 1 0 | 0 1 0 -1 |
 *     filter           G   4x3   a kernel to 16 places               | 1 0 0 | 1/2 1/2 1/2 | 1/2 -1/2 1/2 | 0 0 1 |
 *     output           At  2x4   16 sums of products to outputs      | 1 1 1 0 | 0 1 -1 -1 |
 *     output_gradient  A   4x2   a tile of dY to 16 places           | 1 0 | 1 1 | 1 -1 | 0 -1 |
 *     filter_gradient  Gt  3x4   16 sums of products to a kernel     | 1 1/2 1/2 0 | 0 1/2 -1/2 0 | 0 1/2 1/2 1 |
 *
 * What is rounded when is part of the operator: M is applied to each column of the square (numbers whose second index
 * is equal), then to each row of the outcome, and to four (three, two) numbers by the steps that winograd_of gives. */
#ifndef IR_WINOGRAD_H
#define IR_WINOGRAD_H

#include "ir/ir.h"

enum { WINOGRAD_TILE = 2, WINOGRAD_KERNEL = 3, WINOGRAD_INPUTS = 4, WINOGRAD_PLACES = 16, WINOGRAD_STEPS = 6 };

typedef enum {
    WINOGRAD_INPUT,
    WINOGRAD_FILTER,
    WINOGRAD_OUTPUT,
    WINOGRAD_OUTPUT_GRADIENT,
    WINOGRAD_FILTER_GRADIENT,
    WINOGRAD_NKINDS
} winograd_kind;

/* Step i makes number in + i of two earlier ones: add and subtract; half of a is `multiply` with b = -1, -a `negate`.
 */
typedef struct {
    ir_op op;
    int8_t a, b;
} winograd_step;

/* M's columns and rows, and how it is applied: the results are the numbers result[0] .. result[out - 1]. */
typedef struct {
    int8_t in, out, steps;
    winograd_step step[WINOGRAD_STEPS];
    int8_t result[WINOGRAD_INPUTS];
} winograd_transform;

const winograd_transform *winograd_of(winograd_kind kind);

/* The kind of a winograd node, by its attribute. */
winograd_kind winograd_kind_of(const ir_node *n);

/* Tiles that cover so many outputs in a row. */
int64_t winograd_tiles(int64_t outputs);

#endif
