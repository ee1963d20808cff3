/* frontend/catalogue/layers/elementwise.c - layers that take each element by itself: activation, dropout. */
#include "frontend/catalogue/layers/layers.h"

static ir_node *build_activation(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    return fe_activated(b, l, in[0]);
}

/* Kept where 24 random bits, as a number in [0, 1), reach the rate. The lane keeps micro-batches apart. */
static ir_node *build_dropout(fe_builder *b, const fe_layer *l, ir_node *const *in)
{
    ir_graph *g = b->g;
    ir_node *x = in[0];
    double rate = fe_get_number(l->options, "rate");
    if (!b->training || rate == 0)
        return x;
    ir_node *seed = ir_state(g, ir_symbol_find(b->m, "seed"));
    ir_node *step = ir_state(g, ir_symbol_find(b->m, "step"));
    ir_node *micro_batch = ir_call_value(g, "micro_batch");
    ir_node *lane = ir_multiply(g, micro_batch, ir_like(g, micro_batch, 65536));
    ir_node *bits = ir_rng_bits(g, seed, step, lane, x->type, fe_stream(l->name));
    ir_node *whole = ir_convert(g, ir_shift_right(g, bits, ir_like(g, bits, 8)), IR_F32);
    ir_node *chance = ir_multiply(g, whole, ir_like(g, whole, 0x1p-24));
    ir_node *kept = ir_compare(g, "GE", chance, ir_like(g, chance, rate));
    ir_node *larger = ir_multiply(g, x, ir_like(g, x, 1 / (1 - rate)));
    return ir_select(g, kept, larger, ir_like(g, x, 0));
}

static const fe_layer_kind rows[] = {
    LAYER(activation, ONE, "activation", fe_shape_same, build_activation,
          KEY("activation", FE_ACTIVATION, FE_REQUIRED)),
    LAYER(dropout, ONE, "rate", fe_shape_same, build_dropout, KEY("rate", FE_UNIT, FE_REQUIRED)),
};

const fe_rows fe_elementwise_layers = FE_ROWS(rows);
