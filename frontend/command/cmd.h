/* frontend/command/cmd.h - what the subcommands share: options, and the way from a file to a compiled module.
 * main.c and cmd_*.c are the driver: the only files that see every layer. */
#ifndef FRONTEND_CMD_H
#define FRONTEND_CMD_H

#include "frontend/frontend.h"
#include "passes/passes.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INVALID = 3, EXIT_SIGNAL = 128 };

/* ---- options ---- */

/* --name (flag set) or --name=VALUE / --name VALUE (value or number set). Single letters are names of one letter. An
 * option with a value and a 'most' may be given as often as that: its values go to an array with room for one more. */
typedef struct {
    const char *name;
    const char *argument; /* "FILE", "N"; NULL for a flag */
    const char *help;
    bool *flag;
    const char **value;
    int64_t *number;
    int64_t least, most; /* bounds of number; most: of values */
} cmd_option;

typedef struct {
    const char *name;  /* "compile" */
    const char *usage; /* "lamina compile NET [-o FILE] [options]" */
    const char *about;
    const cmd_option *options; /* ends with a name of NULL */
} cmd_syntax;

/* Read the arguments after the subcommand. Positional ones go to 'words' (at most 'most'; at least 'least'). Returns -1
 * to go on, else the exit code (help asked for, or a usage error already printed). --diagnostics is read here too. */
int cmd_parse(const cmd_syntax *syntax, int argc, char **argv, const char **words, int least, int most);

/* What d holds as JSON, an object a line, notes within what they belong to; whatever bytes names have, it is JSON. */
void cmd_add_json(const diag *d, bool remarks, text *out);

/* Print what d holds on stderr, in the form that --diagnostics says; EXIT_INVALID if it holds errors, else EXIT_OK. */
int cmd_report(const diag *d, bool remarks);

/* From now on SIGINT, SIGTERM, SIGHUP and SIGXCPU put their number here, which is what interrupts everything that looks
 * at it; the exit code is then EXIT_SIGNAL more. A second Ctrl-C ends the process. */
const volatile int32_t *cmd_catch_interrupts(void);
/* A training run goes on where others would be killed: a pipe that nobody reads and a file over its limit are errors of
 * the write, and SIGUSR1 asks to save. */
void cmd_catch_for_training(void);
/* Did SIGUSR1 come since the last call? */
bool cmd_save_asked(void);

/* What a subcommand does with its file once its options are read. False: it failed, perhaps without an error in d. */
typedef bool cmd_work(const char *path, const void *options, arena *mem, diag *d);

/* Do it, with memory and messages that end with it, and report; the exit code. */
int cmd_run(cmd_work *work, const char *path, const void *options, bool remarks);

/* ---- from a file to a module ---- */

enum { CMD_MOST_CHANGES = 64 };

typedef struct {
    const char *changes[CMD_MOST_CHANGES + 1]; /* of the YAML, as fe_read_changed takes them */
    const char *cpu;                           /* NULL: native */
    int64_t max_batch;                         /* 0: the YAML's train batch, else 128 */
    const char *partition;                     /* fused, staged; NULL: as the YAML says */
    const char *stages;                        /* a number, or auto: what is fastest on so many */
    int64_t workers;                           /* 0: this machine's processors */
    const char *part;                          /* of a network whose stages learn on their own; NULL: the whole */
    const char *balance;
    const char *gemm;        /* auto, generated, openblas; NULL: auto */
    const char *convolution; /* auto, direct, winograd; NULL: auto */
    const char *disabled, *dump_after, *dump_dir;
    bool dump_locations, remarks, time_passes, autotune;
} cmd_build;

/* Rows for the options of a cmd_build, to be placed in a subcommand's table: what code is for, */
#define CMD_TARGET_OPTIONS(b)                                                                                          \
    {"cpu", "NAME", "compile for this CPU, as LLVM names it (default: this machine's)", NULL, &(b).cpu, NULL, 0, 0},   \
        {"max-batch", "N",    "largest batch a call may have (default: the YAML's, else 128)",                         \
         NULL,        NULL,   &(b).max_batch,                                                                          \
         1,           1 << 20},                                                                                        \
        {"gemm", "HOW",     "matrix products: generated, openblas (other bits than promised), auto (default)",         \
         NULL,   &(b).gemm, NULL,                                                                                      \
         0,      0},                                                                                                   \
    {                                                                                                                  \
        "convolution", "HOW", "3x3 convolutions: direct, winograd (fewer products, other bits), auto (default)", NULL, \
            &(b).convolution, NULL, 0, 0                                                                               \
    }
