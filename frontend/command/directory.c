/* frontend/command/directory.c - the directory of a training run: one process at a time, and nothing half written.
 *
 * Whoever writes a file makes it as FILE.PID-SOMETHING and renames it when it is whole (runtime/files/safetensors.c,
 * backend/library/link.c). One that was killed leaves that behind; the process number tells that it may go. */
#include "frontend/command/directory.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const src_loc nowhere = {0};

/* ---- one process at a time ---- */

/* A record lock, as the system then tells whose it is, and drops it whatever way its owner ends. False: *owner has it,
 * 0 if it is on another machine. */
static bool take_lock(int fd, pid_t *owner)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    for (;;) {
        if (fcntl(fd, F_SETLK, &lock) == 0 || (errno != EACCES && errno != EAGAIN))
            return true;
        struct flock found = lock;
        if (fcntl(fd, F_GETLK, &found) == 0 && found.l_type != F_UNLCK) {
            *owner = found.l_pid;
            return false;
        }
    }
}

bool cmd_lock_directory(const char *dir, diag *d)
{
    text path = {0};
    text_printf(&path, "%s/.lock", dir);
    pid_t owner;
    int fd = open(text_get(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    bool ok = fd >= 0 && take_lock(fd, &owner); /* it stays open until the process ends */
    if (fd < 0) {
        diag_error(d, nowhere, "%s: cannot be opened: %s", text_get(&path), strerror(errno));
    } else if (!ok) {
        diag_error(d, nowhere, "%s: process %ld is training there: wait until it ends, or name another --out", dir,
                   (long)owner);
        close(fd);
    }
    text_free(&path);
    return ok;
}

/* ---- nothing half written ---- */

static bool is_alive(long pid)
{
    return pid != (long)getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

/* Is an entry of the directory NAME.PID-SOMETHING of a process that is dead? */
static bool is_left(const char *entry, const char *name)
{
    size_t n = strlen(name);
    if (strncmp(entry, name, n) != 0 || entry[n] != '.' || entry[n + 1] < '1' || entry[n + 1] > '9')
        return false;
    char *end;
    errno = 0;
    long pid = strtol(entry + n + 1, &end, 10);
    return !errno && pid <= INT32_MAX && *end == '-' && !is_alive(pid);
}

void cmd_sweep(const char *dir, const char *name)
{
    DIR *folder = opendir(dir);
    for (const struct dirent *e; folder && (e = readdir(folder));)
        if (is_left(e->d_name, name))
            unlinkat(dirfd(folder), e->d_name, 0); /* not of a folder, which is not ours */
    if (folder)
        closedir(folder);
}
