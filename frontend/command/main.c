/* frontend/command/main.c - the command line: which subcommand. */
#include "frontend/command/cmd.h"
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"check", "read a network and say what is wrong with it", cmd_check},
    {"compile", "make a shared object and a C header of a network", cmd_compile},
    {"train", "train a network on its data", cmd_train},
    {"eval", "measure trained weights on the test data", cmd_eval},
    {"bench", "measure a network's speed, with --roofline kernel by kernel", cmd_bench},
    {"dump", "print the IR of a network, before or after any pass", cmd_dump},
    {"inspect", "say what a compiled library holds", cmd_inspect},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_help(FILE *out)
{
    fputs("usage: lamina COMMAND [options]\n\n"
          "Lamina compiles trainable neural networks ahead of time to native code.\n\ncommands:\n",
          out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].about);
    fputs(
        "\n'lamina COMMAND --help' says more. Exit codes: 0 ok, 1 failed, 2 usage, 3 invalid input, 130 interrupted.\n",
        out);
}

static int unknown(const char *word)
{
    const char *names[COMMANDS];
    for (int i = 0; i < COMMANDS; i++)
        names[i] = commands[i].name;
    const char *near = diag_nearest(word, names, COMMANDS);
    fprintf(stderr, "lamina: expected a command, found '%s'%s%s%s\n", word, near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : " ('lamina --help' lists them)");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("lamina " LAMINA_VERSION);
        return EXIT_OK;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 2, argv + 2);
    return unknown(argv[1]);
}
