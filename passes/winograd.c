/* passes/winograd.c - compute 3x3 convolutions of many channels with fewer multiplications.
 *
 * The method is Winograd's minimal filtering F(2x2, 3x3), described in ir/contraction/winograd.h. A convolution becomes
 * two transforms, a product of matrices for each of the 16 places of a transformed tile, and a transform back:
 *     %y = convolution %x, %w     =>     %v = winograd %x {kind = input}       each tile of 4x4 inputs to 16 places
 *                                        %u = winograd %w {kind = filter}      each 3x3 filter to 16 places
 *                                        %m = dot_general %v, %u               a product of matrices for each place
 *                                        %y = winograd %m {kind = output}      16 places to a tile of 2x2 outputs
 * An output then takes 4 multiply-adds a channel instead of 9. The gradient toward the input is a convolution of the
 * same form. The gradient toward the weight, convolution %x, %dy, becomes
 *     %v = winograd %x {kind = input}
 *     %s = winograd %dy {kind = output_gradient}
 *     %d = dot_general %v, %s                 summed over examples and tiles, by leaves if the convolution was
 *     %dw = winograd %d {kind = filter_gradient}
 * A transformed image takes 4 times the memory of the image, so only one slice of it exists at a time: pass chain runs
 * transforms and products depth-first. The backward pass transforms the input again instead of keeping the transformed
 * form. Pass cleanup would merge the two transforms into one value that is kept; so this pass comes after it.
 *
 * Bits: the result differs from the plain sum's, with rounding errors of about the same size, since the transforms only
 * add, subtract and halve. Which convolutions are rewritten depends on their shapes alone, so that a net has the same
 * bits for every CPU, batch and number of workers. With `convolution = direct` in the module's head none is rewritten;
 * with `convolution = winograd` all that have the form are, whether it pays or not.
 *
 * Needs:  autodiff done, its convolutions in the frontend's order of dimensions.
 * Keeps:  shapes, results, effects, labels of what a convolution was.      Breaks: the bits of a convolution. */
#include "ir/contraction/winograd.h"
#include "ir/graph/build.h"
#include "passes/labels.h"
#include "passes/passes.h"
#include <string.h>

/* ---- which convolutions ---- */

typedef enum { FORM_NONE, FORM_IMAGE, FORM_WEIGHT } form;

typedef struct {
    form form;
    int64_t low[2], outputs[2];
    bool inputs_last;        /* an image's kernel has its input channels last */
    bool leaf;               /* a weight gradient is summed by leaves */
    double inputs, channels; /* of the convolution: input and output channels */
} candidate;

static bool all_are(const int64_t *list, int count, int64_t value)
{
    for (int i = 0; i < count; i++)
        if (list[i] != value)
            return false;
    return true;
}

static bool lists(const int64_t *list, int64_t a, int64_t b, int64_t c, int64_t d)
{
    return list[0] == a && list[1] == b && list[2] == c && list[3] == d;
}

static bool is_plain(const ir_conv *v)
{
    return v->spatial == 2 && all_are(v->stride, 2, 1) && all_are(v->lhs_dilation, 2, 1) &&
           all_are(v->rhs_dilation, 2, 1) && v->feature_groups == 1 && v->batch_groups == 1;
}

/* [N, rows, columns, channels], N being the batch or a number. */
static bool is_image(const ir_type *t)
{
    int batch = ir_batch_dim(t);
    return t->rank == 4 && batch <= 0 && (batch < 0 || t->dim[0].n == 1);
}

static bool is_kernel(ir_dim rows, ir_dim columns)
{
    return rows.n == WINOGRAD_KERNEL && columns.n == WINOGRAD_KERNEL && !rows.batch && !columns.batch;
}

static candidate candidate_of(const ir_node *n)
{
    candidate c = {.form = FORM_NONE};
    ir_conv v;
    ir_conv_read(n, &v);
    const ir_type *x = &n->in[0]->type, *w = &n->in[1]->type, *y = &n->type;
    if (!is_plain(&v) || !is_image(x))
        return c;
    bool either_way = lists(v.rhs, 2, 3, 0, 1) || lists(v.rhs, 3, 2, 0, 1);
    if (lists(v.lhs, 0, 3, 1, 2) && lists(v.out, 0, 3, 1, 2) && either_way && is_kernel(w->dim[0], w->dim[1]) &&
        ir_batch_dim(w) < 0) {
        c = (candidate){.form = FORM_IMAGE,
                        .outputs = {y->dim[1].n, y->dim[2].n},
                        .inputs_last = v.rhs[0] == 3,
                        .inputs = (double)x->dim[3].n,
                        .channels = (double)y->dim[3].n};
    } else if (lists(v.lhs, 3, 0, 1, 2) && lists(v.rhs, 0, 3, 1, 2) && lists(v.out, 2, 3, 0, 1) &&
               is_kernel(y->dim[0], y->dim[1]) && is_image(w) && x->dim[0].batch) {
        c = (candidate){.form = FORM_WEIGHT,
                        .outputs = {w->dim[1].n, w->dim[2].n},
                        .leaf = v.leaf,
                        .inputs = (double)x->dim[3].n,
                        .channels = (double)w->dim[3].n};
    }
    memcpy(c.low, v.low, sizeof c.low);
    return c;
}

