/* frontend/catalogue/optimizers.c - the optimizers' keys. What an optimizer does is a graph that optimize_update makes;
 * here it is a row of numbers. */
#include "frontend/network/network.h"
#include <string.h>

static const fe_kind rows[] = {
    {.name = "sgd",
     .keys = {{"learning_rate", FE_RATE, "0.01"}, {"momentum", FE_UNIT, "0"}, {"nesterov", FE_BOOL, "false"}}},
    {.name = "adam",
     .keys = {{"learning_rate", FE_RATE, "0.001"},
              {"beta_1", FE_UNIT, "0.9"},
              {"beta_2", FE_UNIT, "0.999"},
              {"epsilon", FE_POSITIVE, "1e-7"}}},
};

const fe_catalogue fe_optimizers = {"optimizer", rows, sizeof rows / sizeof *rows, sizeof *rows, {{0}}};

/* `row rate @learning_rate {...}`, whose number fe_build_rate adds, and `row optimizer @adam {...}`: every key but the
 * rate is a number of the row. */
void fe_build_rows(const fe_network *n, ir_module *m)
{
    const fe_choice *c = n->optimizer;
    if (!c)
        return;
    src_loc at = c->at;
    ir_row *row = ir_row_new(m, "rate", "learning_rate", at);
    ir_attr_set_word(m->mem, &row->attrs, "kind", "constant");
    row = ir_row_new(m, "optimizer", c->kind->name, at);
    for (int i = 0; i < c->count; i++) {
        const fe_option *o = &c->options[i];
        double value = o->key->type == FE_BOOL ? o->yes : o->number;
        if (o->key->type != FE_RATE)
            ir_attr_set_numbers(m->mem, &row->attrs, o->key->name, &value, 1);
    }
}

void fe_build_rate(const fe_network *n, ir_module *m)
{
    double rate = n->optimizer ? fe_get_number(n->optimizer, "learning_rate") : 0;
    for (ir_row *row = m->rows; row; row = row->next)
        if (!strcmp(row->kind, "rate"))
            ir_attr_set_numbers(m->mem, &row->attrs, "a", &rate, 1);
}
