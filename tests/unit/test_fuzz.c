/* tests/unit/test_fuzz.c - no input makes a reader crash, leak, or fail without a message.
 *
 * Each file of tests/fuzz, and mutations of it that are the same in every run, go through the reader for its kind:
 *     .yaml                 fe_read_text, fe_build, and the passes when the net is small
 *     .ir                   ir_parse; what parses is printed, parsed and printed again, and goes through the passes
 *                           and, when it is small, the backend up to LLVM's text
 *     .idx .gz              lamina_idx_read
 *     .npy .npz             lamina_npy_read, lamina_npz_read
 *     .csv .jsonl .libsvm   lamina_dataset_add_table, into numbers, categories and classes
 *     .png .jpg .pgm .ppm   lamina_dataset_add_images, resized
 *     .safetensors          lamina_load_weights and lamina_load_checkpoint into the hand-written net, once more with
 *                           a checksum that is right, which no mutation leaves
 * A reader that fails must say why and, for texts, also where. The sanitizers find leaks and overruns.
 *
 * When a case ends the program, its number is on stderr. LAMINA_FUZZ=SEED,COUNT runs COUNT other mutations of each
 * file, to search further than the ordinary test does. With LAMINA_FUZZ_KEEP=FILE each input is first written to
 * FILE, and the first fault ends the run. */
#include "backend/backend.h"
#include "frontend/frontend.h"
#include "passes/passes.h"
#include "runtime/base/memory.h"
#include "runtime/data/idx.h"
#include "runtime/data/npy.h"
#include "runtime/files/format.h"
#include "runtime/images/images.h"
#include "tests/unit/any_target.h"
#include "tests/unit/fake_net.h"
#include <CUnit/CUnit.h>
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { MOST_FILES = 256, MUTATIONS = 1000, MOST_BYTES = 1 << 16, MOST_NODES = 2000, MOST_EMITTED = 200 };

typedef struct {
    char name[64];
    const char *kind; /* from the dot on */
    text bytes;
} sample;

static sample corpus[MOST_FILES];
static int corpus_count;

/* ---- where it stands, for a case that ends the program ---- */

static struct {
    const char *name;
    int mutation; /* 0: the file itself */
} running;

static void say_where(int number)
{
    char line[160];
    int n =
        snprintf(line, sizeof line, "tests/fuzz/%s, mutation %d: signal %d\n", running.name, running.mutation, number);
    if (write(STDERR_FILENO, line, (size_t)n) != n)
        _exit(1);
    signal(number, SIG_DFL);
    raise(number);
}

static bool complain(const char *what)
{
    fprintf(stderr, "tests/fuzz/%s, mutation %d: %s\n", running.name, running.mutation, what);
    if (getenv("LAMINA_FUZZ_KEEP"))
        abort();
    return false;
}

/* ---- mutations ---- */

/* splitmix64 */
static uint64_t random_state;

