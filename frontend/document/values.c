/* frontend/document/values.c - a word, list or mapping of the YAML as the value of a key, by the key's type. */
#include "frontend/document/options.h"
#include <ctype.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* Dimensions stay far from overflow, and every whole number stays exact in a double. */
static const double MOST_COUNT = 16777216, MOST_WHOLE = 9007199254740992;

enum { LONGEST_NAME = 63 };

bool fe_is_name(const char *word)
{
    size_t n = 0;
    for (; word[n]; n++)
        if (!isalnum((unsigned char)word[n]) && word[n] != '_')
            return false;
    return n && n <= LONGEST_NAME && !isdigit((unsigned char)word[0]);
}

/* MISMATCH leaves the message to the caller; REPORTED has already said what is wrong. */
typedef enum { READ, MISMATCH, REPORTED } outcome;

static outcome read_number(const fe_yaml *y, double *value)
{
    if (y->kind != FE_SCALAR || y->quoted || fe_number(y->word, value) || fabs(*value) > FLT_MAX)
        return MISMATCH;
    return READ;
}

static outcome read_whole(const fe_yaml *y, double low, double high, int64_t *value)
{
    double v;
    if (read_number(y, &v) != READ || v < low || v > high || v != floor(v))
        return MISMATCH;
    *value = (int64_t)v;
    return READ;
}

static outcome read_count(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_whole(y, 1, MOST_COUNT, &o->list[0]);
}

static outcome read_from_zero(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_whole(y, 0, MOST_WHOLE, &o->list[0]);
}

static outcome read_axis(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_whole(y, -IR_MAX_RANK, IR_MAX_RANK, &o->list[0]);
}

static outcome read_any(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number);
}

static outcome read_positive(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number > 0 ? READ : MISMATCH;
}

static outcome read_not_negative(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number >= 0 ? READ : MISMATCH;
}

static outcome read_unit(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number >= 0 && o->number < 1 ? READ : MISMATCH;
}

static outcome read_fraction(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number > 0 && o->number < 1 ? READ : MISMATCH;
}

static outcome read_from_one(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_number(y, &o->number) == READ && o->number >= 1 ? READ : MISMATCH;
}

/* A schedule is known by its first key, which names a rate. */
static outcome read_rate(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    if (y->kind != FE_MAP)
        return read_not_negative(r, y, o);
    if (!(o->choice = fe_read_choice(r, r->rates, y)))
        return REPORTED;
    const fe_option *first = &o->choice->options[0];
    o->number = first->numbers ? first->numbers[0] : first->number;
    return READ;
}

/* A number, or one followed by an x: so many times another. */
static outcome read_multiple(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    size_t length = y->kind == FE_SCALAR ? strlen(y->word) : 0;
    o->yes = length > 1 && y->word[length - 1] == 'x';
    fe_yaml number = *y;
    if (o->yes) {
        char *word = arena_strdup(r->mem, y->word);
        word[length - 1] = 0;
        number.word = word;
    }
    return read_not_negative(r, &number, o);
}

static outcome read_bool(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    if (y->kind != FE_SCALAR || y->quoted)
        return MISMATCH;
    o->yes = !strcmp(y->word, "true");
    return o->yes || !strcmp(y->word, "false") ? READ : MISMATCH;
}

static outcome read_two(const fe_yaml *y, double low, int64_t value[2])
{
    if (y->kind != FE_LIST) {
        if (read_whole(y, low, MOST_COUNT, &value[0]) != READ)
            return MISMATCH;
        value[1] = value[0];
        return READ;
    }
    if (y->count != 2 || read_whole(y->item[0], low, MOST_COUNT, &value[0]) != READ)
        return MISMATCH;
    return read_whole(y->item[1], low, MOST_COUNT, &value[1]);
}

static outcome read_pair(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_two(y, 1, o->list);
}

static outcome read_whole_pair(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_two(y, 0, o->list);
}

/* n, [rows, columns] or [[top, bottom], [left, right]] */
static outcome read_margins(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    if (y->kind == FE_LIST && y->count == 2 && y->item[0]->kind == FE_LIST && y->item[1]->kind == FE_LIST) {
        outcome rows = read_two(y->item[0], 0, &o->list[0]);
        return rows == READ ? read_two(y->item[1], 0, &o->list[2]) : rows;
    }
    int64_t both[2];
    if (read_two(y, 0, both) != READ)
        return MISMATCH;
    o->list[0] = o->list[1] = both[0];
    o->list[2] = o->list[3] = both[1];
    return READ;
}

