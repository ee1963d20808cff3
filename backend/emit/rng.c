/* backend/emit/rng.c - Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011) as vector code.
 *
 *     counter = (element / 4, step, stream, lane), each cut to 32 bits; key = the seed's low and high half
 *     element e takes word e mod 4 of its block
 *
 * A block gives four words, so a vector of n words needs n / 4 blocks where the first element is a multiple of 4, else
 * one more: blocks run side by side in lanes, their words are interleaved, and the wanted window is shuffled out. Where
 * lanes are not consecutive elements, each has a block for itself.
 *
 * Words live in the low halves of 64-bit lanes until the end, their high halves being anything: a round is then two
 * multiplications of low halves (one instruction each), two shifts and two exclusive ors, with nothing to move. */
#include "backend/emit/emit.h"

enum { WORDS = 4, ROUNDS = 10, MOST_WORDS = 64 };

typedef struct {
    LLVMValueRef word[WORDS];
} counter;

static LLVMValueRef low_half(emitter *e, LLVMValueRef x)
{
    return LLVMBuildAnd(e->builder, x, emit_integer(LLVMTypeOf(x), 0xFFFFFFFFu), "");
}

static LLVMValueRef high_half(emitter *e, LLVMValueRef x)
{
    return LLVMBuildLShr(e->builder, x, emit_integer(LLVMTypeOf(x), 32), "");
}

static void philox_round(emitter *e, counter *c, const LLVMValueRef key[2])
{
    LLVMBuilderRef b = e->builder;
    LLVMTypeRef t = LLVMTypeOf(c->word[0]);
    LLVMValueRef product0 = LLVMBuildMul(b, low_half(e, c->word[0]), emit_integer(t, 0xD2511F53u), "");
    LLVMValueRef product1 = LLVMBuildMul(b, low_half(e, c->word[2]), emit_integer(t, 0xCD9E8D57u), "");
    c->word[0] = LLVMBuildXor(b, LLVMBuildXor(b, high_half(e, product1), c->word[1], ""), key[0], "");
    c->word[1] = product1;
    c->word[2] = LLVMBuildXor(b, LLVMBuildXor(b, high_half(e, product0), c->word[3], ""), key[1], "");
    c->word[3] = product0;
}

/* from, from + by, ... in 'count' lanes. */
static LLVMValueRef counting(emitter *e, LLVMValueRef from, int64_t by, int count)
{
    LLVMValueRef number[MOST_WORDS];
    for (int i = 0; i < count; i++)
        number[i] = emit_i64(e, i * by);
    LLVMValueRef each = count == 1 ? number[0] : LLVMConstVector(number, (unsigned)count);
    return LLVMBuildAdd(e->builder, emit_splat(e, from, count), each, "");
}

/* The words of the blocks in the lanes of 'block'. */
static counter philox(emitter *e, const emit_random *r, LLVMValueRef block, int count)
{
    counter c = {
        {block, emit_splat(e, r->step, count), emit_splat(e, r->stream, count), emit_splat(e, r->lane, count)}};
    LLVMValueRef key[] = {r->seed, high_half(e, r->seed)};
    for (int i = 0; i < ROUNDS; i++) {
        LLVMValueRef round_key[] = {emit_splat(e, key[0], count), emit_splat(e, key[1], count)};
        philox_round(e, &c, round_key);
        key[0] = LLVMBuildAdd(e->builder, key[0], emit_i64(e, 0x9E3779B9u), "");
        key[1] = LLVMBuildAdd(e->builder, key[1], emit_i64(e, 0xBB67AE85u), "");
    }
    return c;
}

/* Two words as one lane, the second above the first. */
static LLVMValueRef pair(emitter *e, LLVMValueRef first, LLVMValueRef second)
{
    LLVMValueRef moved = LLVMBuildShl(e->builder, second, emit_integer(LLVMTypeOf(second), 32), "");
    return LLVMBuildOr(e->builder, low_half(e, first), moved, "");
}

/* The blocks' words in element order: 4 * count of them. */
static LLVMValueRef interleave(emitter *e, const counter *c, int count)
{
    LLVMValueRef low = pair(e, c->word[0], c->word[1]), high = pair(e, c->word[2], c->word[3]), all;
    if (count == 1) {
        all = LLVMGetPoison(LLVMVectorType(e->i64, 2));
        all = LLVMBuildInsertElement(e->builder, all, low, emit_i32(e, 0), "");
        all = LLVMBuildInsertElement(e->builder, all, high, emit_i32(e, 1), "");
    } else {
        int order[MOST_WORDS];
        for (int i = 0; i < 2 * count; i++)
            order[i] = i % 2 * count + i / 2;
        all = emit_shuffle(e, low, high, order, 2 * count);
    }
    return LLVMBuildBitCast(e->builder, all, LLVMVectorType(e->i32, (unsigned)(WORDS * count)), "");
}

/* Words from..from+lanes-1. */
static LLVMValueRef window(emitter *e, LLVMValueRef all, int from, int lanes)
{
    if (lanes == 1)
        return LLVMBuildExtractElement(e->builder, all, emit_i32(e, from), "");
    int index[MOST_WORDS];
    for (int i = 0; i < lanes; i++)
        index[i] = from + i;
    return emit_shuffle(e, all, LLVMGetPoison(LLVMTypeOf(all)), index, lanes);
}

/* Elements one after the other. */
static LLVMValueRef consecutive(emitter *e, const emit_random *r)
{
    LLVMBuilderRef b = e->builder;
    int most = r->aligned ? 1 : WORDS; /* how many places the first element may have in its block */
    int needed = (r->lanes + most - 1 + WORDS - 1) / WORDS, count = 1;
    while (count < needed) /* LLVM likes powers of two; the lanes are there anyway */
        count *= 2;
    LLVMValueRef block = LLVMBuildLShr(b, r->element, emit_i64(e, 2), "");
    counter c = philox(e, r, counting(e, block, 1, count), count);
    LLVMValueRef all = interleave(e, &c, count);
    LLVMValueRef words = window(e, all, 0, r->lanes);
    LLVMValueRef place = LLVMBuildAnd(b, r->element, emit_i64(e, WORDS - 1), "");
    for (int i = 1; i < most; i++) {
        LLVMValueRef here = LLVMBuildICmp(b, LLVMIntEQ, place, emit_i64(e, i), "");
        words = LLVMBuildSelect(b, here, window(e, all, i, r->lanes), words, "");
    }
    return words;
}

/* Elements some steps apart, as those of an image's column are: each lane makes a block of its own. */
static LLVMValueRef scattered(emitter *e, const emit_random *r)
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef element = counting(e, r->element, r->by, r->lanes);
    LLVMTypeRef t = LLVMTypeOf(element);
    counter c = philox(e, r, LLVMBuildLShr(b, element, emit_integer(t, 2), ""), r->lanes);
    LLVMValueRef place = LLVMBuildAnd(b, element, emit_integer(t, WORDS - 1), ""), words = c.word[0];
    for (uint64_t i = 1; i < WORDS; i++)
        words = LLVMBuildSelect(b, LLVMBuildICmp(b, LLVMIntEQ, place, emit_integer(t, i), ""), c.word[i], words, "");
    return LLVMBuildTrunc(b, words, LLVMVectorType(e->i32, (unsigned)r->lanes), "");
}

LLVMValueRef emit_rng(emitter *e, const emit_random *r)
{
    return r->lanes == 1 || r->by == 1 ? consecutive(e, r) : scattered(e, r);
}
