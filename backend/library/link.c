/* backend/library/link.c - write files; run the system's linker.
 *
 * Whatever happens, nothing half done stays: files are made under a temporary name in the output's own folder and
 * renamed at the end, so that a running program never sees half a library either. */
#include "backend/library/link.h"
#include "runtime/lamina_abi.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

enum { PATH_SIZE = 4096 };

/* ---- files ---- */

static const src_loc nowhere = {0};

/* The process is named so that others can tell what a dead one left behind. A linker would take a name that begins with
 * a dash for an option, hence the "./". */
static bool temporary_name(const char *path, const char *ending, char out[PATH_SIZE], diag *d)
{
    const char *folder = path[0] == '-' ? "./" : "";
    int n = snprintf(out, PATH_SIZE, "%s%s.%ld-XXXXXX%s", folder, path, (long)getpid(), ending);
    if (n < PATH_SIZE)
        return true;
    diag_error(d, nowhere, "cannot write '%.60s...': the path is too long", path);
    return false;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

/* What a file made by open() would get; mkstemp's are private. */
static mode_t usual_mode(mode_t wanted)
{
    mode_t mask = umask(0);
    umask(mask);
    return wanted & ~mask;
}

/* A new temporary file beside 'path' that holds the bytes; its name goes to 'out'. */
static bool write_temporary(const char *path, const char *ending, const void *bytes, size_t size, char out[PATH_SIZE],
                            diag *d)
{
    if (!temporary_name(path, ending, out, d))
        return false;
    int fd = mkstemps(out, (int)strlen(ending));
    if (fd < 0) {
        diag_error(d, nowhere, "cannot write '%s': %s", path, strerror(errno));
        return false;
    }
    bool ok = write_all(fd, bytes, size) && fchmod(fd, usual_mode(0666)) == 0;
    int problem = errno;
    if (close(fd) != 0 && ok) {
        ok = false;
        problem = errno;
    }
    if (!ok) {
        diag_error(d, nowhere, "cannot write '%s': %s", path, strerror(problem));
        unlink(out);
    }
    return ok;
}

static bool take_name(const char *temporary, const char *path, diag *d)
{
    if (rename(temporary, path) == 0)
        return true;
    diag_error(d, nowhere, "cannot write '%s': %s", path, strerror(errno));
    unlink(temporary);
    return false;
}

bool be_write_file(const char *path, const void *bytes, size_t size, diag *d)
{
    char temporary[PATH_SIZE];
    return write_temporary(path, "", bytes, size, temporary, d) && take_name(temporary, path, d);
}

/* ---- running a program ---- */

enum { NOT_FOUND = -1, DIED = -2 };

static void read_all(int fd, text *out)
{
    char buffer[1024];
    ssize_t n;
    while ((n = read(fd, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            text_add_bytes(out, buffer, (size_t)n);
}

/* The program's exit status, or NOT_FOUND or DIED; what it says, or why it did not start, goes to 'said'. */
static int run_program(char *const *arguments, text *said)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        text_add(said, strerror(errno));
        return DIED;
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
    pid_t child;
    int problem = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    int status = 0;
    if (problem == 0) {
        read_all(ends[0], said);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(ends[0]);
    if (problem) {
        text_add(said, strerror(problem));
        return problem == ENOENT || problem == EACCES ? NOT_FOUND : DIED;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : DIED;
}

/* ---- linkers ---- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum { MOST_ARGUMENTS = 32 };

/* Arguments of one linker; those of cc go through -Wl, one by one. */
static void linker_arguments(const char *program, const char *soname, char *object, char *output, text joined[2],
                             char *out[MOST_ARGUMENTS])
{
    static char *const direct[] = {
        "-m",          "elf_x86_64",       "-shared",         "-z", "relro", "-z", "now", "-z",
        "noexecstack", "--hash-style=gnu", "--build-id=none", NULL};
    static char *const through_cc[] = {"-shared", "-nostartfiles", "-nostdlib",
                                       "-Wl,-z,relro,-z,now,-z,noexecstack,--hash-style=gnu,--build-id=none", NULL};
    bool cc = strcmp(program, "cc") == 0;
    int n = 0;
    text_add(&joined[0], program);
    out[n++] = joined[0].bytes;
    for (char *const *a = cc ? through_cc : direct; *a; a++)
        out[n++] = *a;
    /* -Xlinker takes a comma in a file's name for what it is, -Wl does not. */
    text_printf(&joined[1], "-soname=%s", soname);
    if (cc)
        out[n++] = "-Xlinker";
    out[n++] = joined[1].bytes;
    out[n++] = "-o";
    out[n++] = output;
    out[n++] = object;
    out[n] = NULL;
}

/* False after an error in d; *found tells whether the program is installed. */
static bool try_linker(const char *program, const char *soname, char *object, char *output, bool *found, diag *d)
{
    text joined[2] = {{0}, {0}}, said = {0};
    char *arguments[MOST_ARGUMENTS];
    linker_arguments(program, soname, object, output, joined, arguments);
    int status = run_program(arguments, &said);
    *found = status != NOT_FOUND;
    bool ok = status == 0;
    if (*found && !ok) {
        const char *words = said.length ? text_get(&said) : "it gave no message";
        diag_error(d, nowhere, "the linker '%s' failed: %.*s", program, (int)strcspn(words, "\n"), words);
    }
    text_free(&joined[0]);
    text_free(&joined[1]);
    text_free(&said);
    return ok;
}

static bool run_linker(const char *soname, char *object, char *output, diag *d)
{
    static const char *const programs[] = {"ld", "ld.lld", "cc"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        bool found;
        bool ok = try_linker(programs[i], soname, object, output, &found, d);
        if (found)
            return ok;
    }
    diag_error(d, nowhere, "no linker is installed, expected ld, ld.lld or cc on the PATH");
    diag_note(d, nowhere, "--emit=archive and --emit=obj need none");
    return false;
}

/* ---- seal ---- */

static bool checksum(int fd, uLong *crc)
{
    unsigned char some[1 << 14];
    ssize_t n;
    while ((n = read(fd, some, sizeof some)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            *crc = crc32_z(*crc, some, (size_t)n);
    return n == 0;
}

/* Whoever loads the library can tell that no bit of it changed (LAMINA_SEAL). */
static bool seal(const char *library, const char *path, diag *d)
{
    char end[LAMINA_SEAL_BYTES] = LAMINA_SEAL;
    uLong crc = crc32_z(0, NULL, 0);
    int fd = open(library, O_RDWR | O_CLOEXEC);
    bool ok = fd >= 0 && checksum(fd, &crc);
    crc = crc32_z(crc, (const Bytef *)end, LAMINA_SEAL_WORD);
    for (int i = 0; i < 4; i++)
        end[LAMINA_SEAL_WORD + i] = (char)(crc >> (8 * i));
    ok = ok && write_all(fd, end, sizeof end);
    if (!ok)
        diag_error(d, nowhere, "cannot write '%s': %s", path, strerror(errno));
    return (fd < 0 || close(fd) == 0) && ok;
}

bool be_link_shared(const char *path, const void *object, size_t size, diag *d)
{
    char object_path[PATH_SIZE], output[PATH_SIZE];
    if (!write_temporary(path, ".o", object, size, object_path, d))
        return false;
    /* The linker overwrites this empty file; making it first keeps the name ours. */
    bool ok = write_temporary(path, "", "", 0, output, d);
    if (ok && !(run_linker(file_name(path), object_path, output, d) && seal(output, path, d))) {
        unlink(output);
        ok = false;
    }
    unlink(object_path);
    if (ok)
        chmod(output, usual_mode(0777));
    return ok && take_name(output, path, d);
}