/* Of a tile and channel: writing the places and reading them again, in multiply-adds. An example's places stay in the
 * second cache of most CPUs, or in the third, or in neither; a plain weight gradient of such images reads far too. */
static double memory_of(const candidate *c, double tiles)
{
    enum { SECOND = 1 << 20, THIRD = 8 << 20 };
    double bytes = 4 * WINOGRAD_PLACES * tiles * (c->inputs + c->channels);
    return bytes <= SECOND ? 0 : bytes <= THIRD || c->form == FORM_WEIGHT ? 128 : 400;
}

/* Multiply-adds of an example, against those of the places and what the transforms take: some 64 operations, loads and
 * stores a tile and channel. A weight gradient by leaves reads and writes its sums for each example, which takes as
 * long as some six multiply-adds a sum, and others do so once, from memory: it has 16 for a kernel's 9. */
static bool pays(const candidate *c)
{
    const double transform = 64, sum = c->leaf ? 6 : 1, worth = 0.8;
    double outputs = (double)c->outputs[0] * (double)c->outputs[1];
    double tiles = (double)winograd_tiles(c->outputs[0]) * (double)winograd_tiles(c->outputs[1]);
    double product = c->inputs * c->channels, sums = c->form == FORM_WEIGHT ? sum * product : 0;
    double direct = WINOGRAD_KERNEL * WINOGRAD_KERNEL * (product * outputs + sums);
    double fast = WINOGRAD_PLACES * (product * tiles + sums);
    fast += (transform + memory_of(c, tiles)) * (c->inputs + c->channels) * tiles;
    return fast < worth * direct;
}

/* ---- rewriting ---- */

/* conv2.forward and filter: conv2.filter.forward, as the role says to which pass a node belongs. */
static const char *part_label(arena *mem, const char *label, const char *part)
{
    const char *role = label_role(label);
    return role ? arena_printf(mem, "%s.%s.%s", label_layer(mem, label), part, role) : label;
}

/* The nodes that follow are for this part of a convolution's work; NULL: for its result. */
static void aim(ir_graph *g, const ir_node *n, const char *part)
{
    g->before = (ir_node *)n;
    g->at = n->loc;
    g->at_stage = ir_int(n, "stage", 0);
    g->at_label = part ? part_label(g->module->mem, n->label, part) : n->label;
}

/* The kernel's places, input channels before output channels. */
static ir_node *filter(ir_graph *g, const ir_node *n, const candidate *c)
{
    static const int64_t swapped[] = {0, 1, 3, 2};
    ir_node *w = n->in[1];
    aim(g, n, "filter");
    return ir_winograd(g, "filter", c->inputs_last ? ir_transpose(g, w, swapped) : w, NULL, NULL);
}

static ir_node *image(ir_graph *g, const ir_node *n, const candidate *c)
{
    ir_node *u = filter(g, n, c);
    aim(g, n, "input");
    ir_node *v = ir_winograd(g, "input", n->in[0], c->low, c->outputs);
    aim(g, n, "products");
    const ir_dot dot = {.lhs_batch_count = 1, .contract_count = 1, .lhs_contract = {3}, .rhs_contract = {1}};
    ir_node *m = ir_dot_general(g, v, u, &dot);
    aim(g, n, NULL);
    return ir_winograd(g, "output", m, NULL, c->outputs);
}

static ir_node *weight(ir_graph *g, const ir_node *n, const candidate *c)
{
    aim(g, n, "input");
    ir_node *v = ir_winograd(g, "input", n->in[0], c->low, c->outputs);
    aim(g, n, "output_gradient");
    ir_node *s = ir_winograd(g, "output_gradient", n->in[1], NULL, NULL);
    aim(g, n, "products");
    const ir_dot dot = {
        .lhs_batch_count = 1, .contract_count = 2, .lhs_contract = {1, 2}, .rhs_contract = {1, 2}, .leaf = c->leaf};
    ir_node *d = ir_dot_general(g, v, s, &dot);
    aim(g, n, NULL);
    return ir_winograd(g, "filter_gradient", d, NULL, NULL);
}

static void rewrite(ir_graph *g, bool all)
{
    for (ir_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op != IR_CONVOLUTION)
            continue;
        candidate c = candidate_of(n);
        if (c.form == FORM_NONE || !(all || pays(&c)))
            continue;
        ir_node *fast = c.form == FORM_IMAGE ? image(g, n, &c) : weight(g, n, &c);
        fast->name = n->name;
        ir_replace_uses(g, n, fast);
        ir_unlink(n);
    }
    g->before = NULL;
    g->at = (src_loc){0};
    g->at_label = NULL;
    g->at_stage = 0;
}

static bool asks_for(const ir_module *m, const char *how)
{
    const ir_attr *a = ir_attr_find(m->attrs, "convolution");
    return a && a->word && !strcmp(a->word, how);
}

bool pass_winograd(ir_module *m, diag *d)
{
    (void)d;
    for (ir_graph *g = m->functions; g && !asks_for(m, "direct"); g = g->next)
        rewrite(g, asks_for(m, "winograd"));
    return true;
}