/* n or [before, behind] */
static outcome read_margins_1d(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_two(y, 0, o->list);
}

/* One of the words, of which the first, valid, is no padding; else margins as numbers. */
static outcome read_padding_of(fe_reader *r, const fe_yaml *y, fe_option *o, const char *const *words,
                               outcome (*margins)(fe_reader *r, const fe_yaml *y, fe_option *o))
{
    for (int i = 0; y->kind == FE_SCALAR && words[i]; i++)
        if (!strcmp(y->word, words[i])) {
            o->word = i ? words[i] : NULL;
            return READ;
        }
    return margins(r, y, o);
}

static outcome read_padding(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    return read_padding_of(r, y, o, (const char *const[]){"valid", "same", NULL}, read_margins);
}

static outcome read_padding_1d(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    return read_padding_of(r, y, o, (const char *const[]){"valid", "same", NULL}, read_margins_1d);
}

static outcome read_edges(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    return read_padding_of(r, y, o, (const char *const[]){"valid", "same", "reflect", NULL}, read_margins);
}

static outcome read_edges_1d(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    return read_padding_of(r, y, o, (const char *const[]){"valid", "same", "reflect", "causal", NULL}, read_margins_1d);
}

/* One dimension of a tensor is the batch, which no shape in the YAML names. */
static outcome read_dims(const fe_yaml *y, double low, fe_option *o)
{
    if (y->kind != FE_LIST || y->count > IR_MAX_RANK - 1)
        return MISMATCH;
    for (int i = 0; i < y->count; i++)
        if (read_whole(y->item[i], low, MOST_COUNT, &o->list[i]) != READ || !o->list[i])
            return MISMATCH;
    o->count = y->count;
    return READ;
}

static outcome read_shape(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    return read_dims(y, 1, o);
}

static outcome read_target(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    int open = 0;
    if (read_dims(y, -1, o) != READ)
        return MISMATCH;
    for (int i = 0; i < o->count; i++)
        open += o->list[i] < 0;
    return open <= 1 ? READ : MISMATCH;
}

static outcome read_dtype(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    static const char *const names[] = {"float32", "int32", "uint8"};
    static const ir_dtype types[] = {IR_F32, IR_I32, IR_UI8};
    if (y->kind != FE_SCALAR)
        return MISMATCH;
    for (int i = 0; i < 3; i++)
        if (!strcmp(y->word, names[i])) {
            o->dtype = types[i];
            return READ;
        }
    fe_unknown(r, y->at, "dtype", y->word, names, 3);
    return REPORTED;
}

static outcome read_name(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    o->word = y->word;
    return y->kind == FE_SCALAR && fe_is_name(y->word) ? READ : MISMATCH;
}

static outcome read_path(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    o->word = y->word;
    return y->kind == FE_SCALAR && *y->word ? READ : MISMATCH;
}

static outcome read_names(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    if (y->kind != FE_LIST || !y->count)
        return MISMATCH;
    o->count = y->count;
    o->names = arena_new_array(r->mem, const char *, (size_t)y->count);
    o->name_at = arena_new_array(r->mem, src_loc, (size_t)y->count);
    for (int i = 0; i < y->count; i++) {
        if (y->item[i]->kind != FE_SCALAR || !fe_is_name(y->item[i]->word))
            return MISMATCH;
        o->names[i] = y->item[i]->word;
        o->name_at[i] = y->item[i]->at;
    }
    return READ;
}

static outcome read_weights(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    if (y->kind != FE_LIST || !y->count)
        return MISMATCH;
    o->count = y->count;
    o->numbers = arena_new_array(r->mem, double, (size_t)y->count);
    for (int i = 0; i < y->count; i++)
        if (read_number(y->item[i], &o->numbers[i]) != READ || o->numbers[i] < 0)
            return MISMATCH;
    return READ;
}

static outcome read_numbers(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    outcome done = read_weights(r, y, o);
    for (int i = 0; done == READ && i < o->count; i++)
        done = o->numbers[i] > 0 ? READ : MISMATCH;
    return done;
}

