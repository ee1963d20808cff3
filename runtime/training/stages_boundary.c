/* runtime/training/stages_boundary.c - a stage's outputs for every record of a data set, kept in memory or in a file.
 *
 * The file is mapped once it is written, and has no name from the moment it is made: however the process ends, nothing
 * of it stays. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/training/stages.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

lamina_boundary *lamina_boundary_find(const lamina_supply *u, int32_t stage, const lamina_dataset *d)
{
    lamina_boundary *b = u->boundaries;
    while (b && (b->stage != stage || b->data != d))
        b = b->next;
    return b;
}

/* ---- life ---- */

static void release_boundary(lamina_stages *s, lamina_boundary *b)
{
    const lamina_net *net = s->parts[b->stage].o.net;
    for (int32_t i = 0; b->records && i < net->output_count; i++) {
        if (b->mapped && b->mapped[i])
            munmap(b->records[i], b->mapped[i]);
        else
            lamina_release(b->records[i]);
    }
    s->bytes -= b->bytes;
    lamina_release(b->records);
    lamina_release(b->mapped);
    lamina_release(b);
}

/* Of validation data, and with what scores are made of. */
static bool serves_scores(const lamina_supply *u, const lamina_boundary *b)
{
    const lamina_part *p = &u->s->parts[b->stage];
    for (int32_t i = 0; p->scored && b->data == u->o->validation && i < p->o.net->output_count; i++)
        if (p->scored[i])
            return true;
    return false;
}

void lamina_boundaries_drop(lamina_supply *u, const bool *marked, bool scored)
{
    for (lamina_boundary **at = &u->boundaries; *at;) {
        lamina_boundary *b = *at;
        if ((marked && !marked[b->stage]) || (!scored && serves_scores(u, b))) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        release_boundary(u->s, b);
    }
}

/* ---- where to ---- */

/* Later stages read it; or scores are made of it, for validation data. */
static bool is_wanted(const lamina_supply *u, const lamina_part *p, int32_t output, const lamina_dataset *d)
{
    return p->wanted[output] || (d == u->o->validation && p->scored && p->scored[output]);
}

/* Of all outputs that are wanted. */
static uint64_t boundary_bytes(const lamina_supply *u, const lamina_part *p, const lamina_dataset *d)
{
    uint64_t bytes = 0, count = (uint64_t)lamina_dataset_count(d);
    for (int32_t i = 0; i < p->o.net->output_count; i++)
        bytes += is_wanted(u, p, i, d) ? count * p->o.net->outputs[i].bytes : 0;
    return bytes;
}

/* What the system would give without taking it from somebody, in bytes. */
static uint64_t free_memory(void)
{
    uint64_t kilobytes = 0;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %" SCNu64, &kilobytes) == 1)
            break;
    if (f)
        fclose(f);
    return kilobytes * 1024;
}

static uint64_t room(const lamina_supply *u)
{
    uint64_t held = 0;
    if (!u->o->cache_bytes)
        return free_memory() / 2;
    for (const lamina_boundary *b = u->boundaries; b; b = b->next)
        held += b->bytes;
    return u->o->cache_bytes > held ? u->o->cache_bytes - held : 0;
}

static lamina_cache choose(const lamina_supply *u, const lamina_part *p, const lamina_dataset *d)
{
    if (u->o->cache != LAMINA_CACHE_AUTO)
        return u->o->cache;
    if (boundary_bytes(u, p, d) <= room(u))
        return LAMINA_CACHE_MEMORY;
    return u->o->cache_directory ? LAMINA_CACHE_DISK : LAMINA_CACHE_NONE;
}

/* ---- in memory ---- */

static lamina_status add_memory(lamina_supply *u, lamina_boundary *b, int32_t output, uint64_t bytes, lamina_error *e)
{
    const lamina_part *p = &u->s->parts[b->stage];
    b->records[output] = lamina_allocate(1, bytes);
    if (!b->records[output])
        return lamina_fail(e, LAMINA_NO_MEMORY,
                           "stage '%s': out of memory: keeping its output '%s' for all records needs %" PRIu64
                           " bytes; it can be kept on disk, or made with each batch",
                           p->o.name, p->o.net->outputs[output].name, bytes);
    b->bytes += bytes;
    lamina_stages_hold(u->s, bytes);
    return LAMINA_OK;
}

/* ---- on disk ---- */

/* Where the file system has no files without names, it has one for a moment. */
static int create_unnamed(const char *directory, char *path, size_t size)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    for (int i = 0; fd < 0 && i < 100; i++) {
        snprintf(path, size, "%s/boundary.%ld-%d.tmp", directory, (long)getpid(), i);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 && errno != EEXIST)
            return -1;
        if (fd >= 0)
            unlink(path);
    }
    return fd;
}

/* Its blocks are taken now, so that a full disk is an error here and no signal later. */
static lamina_status add_file(const lamina_supply *u, lamina_boundary *b, int32_t output, uint64_t bytes,
                              lamina_error *e)
{
    const char *directory = u->o->cache_directory;
    size_t n = strlen(directory) + 64;
    char *path = lamina_allocate(n, 1);
    if (!path)
        return lamina_fail_memory(e, directory, n);
    int fd = create_unnamed(directory, path, n);
    int failed = fd < 0 ? errno : posix_fallocate(fd, 0, (off_t)bytes);
    void *map = failed ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    failed = failed || map != MAP_FAILED ? failed : errno;
    if (fd >= 0)
        close(fd); /* the map keeps the file */
    lamina_status s = LAMINA_OK;
    if (failed)
        s = lamina_fail(e, LAMINA_IO, "%s: cannot keep %" PRIu64 " bytes of boundary values there: %s", directory,
                        bytes, strerror(failed));
    lamina_release(path);
    if (s)
        return s;
    b->records[output] = map;
    b->mapped[output] = bytes;
    return LAMINA_OK;
}

