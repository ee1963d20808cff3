/* runtime/files/safetensors.c - weights files.
 *
 *     8 bytes: length of the header, little-endian | header: JSON, padded with spaces to 8 bytes | tensors
 *     {"__metadata__": {"crc32": "7c9f3a05", ...},
 *      "dense1.weight": {"dtype": "F32", "shape": [784, 128], "data_offsets": [0, 401408]}, ...}
 *
 * The checksum is the CRC-32 of the whole file, taken as if its own digits were zeros. It always stands at the same
 * place and counts only there: files that other programs made have none.
 *
 * The format allows no holes between tensors, so those of 8-byte elements come first, then those of 4, then of 1, each
 * in the descriptor's order: every tensor is aligned to its element. */
#include "runtime/files/safetensors.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/memory.h"
#include "runtime/files/format.h"
#include "runtime/model/model.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { UNKNOWN = -1 };
enum { MAX_HEADER = 100 * 1000 * 1000 }; /* as other readers of the format have it */

const char *const lamina_safetensors_dtypes[] = {
    [LAMINA_F32] = "F32",  [LAMINA_F64] = "F64", [LAMINA_I32] = "I32", [LAMINA_I64] = "I64",
    [LAMINA_UI32] = "U32", [LAMINA_UI8] = "U8",  [LAMINA_I1] = "BOOL",
};

static lamina_status read_all(int fd, const char *path, void *data, size_t bytes, uint64_t at, lamina_error *e)
{
    char *p = data;
    while (bytes > 0) {
        ssize_t n = pread(fd, p, bytes, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return lamina_fail(e, LAMINA_IO, "%s: cannot read: %s", path,
                               n < 0 ? strerror(errno) : "it became shorter");
        p += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return LAMINA_OK;
}

typedef struct {
    uint64_t begin, end; /* in the data */
    int32_t tensor;      /* UNKNOWN: of somebody else */
} entry;

typedef struct {
    const lamina_tensor_set *set;
    const char *path;
    int fd;
    uint64_t data_at, data_bytes;
    uLong crc;                        /* of what was read so far */
    char checksum[LAMINA_DIGITS + 1]; /* as the file says; empty: it has none */
    json_t *header;
    entry *entries;
    int32_t count;
    int32_t known;     /* entries that are of the set */
    char differs[640]; /* tensors of another shape, where all are named at once */
} reader;

static lamina_status open_reader(reader *r, lamina_error *e)
{
    unsigned char prefix[8];
    uint64_t bytes, length = 0;
    lamina_status s = lamina_open_regular(r->path, &r->fd, &bytes, e);
    if (s)
        return s;
    if (bytes < sizeof prefix)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: not a safetensors file: expected 8 bytes or more, found %" PRIu64,
                           r->path, bytes);
    if ((s = read_all(r->fd, r->path, prefix, sizeof prefix, 0, e)))
        return s;
    for (int i = 0; i < 8; i++)
        length |= (uint64_t)prefix[i] << (8 * i);
    if (length > bytes - sizeof prefix || length > MAX_HEADER)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: not a safetensors file, or truncated: expected a header of %" PRIu64
                           " bytes, found a file of %" PRIu64,
                           r->path, length, bytes);
    r->crc = crc32_z(crc32_z(0, NULL, 0), prefix, sizeof prefix);
    r->data_at = sizeof prefix + length;
    r->data_bytes = bytes - r->data_at;
    return LAMINA_OK;
}

/* Put zeros in place of the checksum, and go on with the file's as it was made. */
static void take_checksum(reader *r, char *header, size_t length)
{
    if (length >= LAMINA_DIGITS_AT + LAMINA_DIGITS && memcmp(header, LAMINA_BEFORE_CHECKSUM, LAMINA_DIGITS_AT) == 0) {
        memcpy(r->checksum, header + LAMINA_DIGITS_AT, LAMINA_DIGITS);
        memcpy(header + LAMINA_DIGITS_AT, LAMINA_NO_CHECKSUM, LAMINA_DIGITS);
    }
    r->crc = crc32_z(r->crc, (const Bytef *)header, length);
}

