/* runtime/training/events.c - a training run's values as TensorBoard reads them: event files of TensorFlow.
 *
 *     file     a record an event: u64 length, u32 check of it, event, u32 check of the event       (little-endian)
 *     check    c rotated right by 15, plus 0xa282ead8, of the CRC-32C c              (tsl/lib/io/record_writer.h)
 *     event    protocol buffer: 1 wall_time: double, 2 step: varint, here the epoch, then one of
 *                3 file_version: "brain.Event:2"             in the first one
 *                5 summary {1 value {1 tag: string, 2 simple_value: float}}
 *                7 session_log {1 status: START}             from this step on a run goes on: what others have is void
 *
 * A process opens a file of its own, as TensorFlow's does. Where a run is resumed from before where it was killed,
 * START takes back what the killed one had written beyond. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TAG = 512, MOST_RECORD = MOST_TAG + 128 };

struct lamina_events {
    int fd;
    int failed; /* errno of the first event that was lost */
    char path[];
};

/* ---- protocol buffers ---- */

typedef struct {
    unsigned char at[MOST_RECORD];
    size_t size;
} message;

/* Of a field: its number, and how its value is written. */
enum { VARINT = 0, EIGHT_BYTES = 1, BYTES = 2, FOUR_BYTES = 5 };

static void put_little(message *m, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        m->at[m->size++] = (unsigned char)(v >> 8 * i);
}

static void put_varint(message *m, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        m->at[m->size++] = (unsigned char)(v | 0x80);
    m->at[m->size++] = (unsigned char)v;
}

static void put_key(message *m, unsigned field, unsigned form)
{
    put_varint(m, field << 3 | form);
}

static void put_bytes(message *m, unsigned field, const void *at, size_t size)
{
    put_key(m, field, BYTES);
    put_varint(m, size);
    memcpy(m->at + m->size, at, size);
    m->size += size;
}

static message event_at(int64_t step)
{
    message m = {.size = 0};
    struct timespec now;
    uint64_t bits;
    clock_gettime(CLOCK_REALTIME, &now);
    const double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
    memcpy(&bits, &seconds, sizeof bits);
    put_key(&m, 1, EIGHT_BYTES);
    put_little(&m, bits, 8);
    put_key(&m, 2, VARINT);
    put_varint(&m, (uint64_t)step);
    return m;
}

/* ---- records ---- */

/* Castagnoli's polynomial, bits reversed, a bit at a time: events are few and short. */
static uint32_t crc32c(const unsigned char *at, size_t size)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        c ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            c = c >> 1 ^ (c & 1 ? 0x82f63b78u : 0);
    }
    return ~c;
}

static uint32_t check_of(const unsigned char *at, size_t size)
{
    uint32_t c = crc32c(at, size);
    return (c >> 15 | c << 17) + 0xa282ead8u;
}

/* In one piece, so that a process that is killed leaves no half of it. */
static void write_record(lamina_events *e, const message *event)
{
    message record = {.size = 0};
    put_little(&record, event->size, 8);
    put_little(&record, check_of(record.at, 8), 4);
    memcpy(record.at + record.size, event->at, event->size);
    record.size += event->size;
    put_little(&record, check_of(event->at, event->size), 4);
    errno = 0;
    if (!e->failed && write(e->fd, record.at, record.size) != (ssize_t)record.size)
        e->failed = errno ? errno : ENOSPC;
}

/* ---- events ---- */

static void write_start(lamina_events *e, int64_t step)
{
    static const char version[] = "brain.Event:2";
    static const unsigned char start[] = {1 << 3 | VARINT, 1};
    message m = event_at(0);
    put_bytes(&m, 3, version, sizeof version - 1);
    write_record(e, &m);
    m = event_at(step);
    put_bytes(&m, 7, start, sizeof start);
    write_record(e, &m);
}

/* 'stage' may be NULL. What is not finite was not measured, or ends the run anyhow. */
static void write_value(lamina_events *e, int64_t step, const char *stage, const char *set, const char *name,
                        double value)
{
    char tag[MOST_TAG];
    const float shown = (float)value;
    uint32_t bits;
    if (!isfinite(value))
        return;
    snprintf(tag, sizeof tag, "%s%s%s%s%s", stage ? stage : "", stage ? "/" : "", set, *set ? "/" : "", name);
    memcpy(&bits, &shown, sizeof bits);
    message inner = {.size = 0}, summary = {.size = 0}, m = event_at(step);
    put_bytes(&inner, 1, tag, strlen(tag));
    put_key(&inner, 2, FOUR_BYTES);
    put_little(&inner, bits, 4);
    put_bytes(&summary, 1, inner.at, inner.size);
    put_bytes(&m, 5, summary.at, summary.size);
    write_record(e, &m);
}

void lamina_events_stage(lamina_events *e, const char *stage, const lamina_report *r)
{
    if (r->event != LAMINA_EVENT_EPOCH)
        return;
    for (int32_t i = 0; i < r->metric_count; i++) {
        write_value(e, r->epoch, stage, "train", r->metrics[i].name, r->train[i]);
        if (r->validation)
            write_value(e, r->epoch, stage, "validation", r->metrics[i].name, r->validation[i]);
    }
    write_value(e, r->epoch, stage, "", "learning_rate", r->learning_rate);
}

void lamina_events_report(void *events, const lamina_report *r)
{
    lamina_events_stage(events, NULL, r);
}

/* ---- opening ---- */

lamina_status lamina_events_new(const char *directory, int64_t epochs, lamina_events **out, lamina_error *e)
{
    lamina_status status = lamina_need(e, "lamina_events_new", "directory out", directory, out);
    if (status)
        return status;
    *out = NULL;
    const size_t size = strlen(directory) + 80;
    lamina_events *made = lamina_allocate(1, sizeof *made + size);
    if (!made)
        return lamina_fail_memory(e, directory, sizeof *made + size);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(made->path, size, "%s/events.out.tfevents.%lld.%ld.lamina.%ld", directory, (long long)now.tv_sec,
             now.tv_nsec, (long)getpid());
    made->fd = open(made->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (made->fd < 0) {
        status = lamina_fail(e, LAMINA_IO, "%s: cannot open: %s", made->path, strerror(errno));
        lamina_release(made);
        return status;
    }
    write_start(made, epochs + 1);
    *out = made;
    return LAMINA_OK;
}

lamina_status lamina_events_free(lamina_events *events, lamina_error *e)
{
    if (!events)
        return LAMINA_OK;
    if (close(events->fd) != 0 && !events->failed)
        events->failed = errno;
    lamina_status status = LAMINA_OK;
    if (events->failed)
        status = lamina_fail(e, LAMINA_IO, "%s: cannot write: %s", events->path, strerror(events->failed));
    lamina_release(events);
    return status;
}
