/* frontend/command/interrupt.c - Ctrl-C as a flag. */
#include "frontend/command/cmd.h"
#include <signal.h>

/* The only global of the driver, as signals have no other way in. */
static volatile int32_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

const volatile int32_t *cmd_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return &interrupted;
}