static lamina_status check_data(reader *r, lamina_error *e)
{
    unsigned char some[1 << 14];
    lamina_status s = LAMINA_OK;
    for (uint64_t at = 0, n; !s && r->checksum[0] && at < r->data_bytes; at += n) {
        n = r->data_bytes - at < sizeof some ? r->data_bytes - at : sizeof some;
        s = read_all(r->fd, r->path, some, n, r->data_at + at, e);
        r->crc = s ? r->crc : crc32_z(r->crc, some, n);
    }
    char found[LAMINA_DIGITS + 1];
    snprintf(found, sizeof found, "%08lx", r->crc & 0xffffffff);
    if (s || !r->checksum[0] || strcmp(found, r->checksum) == 0)
        return s;
    return lamina_fail(e, LAMINA_BAD_FILE, "%s: damaged or truncated: expected the checksum %s, found %s", r->path,
                       r->checksum, found);
}

static lamina_status parse_header(reader *r, lamina_error *e)
{
    size_t length = r->data_at - 8;
    char *text = lamina_allocate(length, 1);
    if (!text)
        return lamina_fail_memory(e, r->path, length);
    lamina_status s = read_all(r->fd, r->path, text, length, 8, e);
    json_error_t error = {0};
    if (!s)
        take_checksum(r, text, length);
    if (!s && !(s = check_data(r, e)) && !(r->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error)))
        s = !error.text[0] || json_error_code(&error) == json_error_out_of_memory /* some paths leave no text */
                ? lamina_fail(e, LAMINA_NO_MEMORY, "%s: out of memory for the header", r->path)
                : lamina_fail(e, LAMINA_BAD_FILE, "%s: header, byte %d: %s", r->path, error.position, error.text);
    if (!s && !json_is_object(r->header))
        s = lamina_fail(e, LAMINA_BAD_FILE, "%s: header: expected a JSON object", r->path);
    lamina_release(text);
    return s;
}

/* "F32[784, 10]" as the file has it. */
static void file_shape(const char *dtype, const json_t *shape, char *out, size_t size)
{
    size_t at = (size_t)snprintf(out, size, "%s[", dtype);
    for (size_t i = 0; i < json_array_size(shape) && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "",
                               json_integer_value(json_array_get(shape, i)));
    if (at < size)
        snprintf(out + at, size - at, "]");
}

static bool same_shape(const lamina_tensor *t, const char *dtype, const json_t *shape)
{
    bool same = strcmp(dtype, lamina_safetensors_dtypes[t->dtype]) == 0 && json_array_size(shape) == (size_t)t->rank;
    for (int32_t i = 0; same && i < t->rank; i++) {
        const json_t *dim = json_array_get(shape, (size_t)i);
        same = json_is_integer(dim) && json_integer_value(dim) == t->dim[i];
    }
    return same;
}

/* The same of a tensor here. */
static void own_shape(const lamina_tensor *t, char *out, size_t size)
{
    char words[128];
    lamina_shape_text(t->dtype, t->rank, t->dim, -1, words, sizeof words);
    snprintf(out, size, "%s%s", lamina_safetensors_dtypes[t->dtype], strchr(words, '['));
}

static lamina_status fail_shape(reader *r, const lamina_tensor *t, const char *dtype, const json_t *shape,
                                lamina_error *e)
{
    char want[160], found[160];
    own_shape(t, want, sizeof want);
    file_shape(dtype, shape, found, sizeof found);
    if (!r->set->some)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: tensor '%s': expected %s, found %s", r->path, t->name, want, found);
    size_t at = strlen(r->differs);
    snprintf(r->differs + at, sizeof r->differs - at, "%s'%s' expected %s, found %s", at ? "; " : "", t->name, want,
             found);
    return LAMINA_OK;
}

/* The part of 'name' behind 'prefix', NULL being none; NULL: it begins otherwise. */
static const char *behind(const char *name, const char *prefix)
{
    size_t n = prefix ? strlen(prefix) : 0;
    return !n || strncmp(name, prefix, n) == 0 ? name + n : NULL;
}

/* The tensor here that the file's of that name is. */
static int32_t find_tensor(const lamina_tensor_set *set, const char *name)
{
    const char *there = behind(name, set->from);
    for (int32_t i = 0; there && i < set->count; i++) {
        const char *here = behind(set->tensors[i].name, set->to);
        if (here && strcmp(here, there) == 0)
            return !set->counts || set->counts(set->user, i) ? i : UNKNOWN;
    }
    return UNKNOWN;
}

/* Has the file a tensor for this one here? */
static bool is_there(const reader *r, const lamina_tensor *t)
{
    const char *here = behind(t->name, r->set->to), *from = r->set->from ? r->set->from : "";
    char name[512];
    return here && (size_t)snprintf(name, sizeof name, "%s%s", from, here) < sizeof name &&
           json_object_get(r->header, name);
}