static outcome read_tree(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    (void)r;
    o->tree = y;
    return READ;
}

static outcome read_activation(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    o->choice = fe_read_choice(r, r->activations, y);
    return o->choice ? READ : REPORTED;
}

static outcome read_initializer(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    o->choice = fe_read_choice(r, r->initializers, y);
    return o->choice ? READ : REPORTED;
}

static outcome read_regularizer(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    o->choice = fe_read_choice(r, r->regularizers, y);
    return o->choice ? READ : REPORTED;
}

typedef outcome value_reader(fe_reader *r, const fe_yaml *y, fe_option *o);

static const struct {
    const char *expected;
    value_reader *read;
} types[] = {
    [FE_COUNT] = {"a whole number from 1 to 16777216", read_count},
    [FE_WHOLE] = {"a whole number from 0", read_from_zero},
    [FE_NUMBER] = {"a number", read_any},
    [FE_POSITIVE] = {"a number above 0", read_positive},
    [FE_NOT_NEGATIVE] = {"a number from 0", read_not_negative},
    [FE_UNIT] = {"a number from 0, below 1", read_unit},
    [FE_FRACTION] = {"a number above 0, below 1", read_fraction},
    [FE_FROM_ONE] = {"a number from 1", read_from_one},
    [FE_BOOL] = {"true or false", read_bool},
    [FE_AXIS] = {"a whole number", read_axis},
    [FE_PAIR] = {"a whole number from 1, or two in a list", read_pair},
    [FE_WHOLE_PAIR] = {"a whole number from 0, or two in a list", read_whole_pair},
    [FE_MARGINS] = {"n, [rows, columns] or [[top, bottom], [left, right]]", read_margins},
    [FE_MARGINS_1D] = {"n or [before, behind]", read_margins_1d},
    [FE_PADDING] = {"valid, same, n, [rows, columns] or [[top, bottom], [left, right]]", read_padding},
    [FE_PADDING_1D] = {"valid, same, n or [before, behind]", read_padding_1d},
    [FE_EDGES] = {"valid, same, reflect, n, [rows, columns] or [[top, bottom], [left, right]]", read_edges},
    [FE_EDGES_1D] = {"valid, same, reflect, causal, n or [before, behind]", read_edges_1d},
    [FE_SHAPE] = {"a list of up to 7 whole numbers from 1 to 16777216", read_shape},
    [FE_TARGET] = {"a list of up to 7 whole numbers from 1, one of which may be -1", read_target},
    [FE_DTYPE] = {"float32, int32 or uint8", read_dtype},
    [FE_NAME] = {"a name (letters, digits and _, no digit first, at most 63)", read_name},
    [FE_PATH] = {"the path of a file", read_path},
    [FE_NAMES] = {"a list of names", read_names},
    [FE_NUMBERS] = {"a list of numbers above 0", read_numbers},
    [FE_WEIGHTS] = {"a list of numbers from 0", read_weights},
    [FE_TREE] = {"a value", read_tree},
    [FE_ACTIVATION] = {"an activation", read_activation},
    [FE_INITIALIZER] = {"an initializer", read_initializer},
    [FE_REGULARIZER] = {"a regularizer", read_regularizer},
    [FE_MULTIPLE] = {"a number from 0, or a multiple of the net's such as 0.1x", read_multiple},
    [FE_RATE] = {"a number from 0, or a schedule", read_rate},
};

const char *fe_expected(const fe_key *key)
{
    return types[key->type].expected;
}

/* "'1/0', which divides by zero": what stands there, and why it is no number where that is worth saying. */
static const char *describe_value(fe_reader *r, const fe_yaml *y)
{
    double value;
    const char *why = y->kind == FE_SCALAR && !y->quoted ? fe_number(y->word, &value) : NULL;
    return arena_printf(r->mem, "%s%s", fe_yaml_describe(y, r->mem), why ? why : "");
}

bool fe_read_value(fe_reader *r, const fe_yaml *y, fe_option *o)
{
    o->at = y->at;
    outcome done = types[o->key->type].read(r, y, o);
    o->present = done == READ;
    o->failed = done != READ;
    if (done == MISMATCH && !y->broken)
        fe_mismatch(r, y->at, o->key->name, fe_expected(o->key), describe_value(r, y));
    return done == READ;
}
