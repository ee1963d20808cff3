/* runtime/data/words.h - lists of words: categories, and what elements are called. */
#ifndef RUNTIME_WORDS_H
#define RUNTIME_WORDS_H

#include "runtime/lamina.h"

typedef struct {
    char **word;
    int64_t count, room;
} lamina_words;

/* Where the word stands among sorted ones, or would. */
int64_t lamina_words_place(const lamina_words *w, const char *word, bool *found);
/* The number of a word, or -1. */
int64_t lamina_words_find(const lamina_words *w, bool sorted, const char *word);
/* Insert a copy before number 'at'. */
lamina_status lamina_words_insert(lamina_words *w, int64_t at, const char *text, lamina_error *e);
void lamina_words_free(lamina_words *w); /* what it holds; not w */

char *lamina_copy_text(const char *text); /* to be released; NULL: no memory */

#endif
