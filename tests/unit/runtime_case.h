/* tests/unit/runtime_case.h - what the runtime's tests share: a folder, files in it, the hand-written net and its data,
 * and a record of every error text, so that test_runtime_errors.c can say which message no test provokes. */
#ifndef TESTS_UNIT_RUNTIME_CASE_H
#define TESTS_UNIT_RUNTIME_CASE_H

#include "ir/base/text.h"
#include "runtime/lamina.h"
#include "tests/unit/fake_net.h"
#include <CUnit/CUnit.h>
#include <string.h>

extern char folder[64];
extern lamina_error error;
extern text error_texts; /* one a line */

#define OK(call) CU_ASSERT_EQUAL(call, LAMINA_OK)
#define SAYS(words) CU_ASSERT_PTR_NOT_NULL(strstr(error.text, words))
/* The call fails with a status, and its text holds the words. */
#define FAILS(call, status, words)                                                                                     \
    do {                                                                                                               \
        error.text[0] = 0;                                                                                             \
        CU_ASSERT_EQUAL(call, status);                                                                                 \
        SAYS(words);                                                                                                   \
        keep_error();                                                                                                  \
    } while (0)

/* Add error.text to error_texts. */
void keep_error(void);

int make_folder(void);
int remove_folder(void); /* fails if a temporary file was left */
const char *path_of(const char *name);
void write_file(const char *path, const void *data, size_t bytes);
void write_gzip(const char *path, const void *data, unsigned bytes);
size_t read_file(const char *path, char *data, size_t most);
/* Give a weights file or checkpoint that was changed the checksum of what it is now; the digits' place, or 0. */
size_t seal(char *file, size_t bytes);
/* An IDX file of 2 records of 3 bytes. */
extern const unsigned char small_idx[18];

/* A network of labels and pixels that only data sets look at. */
extern const lamina_net label_net;

/* 20 records for the hand-written net. */
extern const float pattern_x[20 * FAKE_INPUTS], pattern_y[20];
extern const void *const pattern[2];
lamina_model *new_model(int64_t workers, bool staged);
void get_params(lamina_model *m, float p[FAKE_INPUTS + 1]);
enum { RECORDS = 61 };
/* y = 2 x0 - x1 + 0.5 x2 + 1 over a grid of small numbers */
lamina_dataset *line_data(int64_t records);

/* Until a run gets through, let its first, second, ... allocation fail: as 'expected' or for want of memory, with a
 * text. There must be more than 'least' of them. */
void fail_each(lamina_status (*scenario)(void), lamina_status expected, int64_t least);

/* Every file's cases, added to the one suite. */
void add_runtime_data(CU_pSuite s);
void add_runtime_csv(CU_pSuite s);
void add_runtime_tables(CU_pSuite s);
void add_runtime_npy(CU_pSuite s);
void add_runtime_files(CU_pSuite s);
void add_runtime_adapt(CU_pSuite s);
void add_runtime_model(CU_pSuite s);
void add_runtime_select(CU_pSuite s);
void add_runtime_images(CU_pSuite s);
void add_runtime_matching(CU_pSuite s);
void add_runtime_augment(CU_pSuite s);
void add_runtime_train(CU_pSuite s);
void add_runtime_rates(CU_pSuite s);
void add_runtime_watch(CU_pSuite s);
void add_runtime_metrics(CU_pSuite s);
void add_runtime_stages(CU_pSuite s);
void add_runtime_pipeline(CU_pSuite s);
void add_runtime_teacher(CU_pSuite s);
void add_runtime_scores(CU_pSuite s);
void add_runtime_arguments(CU_pSuite s);
void add_runtime_errors(CU_pSuite s); /* last: it looks at what the others recorded */

#endif
