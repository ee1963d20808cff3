/* frontend/command/main.c - the command line: which subcommand. */
#include "frontend/command/cmd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"check", "read a network and say what is wrong with it", cmd_check},
    {"compile", "make a shared object and a C header of a network", cmd_compile},
    {"train", "train a network on its data", cmd_train},
    {"sweep", "train a network many times with other values", cmd_sweep_values},
    {"eval", "measure trained weights on the test data", cmd_eval},
    {"predict", "write down what trained weights say of records", cmd_predict},
    {"data", "list what a network's data sets hold, column by column", cmd_data},
    {"summary", "list a network's layers, and with --partition its stages", cmd_summary},
    {"partition", "cut a network into stages and write them into its YAML", cmd_partition},
    {"bench", "measure a network's speed, with --roofline kernel by kernel", cmd_bench},
    {"dump", "print the IR of a network, before or after any pass", cmd_dump},
    {"schema", "print a JSON Schema of the YAML language, for editors", cmd_schema},
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
    fputs("\n'lamina COMMAND --help' says more. Exit codes: 0 ok, 1 failed, 2 usage, 3 invalid input,\n"
          "128 + n ended by signal n (130: Ctrl-C).\n",
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

/* What was closed by the caller is opened on /dev/null: else the first file opened would take its number, and be
 * written to as the standard output. The lowest number is taken first, so each open fills the gap it was called for. */
static void open_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            open("/dev/null", O_RDWR);
}

/* Output that got lost, on a full disk or in a pipe nobody reads, is a failure whatever else went well. */
static int close_output(int code)
{
    bool lost = ferror(stdout);
    errno = 0;
    lost |= fclose(stdout) != 0;
    if (!lost)
        return code;
    fprintf(stderr, "lamina: the standard output cannot be written%s%s\n", errno ? ": " : "",
            errno ? strerror(errno) : ""); /* of what was lost before, nobody kept the reason */
    return code == EXIT_OK ? EXIT_FAILED : code;
}

static int run(int argc, char **argv)
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

int main(int argc, char **argv)
{
    open_standard_files();
    return close_output(run(argc, argv));
}
