/* runtime/data/zip.h - where the members of a zip file lie, as NumPy's .npz files are. */
#ifndef RUNTIME_ZIP_H
#define RUNTIME_ZIP_H

#include "runtime/data/stream.h"

/* Find the member called 'key' or 'key.npy' in the file 'path'; 'name' is what messages call both. Without a key (NULL)
 * there must be one member only. Of files below 4 GB, members stored or deflated. */
lamina_status lamina_zip_find(const char *path, const char *key, const char *name, lamina_stream_part *out,
                              lamina_error *e);

#endif
