/* frontend/document/number.c - expressions such as 1/255 are numbers.
 *
 *     sum     = product {("+" | "-") product}
 *     product = factor {("*" | "/") factor}
 *     factor  = {"+" | "-"} (number | "(" sum ")")
 * By recursive descent, in double. */
#include "frontend/document/yaml.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

typedef struct {
    const char *at;
    const char *why; /* NULL as long as all is well */
    int depth;
} cursor;

static double sum(cursor *c);

static double fail(cursor *c, const char *why)
{
    if (!c->why)
        c->why = why;
    return 0;
}

static bool take(cursor *c, char wanted)
{
    c->at += strspn(c->at, " ");
    if (*c->at != wanted)
        return false;
    c->at++;
    return true;
}

static size_t digits(const char *s)
{
    size_t n = 0;
    while (isdigit((unsigned char)s[n]))
        n++;
    return n;
}

/* Only decimal numbers: strtod alone would also take "inf", "nan" and hexadecimal. */
static double literal(cursor *c)
{
    const char *s = c->at;
    size_t whole = digits(s), part = 0;
    s += whole;
    if (*s == '.') {
        part = digits(s + 1);
        s += part + 1;
    }
    if (whole + part == 0)
        return fail(c, "");
    if (*s == 'e' || *s == 'E') {
        size_t sign = s[1] == '+' || s[1] == '-';
        size_t power = digits(s + 1 + sign);
        if (!power)
            return fail(c, "");
        s += 1 + sign + power;
    }
    double value = strtod(c->at, NULL);
    c->at = s;
    return value;
}

static double factor(cursor *c)
{
    double sign = 1;
    for (;;) {
        if (take(c, '-'))
            sign = -sign;
        else if (!take(c, '+'))
            break;
    }
    if (!take(c, '('))
        return sign * literal(c);
    if (++c->depth > MAX_DEPTH)
        return fail(c, ", which is nested too deeply");
    double value = sum(c);
    c->depth--;
    if (!take(c, ')'))
        return fail(c, "");
    return sign * value;
}

static double product(cursor *c)
{
    double value = factor(c);
    while (!c->why) {
        if (take(c, '*')) {
            value *= factor(c);
        } else if (take(c, '/')) {
            double by = factor(c);
            if (by == 0 && !c->why)
                return fail(c, ", which divides by zero");
            value /= by;
        } else {
            break;
        }
    }
    return value;
}

static double sum(cursor *c)
{
    double value = product(c);
    while (!c->why) {
        if (take(c, '+'))
            value += product(c);
        else if (take(c, '-'))
            value -= product(c);
        else
            break;
    }
    return value;
}

const char *fe_number(const char *expression, double *value)
{
    cursor c = {.at = expression};
    *value = sum(&c);
    c.at += strspn(c.at, " ");
    if (!c.why && *c.at)
        return "";
    if (!c.why && !isfinite(*value))
        return ", which is too large";
    return c.why;
}
