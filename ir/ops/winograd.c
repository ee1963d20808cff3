/* ir/ops/winograd.c - infer and eval of operator winograd; ir/contraction/winograd.h says what it computes.
 *
 * An image is [N, rows, columns, channels], a kernel is [3, 3, inputs, outputs]. In a transformed value the first
 * dimension is the 16 places of a tile in row-major order, and all tiles of an example are one dimension, row-major
 * too. Tile (i, j) makes the 2x2 outputs that begin at (2i, 2j), from the 4x4 inputs that begin at (2i - low, 2j -
 * low), where low is the padding. Inputs outside the image count as zero, and outputs outside the image are not
 * written. */
#include "ir/contraction/winograd.h"
#include "ir/ops/rules.h"
#include <inttypes.h>

/* ---- the rule ---- */

/* A number, or B examples. */
static bool is_plain(ir_dim d)
{
    return !d.batch || d.n == 1;
}

static bool check_image(const ir_node *n, diag *d)
{
    const ir_type *t = &n->in[0]->type;
    return (t->rank == 4 && ir_batch_dim(t) <= 0 && is_plain(t->dim[0])) ||
           rule_error(n, d, "expected an operand [N, rows, columns, channels], found %s", rule_type_text(n, t));
}

static bool check_places(const ir_node *n, int rank, diag *d)
{
    const ir_type *t = &n->in[0]->type;
    return (t->rank == rank && t->dim[0].n == WINOGRAD_PLACES && !t->dim[0].batch) ||
           rule_error(n, d, "expected an operand of rank %d that begins with %d places, found %s", rank,
                      WINOGRAD_PLACES, rule_type_text(n, t));
}

static bool read_outputs(const ir_node *n, int64_t outputs[2], diag *d)
{
    if (!rule_ints(n, "outputs", 2, outputs, d))
        return false;
    return (outputs[0] > 0 && outputs[1] > 0) ||
           rule_error(n, d, "expected 'outputs' above 0, found %" PRId64 " and %" PRId64, outputs[0], outputs[1]);
}

static ir_dim tiles_of(const int64_t outputs[2])
{
    return (ir_dim){winograd_tiles(outputs[0]) * winograd_tiles(outputs[1]), false};
}

static ir_type places_of(ir_dim a, ir_dim b, ir_dim c, int count)
{
    return ir_type_make(IR_F32, 1 + count, (const ir_dim[]){{WINOGRAD_PLACES, false}, a, b, c});
}

static bool input_type(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *x = &n->in[0]->type;
    int64_t outputs[2], low[2];
    if (!check_image(n, d) || !read_outputs(n, outputs, d) || !rule_ints(n, "low", 2, low, d))
        return false;
    *type = places_of(x->dim[0], tiles_of(outputs), x->dim[3], 3);
    return true;
}

static bool filter_type(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *w = &n->in[0]->type;
    if (w->rank != 4 || ir_batch_dim(w) >= 0 || w->dim[0].n != WINOGRAD_KERNEL || w->dim[1].n != WINOGRAD_KERNEL)
        return rule_error(n, d, "expected an operand [3, 3, inputs, outputs], found %s", rule_type_text(n, w));
    *type = places_of(w->dim[2], w->dim[3], (ir_dim){0}, 2);
    return true;
}

static bool output_type(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *m = &n->in[0]->type;
    int64_t outputs[2];
    if (!check_places(n, 4, d) || !read_outputs(n, outputs, d))
        return false;
    ir_dim tiles = tiles_of(outputs);
    if (!is_plain(m->dim[1]) || m->dim[2].batch || m->dim[3].batch || m->dim[2].n != tiles.n)
        return rule_error(n, d, "expected an operand of %s tiles, found %s", rule_dim_text(n, tiles),
                          rule_type_text(n, m));
    *type = ir_type_make(IR_F32, 4, (const ir_dim[]){m->dim[1], {outputs[0], false}, {outputs[1], false}, m->dim[3]});
    return true;
}

static bool output_gradient_type(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *dy = &n->in[0]->type;
    if (!check_image(n, d))
        return false;
    const int64_t outputs[2] = {dy->dim[1].n, dy->dim[2].n};
    *type = places_of(dy->dim[0], tiles_of(outputs), dy->dim[3], 3);
    return true;
}

