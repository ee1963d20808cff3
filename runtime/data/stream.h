/* runtime/data/stream.h - the bytes of a file from its beginning to its end, inflated on the way if it begins as a gzip
 * file does. */
#ifndef RUNTIME_STREAM_H
#define RUNTIME_STREAM_H

#include "runtime/lamina.h"

typedef struct lamina_stream lamina_stream;

/* Open a regular file; 'path' is borrowed. On an error *out is NULL. */
lamina_status lamina_stream_open(const char *path, lamina_stream **out, lamina_error *e);
/* A part of a file that is a stream of its own, as a member of a zip file. */
typedef struct {
    uint64_t begin, packed_bytes; /* in the file */
    uint32_t crc;                 /* of the data */
    bool deflated;
} lamina_stream_part;
/* The same of a part; messages call it 'name', which is borrowed. */
lamina_status lamina_stream_open_part(const char *path, const char *name, const lamina_stream_part *part,
                                      lamina_stream **out, lamina_error *e);
void lamina_stream_close(lamina_stream *s); /* NULL is allowed */
const char *lamina_stream_path(const lamina_stream *s);
/* Read up to 'want' bytes; fewer only at the end. */
lamina_status lamina_stream_get(lamina_stream *s, void *dst, size_t want, size_t *got, lamina_error *e);
/* BAD_FILE unless the file ends here, behind 'bytes' of data, and a part's checksum is right. */
lamina_status lamina_stream_end(lamina_stream *s, uint64_t bytes, lamina_error *e);
/* The whole of a plain file in memory that may be written to without changing the file; munmap ends it. NULL where that
 * is not to be had, and for parts. */
void *lamina_stream_map(const lamina_stream *s, size_t *bytes);
/* The most bytes that a file of this size can give: all that it has, or what deflate can make of them (*packed). */
uint64_t lamina_stream_most(const lamina_stream *s, bool *packed);

#endif