static uint64_t draw(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(size_t n)
{
    return n ? draw() % n : 0;
}

/* Replace 'length' bytes at 'at' by 'n' others. */
static void replace(text *t, size_t at, size_t length, const char *by, size_t n)
{
    text out = {0};
    text_add_bytes(&out, t->bytes, at);
    text_add_bytes(&out, by, n);
    text_add_bytes(&out, t->bytes + at + length, t->length - at - length);
    text_free(t);
    *t = out;
}

static void flip_byte(text *t)
{
    t->bytes[below(t->length)] ^= (char)(1 << below(8));
}

static void remove_some(text *t)
{
    size_t at = below(t->length), n = 1 + below(below(2) ? 4 : 64);
    replace(t, at, n < t->length - at ? n : t->length - at, "", 0);
}

static void insert_some(text *t)
{
    char noise[8];
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = below(2) ? "{}[](),:%@#-\"'\n *B&!|>"[below(22)] : (char)draw();
    replace(t, below(t->length + 1), 0, noise, 1 + below(sizeof noise));
}

static void repeat_some(text *t)
{
    size_t at = below(t->length), n = 1 + below(200);
    n = n < t->length - at ? n : t->length - at;
    char *copy = strndup(t->bytes + at, n);
    replace(t, below(2) ? at : below(t->length + 1), 0, copy, strlen(copy));
    free(copy);
}

/* The rest of another file of the kind. */
static void splice(text *t)
{
    const sample *other = &corpus[below((size_t)corpus_count)];
    size_t at = below(t->length), from = below(other->bytes.length);
    if (!strcmp(other->kind, strrchr(running.name, '.')))
        replace(t, at, t->length - at, other->bytes.bytes + from, other->bytes.length - from);
}

/* A number becomes an extreme one. */
static void change_number(text *t)
{
    static const char *const extreme[] = {"0",
                                          "1",
                                          "2",
                                          "-1",
                                          "7",
                                          "255",
                                          "65536",
                                          "1000000",
                                          "2147483647",
                                          "2147483648",
                                          "4294967295",
                                          "4294967296",
                                          "0.5",
                                          "-0.0",
                                          "1e30",
                                          "1e308",
                                          "1e400",
                                          "nan",
                                          "-inf",
                                          "1099511627776",
                                          "9007199254740993",
                                          "9223372036854775807",
                                          "99999999999999999999999999",
                                          "0x7f"};
    size_t at = below(t->length);
    for (size_t tries = 0; tries < t->length && !isdigit((unsigned char)t->bytes[at]); tries++)
        at = (at + 1) % t->length;
    size_t end = at;
    while (end < t->length && isdigit((unsigned char)t->bytes[end]))
        end++;
    const char *number = extreme[below(sizeof extreme / sizeof *extreme)];
    replace(t, at, end - at, number, strlen(number));
}

static size_t find_word(const text *t, size_t *length)
{
    size_t at = below(t->length);
    while (at < t->length && !isalpha((unsigned char)t->bytes[at]))
        at++;
    size_t end = at;
    while (end < t->length && (isalnum((unsigned char)t->bytes[end]) || strchr("_.", t->bytes[end])))
        end++;
    *length = end - at;
    return at;
}

/* A word becomes another word of the file: it reads well and means something else. */
static void change_word(text *t)
{
    size_t n, m, at = find_word(t, &n), from = find_word(t, &m);
    char *word = strndup(t->bytes + from, m);
    replace(t, at, n, word, strlen(word));
    free(word);
}

/* Four bytes at once, as binary formats count. */
static void change_word32(text *t)
{
    static const char extreme[][4] = {{0, 0, 0, 0}, {-1, -1, -1, -1}, {127, -1, -1, -1}, {0, 0, 0, 1}, {1, 0, 0, 0}};
    size_t at = below(t->length) & ~(size_t)3;
    if (at + 4 <= t->length)
        replace(t, at, 4, extreme[below(5)], 4);
}

static void mutate(text *t, uint64_t seed)
{
    static void (*const ways[])(text * t) = {flip_byte,     remove_some,   insert_some, repeat_some, splice,
                                             change_number, change_number, change_word, change_word, change_word32};
    random_state = seed;
    for (size_t n = 1 + below(3); n > 0; n--)
        if (t->length && t->length < MOST_BYTES)
            ways[below(sizeof ways / sizeof *ways)](t);
}

/* ---- readers ---- */

static char scratch[64]; /* the file that is read or written */

/* Every message of a reader of text has a place. */
static bool all_placed(const diag *d, const char *path)
{
    text plain = {0};
    bool placed = true;
    size_t n = strlen(path);
    diag_print_plain(d, &plain, false);
    for (const char *line = text_get(&plain); *line; line += strcspn(line, "\n") + 1)
        placed = placed && !strncmp(line, path, n) && line[n] == ':' && isdigit((unsigned char)line[n + 1]);
    text_free(&plain);
    return placed;
}

static int64_t count_nodes(const ir_module *m)
{
    int64_t count = 0;
    for (const ir_graph *g = m->functions; g; g = g->next)
        for (const ir_node *n = g->first; n; n = n->next)
            count++;
    return count;
}

static bool run_passes(ir_module *m, diag *d)
{
    const pass_options none = {0};
    if (!m->target.triple)
        m->target = any_target;
    if (count_nodes(m) > MOST_NODES || passes_run(m, &none, d))
        return true;
    return diag_errors(d) > 0 || complain("the passes fail without an error");
}

/* Planned modules to LLVM's text: lowering and emission see all of them, LLVM's own work is not what is tested. */
static bool run_backend(const ir_module *m, diag *d)
{
    const be_options options = {.kind = BE_LLVM, .output = scratch};
    if (count_nodes(m) > MOST_EMITTED || be_compile(m, &options, d))
        return true;
    return diag_errors(d) > 0 || complain("the backend fails without an error");
}

static bool read_yaml(const text *input)
{
    static const char path[] = "fuzz.yaml";
    arena *mem = arena_new();
    diag *d = diag_new();
    text shown = {0};
    fe_network *net = fe_read_text(input->bytes, input->length, path, mem, d);
    ir_module *m = net ? fe_build(net, d) : NULL;
    bool ok = m || diag_errors(d) || complain("no network and no error");
    ok = (all_placed(d, path) || complain("a message without a place")) && ok;
    if (m && !diag_errors(d))
        ok = run_passes(m, d) && ok;
    diag_print(d, &shown, true);
    text_free(&shown);
    ir_module_free(m);
    diag_free(d);
    arena_free(mem);
    return ok;
}

/* Printed text reads back and prints alike, with locations and without. */
static bool check_text(const ir_module *m, bool locations)
{
    text once = {0}, twice = {0};
    diag *d = diag_new();
    ir_print(m, locations, &once);
    ir_module *again = ir_parse(text_get(&once), "again.ir", d);
    if (again)
        ir_print(again, locations, &twice);
    bool ok = again ? !strcmp(text_get(&once), text_get(&twice)) || complain("the text changes when read and printed")
                    : complain("what was printed does not read");
    ir_module_free(again);
    diag_free(d);
    text_free(&once);
    text_free(&twice);
    return ok;
}

static bool read_ir(const text *input)
{
    static const char path[] = "fuzz.ir";
    diag *d = diag_new();
    ir_module *m = ir_parse(text_get(input), path, d);
    bool ok = m || diag_errors(d) || complain("no module and no error");
    /* A text may claim to come from elsewhere, or from nowhere. */
    ok = (strstr(text_get(input), "loc(") || all_placed(d, path) || complain("a message without a place")) && ok;
    if (m)
        ok = check_text(m, false) && check_text(m, true) && run_passes(m, d) && ok;
    if (m && ok && !diag_errors(d))
        ok = run_backend(m, d);
    ir_module_free(m);
    diag_free(d);
    return ok;
}

/* The runtime reads files. */
static bool write_scratch(const text *input)
{
    FILE *f = fopen(scratch, "wb");
    bool ok = f && fwrite(input->bytes, 1, input->length, f) == input->length;
    return f && fclose(f) == 0 && ok;
}

static bool read_idx(const text *input)
{
    lamina_array x;
    lamina_error e = {0};
    if (!write_scratch(input))
        return complain("no scratch file");
    if (lamina_idx_read(scratch, &x, &e))
        return strstr(e.text, scratch) || complain("an error that does not name the file");
    lamina_release(x.data);
    return true;
}

static bool read_npy(const text *input)
{
    lamina_array x;
    lamina_error e = {0};
    if (!write_scratch(input))
        return complain("no scratch file");
    if (lamina_npy_read(scratch, &x, &e))
        return strstr(e.text, scratch) || complain("an error that does not name the file");
    lamina_release(x.data);
    return true;
}

static bool read_npz(const text *input)
{
    lamina_array x;
    lamina_error e = {0};
    char name[600];
    if (!write_scratch(input))
        return complain("no scratch file");
    snprintf(name, sizeof name, "%s:label", scratch);
    if (lamina_npz_read(name, &x, &e))
        return strstr(e.text, scratch) || complain("an error that does not name the file");
    lamina_array_release(&x);
    return true;
}

static bool read_table(const text *input, const lamina_table_options *options)
{
    static const lamina_tensor inputs[] = {
        {"x", LAMINA_TENSOR_INPUT, LAMINA_F32, 2, 0, {1, 4}, 16, 0, LAMINA_INIT_NONE, 0, 0, 0},
        {"y", LAMINA_TENSOR_INPUT, LAMINA_UI8, 1, 0, {1}, 1, 1, LAMINA_INIT_NONE, 0, 0, 0}};
    static const lamina_net net = {.name = "fuzz", .inputs = inputs, .input_count = 2};
    const char *const paths[] = {scratch, scratch};
    lamina_dataset *d = NULL;
    lamina_error e = {0};
    if (!write_scratch(input))
        return complain("no scratch file");
    bool ok = !lamina_dataset_new(&net, &d, &e);
    if (ok && lamina_dataset_add_table(d, paths, 2, options, NULL, &e)) {
        ok = strstr(e.text, scratch) || complain("an error that does not name the file");
        if (!running.mutation)
            ok = complain(e.text); /* else no mutation would come far */
    }
    lamina_dataset_free(d);
    return ok;
}

static bool read_csv(const text *input)
{
    static const lamina_table_column columns[] = {{.name = "1..2", .input = "x", .clipped = true, .most = 100},
                                                  {.name = "kind", .input = "x", .sorted = true, .fill = "u"},
                                                  {.name = "kind", .input = "y", .sorted = true}};
    const lamina_table_options options = {
        .columns = columns, .column_count = 3, .drop_missing = true, .drop_duplicates = true};
    return read_table(input, &options);
}

static bool read_jsonl(const text *input)
{
    static const lamina_table_column columns[] = {{.name = "x.0..x.1", .input = "x", .clipped = true, .most = 100},
                                                  {.name = "of.kind", .input = "x", .sorted = true, .fill = "u"},
                                                  {.name = "of.kind", .input = "y", .sorted = true}};
    const lamina_table_options options = {.format = LAMINA_JSON_LINES,
                                          .columns = columns,
                                          .column_count = 3,
                                          .drop_missing = true,
                                          .drop_duplicates = true};
    return read_table(input, &options);
}

static bool read_libsvm(const text *input)
{
    static const lamina_table_column columns[] = {{.name = "1..2", .input = "x", .clipped = true, .most = 100},
                                                  {.name = "label", .input = "x", .sorted = true},
                                                  {.name = "label", .input = "y", .sorted = true}};
    const lamina_table_options options = {
        .format = LAMINA_LIBSVM, .columns = columns, .column_count = 3, .drop_missing = true};
    return read_table(input, &options);
}

static bool read_picture(const text *input)
{
    static const lamina_tensor inputs[] = {
        {"x", LAMINA_TENSOR_INPUT, LAMINA_F32, 4, 0, {1, 4, 3, 3}, 144, 0, LAMINA_INIT_NONE, 0, 0, 0}};
    static const lamina_net net = {.name = "fuzz", .inputs = inputs, .input_count = 1};
    const lamina_image_options options = {.pixels = "x", .resize = LAMINA_RESIZE_BILINEAR};
    const char *const paths[] = {scratch};
    lamina_dataset *d = NULL;
    lamina_error e = {0};
    if (!write_scratch(input))
        return complain("no scratch file");
    bool ok = !lamina_dataset_new(&net, &d, &e);
    if (ok && lamina_dataset_add_images(d, paths, 1, &options, NULL, &e))
        ok = running.mutation ? strstr(e.text, scratch) || complain("an error that does not name the file")
                              : complain(e.text);
    lamina_dataset_free(d);
    return ok;
}

static bool load_scratch(void)
{
    lamina_model *m = NULL;
    lamina_checkpoint c = {0};
    lamina_error e = {0};
    bool ok = !lamina_model_new(fake_net_query(LAMINA_ABI_MAJOR), NULL, &m, &e);
    if (ok && lamina_load_weights(m, scratch, &e))
        ok = strstr(e.text, scratch) || complain("an error that does not name the file");
    if (ok && lamina_load_checkpoint(m, scratch, &c, &c, &e)) {
        ok = strstr(e.text, scratch) || complain("an error that does not name the file");
        if (!running.mutation && !strcmp(running.name, "checkpoint.safetensors"))
            ok = complain(e.text); /* else no mutation would come far */
    }
    lamina_model_free(m);
    return ok;
}

/* Correct the checksum; false if there is none. */
static bool seal_text(text *t)
{
    static const char before[] = LAMINA_BEFORE_CHECKSUM;
    if (t->length < 8 + LAMINA_DIGITS_AT + LAMINA_DIGITS || memcmp(t->bytes + 8, before, LAMINA_DIGITS_AT) != 0)
        return false;
    char digits[LAMINA_DIGITS + 1], *at = t->bytes + 8 + LAMINA_DIGITS_AT;
    memcpy(at, LAMINA_NO_CHECKSUM, LAMINA_DIGITS);
    snprintf(digits, sizeof digits, "%08lx", crc32_z(0, (const Bytef *)t->bytes, t->length));
    memcpy(at, digits, LAMINA_DIGITS);
    return true;
}

static bool read_safetensors(const text *input)
{
    text sealed = {0};
    bool ok = (write_scratch(input) || complain("no scratch file")) && load_scratch();
    text_add_bytes(&sealed, input->bytes, input->length);
    if (seal_text(&sealed))
        ok = (write_scratch(&sealed) || complain("no scratch file")) && load_scratch() && ok;
    text_free(&sealed);
    return ok;
}

static const struct {
    const char *kind;
    bool (*read)(const text *input);
} readers[] = {{".yaml", read_yaml},   {".ir", read_ir},
               {".idx", read_idx},     {".gz", read_idx},
               {".npz", read_npz},     {".csv", read_csv},
               {".jsonl", read_jsonl}, {".libsvm", read_libsvm},
               {".npy", read_npy},     {".safetensors", read_safetensors},
               {".png", read_picture}, {".jpg", read_picture},
               {".pgm", read_picture}, {".ppm", read_picture}};
enum { READERS = sizeof readers / sizeof *readers };

/* ---- the run ---- */

static int compare_samples(const void *a, const void *b)
{
    return strcmp(((const sample *)a)->name, ((const sample *)b)->name);
}

static int open_corpus(void)
{
    strcpy(scratch, "/tmp/lamina-fuzz-XXXXXX");
    int fd = mkstemp(scratch);
    DIR *dir = opendir(LAMINA_TESTS_DIR "/fuzz");
    corpus_count = 0;
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        sample *s = &corpus[corpus_count];
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || dot == e->d_name || strlen(e->d_name) >= sizeof s->name || corpus_count == MOST_FILES)
            continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/fuzz/%s", LAMINA_TESTS_DIR, e->d_name);
        *s = (sample){.bytes = {0}};
        strcpy(s->name, e->d_name);
        corpus_count += text_read_file(&s->bytes, path);
    }
    if (dir)
        closedir(dir);
    qsort(corpus, (size_t)corpus_count, sizeof *corpus, compare_samples);
    for (int i = 0; i < corpus_count; i++)
        corpus[i].kind = strrchr(corpus[i].name, '.');
    return fd < 0 || close(fd) || !corpus_count;
}

