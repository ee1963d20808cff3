/* ir/graph/rates.c - the row of the learning rate: the numbers of its schedule by name, checked and in order. */
#include "ir/graph/verify.h"
#include <math.h>
#include <string.h>

enum { LONGEST_NAME = 31 };

typedef struct {
    const char *name, *numbers;
} rate_kind;

#define RATE(ID, name, numbers) {#name, numbers},
static const rate_kind kinds[] = {
#include "ir/rates.def"
};

enum { KINDS = sizeof kinds / sizeof *kinds };

int ir_rate_kind(const ir_row *row)
{
    const ir_attr *a = row ? ir_attr_find(row->attrs, "kind") : NULL;
    const char *word = a && a->word ? a->word : "constant";
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(kinds[i].name, word))
            return i;
    return -1;
}

/* The next of a kind's names, without brackets; false behind the last. */
static bool next_name(const char **at, char name[LONGEST_NAME + 1], bool *list)
{
    *at += strspn(*at, " ");
    size_t length = strcspn(*at, " ");
    if (!length)
        return false;
    *list = **at == '[';
    size_t bracket = *list ? 1 : 0, inner = length - 2 * bracket;
    if (inner > LONGEST_NAME)
        ir_bug("'%s' is too long", *at);
    memcpy(name, *at + bracket, inner);
    name[inner] = 0;
    *at += length;
    return true;
}

/* ---- checks ---- */

static const struct {
    const char *name, *expected;
    double least;
    bool above;
} bounds[] = {{"length", " above 0", 0, true},
              {"boundaries", " above 0", 0, true},
              {"div_factor", " above 0", 0, true},
              {"final_div_factor", " above 0", 0, true},
              {"t_mul", " of 1 or more", 1, false}};

static bool is_within(const char *name, double v, const char **expected)
{
    *expected = "";
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++)
        if (!strcmp(bounds[i].name, name)) {
            *expected = bounds[i].expected;
            return isfinite(v) && (bounds[i].above ? v > bounds[i].least : v >= bounds[i].least);
        }
    return isfinite(v);
}

/* 'count' numbers, or any from 1 where that is 0. */
static bool check_numbers(const ir_row *r, const char *name, int count, diag *d)
{
    const ir_attr *a = ir_attr_find(r->attrs, name);
    const char *expected;
    bool ok = is_within(name, 1, &expected) && a && !a->word && (count ? a->count == count : a->count > 0);
    for (int i = 0; ok && i < a->count; i++)
        ok = is_within(name, a->number[i], &expected);
    if (ok)
        return true;
    diag_error(d, r->loc, "%s: expected for '%s' %s%s, found %s", r->name, name, count ? "one number" : "numbers",
               expected, a ? "others" : "none");
    return false;
}

static int count_of(const ir_row *r, const char *name)
{
    return ir_attr_find(r->attrs, name)->count;
}

static bool check_pieces(const ir_row *r, diag *d)
{
    int values = count_of(r, "values"), boundaries = count_of(r, "boundaries");
    const double *b = ir_attr_find(r->attrs, "boundaries")->number;
    for (int i = 1; i < boundaries; i++)
        if (b[i] <= b[i - 1]) {
            diag_error(d, r->loc, "%s: expected boundaries that rise, found %g after %g", r->name, b[i], b[i - 1]);
            return false;
        }
    if (values == boundaries + 1)
        return true;
    diag_error(d, r->loc, "%s: expected one value more than there are boundaries, found %d and %d", r->name, values,
               boundaries);
    return false;
}

static bool check_warmup(const ir_row *r, diag *d)
{
    const ir_attr *a = ir_attr_find(r->attrs, "warmup");
    if (!a || (!a->word && a->count == 2 && isfinite(a->number[0]) && a->number[0] >= 0 && isfinite(a->number[1])))
        return true;
    diag_error(d, r->loc, "%s: expected for 'warmup' a length of 0 or more and a rate, found others", r->name);
    return false;
}

static bool check_unit(const ir_row *r, const char *name, diag *d)
{
    const ir_attr *a = ir_attr_find(r->attrs, name);
    if (!a || (a->word && (!strcmp(a->word, "steps") || !strcmp(a->word, "epochs"))))
        return true;
    diag_error(d, r->loc, "%s: expected for '%s' steps or epochs, found %s", r->name, name,
               a->word ? a->word : "numbers");
    return false;
}

bool verify_rate(const ir_row *r, diag *d)
{
    int kind = ir_rate_kind(r);
    bool ok = kind >= 0, list;
    char name[LONGEST_NAME + 1];
    if (!ok)
        diag_error(d, r->loc, "%s: no schedule is called '%s'", r->name, ir_attr_find(r->attrs, "kind")->word);
    for (const char *at = ok ? kinds[kind].numbers : ""; ok && next_name(&at, name, &list);)
        ok = check_numbers(r, name, list ? 0 : 1, d);
    ok = ok && check_warmup(r, d) && check_unit(r, "unit", d) && check_unit(r, "warmup_unit", d);
    return ok && (strcmp(kinds[kind].name, "piecewise") || check_pieces(r, d));
}

/* ---- numbers ---- */

static int append(const ir_attr *a, double *out, int count)
{
    for (int i = 0; out && i < a->count; i++)
        out[count + i] = a->number[i];
    return count + a->count;
}

int ir_rate_numbers(const ir_row *row, double *out)
{
    int kind = ir_rate_kind(row), count = 2;
    const ir_attr *warmup = row ? ir_attr_find(row->attrs, "warmup") : NULL;
    if (!row || (!warmup && !strcmp(kinds[kind].name, "constant")))
        return 0;
    for (int i = 0; out && i < 2; i++)
        out[i] = warmup ? warmup->number[i] : 0;
    char name[LONGEST_NAME + 1];
    bool list;
    for (const char *at = kinds[kind].numbers; next_name(&at, name, &list);)
        count = append(ir_attr_find(row->attrs, name), out, count);
    return count;
}
