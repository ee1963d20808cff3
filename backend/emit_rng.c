/* backend/emit_rng.c - Philox 4x32-10 (Salmon, Moraes, Dror and Shaw 2011) as vector code.
 *
 *     counter = (element / 4, step, stream, lane), each cut to 32 bits; key = the seed's low and high half
 *     element e takes word e mod 4 of its block
 *
 * A block gives four words, so a vector of n words needs n / 4 blocks where the first element is a multiple of 4, else
 * one more: blocks run side by side in lanes, their words are interleaved, and the wanted window is shuffled out. */
#include "backend/emit.h"

enum { WORDS = 4, ROUNDS = 10, MOST_WORDS = 64 };

typedef struct {
    LLVMValueRef word[WORDS];
} counter;

/* Low and high half of a product of 32-bit lanes. */
static void multiply_wide(emitter *e, LLVMValueRef x, uint32_t by, LLVMValueRef *high, LLVMValueRef *low)
{
    LLVMBuilderRef b = e->builder;
    LLVMTypeRef narrow = LLVMTypeOf(x);
    int lanes = LLVMGetTypeKind(narrow) == LLVMVectorTypeKind ? (int)LLVMGetVectorSize(narrow) : 1;
    LLVMTypeRef wide = emit_lanes(e->i64, lanes);
    LLVMValueRef product = LLVMBuildMul(b, LLVMBuildZExt(b, x, wide, ""), emit_integer(wide, by), "");
    *low = LLVMBuildTrunc(b, product, narrow, "");
    *high = LLVMBuildTrunc(b, LLVMBuildLShr(b, product, emit_integer(wide, 32), ""), narrow, "");
}

static void philox_round(emitter *e, counter *c, const LLVMValueRef key[2])
{
    LLVMBuilderRef b = e->builder;
    LLVMValueRef high0, low0, high1, low1;
    multiply_wide(e, c->word[0], 0xD2511F53u, &high0, &low0);
    multiply_wide(e, c->word[2], 0xCD9E8D57u, &high1, &low1);
    c->word[0] = LLVMBuildXor(b, LLVMBuildXor(b, high1, c->word[1], ""), key[0], "");
    c->word[1] = low1;
    c->word[2] = LLVMBuildXor(b, LLVMBuildXor(b, high0, c->word[3], ""), key[1], "");
    c->word[3] = low0;
}

static LLVMValueRef half(emitter *e, LLVMValueRef x, int which)
{
    LLVMValueRef moved = which ? LLVMBuildLShr(e->builder, x, emit_i64(e, 32), "") : x;
    return LLVMBuildTrunc(e->builder, moved, e->i32, "");
}

/* The words of 'count' consecutive blocks. */
static counter philox(emitter *e, LLVMValueRef seed, LLVMValueRef step, LLVMValueRef lane, LLVMValueRef block,
                      int count, uint32_t stream)
{
    LLVMValueRef number[MOST_WORDS];
    for (int i = 0; i < count; i++)
        number[i] = emit_i32(e, i);
    LLVMValueRef each = count == 1 ? number[0] : LLVMConstVector(number, (unsigned)count);
    counter c = {{LLVMBuildAdd(e->builder, emit_splat(e, half(e, block, 0), count), each, ""),
                  emit_splat(e, half(e, step, 0), count), emit_splat(e, emit_i32(e, stream), count),
                  emit_splat(e, half(e, lane, 0), count)}};
    LLVMValueRef key[] = {half(e, seed, 0), half(e, seed, 1)};
    for (int i = 0; i < ROUNDS; i++) {
        LLVMValueRef round_key[] = {emit_splat(e, key[0], count), emit_splat(e, key[1], count)};
        philox_round(e, &c, round_key);
        key[0] = LLVMBuildAdd(e->builder, key[0], emit_i32(e, 0x9E3779B9u), "");
        key[1] = LLVMBuildAdd(e->builder, key[1], emit_i32(e, 0xBB67AE85u), "");
    }
    return c;
}

/* The blocks' words in element order: 4 * count of them; for one block a vector is made of its scalars. */
static LLVMValueRef interleave(emitter *e, const counter *c, int count)
{
    if (count == 1) {
        LLVMValueRef all = LLVMGetPoison(LLVMVectorType(e->i32, WORDS));
        for (int i = 0; i < WORDS; i++)
            all = LLVMBuildInsertElement(e->builder, all, c->word[i], emit_i32(e, i), "");
        return all;
    }
    int join[2 * MOST_WORDS], order[MOST_WORDS];
    for (int i = 0; i < 2 * count; i++)
        join[i] = i;
    LLVMValueRef low = emit_shuffle(e, c->word[0], c->word[1], join, 2 * count);
    LLVMValueRef high = emit_shuffle(e, c->word[2], c->word[3], join, 2 * count);
    for (int i = 0; i < WORDS * count; i++)
        order[i] = i % WORDS * count + i / WORDS;
    return emit_shuffle(e, low, high, order, WORDS * count);
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

LLVMValueRef emit_rng(emitter *e, LLVMValueRef seed, LLVMValueRef step, LLVMValueRef lane, LLVMValueRef element,
                      bool aligned, int lanes, uint32_t stream)
{
    LLVMBuilderRef b = e->builder;
    int most = aligned ? 1 : WORDS; /* how many places the first element may have in its block */
    int needed = (lanes + most - 1 + WORDS - 1) / WORDS, count = 1;
    while (count < needed) /* LLVM likes powers of two; the lanes are there anyway */
        count *= 2;
    LLVMValueRef block = LLVMBuildLShr(b, element, emit_i64(e, 2), "");
    counter c = philox(e, seed, step, lane, block, count, stream);
    LLVMValueRef all = interleave(e, &c, count);
    LLVMValueRef words = window(e, all, 0, lanes);
    LLVMValueRef place = LLVMBuildAnd(b, element, emit_i64(e, WORDS - 1), "");
    for (int i = 1; i < most; i++) {
        LLVMValueRef here = LLVMBuildICmp(b, LLVMIntEQ, place, emit_i64(e, i), "");
        words = LLVMBuildSelect(b, here, window(e, all, i, lanes), words, "");
    }
    return words;
}