/* Tell of an entry that is not taken. States of training, as checkpoints hold them, are nobody's loss: those of layers
 * have a slash in their names, counters and sums no dimensions. */
static void tell_entry(const reader *r, const char *name, const json_t *value, const lamina_tensor *t)
{
    const json_t *shape = json_object_get(value, "shape");
    char here[160], there[160];
    if (!r->set->mismatch || !behind(name, r->set->from) || (!t && (strchr(name, '/') || json_array_size(shape) == 0)))
        return;
    file_shape(json_string_value(json_object_get(value, "dtype")), shape, there, sizeof there);
    if (t)
        own_shape(t, here, sizeof here);
    const lamina_mismatch m = {t ? t->name : name, t ? here : NULL, there};
    r->set->mismatch(r->set->listener, &m);
}

static void tell_missing(const reader *r)
{
    const lamina_tensor_set *set = r->set;
    char here[160];
    for (int32_t i = 0; set->mismatch && i < set->count; i++) {
        if ((set->counts && !set->counts(set->user, i)) || is_there(r, &set->tensors[i]))
            continue;
        own_shape(&set->tensors[i], here, sizeof here);
        const lamina_mismatch m = {set->tensors[i].name, here, NULL};
        set->mismatch(set->listener, &m);
    }
}

/* Where the data of an entry lie. */
static lamina_status read_offsets(reader *r, const char *name, const json_t *value, entry *out, lamina_error *e)
{
    const json_t *dtype = json_object_get(value, "dtype"), *shape = json_object_get(value, "shape");
    const json_t *offsets = json_object_get(value, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (!json_is_string(dtype) || !json_is_array(shape) || json_array_size(offsets) != 2 || !json_is_integer(begin) ||
        !json_is_integer(end))
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: tensor '%s': expected a dtype, a shape and two data_offsets",
                           r->path, name);
    const lamina_tensor *t = out->tensor == UNKNOWN ? NULL : &r->set->tensors[out->tensor];
    bool same = !t || same_shape(t, json_string_value(dtype), shape);
    if (r->set->mismatch && (!t || !same)) {
        tell_entry(r, name, value, t);
        out->tensor = UNKNOWN;
        t = NULL;
    } else if (!same) {
        lamina_status s = fail_shape(r, t, json_string_value(dtype), shape, e);
        if (s)
            return s;
    }
    json_int_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (t && same && (uint64_t)(to - from) != t->bytes))
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: tensor '%s': expected data_offsets that are %" PRIu64
                           " bytes apart, found %" JSON_INTEGER_FORMAT " .. %" JSON_INTEGER_FORMAT,
                           r->path, name, t ? t->bytes : 0, from, to);
    if ((uint64_t)to > r->data_bytes)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "%s: truncated: tensor '%s' ends at byte %" JSON_INTEGER_FORMAT
                           " of the data, found %" PRIu64 " bytes",
                           r->path, name, to, r->data_bytes);
    out->begin = (uint64_t)from;
    out->end = (uint64_t)to;
    return LAMINA_OK;
}

static lamina_status read_entry(reader *r, const char *name, const json_t *value, lamina_error *e)
{
    entry x = {.tensor = find_tensor(r->set, name)};
    if (x.tensor == UNKNOWN && !r->set->some && name[0] != '/')
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: tensor '%s': network '%s' has none of that name", r->path, name,
                           r->set->owner);
    lamina_status s = read_offsets(r, name, value, &x, e);
    if (s)
        return s;
    r->known += x.tensor != UNKNOWN;
    r->entries[r->count++] = x;
    return LAMINA_OK;
}

static int by_begin(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The format has every byte of data in one tensor. */
static lamina_status check_cover(reader *r, lamina_error *e)
{
    uint64_t at = 0;
    qsort(r->entries, (size_t)r->count, sizeof *r->entries, by_begin);
    for (int32_t i = 0; i < r->count; i++) {
        const entry *x = &r->entries[i];
        if (x->begin != at)
            return lamina_fail(
                e, LAMINA_BAD_FILE, "%s: tensor '%s': expected it at byte %" PRIu64 " of the data, found %" PRIu64,
                r->path, x->tensor == UNKNOWN ? "of another network" : r->set->tensors[x->tensor].name, at, x->begin);
        at = x->end;
    }
    if (at != r->data_bytes)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected %" PRIu64 " bytes of data, found %" PRIu64, r->path, at,
                           r->data_bytes);
    return LAMINA_OK;
}

