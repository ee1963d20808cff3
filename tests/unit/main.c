/* tests/unit/main.c - run every suite, or those whose names are given. The exit code is 1 if anything failed. */
#include <CUnit/Basic.h>
#include <stdio.h>
#include <string.h>

#define SUITE(name) void suite_##name(void);
#include "tests/unit/suites.def"
#undef SUITE

static const struct {
    const char *name;
    void (*add)(void);
} suites[] = {
#define SUITE(name) {#name, suite_##name},
#include "tests/unit/suites.def"
#undef SUITE
};

/* Add the suites of that name, or all for NULL; how many there were. */
static int add_suites(const char *name)
{
    int count = 0;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        if (!name || !strcmp(suites[i].name, name)) {
            suites[i].add();
            count++;
        }
    return count;
}

int main(int argc, char **argv)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
    if (argc < 2)
        add_suites(NULL);
    for (int i = 1; i < argc; i++)
        if (!add_suites(argv[i])) {
            fprintf(stderr, "there is no suite '%s'\n", argv[i]);
            return 2;
        }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures(), tests = CU_get_number_of_tests_run();
    unsigned failed = CU_get_number_of_tests_failed();
    CU_cleanup_registry();
    printf("\n%u passed, %u failed\n", tests - failed, failed);
    return failures || !tests;
}
