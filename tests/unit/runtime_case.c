/* tests/unit/runtime_case.c - see runtime_case.h. */
#include "tests/unit/runtime_case.h"
#include "runtime/base/memory.h"
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

char folder[64];
lamina_error error;
text error_texts;

void keep_error(void)
{
    text_printf(&error_texts, "%s\n", error.text);
}

int make_folder(void)
{
    strcpy(folder, "/tmp/lamina-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

const char *path_of(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

int remove_folder(void)
{
    static const char *const names[] = {"a.csv", "a.npy",    "a.npz", "b.csv", "z.csv.gz", "a.idx", "b.idx", "x.idx",
                                        "y.idx", "z.idx.gz", "w.st",  "v.st",  "c.st",     "log",   "out"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        unlink(path_of(names[i]));
    return rmdir(folder); /* fails if a temporary file was left */
}

void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(fwrite(data, 1, bytes, f), bytes);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

size_t read_file(const char *path, char *data, size_t most)
{
    FILE *f = fopen(path, "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    size_t n = fread(data, 1, most, f);
    fclose(f);
    return n;
}

void write_gzip(const char *path, const void *data, unsigned bytes)
{
    gzFile f = gzopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(gzwrite(f, data, bytes), (int)bytes);
    CU_ASSERT_EQUAL(gzclose(f), Z_OK);
}

size_t seal(char *file, size_t bytes)
{
    static const char before[] = "{\"__metadata__\":{\"crc32\":\"";
    size_t at = 8 + sizeof before - 1;
    CU_ASSERT_EQUAL_FATAL(memcmp(file + 8, before, sizeof before - 1), 0);
    memcpy(file + at, "00000000", 8);
    char digits[16];
    snprintf(digits, sizeof digits, "%08lx", crc32(0, (const Bytef *)file, (unsigned)bytes));
    memcpy(file + at, digits, 8);
    return at;
}

/* 300 KB that do not compress, so that they cross buffers */
const unsigned char small_idx[18] = {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255};

/* A network of labels and pixels that only data sets look at. */
static const lamina_tensor label_inputs[] = {
    {"image", LAMINA_TENSOR_INPUT, LAMINA_UI8, 3, 0, {1, 3, 1}, 3, 0, LAMINA_INIT_NONE, 0, 0, 0},
    {"label", LAMINA_TENSOR_INPUT, LAMINA_I32, 1, 0, {1}, 4, 1, LAMINA_INIT_NONE, 0, 0, 0},
};
const lamina_net label_net = {.name = "labels", .inputs = label_inputs, .input_count = 2};

const float pattern_x[20 * FAKE_INPUTS] = {1, 2, 3, 4, 5, 6, -1, -2, 0.5f, 8, 1, 0.25f, [45] = 2, 3, 1};
const float pattern_y[20] = {1, -1, 2, 0.5f, [15] = 4};
const void *const pattern[2] = {pattern_x, pattern_y};

lamina_model *new_model(int64_t workers, bool staged)
{
    const lamina_options options = {.workers = workers, .staged = staged};
    lamina_model *m = NULL;
    OK(lamina_model_new(fake_net_query(LAMINA_ABI_MAJOR), &options, &m, &error));
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    OK(lamina_initialize(m, 1, &error));
    return m;
}

void get_params(lamina_model *m, float p[FAKE_INPUTS + 1])
{
    OK(lamina_get_tensor(m, "dense1.weight", p, 4 * FAKE_INPUTS, &error));
    OK(lamina_get_tensor(m, "dense1.bias", p + FAKE_INPUTS, 4, &error));
}

lamina_dataset *line_data(int64_t records)
{
    float x[RECORDS * FAKE_INPUTS], y[RECORDS];
    for (int i = 0; i < RECORDS; i++) {
        float *r = x + i * FAKE_INPUTS;
        r[0] = (float)(i % 5) * 0.25f - 0.5f;
        r[1] = (float)(i % 7) * 0.125f - 0.375f;
        r[2] = (float)(i % 3) * 0.5f - 0.5f;
        y[i] = 2 * r[0] - r[1] + 0.5f * r[2] + 1;
    }
    lamina_dataset *d = NULL;
    OK(lamina_dataset_new(fake_net_query(LAMINA_ABI_MAJOR), &d, &error));
    OK(lamina_dataset_add(d, "x", x, records, &error));
    OK(lamina_dataset_add(d, "y", y, records, &error));
    return d;
}

typedef struct {
    int64_t fail_at, asked;
} allocation_plan;

static bool allow(void *user, size_t bytes)
{
    allocation_plan *p = user;
    (void)bytes;
    return ++p->asked != p->fail_at;
}

void fail_each(lamina_status (*scenario)(void), lamina_status expected, int64_t least)
{
    allocation_plan plan = {.fail_at = 1};
    for (;; plan.fail_at++) {
        plan.asked = 0;
        lamina_set_allocation_hook(allow, &plan);
        error.text[0] = 0;
        lamina_status s = scenario();
        lamina_set_allocation_hook(NULL, NULL);
        if (plan.asked < plan.fail_at) {
            CU_ASSERT_EQUAL(s, LAMINA_OK);
            break;
        }
        CU_ASSERT_TRUE(s == expected || s == LAMINA_NO_MEMORY);
        CU_ASSERT_NOT_EQUAL(error.text[0], 0);
        keep_error();
    }
    CU_ASSERT_TRUE(plan.fail_at > least);
}
