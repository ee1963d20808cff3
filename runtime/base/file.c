/* runtime/base/file.c - open regular files for reading; directories, pipes and devices are refused. */
#include "runtime/base/file.h"
#include "runtime/base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

lamina_status lamina_open_regular(const char *path, int *fd, uint64_t *bytes, lamina_error *e)
{
    struct stat info;
    /* Without O_NONBLOCK a FIFO would wait here for somebody to write to it. */
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0)
        return lamina_fail(e, LAMINA_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) {
        *bytes = (uint64_t)info.st_size;
        return LAMINA_OK;
    }
    close(*fd);
    *fd = -1;
    return lamina_fail(e, LAMINA_IO, "%s: expected a regular file", path);
}