static bool filter_gradient_type(const ir_node *n, ir_type *type, diag *d)
{
    const ir_type *u = &n->in[0]->type;
    if (!check_places(n, 3, d))
        return false;
    if (ir_batch_dim(u) >= 0)
        return rule_error(n, d, "expected an operand without the batch, found %s", rule_type_text(n, u));
    const ir_dim kernel = {WINOGRAD_KERNEL, false};
    *type = ir_type_make(IR_F32, 4, (const ir_dim[]){kernel, kernel, u->dim[1], u->dim[2]});
    return true;
}

/* Only kinds that need them have `low` and `outputs`. */
static bool check_lists(const ir_node *n, winograd_kind kind, diag *d)
{
    bool wants_low = kind == WINOGRAD_INPUT, wants_outputs = wants_low || kind == WINOGRAD_OUTPUT;
    const char *extra = !wants_low && ir_attr_find(n->attrs, "low")           ? "low"
                        : !wants_outputs && ir_attr_find(n->attrs, "outputs") ? "outputs"
                                                                              : NULL;
    return !extra || rule_error(n, d, "expected no '%s' with this kind, found one", extra);
}

bool infer_winograd(const ir_node *n, ir_type *type, diag *d)
{
    static bool (*const rules[WINOGRAD_NKINDS])(const ir_node *, ir_type *, diag *) = {
        input_type, filter_type, output_type, output_gradient_type, filter_gradient_type};
    if (!rule_dtype(n, 0, DTYPE_F32, d) ||
        !rule_word(n, "kind", "input filter output output_gradient filter_gradient", d))
        return false;
    winograd_kind kind = winograd_kind_of(n);
    return check_lists(n, kind, d) && rules[kind](n, type, d);
}

/* ---- the evaluator ---- */

/* M applied to numbers that lie 'step' apart. */
static void transform(const winograd_transform *m, bool narrow, const double *in, double *out, int step)
{
    double number[WINOGRAD_INPUTS + WINOGRAD_STEPS] = {0};
    for (int i = 0; i < m->in; i++)
        number[i] = in[i * step];
    for (int i = 0; i < m->steps; i++) {
        const winograd_step *s = &m->step[i];
        double a = number[s->a], b = s->b < 0 ? 0.5 : number[s->b];
        double v = s->op == IR_ADD ? a + b : s->op == IR_SUBTRACT ? a - b : s->op == IR_NEGATE ? -a : a * b;
        number[m->in + i] = narrow ? (double)(float)v : v;
    }
    for (int i = 0; i < m->out; i++)
        out[i * step] = number[m->result[i]];
}

/* A square of numbers, rows of WINOGRAD_INPUTS, becomes M x Mt. */
static void transform_square(const winograd_transform *m, bool narrow, double *x)
{
    for (int column = 0; column < m->in; column++)
        transform(m, narrow, x + column, x + column, WINOGRAD_INPUTS);
    for (int row = 0; row < m->out; row++)
        transform(m, narrow, x + row * WINOGRAD_INPUTS, x + row * WINOGRAD_INPUTS, 1);
}

/* A square of numbers in a tensor: where its corner lies, how far apart rows and columns are. Of an image, only rows
 * and columns of the image are there: the corner is at 'from'. */
typedef struct {
    const eval_tensor *t;
    int64_t first, row, column, from[2], size[2];
} square;

static bool is_there(const square *s, int row, int column)
{
    int64_t at[2] = {s->from[0] + row, s->from[1] + column};
    return at[0] >= 0 && at[0] < s->size[0] && at[1] >= 0 && at[1] < s->size[1];
}

static void load_square(eval_mode mode, const square *s, int side, double *x)
{
    for (int i = 0; i < side * side; i++) {
        elements e = {.real = {0}};
        if (is_there(s, i / side, i % side))
            elements_load(mode, s->t, s->first + i / side * s->row + i % side * s->column, 1, &e);
        x[i / side * WINOGRAD_INPUTS + i % side] = e.real[0];
    }
}

static void store_square(eval_mode mode, const square *s, int side, const double *x)
{
    eval_tensor out = *s->t;
    for (int i = 0; i < side * side; i++) {
        elements e = {.real = {x[i / side * WINOGRAD_INPUTS + i % side]}};
        if (is_there(s, i / side, i % side))
            elements_store(mode, &out, s->first + i / side * s->row + i % side * s->column, 1, &e);
    }
}

static void convert_square(const eval_context *c, const winograd_transform *m, const square *from, const square *to)
{
    double x[WINOGRAD_PLACES] = {0};
    load_square(c->mode, from, m->in, x);
    transform_square(m, c->mode == EVAL_F32, x);
    store_square(c->mode, to, m->out, x);
}