static int close_corpus(void)
{
    for (int i = 0; i < corpus_count; i++)
        text_free(&corpus[i].bytes);
    return unlink(scratch);
}

static void keep(const text *input)
{
    const char *path = getenv("LAMINA_FUZZ_KEEP");
    FILE *f = path ? fopen(path, "wb") : NULL;
    if (f) {
        fwrite(input->bytes, 1, input->length, f);
        fclose(f);
    }
}

static bool run_sample(const sample *s, bool (*read)(const text *input), uint64_t seed, int count)
{
    bool ok = true;
    running.name = s->name;
    for (running.mutation = 0; running.mutation <= count; running.mutation++) {
        text input = {0};
        text_add_bytes(&input, text_get(&s->bytes), s->bytes.length);
        if (running.mutation)
            mutate(&input, seed + (uint64_t)running.mutation);
        text_add(&input, "");
        keep(&input);
        ok = read(&input) && ok;
        text_free(&input);
    }
    return ok;
}

/* FNV-1a, so that files do not share their mutations. */
static uint64_t seed_of(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

static void run_kind(const char *kind)
{
    unsigned long long seed = 0;
    int count = MUTATIONS, found = 0;
    const char *options = getenv("LAMINA_FUZZ");
    if (options)
        sscanf(options, "%llu,%d", &seed, &count);
    signal(SIGABRT, say_where);
    signal(SIGFPE, say_where);
#ifndef __SANITIZE_ADDRESS__ /* which says more of a bad address */
    signal(SIGSEGV, say_where);
#endif
    for (int r = 0; r < READERS; r++)
        for (int i = 0; i < corpus_count && !strcmp(readers[r].kind, kind); i++)
            if (!strcmp(corpus[i].kind, kind)) {
                CU_ASSERT(run_sample(&corpus[i], readers[r].read, seed_of(corpus[i].name) + (seed << 20), count));
                found++;
            }
    signal(SIGABRT, SIG_DFL);
    signal(SIGFPE, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    CU_ASSERT(found > 0);
}

static void test_yaml(void)
{
    run_kind(".yaml");
}

static void test_ir(void)
{
    run_kind(".ir");
}

static void test_idx(void)
{
    run_kind(".idx");
    run_kind(".gz");
}

static void test_safetensors(void)
{
    run_kind(".safetensors");
}

void suite_fuzz(void);
void suite_fuzz(void)
{
    CU_pSuite s = CU_add_suite("fuzz", open_corpus, close_corpus);
    CU_add_test(s, "networks", test_yaml);
    CU_add_test(s, "IR texts", test_ir);
    CU_add_test(s, "IDX files", test_idx);
    CU_add_test(s, "safetensors files", test_safetensors);
}
