/* runtime/data/number.c - text to a number, correctly rounded.
 *
 * Numbers of up to 15 digits and a small power of ten, as nearly all are, take one exact product or quotient
 * (W. Clinger, How to read floating point numbers accurately, 1990); the C library reads the others, in the "C"
 * locale. */
#include "runtime/data/csv.h"
#include <ctype.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };

typedef struct {
    uint64_t digits;
    int count; /* of digits, without zeros in front */
    int power; /* of ten */
    bool any;
} decimal;

static const char *read_digits(const char *p, decimal *d, bool fraction)
{
    for (; isdigit((unsigned char)*p); p++) {
        d->any = true;
        d->count += d->count || *p != '0';
        if (d->count <= EXACT_DIGITS)
            d->digits = d->digits * 10 + (uint64_t)(*p - '0');
        d->power -= fraction;
    }
    return p;
}

/* Behind the E; NULL if it is none. A power that is far out of range stays so. */
static const char *read_power(const char *p, decimal *d)
{
    bool minus = *p == '-';
    int power = 0;
    p += *p == '-' || *p == '+';
    if (!isdigit((unsigned char)*p))
        return NULL;
    for (; isdigit((unsigned char)*p); p++)
        power = power < 100000 ? power * 10 + (*p - '0') : power;
    d->power += minus ? -power : power;
    return p;
}

static double read_slowly(const char *text)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return NAN;
    double value = strtod_l(text, NULL, plain);
    freelocale(plain);
    return value;
}

bool lamina_parse_number(const char *text, double *value)
{
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    decimal d = {0};
    const char *p = text + (*text == '-' || *text == '+');
    p = read_digits(p, &d, false);
    if (*p == '.')
        p = read_digits(p + 1, &d, true);
    if (d.any && (*p == 'e' || *p == 'E'))
        p = read_power(p + 1, &d);
    if (!d.any || !p || *p)
        return false;
    if (d.count > EXACT_DIGITS || d.power < -EXACT_POWER || d.power > EXACT_POWER) {
        *value = read_slowly(text);
        return isfinite(*value);
    }
    *value = d.power < 0 ? (double)d.digits / tens[-d.power] : (double)d.digits * tens[d.power];
    *value = *text == '-' ? -*value : *value;
    return true;
}
