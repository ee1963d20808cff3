/* tests/unit/shell.c - shell commands in a directory; see shell.h. */
#include "tests/unit/shell.h"
#include <CUnit/CUnit.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

char directory[64];

int open_directory(void)
{
    strcpy(directory, "/tmp/lamina-test-XXXXXX");
    return mkdtemp(directory) ? 0 : 1;
}

int remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static text in_directory(const char *format, va_list arguments)
{
    text command = {0};
    text_printf(&command, "cd %s && ", directory);
    text_vprintf(&command, format, arguments);
    return command;
}

static int exit_code(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text command = in_directory(format, arguments);
    va_end(arguments);
    int status = system(text_get(&command));
    text_free(&command);
    return exit_code(status);
}

int run_into(text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text command = in_directory(format, arguments);
    va_end(arguments);
    FILE *f = popen(text_get(&command), "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        text_add_bytes(out, buffer, n);
    text_free(&command);
    return exit_code(pclose(f));
}
