/* tests/unit/train_runs.c - runs of `lamina train`; see train_runs.h. */
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <stdio.h>

int open_with_data(void)
{
    return open_directory() || run("mkdir data && cp %s/examples/data/linear-*.idx data", LAMINA_SOURCE_DIR);
}

void write_yaml(const char *name, const char *content)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(content, f);
    fclose(f);
}

void train_whole(const char *name)
{
    CU_ASSERT_EQUAL(run("%s train %s.yaml --out=%s-whole >out 2>err", LAMINA_BINARY, name, name), 0);
}

void check_pieces(const char *name, int steps)
{
    enum { MOST = 100 };
    CU_ASSERT_EQUAL(
        run("%s train %s.yaml --out=%s-parts --threads=1 --max-steps=%d >out 2>err", LAMINA_BINARY, name, name, steps),
        0);
    int parts = 1;
    while (parts < MOST && run("cmp -s %s-whole/weights.safetensors %s-parts/weights.safetensors", name, name)) {
        if (run("%s train %s.yaml --out=%s-parts --resume --max-steps=%d >out 2>err", LAMINA_BINARY, name, name, steps))
            break;
        parts++;
    }
    CU_ASSERT_TRUE(parts > 2 && parts < MOST);
    CU_ASSERT_EQUAL(run("cmp %s-whole/weights.safetensors %s-parts/weights.safetensors", name, name), 0);
    CU_ASSERT_EQUAL(run("for d in whole parts; do sed 's/\"seconds\": [^,]*,//' %s-$d/log.jsonl >$d.log; done; "
                        "cmp whole.log parts.log && test -s whole.log",
                        name),
                    0);
}