/* which stages there are, */
#define CMD_STAGE_OPTIONS(b)                                                                                           \
    {"stages", "N", "how many, or auto: what is fastest in a pipeline", NULL, &(b).stages, NULL, 0, 0},                \
        {"workers", "N",  "threads of that pipeline, for --stages=auto (default: all processors)",                     \
         NULL,      NULL, &(b).workers,                                                                                \
         1,         1024},                                                                                             \
    {                                                                                                                  \
        "balance", "WHAT", "what N stages share equally: time (default), flops, memory, parameters", NULL,             \
            &(b).balance, NULL, 0, 0                                                                                   \
    }
/* what is changed of the YAML, */
#define CMD_SET_OPTION(b)                                                                                              \
    {                                                                                                                  \
        "set", "KEY=VALUE", "another value in the YAML's place: train.epochs=3, layers.dense1.units=64", NULL,         \
            (b).changes, NULL, 0, CMD_MOST_CHANGES                                                                     \
    }
/* and all. */
#define CMD_BUILD_OPTIONS(b)                                                                                           \
    CMD_SET_OPTION(b), CMD_TARGET_OPTIONS(b),                                                                          \
        {"partition",                                                                                                  \
         "HOW",                                                                                                        \
         "fused: one step, end to end; staged: a function a stage; auto: stages cut by cost",                          \
         NULL,                                                                                                         \
         &(b).partition,                                                                                               \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0},                                                                                                           \
        CMD_STAGE_OPTIONS(b),                                                                                          \
        {"part", "NAME", "of a net with local stages: that stage's own net", NULL, &(b).part, NULL, 0, 0},             \
        {"disable-pass", "LIST", "leave optional passes out (names with commas)", NULL, &(b).disabled, NULL, 0, 0},    \
        {"dump-after", "PASS", "print the module after this pass, or after all", NULL, &(b).dump_after, NULL, 0, 0},   \
        {"dump-dir", "DIR", "write dumps as files there", NULL, &(b).dump_dir, NULL, 0, 0},                            \
        {"autotune", NULL, "choose tiles by measuring, on this machine", &(b).autotune, NULL, NULL, 0, 0},             \
        {"dump-locations", NULL, "with source locations", &(b).dump_locations, NULL, NULL, 0, 0},                      \
        {"remarks", NULL, "say what passes did and did not do", &(b).remarks, NULL, NULL, 0, 0},                       \
    {                                                                                                                  \
        "time-passes", NULL, "print how long each step took", &(b).time_passes, NULL, NULL, 0, 0                       \
    }

/* The module of a YAML network or an IR text, target and options set, before any pass it has not seen. *net is the
 * network's description for YAML (living in mem), NULL for IR. NULL after errors. */
ir_module *cmd_load(const char *path, const cmd_build *b, arena *mem, fe_network **net, diag *d);

/* False, after an error in d, for a net whose stages learn on their own: how they are cut is part of what it learns. */
bool cmd_learns_together(const fe_network *net, diag *d);

/* The same of a network that has been read. */
ir_module *cmd_module(const fe_network *net, const cmd_build *b, diag *d);

/* The options of a run of the passes, but for dumps and timing: what is disabled, and --autotune. */
pass_options cmd_pass_options(const cmd_build *b);
/* A hook after pass select: measure plans for the module's contractions and write the fastest into it; 'build' is the
 * cmd_build. False after an error in d. */
bool cmd_autotune(ir_module *m, void *build, diag *d);

/* mkdir -p; false after an error in d. */
bool cmd_make_directories(const char *path, diag *d);

/* Run the passes that are left, printing dumps and times to stdout and stderr. False after errors. */
bool cmd_run_passes(ir_module *m, const cmd_build *b, diag *d);

/* ---- subcommands: argc, argv without "lamina NAME" ---- */
int cmd_check(int argc, char **argv);
int cmd_compile(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_sweep_values(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_partition(int argc, char **argv);
int cmd_summary(int argc, char **argv);
int cmd_data(int argc, char **argv);
int cmd_schema(int argc, char **argv);

#endif
