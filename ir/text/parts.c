/* ir/text/parts.c - what nodes, symbols, rows and the module have in common: attributes, types, places, locations. */
#include "ir/text/parse.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A brace that opens attributes is followed by `name =`. */
bool parse_at_attrs(parser *p)
{
    if (!scan_peek(p, "{"))
        return false;
    parser look = *p;
    look.at++;
    scan_space(&look);
    while (scan_is_name_byte((unsigned char)*look.at))
        look.at++;
    return scan_peek(&look, "=");
}

static void parse_number_list(parser *p, ir_attr **list, const char *key)
{
    double *v = NULL;
    int count = 0, capacity = 0;
    while (!p->failed && !scan_peek(p, "]")) {
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            v = realloc(v, (size_t)capacity * sizeof *v);
            if (!v)
                ir_bug("out of memory");
        }
        v[count++] = scan_number(p);
        if (!scan_accept(p, ","))
            break;
    }
    scan_expect(p, "]");
    if (!p->failed)
        ir_attr_set_numbers(p->m->mem, list, key, v, count);
    free(v);
}

void parse_attrs(parser *p, ir_attr **list)
{
    scan_expect(p, "{");
    while (!p->failed && !scan_peek(p, "}")) {
        src_loc at = scan_here(p);
        const char *key = scan_name(p, "an attribute's name");
        if (!p->failed && ir_attr_find(*list, key))
            FAIL(p, at, "attribute '%s' stands here twice", key);
        scan_expect(p, "=");
        if (scan_accept(p, "["))
            parse_number_list(p, list, key);
        else if (scan_peek(p, "\""))
            ir_attr_set_word(p->m->mem, list, key, scan_string(p));
        else
            ir_attr_set_word(p->m->mem, list, key, scan_name(p, "a word or a list of numbers"));
        if (!scan_accept(p, ","))
            break;
    }
    scan_expect(p, "}");
}

static ir_dim parse_dim(parser *p)
{
    if (scan_accept(p, "B"))
        return (ir_dim){1, true};
    int64_t n = scan_whole(p, 0, (int64_t)1 << 40);
    bool batch = scan_accept(p, "*");
    if (batch)
        scan_expect(p, "B");
    return (ir_dim){n, batch};
}

ir_type parse_type(parser *p)
{
    ir_type t = ir_type_none();
    scan_space(p);
    src_loc at = scan_here(p);
    const char *dtype = scan_name(p, "an element type");
    if (!p->failed && !ir_dtype_parse(dtype, &t.dtype))
        FAIL(p, at, "expected an element type (f32 f64 i32 i64 ui32 ui8 i1), found '%s'", dtype);
    scan_expect(p, "[");
    while (!p->failed && !scan_peek(p, "]")) {
        if (t.rank == IR_MAX_RANK) {
            FAIL(p, scan_here(p), "expected at most %d dimensions, found more", IR_MAX_RANK);
            break;
        }
        t.dim[t.rank++] = parse_dim(p);
        if (!scan_accept(p, ","))
            break;
    }
    scan_expect(p, "]");
    return t;
}

ir_place parse_place(parser *p)
{
    ir_place place = {SEG_NONE, 0};
    if (!scan_peek(p, "@"))
        return place;
    src_loc at = scan_here(p);
    scan_expect(p, "@");
    scan_space(p);
    size_t n = strcspn(p->at, "+ \n");
    for (int s = SEG_NONE + 1; s < SEG_COUNT; s++)
        if (strlen(ir_segment_name(s)) == n && !strncmp(ir_segment_name(s), p->at, n))
            place.segment = (ir_segment)s;
    if (place.segment == SEG_NONE)
        FAIL(p, at, "expected a segment (param state gradient input output saved workspace worker), found %s",
             scan_found(p));
    else
        p->at += n;
    scan_expect(p, "+");
    place.offset = scan_whole(p, 0, (int64_t)1 << 52);
    return place;
}

src_loc parse_loc(parser *p, src_loc line)
{
    if (!scan_accept(p, "loc("))
        return line;
    src_loc at = {0};
    const char *file = scan_string(p);
    at.file = *file ? file : NULL;
    scan_expect(p, ":");
    at.line = (int32_t)scan_whole(p, 0, INT32_MAX);
    scan_expect(p, ":");
    at.col = (int32_t)scan_whole(p, 0, INT32_MAX);
    scan_expect(p, ")");
    return at;
}
