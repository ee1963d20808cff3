/* backend/nest/key.c - a phase as a string that only phases of equal code have.
 *
 * It says what print.c says, in the same order, but no names, and it is made for every kernel of a net: so numbers are
 * written as digits of base 64, and nothing is written for people. The kernel's own numbers are left out. */
#include "backend/nest/nest.h"
#include <string.h>

typedef struct {
    text *out;
    const int *number; /* of each buffer, its parameter; of those that are local, below 0 */
    int32_t next_id;
} writer;

/* Six bits a character, the lowest first, none of them 0; the last one has another top bit. */
static void put(writer *w, int64_t number)
{
    char digits[12];
    size_t count = 0;
    uint64_t left = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
    for (; left > 63; left >>= 6)
        digits[count++] = (char)(0x80 | (left & 63));
    digits[count++] = (char)(0x40 | left);
    text_add_bytes(w->out, digits, count);
}

static void put_word(writer *w, const char *word)
{
    text_add(w->out, word ? word : "");
    text_add_bytes(w->out, "\n", 1);
}

static void put_real(writer *w, double number)
{
    int64_t bits;
    memcpy(&bits, &number, sizeof bits);
    put(w, bits);
}

static void put_type(writer *w, const nest_value *v)
{
    put(w, v->dtype);
    put(w, v->lanes);
}

static void put_use(writer *w, const nest_value *v)
{
    bool alone = nest_stands_alone(v);
    put(w, alone ? (int64_t)v->kind : -1 - (int64_t)v->id);
    if (alone)
        put_type(w, v);
    if (v->kind == NEST_CONST)
        put_real(w, v->number);
    if (v->kind == NEST_NUMBER)
        put(w, v->index);
}

static void put_uses(writer *w, nest_value *const *in, int count)
{
    put(w, count);
    for (int i = 0; i < count; i++)
        put_use(w, in[i]);
}

static void put_place(writer *w, const nest_value *v)
{
    put(w, w->number[v->buffer]);
    put(w, v->disp);
    put(w, v->stride);
    put(w, v->active_count);
    put_uses(w, &v->active, v->active ? 1 : 0);
}

static void put_product(writer *w, const nest_product *p)
{
    for (int i = 0; i < 3; i++) {
        put(w, w->number[p->buffer[i]]);
        put(w, p->ld[i]);
    }
    put(w, 2 * p->transposed[0] + p->transposed[1]);
    put(w, w->number[p->function]);
}

static void put_block(writer *w, const nest_block *b);

static void put_loop(writer *w, nest_value *loop)
{
    nest_loop_index(loop)->id = w->next_id++;
    for (int i = 0; i < loop->ncarry; i++)
        loop->carry[i]->id = w->next_id++;
    put_uses(w, loop->init, loop->ncarry);
    put_block(w, &loop->body);
    put_uses(w, loop->next, loop->ncarry);
    for (int i = 0; i < loop->ncarry; i++)
        loop->final[i]->id = w->next_id++;
}

static void put_value(writer *w, nest_value *v)
{
    put(w, v->kind);
    put_type(w, v);
    put_uses(w, v->in, v->nin);
    put(w, v->op);
    put_word(w, v->word);
    put(w, v->index);
    put(w, v->step);
    if (v->kind == NEST_LOAD || v->kind == NEST_STORE)
        put_place(w, v);
    if (v->kind == NEST_PRODUCT)
        put_product(w, v->product);
    if (v->kind == NEST_LOOP)
        put_loop(w, v);
    v->id = w->next_id++;
}

/* The block's end is said by a kind that is none. */
static void put_block(writer *w, const nest_block *b)
{
    for (nest_value *v = b->first; v; v = v->following)
        if (!nest_stands_alone(v))
            put_value(w, v);
    put(w, -1);
}

void nest_key(const nest_kernel *k, int phase, text *out)
{
    arena *mem = arena_new();
    int *used = arena_new_array(mem, int, (size_t)k->nbuffers + 1), count = nest_phase_buffers(k, phase, used);
    int *number = arena_new_array(mem, int, (size_t)k->nbuffers + 1);
    writer w = {out, number, 0};
    for (int i = 0; i < k->nbuffers; i++)
        number[i] = k->buffers[i].local ? -1 - i : i;
    for (int i = 0; i < count; i++)
        number[used[i]] = i;
    put(&w, k->nnumbers);
    put(&w, count);
    for (int i = 0; i < count; i++)
        put(&w, k->buffers[used[i]].dtype);
    for (int i = 0; i < k->nbuffers; i++)
        if (k->buffers[i].local) {
            put(&w, number[i]);
            put(&w, k->buffers[i].dtype);
            put(&w, k->buffers[i].local);
        }
    put_block(&w, &k->phase[phase].body);
    arena_free(mem);
}
