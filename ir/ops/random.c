/* ir/ops/random.c - infer and eval of rng_bits: Philox 4x32-10.
 *
 * Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011. The generator is a function of a
 * counter and a key, so element e needs no state and no neighbour:
 *     counter = (e / 4, step, stream, lane), the low 32 bits of each;   key = the seed's low and high 32 bits
 * and e, counted row-major in the logical shape from the batch's first example, takes word e mod 4. */
#include "ir/ops/rules.h"
#include <math.h>

enum { ROUNDS = 10 };

static void philox(uint32_t counter[4], uint32_t key0, uint32_t key1)
{
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53 * counter[0], p1 = (uint64_t)0xCD9E8D57 * counter[2];
        counter[0] = (uint32_t)(p1 >> 32) ^ counter[1] ^ key0;
        counter[1] = (uint32_t)p1;
        counter[2] = (uint32_t)(p0 >> 32) ^ counter[3] ^ key1;
        counter[3] = (uint32_t)p0;
        key0 += 0x9E3779B9;
        key1 += 0xBB67AE85;
    }
}

bool infer_rng_bits(const ir_node *n, ir_type *type, diag *d)
{
    const ir_attr *stream = ir_attr_find(n->attrs, "stream");
    for (int i = 0; i < n->nin; i++)
        if (n->in[i]->type.dtype != IR_I64 || n->in[i]->type.rank)
            return rule_error(n, d, "operand %d must be i64[], found %s", i, rule_type_text(n, &n->in[i]->type));
    if (type->dtype != IR_UI32)
        return rule_error(n, d, "expected a result of ui32, found %s", rule_type_text(n, type));
    if (!stream || stream->word || stream->count != 1)
        return rule_error(n, d, "'stream' must be a list of 1 number, found another");
    double v = stream->number[0];
    return (v >= 0 && v <= UINT32_MAX && v == floor(v)) ||
           rule_error(n, d, "'stream' must be a whole number below 2^32, found %.17g", v);
}

void eval_rng_bits(eval_context *c, const ir_node *n, const eval_tensor *const *in, eval_tensor *out)
{
    uint64_t seed = *(const uint64_t *)in[0]->data;
    uint32_t step = (uint32_t) * (const uint64_t *)in[1]->data, lane = (uint32_t) * (const uint64_t *)in[2]->data;
    uint32_t stream = (uint32_t)ir_int(n, "stream", 0);
    axis list[MAX_AXES];
    int axes = 0;
    int64_t total;
    for (int i = 0; i < out->type.rank; i++)
        axes = axes_add(&out->type, i, c->batch, list, axes);
    const int64_t *offset = axes_offsets(c->mem, list, axes, &total);
    uint32_t word[4] = {0};
    for (int64_t e = 0; e < total; e++) {
        if (e % 4 == 0) {
            word[0] = (uint32_t)(e / 4);
            word[1] = step;
            word[2] = stream;
            word[3] = lane;
            philox(word, (uint32_t)seed, (uint32_t)(seed >> 32));
        }
        ((uint32_t *)out->data)[offset[e]] = word[e % 4];
    }
}