static lamina_status check_complete(const reader *r, lamina_error *e)
{
    const lamina_tensor_set *set = r->set;
    if (r->differs[0])
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: tensors that differ from those of network '%s': %s", r->path,
                           set->owner, r->differs);
    for (int32_t i = 0; !set->mismatch && i < set->count; i++)
        if ((!set->required || set->required(set->user, i)) && !json_object_get(r->header, set->tensors[i].name))
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: tensor '%s' of network '%s' is missing", r->path,
                               set->tensors[i].name, set->owner);
    tell_missing(r);
    if (set->some && r->known == 0)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: none of its tensors has the name%s of one of network '%s'", r->path,
                           set->mismatch ? " and the shape" : "", set->owner);
    return LAMINA_OK;
}

static lamina_status read_entries(reader *r, lamina_error *e)
{
    r->entries = lamina_allocate(json_object_size(r->header), sizeof *r->entries);
    if (!r->entries)
        return lamina_fail_memory(e, r->path, json_object_size(r->header) * sizeof *r->entries);
    const char *name;
    json_t *value;
    json_object_foreach(r->header, name, value)
    {
        lamina_status s = strcmp(name, "__metadata__") == 0 ? LAMINA_OK : read_entry(r, name, value, e);
        if (s)
            return s;
    }
    lamina_status s = check_complete(r, e);
    return s ? s : check_cover(r, e);
}

static lamina_status read_metadata(const reader *r, lamina_metadata *metadata, int count, lamina_error *e)
{
    const json_t *words = json_object_get(r->header, "__metadata__");
    if (count > 0 && !r->checksum[0])
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: not a checkpoint: it does not begin with a checksum", r->path);
    for (int i = 0; i < count; i++) {
        const char *value = json_string_value(json_object_get(words, metadata[i].key));
        if (!value)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: not a checkpoint: its metadata lack '%s'", r->path,
                               metadata[i].key);
        if (strlen(value) >= sizeof metadata[i].value)
            return lamina_fail(e, LAMINA_BAD_FILE, "%s: metadata: '%s': expected less than %zu characters, found %zu",
                               r->path, metadata[i].key, sizeof metadata[i].value, strlen(value));
        strcpy(metadata[i].value, value);
    }
    return LAMINA_OK;
}

static lamina_status load_tensors(reader *r, lamina_error *e)
{
    size_t largest = lamina_largest_of(r->set->tensors, r->set->count);
    void *plain = lamina_allocate(1, largest);
    if (!plain)
        return lamina_fail_memory(e, r->path, largest);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < r->count; i++) {
        const entry *x = &r->entries[i];
        if (x->tensor == UNKNOWN)
            continue;
        s = read_all(r->fd, r->path, plain, x->end - x->begin, r->data_at + x->begin, e);
        if (!s)
            s = r->set->set(r->set->user, x->tensor, plain, e);
    }
    lamina_release(plain);
    return s;
}

lamina_status lamina_safetensors_read(const lamina_tensor_set *set, const char *path, lamina_metadata *metadata,
                                      int count, lamina_accept *accept, void *user, lamina_error *e)
{
    reader r = {.set = set, .path = path, .fd = -1};
    lamina_status s;
    if (!(s = open_reader(&r, e)) && !(s = parse_header(&r, e)) && !(s = read_metadata(&r, metadata, count, e)) &&
        !(s = read_entries(&r, e)) && !(s = accept ? accept(user, metadata, e) : LAMINA_OK))
        s = load_tensors(&r, e);
    lamina_release(r.entries);
    json_decref(r.header);
    if (r.fd >= 0)
        close(r.fd);
    return s;
}

/* The file has passed every check: what is missing now is what it lacks. */
static lamina_status miss_statistics(void *model, const lamina_metadata *metadata, lamina_error *e)
{
    lamina_model *m = model;
    (void)metadata, (void)e;
    for (int32_t i = 0; i < m->net->tensor_count; i++)
        m->missing[i] = lamina_is_statistic(m->net, i);
    return LAMINA_OK;
}

lamina_status lamina_load_weights(lamina_model *m, const char *path, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_load_weights", "m path", m, path);
    if (s)
        return s;
    const lamina_tensor_set set = lamina_tensors_to_read(m, false);
    lamina_watch_settle(m);
    return lamina_safetensors_read(&set, path, NULL, 0, miss_statistics, m, e);
}
