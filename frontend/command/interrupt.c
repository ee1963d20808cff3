/* frontend/command/interrupt.c - signals as flags.
 *
 * SIGINT, SIGTERM, SIGHUP (the terminal was closed) and SIGXCPU (the limit of processor time) ask to end soon, and for
 * training SIGUSR1 asks to save. Only Ctrl-C once more ends at once: the others come repeatedly where nobody is
 * impatient, SIGXCPU each second and SIGHUP from shell and kernel. */
#include "frontend/command/cmd.h"
#include <signal.h>
#include <time.h>

/* The only globals of the driver, as signals have no other way in. */
static volatile int32_t interrupted, save_asked;
static struct timespec first;

/* timeout(1) and terminals may send the same Ctrl-C to a process and to its group. */
static const double same_key_seconds = 0.3;

static void on_end(int number)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double since = (double)(t.tv_sec - first.tv_sec) + 1e-9 * (double)(t.tv_nsec - first.tv_nsec);
    if (!interrupted) {
        first = t;
        interrupted = number;
    } else if (number == SIGINT && since > same_key_seconds) {
        signal(SIGINT, SIG_DFL);
        raise(SIGINT); /* taken when this returns */
    }
}

static void on_save(int number)
{
    save_asked = number;
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}; /* files are read and written whole */
    sigaction(number, &action, NULL);
}

const volatile int32_t *cmd_catch_interrupts(void)
{
    struct sigaction before;
    handle(SIGINT, on_end);
    handle(SIGTERM, on_end);
    handle(SIGXCPU, on_end);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* nohup means it */
        handle(SIGHUP, on_end);
    return &interrupted;
}

void cmd_catch_for_training(void)
{
    handle(SIGUSR1, on_save);
    handle(SIGPIPE, SIG_IGN);
    handle(SIGXFSZ, SIG_IGN);
}

bool cmd_save_asked(void)
{
    bool asked = save_asked != 0;
    save_asked = 0;
    return asked;
}