typedef struct {
    int64_t of[IR_MAX_RANK], batch;
} strides;

static strides strides_of(const eval_tensor *t)
{
    strides s;
    ir_strides(&t->type, s.of, &s.batch);
    return s;
}

/* The 16 places of tile 'tile' of example n in a tensor [16, N, tiles, channels]. */
static square places_at(const eval_tensor *t, int64_t n, int64_t tile, int64_t channel)
{
    strides s = strides_of(t);
    int64_t example = t->type.dim[1].batch ? s.batch : s.of[1];
    return (square){.t = t,
                    .first = n * example + tile * s.of[2] + channel * s.of[3],
                    .row = WINOGRAD_INPUTS * s.of[0],
                    .column = s.of[0],
                    .size = {WINOGRAD_INPUTS, WINOGRAD_INPUTS}};
}

/* The square at 'row' and 'column' of example n's image. */
static square image_at(const eval_tensor *t, int64_t n, int64_t row, int64_t column, int64_t channel)
{
    strides s = strides_of(t);
    int64_t example = t->type.dim[0].batch ? s.batch : s.of[0];
    return (square){.t = t,
                    .first = n * example + row * s.of[1] + column * s.of[2] + channel * s.of[3],
                    .row = s.of[1],
                    .column = s.of[2],
                    .from = {row, column},
                    .size = {t->type.dim[1].n, t->type.dim[2].n}};
}

/* Images to places, or 'back'. */
static void convert_images(const eval_context *c, const winograd_transform *m, bool back, const eval_tensor *x,
                           const eval_tensor *out, const int64_t low[2], const int64_t outputs[2])
{
    const eval_tensor *image = back ? out : x, *transformed = back ? x : out;
    int64_t examples = ir_extent(image->type.dim[0], c->batch), wide = winograd_tiles(outputs[1]);
    int64_t tiles = winograd_tiles(outputs[0]) * wide, channels = image->type.dim[3].n;
    for (int64_t n = 0; n < examples; n++)
        for (int64_t tile = 0; tile < tiles; tile++)
            for (int64_t channel = 0; channel < channels; channel++) {
                int64_t row = tile / wide * WINOGRAD_TILE - low[0], column = tile % wide * WINOGRAD_TILE - low[1];
                square at = image_at(image, n, row, column, channel);
                square places = places_at(transformed, n, tile, channel);
                convert_square(c, m, back ? &places : &at, back ? &at : &places);
            }
}

/* Kernels [3, 3, inputs, outputs] to places [16, inputs, outputs], or back. */
static void convert_kernels(const eval_context *c, const winograd_transform *m, const eval_tensor *x,
                            const eval_tensor *out)
{
    bool forward = m->in == WINOGRAD_KERNEL;
    const eval_tensor *kernel = forward ? x : out, *places = forward ? out : x;
    strides k = strides_of(kernel), p = strides_of(places);
    square a = {.t = kernel, .row = k.of[0], .column = k.of[1], .size = {WINOGRAD_KERNEL, WINOGRAD_KERNEL}};
    square b = {
        .t = places, .row = WINOGRAD_INPUTS * p.of[0], .column = p.of[0], .size = {WINOGRAD_INPUTS, WINOGRAD_INPUTS}};
    for (int64_t i = 0; i < places->type.dim[1].n; i++)
        for (int64_t o = 0; o < places->type.dim[2].n; o++) {
            a.first = i * k.of[2] + o * k.of[3];
            b.first = i * p.of[1] + o * p.of[2];
            convert_square(c, m, forward ? &a : &b, forward ? &b : &a);
        }
}

void eval_winograd(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    winograd_kind kind = winograd_kind_of(n);
    const winograd_transform *m = winograd_of(kind);
    int64_t low[IR_MAX_RANK] = {0}, outputs[IR_MAX_RANK];
    if (kind == WINOGRAD_FILTER || kind == WINOGRAD_FILTER_GRADIENT) {
        convert_kernels(c, m, in[0], out);
        return;
    }
    ir_ints(n, "low", low);
    if (!ir_ints(n, "outputs", outputs))
        for (int i = 0; i < 2; i++)
            outputs[i] = in[0]->type.dim[1 + i].n;
    convert_images(c, m, kind == WINOGRAD_OUTPUT, in[0], out, low, outputs);
}
