/* runtime/data/words.c - lists of words: categories, and what elements are called. */
#include "runtime/data/words.h"
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <string.h>

int64_t lamina_words_place(const lamina_words *w, const char *word, bool *found)
{
    int64_t low = 0, high = w->count;
    *found = false;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = strcmp(w->word[middle], word);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t lamina_words_find(const lamina_words *w, bool sorted, const char *word)
{
    bool found;
    if (sorted) {
        int64_t at = lamina_words_place(w, word, &found);
        return found ? at : -1;
    }
    for (int64_t i = 0; i < w->count; i++)
        if (!strcmp(w->word[i], word))
            return i;
    return -1;
}

char *lamina_copy_text(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = lamina_allocate(n, 1);
    return copy ? memcpy(copy, text, n) : NULL;
}

static bool grow(lamina_words *w)
{
    if (w->count < w->room)
        return true;
    int64_t room = w->room ? 2 * w->room : 8;
    char **word = lamina_allocate((size_t)room, sizeof *word);
    if (!word)
        return false;
    if (w->count)
        memcpy(word, w->word, (size_t)w->count * sizeof *word);
    lamina_release(w->word);
    w->word = word;
    w->room = room;
    return true;
}

lamina_status lamina_words_insert(lamina_words *w, int64_t at, const char *text, lamina_error *e)
{
    char *copy = grow(w) ? lamina_copy_text(text) : NULL;
    if (!copy)
        return lamina_fail_memory(e, "categories", (size_t)w->room * sizeof *w->word);
    memmove(w->word + at + 1, w->word + at, (size_t)(w->count - at) * sizeof *w->word);
    w->word[at] = copy;
    w->count++;
    return LAMINA_OK;
}

void lamina_words_free(lamina_words *w)
{
    for (int64_t i = 0; i < w->count; i++)
        lamina_release(w->word[i]);
    lamina_release(w->word);
    *w = (lamina_words){0};
}
