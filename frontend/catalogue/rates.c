/* frontend/catalogue/rates.c - schedules of the learning rate: a row a kind, with its keys.
 *
 * What a schedule does is a formula of the host (runtime/model/rate.c); here it is a row of numbers, called as in
 * ir/rates.def. A length has two names there is one of, `epochs` or `steps`. */
#include "frontend/catalogue/catalogue.h"
#include <string.h>

#define RATE_KEY(name)                                                                                                 \
    {                                                                                                                  \
        name, FE_POSITIVE, FE_REQUIRED                                                                                 \
    }
#define LENGTH_KEYS                                                                                                    \
    {"epochs", FE_POSITIVE, NULL},                                                                                     \
    {                                                                                                                  \
        "steps", FE_POSITIVE, NULL                                                                                     \
    }

static const fe_kind rows[] = {
    {.name = "constant", .short_key = "initial", .keys = {RATE_KEY("initial")}},
    {.name = "step", .keys = {RATE_KEY("initial"), LENGTH_KEYS, {"gamma", FE_POSITIVE, "0.1"}}},
    {.name = "piecewise",
     .keys = {{"values", FE_NUMBERS, FE_REQUIRED}, {"epochs", FE_NUMBERS, NULL}, {"steps", FE_NUMBERS, NULL}}},
    {.name = "exponential", .keys = {RATE_KEY("initial"), LENGTH_KEYS, {"gamma", FE_POSITIVE, FE_REQUIRED}}},
    {.name = "polynomial",
     .keys = {RATE_KEY("initial"), LENGTH_KEYS, {"final", FE_NOT_NEGATIVE, "0"}, {"power", FE_POSITIVE, "1"}}},
    {.name = "cosine", .keys = {RATE_KEY("initial"), LENGTH_KEYS, {"final", FE_NOT_NEGATIVE, "0"}}},
    {.name = "cosine_restarts",
     .keys = {RATE_KEY("initial"),
              LENGTH_KEYS,
              {"final", FE_NOT_NEGATIVE, "0"},
              {"t_mul", FE_FROM_ONE, "2"},
              {"m_mul", FE_POSITIVE, "1"}}},
    {.name = "one_cycle",
     .keys = {RATE_KEY("maximum"),
              LENGTH_KEYS,
              {"pct_start", FE_FRACTION, "0.3"},
              {"div_factor", FE_POSITIVE, "25"},
              {"final_div_factor", FE_POSITIVE, "10000"}}},
    {.name = "inverse_sqrt", .keys = {RATE_KEY("initial"), LENGTH_KEYS}},
};

const fe_kind fe_warmup_keys = {.name = "warmup", .keys = {LENGTH_KEYS, {"initial", FE_NOT_NEGATIVE, "0"}}};

static bool check_length(fe_reader *r, const fe_choice *c)
{
    const fe_option *epochs = fe_get(c, "epochs"), *steps = fe_get(c, "steps");
    if (epochs->present != steps->present)
        return true;
    if (epochs->present)
        return fe_mismatch(r, c->at, c->kind->name, "epochs or steps", "both");
    return fe_missing(r, c->at, c->kind->name, "epochs", "how long it takes, in epochs or in steps");
}

static bool check_pieces(fe_reader *r, const fe_choice *c)
{
    const fe_option *values = fe_get(c, "values"), *at = fe_get(c, "epochs");
    at = at->present ? at : fe_get(c, "steps");
    for (int i = 1; i < at->count; i++)
        if (at->numbers[i] <= at->numbers[i - 1])
            return fe_mismatch(r, at->at, at->key->name, "numbers that rise", "others");
    if (values->count == at->count + 1)
        return true;
    return fe_mismatch(r, values->at, "values", "one more than there are boundaries",
                       arena_printf(r->mem, "%d for %d", values->count, at->count));
}

/* What holds of a schedule's keys together. Its warm-up is read here, to the choice of its option. */
static bool check_schedule(fe_reader *r, fe_choice *c)
{
    fe_option *w = &c->options[c->count - 1];
    if (w->present) {
        w->choice = fe_read_options(r, &fe_warmup_keys, NULL, w->tree);
        if (!w->choice || !check_length(r, w->choice))
            return false;
    }
    if (!strcmp(c->kind->name, "constant"))
        return true;
    return check_length(r, c) && (strcmp(c->kind->name, "piecewise") || check_pieces(r, c));
}

const fe_catalogue fe_rates = {
    "learning rate schedule", FE_ONE_TABLE(rows), {{"warmup", FE_TREE, NULL}}, check_schedule};

/* ---- as a row of the module ---- */

static void set_numbers(ir_module *m, ir_row *row, const char *name, const double *v, int count)
{
    ir_attr_set_numbers(m->mem, &row->attrs, name, v, count);
}

static void set_warmup(ir_module *m, ir_row *row, const fe_choice *c)
{
    const fe_option *epochs = fe_get(c, "epochs");
    double v[2] = {epochs->present ? epochs->number : fe_get_number(c, "steps"), fe_get_number(c, "initial")};
    set_numbers(m, row, "warmup", v, 2);
    ir_attr_set_word(m->mem, &row->attrs, "warmup_unit", epochs->present ? "epochs" : "steps");
}

/* A length has the name that ir/rates.def gives it. */
static void set_option(ir_module *m, ir_row *row, const fe_option *o, bool is_constant)
{
    bool epochs = !strcmp(o->key->name, "epochs"), length = epochs || !strcmp(o->key->name, "steps");
    bool list = o->key->type == FE_NUMBERS;
    const char *name = length ? list ? "boundaries" : "length" : is_constant ? "a" : o->key->name;
    if (o->key->type == FE_TREE && o->present)
        set_warmup(m, row, o->choice);
    if (o->key->type == FE_TREE || !o->present)
        return;
    set_numbers(m, row, name, list ? o->numbers : &o->number, list ? o->count : 1);
    if (length)
        ir_attr_set_word(m->mem, &row->attrs, "unit", epochs ? "epochs" : "steps");
}

void fe_build_schedule(ir_module *m, ir_row *row, const fe_option *rate)
{
    const fe_choice *c = rate->choice;
    if (!c)
        set_numbers(m, row, "a", &rate->number, 1);
    else
        ir_attr_set_word(m->mem, &row->attrs, "kind", c->kind->name);
    for (int i = 0; c && i < c->count; i++)
        set_option(m, row, &c->options[i], !strcmp(c->kind->name, "constant"));
}
