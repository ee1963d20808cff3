/* tests/unit/test_header.c - generated headers of networks with awkward names.
 *
 * The names are words of C and C++, types, macros, functions of the runtime, names that differ in case only, and
 * random ones. One program includes all of the headers, in four orders among other headers, as C99 and as C++17. No
 * warning is allowed. */
#include "backend/backend.h"
#include <CUnit/CUnit.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const words[] = {"a",           "A",
                                    "int32_t",     "int64_t",
                                    "uint8_t",     "size_t",
                                    "lamina_call", "lamina_infer",
                                    "_Complex",    "_Bool",
                                    "bool",        "static_cast",
                                    "and_eq",      "wchar_t",
                                    "EOF",         "NULL",
                                    "call",        "net",
                                    "batch",       "thread_local",
                                    "inputs",      "outputs",
                                    "cancel",      "learning_rate",
                                    "linux",       "unix",
                                    "errno",       "stdin",
                                    "assert",      "INT32_MAX",
                                    "class",       "this",
                                    "char8_t",     "co_await",
                                    "typeof",      "restrict",
                                    "constexpr",   "memory",
                                    "infer",       "run_infer",
                                    "make_call",   "MAX_BATCH",
                                    "S",           "s",
                                    "INPUTS",      "LAMINA_F32",
                                    "a_b",         "A_B",
                                    "a_b_",        "__LINE__",
                                    "1x",          "_1x",
                                    "long",        "reinterpret_cast"};

enum { WORDS = sizeof words / sizeof *words, RANDOM = 4, RANDOM_NAMES = 40 };

/* ---- modules: every name is an input, an output and a parameter ---- */

static ir_module *parse(const text *source)
{
    diag *d = diag_new();
    ir_module *m = ir_parse(text_get(source), "in", d);
    text said = {0};
    diag_print(d, &said, false);
    if (!m)
        fprintf(stderr, "%s", text_get(&said));
    text_free(&said);
    diag_free(d);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m;
}

static void add_function(text *t, const char *name, const char *const *names, int count)
{
    text_printf(t, "func @%s(", name);
    for (int i = 0; i < count; i++)
        text_printf(t, "%s%%%s : f32[B, 2]", i ? ", " : "", names[i]);
    text_add(t, ") -> (");
    for (int i = 0; i < count; i++)
        text_printf(t, "%s%s : f32[B, 2]", i ? ", " : "", names[i]);
    text_add(t, ") {\n  return ");
    for (int i = 0; i < count; i++)
        text_printf(t, "%s%%%s", i ? ", " : "", names[i]);
    text_add(t, "\n}\n");
}

/* The stages run, infer and run_infer have the names that typed functions would have. */
static ir_module *make_module(const char *net, const char *const *names, int count)
{
    static const char *const functions[] = {"update", "run.update", "infer.forward", "run_infer.forward"};
    text t = {0};
    text_printf(&t, "module @%s {abi = [1], source = \"a/*b*/c.yaml\"}\n", net);
    for (int i = 0; i < count; i++)
        text_printf(&t, "row input @%s\nrow output @%s\n", names[i], names[i]);
    for (int i = 0; i < count; i++)
        text_printf(&t, "param @%s : f32[2]\n", names[i]);
    add_function(&t, "infer", names, count);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        text_printf(&t, "func @%s() {\n}\n", functions[i]);
    ir_module *m = parse(&t);
    text_free(&t);
    return m;
}

static bool is_among(const char *name, char (*list)[8], int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(list[i], name))
            return true;
    return false;
}

/* Different names of few letters, so that many are alike in C. */
static ir_module *random_module(const char *net, uint32_t seed)
{
    static const char letters[] = "aAbB_1";
    char names[RANDOM_NAMES][8] = {{0}};
    const char *list[RANDOM_NAMES];
    for (int i = 0; i < RANDOM_NAMES; i++) {
        do {
            int length = 2 + i % 4;
            for (int k = 0; k < length; k++) {
                seed = seed * 1664525u + 1013904223u;
                names[i][k] = letters[(seed >> 16) % (sizeof letters - 1)];
            }
            names[i][0] = isdigit((unsigned char)names[i][0]) ? 'a' : names[i][0];
        } while (is_among(names[i], names, i));
        list[i] = names[i];
    }
    return make_module(net, list, RANDOM_NAMES);
}

/* ---- the program ---- */

typedef struct {
    char folder[64];
    text include, use; /* of all headers */
} program;

static void write_text(const program *p, const char *name, const char *words_of_it)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", p->folder, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(words_of_it, f);
    fclose(f);
}

static void add_net(program *p, const char *prefix, ir_module *m)
{
    char file[96];
    text header = {0};
    be_header(m, &header);
    snprintf(file, sizeof file, "%s.h", prefix);
    write_text(p, file, text_get(&header));
    text_printf(&p->include, "#include \"%s\"\n", file);
    text_printf(&p->use,
                "extern lamina_query *const query_of_%s;\nlamina_query *const query_of_%s = %s_query;\n"
                "int memory_of_%s(const %s_memory *m);\n"
                "int memory_of_%s(const %s_memory *m)\n{\n    return m->params != NULL;\n}\n",
                prefix, prefix, prefix, prefix, prefix, prefix, prefix);
    text_free(&header);
    ir_module_free(m);
}

static void compile_orders(program *p)
{
    static const char usual[] = "#include <errno.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <assert.h>\n"
                                "#include <netinet/in.h>\n#include <string.h>\n",
                      runtime[] = "#include \"lamina.h\"\n";
    const char *nets = text_get(&p->include),
               *orders[][3] = {{nets, "", ""}, {usual, nets, ""}, {runtime, nets, usual}, {nets, usual, runtime}};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        char command[640];
        text t = {0};
        text_printf(&t, "%s%s%s%s", orders[i][0], orders[i][1], orders[i][2], text_get(&p->use));
        write_text(p, "p.c", text_get(&t));
        text_free(&t);
        snprintf(command, sizeof command,
                 "cd %s && cp p.c p.cc && cc -std=c99 -pedantic -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror "
                 "-fsyntax-only -I%s/runtime p.c && c++ -std=c++17 -pedantic -Wall -Wextra -Wshadow -Werror "
                 "-fsyntax-only -I%s/runtime p.cc",
                 p->folder, LAMINA_SOURCE_DIR, LAMINA_SOURCE_DIR);
        CU_ASSERT_EQUAL(system(command), 0);
    }
}

static void headers_compile(void)
{
    static const char *const nets[][2] = {{"lamina", "net_lamina"},
                                          {"LAMINA_ABI", "net_LAMINA_ABI"},
                                          {"lamina_net", "net_lamina_net"},
                                          {"laminate", "laminate"},
                                          {"query", "query"},
                                          {"in", "in"},
                                          {"OUT", "OUT"},
                                          {"int", "int"},
                                          {"run", "run"}};
    program p = {.folder = "/tmp/lamina-header-XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p.folder));
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
        add_net(&p, nets[i][1], make_module(nets[i][0], words, WORDS));
    for (uint32_t i = 0; i < RANDOM; i++) {
        char name[16];
        snprintf(name, sizeof name, "random%u", i);
        add_net(&p, name, random_module(name, i + 1));
    }
    compile_orders(&p);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", p.folder);
    CU_ASSERT_EQUAL(system(command), 0);
    text_free(&p.include);
    text_free(&p.use);
}

void suite_header(void);
void suite_header(void)
{
    CU_pSuite s = CU_add_suite("header", NULL, NULL);
    CU_add_test(s, "headers of awkward names compile in every order", headers_compile);
}
