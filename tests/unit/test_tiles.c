/* tests/unit/test_tiles.c - no register tile spills: the inner loops of contractions keep off the stack.
 *
 * Each tests/tiles/NAME.ir goes through all passes to assembly, for AVX2 and AVX-512. In the innermost loops that
 * multiply and add vectors, an instruction that reaches a vector through the stack pointer is a spilled accumulator or
 * operand. One accumulator that goes to the stack and back in each step costs no time, as the others keep the units
 * busy meanwhile; more mean that the tile that pass select chose is too large for the registers. */
#include "backend/backend.h"
#include "passes/passes.h"
#include "tests/unit/ir_files.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_LINES = 200000, LABEL = 64, LEAST_PRODUCTS = 4, PRODUCTS_A_SPILL = 10 };

typedef struct {
    char *line[MOST_LINES];
    int count;
} listing;

static void split_lines(char *source, listing *l)
{
    l->count = 0;
    for (char *line = strtok(source, "\n"); line && l->count < MOST_LINES; line = strtok(NULL, "\n"))
        l->line[l->count++] = line;
}

static bool is_label(const char *line, const char *label)
{
    size_t n = strlen(label);
    return !strncmp(line, label, n) && line[n] == ':';
}

/* The line of the local label that a jump names, if it stands before the jump and in the same function; -1 if not. */
static int loop_start(const listing *l, int jump)
{
    char word[16], label[LABEL];
    if (sscanf(l->line[jump], " %15s %63s", word, label) != 2 || word[0] != 'j' || strncmp(label, ".L", 2))
        return -1;
    for (int i = jump - 1; i >= 0; i--) {
        if (is_label(l->line[i], label))
            return i;
        if (l->line[i][0] != '.' && l->line[i][0] != '\t' && l->line[i][0] != ' ' && l->line[i][0] != '#')
            return -1;
    }
    return -1;
}

static bool has_inner_loop(const listing *l, int from, int to)
{
    for (int i = from + 1; i < to; i++)
        if (loop_start(l, i) > from)
            return true;
    return false;
}

static bool reaches_stack(const char *line)
{
    return strstr(line, "%rsp") && (strstr(line, "%zmm") || strstr(line, "%ymm"));
}

/* Does an innermost loop end on this line that multiplies and adds, and goes to the stack too often? *tiles counts
 * them.
 */
static bool is_spilling_loop(const listing *l, int jump, int *tiles)
{
    int from = loop_start(l, jump), products = 0, spills = 0;
    if (from < 0 || has_inner_loop(l, from, jump))
        return false;
    for (int i = from; i < jump; i++) {
        products += strstr(l->line[i], "vfmadd") != NULL;
        spills += reaches_stack(l->line[i]);
    }
    if (products < LEAST_PRODUCTS)
        return false;
    ++*tiles;
    return spills * PRODUCTS_A_SPILL > products;
}

static bool to_assembly(const char *path, const char *cpu, text *out)
{
    char file[64];
    snprintf(file, sizeof file, "/tmp/lamina-tiles-%ld.s", (long)getpid());
    text source = {0}, said = {0};
    diag *d = diag_new();
    bool ok = text_read_file(&source, path);
    ir_module *m = ok ? ir_parse(text_get(&source), path, d) : NULL;
    const pass_options run = {0};
    const be_options options = {.kind = BE_ASM, .output = file};
    ok = m && be_target(cpu, m->mem, &m->target, d) && passes_run(m, &run, d) && be_compile(m, &options, d) &&
         text_read_file(out, file);
    diag_print(d, &said, false);
    fputs(text_get(&said), stderr);
    unlink(file);
    text_free(&said);
    text_free(&source);
    diag_free(d);
    ir_module_free(m);
    return ok;
}

static void check_cpu(const char *path, const char *cpu)
{
    text assembly = {0};
    CU_ASSERT_TRUE_FATAL(to_assembly(path, cpu, &assembly));
    listing *l = malloc(sizeof *l);
    char *copy = strdup(text_get(&assembly));
    split_lines(copy, l);
    int tiles = 0;
    for (int i = 0; i < l->count; i++) {
        bool spills = is_spilling_loop(l, i, &tiles);
        if (spills)
            fprintf(stderr, "%s, %s: the loop that ends on line %d of the assembly spills\n", path, cpu, i);
        CU_ASSERT_FALSE(spills);
    }
    CU_ASSERT_TRUE(tiles > 0);
    free(copy);
    free(l);
    text_free(&assembly);
}

static void check_file(void)
{
    char path[512];
    ir_files_path("tiles", path, sizeof path);
    check_cpu(path, "x86-64-v3");
    check_cpu(path, "x86-64-v4");
}

void suite_tiles(void)
{
    CU_pSuite s = CU_add_suite("tiles", NULL, NULL);
    ir_files_add(s, "tiles", check_file);
}
