/* frontend/catalogue/layers/window.c - where a window stands that moves over a sequence or an image. */
#include "frontend/catalogue/layers/window.h"
#include <inttypes.h>
#include <string.h>

const char *fe_window_axis(int dims, int axis)
{
    return dims == 1 ? "steps" : axis ? "columns" : "rows";
}

const fe_window *fe_window_of(const fe_layer *l)
{
    return l->found;
}

bool fe_expect_spatial(fe_reader *r, const fe_layer *l, int dims)
{
    return dims == 2 ? fe_expect_image(r, l) : fe_expect_sequence(r, l);
}

/* `same` gives ceil(in / stride) outputs, the odd padded row at the high side, as `reflect` does; `causal` pads where a
 * sequence begins, so that no output sees a later step. */
static void pad_window(fe_window *w, int axis, int64_t in, const fe_option *padding)
{
    int64_t reach = (w->size[axis] - 1) * w->dilation[axis] + 1;
    w->low[axis] = padding->list[2 * axis];
    w->high[axis] = padding->list[2 * axis + 1];
    if (!padding->word)
        return;
    int64_t out = (in + w->stride[axis] - 1) / w->stride[axis];
    int64_t total = (out - 1) * w->stride[axis] + reach - in;
    bool causal = !strcmp(padding->word, "causal");
    if (causal)
        total = reach - 1;
    w->low[axis] = total <= 0 ? 0 : causal ? total : total / 2;
    w->high[axis] = total <= 0 ? 0 : total - w->low[axis];
}

/* A mirror has no more to show than what stands before it. */
static bool check_mirror(fe_reader *r, const fe_window *w, int axis, int64_t in, const fe_option *padding)
{
    int64_t most = w->low[axis] > w->high[axis] ? w->low[axis] : w->high[axis];
    if (!w->mirrored || most < in)
        return true;
    const char *expected =
        arena_printf(r->mem, "at most %" PRId64 " %s to reflect", in - 1, fe_window_axis(w->dims, axis));
    return fe_mismatch(r, padding->at, "padding", expected, arena_printf(r->mem, "%" PRId64, most));
}

bool fe_place_window(fe_reader *r, fe_layer *l, int dims, const char *size_key, bool dilated)
{
    const fe_option *size = fe_get(l->options, size_key), *stride = fe_get(l->options, "strides");
    const fe_option *padding = fe_get(l->options, "padding");
    fe_window *w = arena_make(r->mem, fe_window);
    l->found = w;
    w->dims = dims;
    w->mirrored = padding->word && !strcmp(padding->word, "reflect");
    for (int i = 0; i < dims; i++) {
        int64_t in = l->in_type[0].dim[i + 1].n;
        w->size[i] = size->list[i];
        w->stride[i] = stride->present ? stride->list[i] : size->list[i];
        w->dilation[i] = dilated ? fe_get(l->options, "dilation_rate")->list[i] : 1;
        pad_window(w, i, in, padding);
        int64_t padded = in + w->low[i] + w->high[i], most = (padded - 1) / w->dilation[i] + 1;
        if (w->size[i] > most) {
            const char *apart = w->dilation[i] > 1 ? arena_printf(r->mem, ", %" PRId64 " apart", w->dilation[i]) : "";
            const char *expected =
                arena_printf(r->mem, "at most %" PRId64 " %s%s", most, fe_window_axis(dims, i), apart);
            return fe_mismatch(r, size->at, size_key, expected, arena_printf(r->mem, "%" PRId64, w->size[i]));
        }
        if (!check_mirror(r, w, i, in, padding))
            return false;
        w->out[i] = (padded - (w->size[i] - 1) * w->dilation[i] - 1) / w->stride[i] + 1;
    }
    return true;
}

ir_type fe_window_result(const fe_window *w, int64_t channels)
{
    int64_t sizes[3] = {w->out[0], w->out[1]};
    sizes[w->dims] = channels;
    return fe_batched_type(w->dims + 1, sizes);
}