static lamina_status new_boundary(lamina_supply *u, int32_t stage, const lamina_dataset *d, lamina_cache where,
                                  lamina_boundary **out, lamina_error *e)
{
    const lamina_part *p = &u->s->parts[stage];
    size_t outputs = (size_t)p->o.net->output_count;
    int64_t count = lamina_dataset_count(d);
    lamina_boundary *b = *out = lamina_allocate(1, sizeof *b);
    if (!b)
        return lamina_fail_memory(e, p->o.name, sizeof *b);
    b->stage = stage;
    b->data = d;
    b->records = lamina_allocate(outputs, sizeof *b->records);
    b->mapped = lamina_allocate(outputs, sizeof *b->mapped);
    if (!b->records || !b->mapped)
        return lamina_fail_memory(e, p->o.name, outputs * sizeof *b->records);
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && i < p->o.net->output_count; i++) {
        uint64_t bytes = (uint64_t)count * p->o.net->outputs[i].bytes;
        if (is_wanted(u, p, i, d))
            s = where == LAMINA_CACHE_DISK ? add_file(u, b, i, bytes, e) : add_memory(u, b, i, bytes, e);
    }
    return s;
}

/* ---- filling ---- */

static void keep(const lamina_supply *u, lamina_boundary *b, const lamina_flow *f, int64_t first, int64_t count)
{
    const lamina_net *net = u->s->parts[b->stage].o.net;
    for (int32_t i = 0; i < net->output_count; i++) {
        uint64_t bytes = net->outputs[i].bytes;
        if (b->records[i])
            memcpy(b->records[i] + (uint64_t)first * bytes, f->producers[b->stage].outputs[i], (uint64_t)count * bytes);
    }
}

static lamina_status fill(lamina_supply *u, lamina_boundary *b, lamina_flow *f, lamina_error *e)
{
    int64_t records = lamina_dataset_count(b->data);
    lamina_status s = LAMINA_OK;
    for (int64_t first = 0; !s && first < records; first += f->batch) {
        int64_t left = records - first, count = left < f->batch ? left : f->batch;
        if (u->o->stop && *u->o->stop)
            return lamina_fail(e, LAMINA_INTERRUPTED, "stage '%s': interrupted while its outputs were made",
                               u->s->parts[b->stage].o.name);
        if (!(s = lamina_flow_run(f, NULL, first, count, e)))
            keep(u, b, f, first, count);
    }
    return s;
}

/* A number that changes with any bit of it, and is not 0. */
static int64_t print_of(const lamina_supply *u, const lamina_boundary *b)
{
    const lamina_net *net = u->s->parts[b->stage].o.net;
    uint64_t records = (uint64_t)lamina_dataset_count(b->data), print = 0;
    for (int32_t i = 0; i < net->output_count; i++)
        if (b->records[i])
            print =
                print * 31 + crc32_z(crc32(0, NULL, 0), (const Bytef *)b->records[i], records * net->outputs[i].bytes);
    return (int64_t)(print >> 1 | 1);
}

/* A run that goes on makes the values that it had. */
static lamina_status check_print(lamina_supply *u, const lamina_boundary *b, lamina_error *e)
{
    lamina_part *p = &u->s->parts[b->stage];
    int64_t print = b->data == u->train ? print_of(u, b) : 0;
    if (p->print && print && p->print != print)
        return lamina_fail(e, LAMINA_BAD_FILE,
                           "stage '%s': its outputs are not those that it had before the run was interrupted "
                           "(fingerprint %" PRId64 ", now %" PRId64 "): was it another machine or build?",
                           p->o.name, p->print, print);
    p->print = print ? print : p->print;
    return LAMINA_OK;
}

static lamina_status make_all(lamina_supply *u, lamina_boundary *b, lamina_error *e)
{
    lamina_flow f = {0};
    bool *stages = lamina_allocate((size_t)u->s->count, sizeof *stages);
    if (!stages)
        return lamina_fail_memory(e, "a boundary", (size_t)u->s->count);
    stages[b->stage] = true;
    lamina_status s = lamina_flow_open(u, b->data, stages, u->s->parts[b->stage].o.net->max_batch, &f, e);
    if (!s)
        s = fill(u, b, &f, e);
    if (!s)
        s = check_print(u, b, e);
    lamina_flow_close(&f);
    lamina_release(stages);
    return s;
}

static lamina_status make_in(lamina_supply *u, int32_t stage, const lamina_dataset *d, lamina_cache where,
                             lamina_error *e)
{
    lamina_boundary *b;
    lamina_status s = new_boundary(u, stage, d, where, &b, e);
    if (!s)
        s = make_all(u, b, e);
    if (s && b)
        release_boundary(u->s, b);
    if (s)
        return s;
    b->next = u->boundaries;
    u->boundaries = b;
    return LAMINA_OK;
}

lamina_status lamina_boundary_make(lamina_supply *u, int32_t stage, const lamina_dataset *d, lamina_error *e)
{
    if (lamina_boundary_find(u, stage, d))
        return LAMINA_OK;
    lamina_cache where = choose(u, &u->s->parts[stage], d);
    return where == LAMINA_CACHE_NONE ? LAMINA_OK : make_in(u, stage, d, where, e);
}
