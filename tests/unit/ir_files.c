/* tests/unit/ir_files.c - see ir_files.h. */
#include "tests/unit/ir_files.h"
#include <CUnit/TestRun.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_ir_file(const struct dirent *e)
{
    size_t n = strlen(e->d_name);
    return n > 3 && !strcmp(e->d_name + n - 3, ".ir");
}

void ir_files_add(CU_pSuite suite, const char *folder, CU_TestFunc test)
{
    char path[4096];
    struct dirent **entries;
    snprintf(path, sizeof path, "%s/%s", LAMINA_TESTS_DIR, folder);
    int count = scandir(path, &entries, is_ir_file, alphasort);
    for (int i = 0; i < count; i++) {
        CU_add_test(suite, entries[i]->d_name, test);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

void ir_files_path(const char *folder, char *out, size_t size)
{
    snprintf(out, size, "%s/%s/%s", LAMINA_TESTS_DIR, folder, CU_get_current_test()->pName);
}
