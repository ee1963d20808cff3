/* runtime/files/safetensors_write.c - write a weights file: safetensors.c says what one looks like. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/files/format.h"
#include "runtime/files/safetensors.h"
#include "runtime/model/model.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

typedef struct {
    int fd;
    const char *path;
    uLong crc; /* of all that was written */
    lamina_error *e;
} writer;

static lamina_status write_all(writer *w, const void *data, size_t bytes)
{
    const char *p = data;
    w->crc = crc32_z(w->crc, data, bytes);
    while (bytes > 0) {
        ssize_t n = write(w->fd, p, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return lamina_fail(w->e, LAMINA_IO, "%s: cannot write: %s", w->path, strerror(errno));
        p += n;
        bytes -= (size_t)n;
    }
    return LAMINA_OK;
}

static bool is_written(const lamina_tensor_set *set, int32_t tensor)
{
    return !set->written || set->written(set->user, tensor);
}

static json_t *shape_of(const lamina_tensor *t)
{
    json_t *shape = json_array();
    for (int32_t i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->dim[i]));
    return shape;
}

/* The header's object, or NULL without memory: jansson passes a failed part on as a failed whole. */
static json_t *make_header(const lamina_tensor_set *set, const lamina_metadata *metadata, int count)
{
    json_t *header = json_object();
    json_t *words = json_object();
    int failed = json_object_set_new(words, "crc32", json_string(LAMINA_NO_CHECKSUM));
    for (int i = 0; i < count; i++)
        failed |= json_object_set_new(words, metadata[i].key, json_string(metadata[i].value));
    failed |= json_object_set_new(header, "__metadata__", words);
    uint64_t offset = 0;
    for (size_t size = 8; size > 0; size /= 2) {
        for (int32_t i = 0; i < set->count; i++) {
            const lamina_tensor *t = &set->tensors[i];
            if (lamina_dtype_bytes(t->dtype) != size || !is_written(set, i))
                continue;
            json_t *shape = shape_of(t);
            failed |= (int32_t)json_array_size(shape) != t->rank;
            json_t *entry =
                json_pack("{s:s, s:o, s:[I,I]}", "dtype", lamina_safetensors_dtypes[t->dtype], "shape", shape,
                          "data_offsets", (json_int_t)offset, (json_int_t)offset + (json_int_t)t->bytes);
            failed |= json_object_set_new(header, t->name, entry);
            offset += t->bytes;
        }
    }
    if (!failed)
        return header;
    json_decref(header);
    return NULL;
}

/* Takes the text of a JSON value. jansson does not hand on every failure of its sink, so the sink keeps it. */
typedef struct {
    writer *to; /* NULL: count only */
    uint64_t length;
    lamina_status status;
} sink;

static int take(const char *text, size_t length, void *user)
{
    sink *k = user;
    k->length += length;
    if (k->to && !k->status)
        k->status = write_all(k->to, text, length);
    return k->status ? -1 : 0;
}

static lamina_status write_json(const json_t *header, sink *k, const writer *w)
{
    if (json_dump_callback(header, take, k, JSON_COMPACT) && !k->status)
        k->status = lamina_fail(w->e, LAMINA_NO_MEMORY, "%s: out of memory for the header", w->path);
    return k->status;
}

static lamina_status write_header(writer *w, const lamina_tensor_set *set, const lamina_metadata *metadata, int count)
{
    json_t *header = make_header(set, metadata, count);
    if (!header)
        return lamina_fail(w->e, LAMINA_NO_MEMORY, "%s: out of memory for the header", w->path);
    sink counted = {0}, written = {.to = w};
    lamina_status s = write_json(header, &counted, w);
    uint64_t padded = (counted.length + 7) / 8 * 8;
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++)
        prefix[i] = (unsigned char)(padded >> (8 * i));
    if (!s && !(s = write_all(w, prefix, sizeof prefix)) && !(s = write_json(header, &written, w)))
        s = write_all(w, "       ", padded - counted.length);
    json_decref(header);
    return s;
}

/* In place of the zeros that stand there until everything else is written. */
static lamina_status write_checksum(const writer *w)
{
    char digits[LAMINA_DIGITS + 1];
    snprintf(digits, sizeof digits, "%08lx", w->crc & 0xffffffff);
    if (pwrite(w->fd, digits, LAMINA_DIGITS, 8 + LAMINA_DIGITS_AT) != LAMINA_DIGITS)
        return lamina_fail(w->e, LAMINA_IO, "%s: cannot write: %s", w->path, strerror(errno));
    return LAMINA_OK;
}

static lamina_status write_tensors(writer *w, const lamina_tensor_set *set)
{
    size_t largest = lamina_largest_of(set->tensors, set->count);
    void *plain = lamina_allocate(1, largest);
    if (!plain)
        return lamina_fail_memory(w->e, w->path, largest);
    lamina_status s = LAMINA_OK;
    for (size_t size = 8; size > 0; size /= 2) {
        for (int32_t i = 0; !s && i < set->count; i++) {
            const lamina_tensor *t = &set->tensors[i];
            if (lamina_dtype_bytes(t->dtype) != size || !is_written(set, i))
                continue;
            if (!(s = set->get(set->user, i, plain, w->e)))
                s = write_all(w, plain, t->bytes);
        }
    }
    lamina_release(plain);
    return s;
}

static void sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash)
        slash[slash == path] = 0;
    int fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    fsync(fd); /* some file systems cannot; the file itself is safe by then */
    close(fd);
}

/* A new file beside `path`, so that the move stays within one file system; its name goes to `temporary`. Not mkstemp,
 * whose files nobody else may read. */
static int create_beside(const char *path, char *temporary, size_t size)
{
    int fd = -1;
    for (int i = 0; fd < 0 && i < 100; i++) {
        snprintf(temporary, size, "%s.%ld-%d.tmp", path, (long)getpid(), i);
        fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            return -1;
    }
    return fd;
}

lamina_status lamina_safetensors_write(const lamina_tensor_set *set, const char *path, const lamina_metadata *metadata,
                                       int count, lamina_error *e)
{
    size_t n = strlen(path) + 40;
    char *temporary = lamina_allocate(n, 1);
    if (!temporary)
        return lamina_fail_memory(e, path, n);
    int fd = create_beside(path, temporary, n);
    if (fd < 0) {
        lamina_release(temporary);
        return lamina_fail(e, LAMINA_IO, "%s: cannot create: %s", path, strerror(errno));
    }
    writer w = {fd, path, crc32_z(0, NULL, 0), e};
    lamina_status s = write_header(&w, set, metadata, count);
    if (!s && !(s = write_tensors(&w, set)))
        s = write_checksum(&w);
    bool lost = !s && fsync(fd) != 0;
    lost |= close(fd) != 0 && !s;
    if (!s && (lost || rename(temporary, path) != 0))
        s = lamina_fail(e, LAMINA_IO, "%s: cannot write: %s", path, strerror(errno));
    if (s)
        unlink(temporary);
    else
        sync_folder(temporary);
    lamina_release(temporary);
    return s;
}

lamina_status lamina_save_weights(lamina_model *m, const char *path, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_save_weights", "m path", m, path);
    if (s)
        return s;
    const lamina_tensor_set set = lamina_tensors_to_write(m);
    return lamina_safetensors_write(&set, path, NULL, 0, e);
}
