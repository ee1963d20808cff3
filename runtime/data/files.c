/* runtime/data/files.c - inputs from files of arrays: IDX, NumPy's, raw elements.
 *
 * Each file is a piece of the input's records, where it was read or mapped; nothing is copied together. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/data/array.h"
#include "runtime/data/idx.h"
#include "runtime/data/npy.h"
#include "runtime/data/store.h"
#include <string.h>

/* ---- one file ---- */

/* The next dimension of a record that is not 1, from *i on; 0 at the end. */
static int64_t next_dim(const int64_t *dim, int32_t rank, int32_t *i)
{
    while (*i < rank && dim[*i] == 1)
        ++*i;
    return *i < rank ? dim[(*i)++] : 0;
}

/* The batch counts records and is 1 in the descriptor, so it drops out with the other ones. */
static bool same_record(const lamina_array *x, const lamina_tensor *t)
{
    for (int32_t i = 1, j = 0;;) {
        int64_t a = next_dim(x->dim, x->rank, &i), b = next_dim(t->dim, t->rank, &j);
        if (a != b)
            return false;
        if (a == 0)
            return true;
    }
}

static lamina_status check_record(const lamina_array *x, const lamina_tensor *t, const char *path, lamina_error *e)
{
    char want[128], found[128];
    if (same_record(x, t))
        return LAMINA_OK;
    lamina_shape_text(t->dtype, t->rank, t->dim, t->batch_dim, want, sizeof want);
    lamina_shape_text(t->dtype, x->rank - 1, x->dim + 1, -1, found, sizeof found);
    return lamina_fail(e, LAMINA_BAD_FILE, "%s: input '%s': expected records of shape %s, found %s", path, t->name,
                       strchr(want, '['), strchr(found, '['));
}

static lamina_status read_array(lamina_file_format format, const char *path, const lamina_tensor *t, lamina_array *x,
                                lamina_error *e)
{
    switch (format) {
    case LAMINA_FILE_IDX:
        return lamina_idx_read(path, x, e);
    case LAMINA_FILE_NPY:
        return lamina_npy_read(path, x, e);
    case LAMINA_FILE_NPZ:
        return lamina_npz_read(path, x, e);
    default:
        return lamina_raw_read(path, t, x, e);
    }
}

/* On an error the piece may hold something already. */
static lamina_status read_piece(lamina_file_format format, const char *path, const lamina_tensor *t,
                                lamina_piece *piece, int64_t *count, lamina_error *e)
{
    lamina_array x = {0};
    lamina_status s = read_array(format, path, t, &x, e);
    if (!s)
        s = check_record(&x, t, path, e);
    if (!s)
        s = lamina_convert(&x, t, path, e);
    if (!s && !(piece->source = lamina_copy_text(path)))
        s = lamina_fail_memory(e, path, strlen(path) + 1);
    if (s) {
        lamina_array_release(&x);
        return s;
    }
    piece->first = *count;
    piece->data = x.data;
    piece->map = x.map;
    piece->map_bytes = x.map_bytes;
    *count += x.dim[0];
    return LAMINA_OK;
}

/* ---- all of an input's ---- */

/* Hand the pieces over to the data set. */
static lamina_status add_pieces(lamina_dataset *d, int32_t input, lamina_field *f, int64_t count, lamina_error *e)
{
    const char *path = f->pieces[0].source;
    lamina_status s = lamina_check_new(d, input, path, count, e);
    if (s)
        return s;
    f->data = f->pieces[0].data;
    f->source = lamina_copy_text(path);
    if (!f->source)
        return lamina_fail_memory(e, path, strlen(path) + 1);
    d->store->fields[input] = *f;
    d->store->count = d->count = count;
    return LAMINA_OK;
}

lamina_status lamina_dataset_add_files(lamina_dataset *d, const char *name, lamina_file_format format,
                                       const char *const *paths, int32_t count, lamina_error *e)
{
    int32_t input;
    int64_t records = 0;
    lamina_status s = lamina_need(e, "lamina_dataset_add_files", "d name paths", d, name, paths);
    if (!s && count < 1)
        s = lamina_fail(e, LAMINA_BAD_ARG, "lamina_dataset_add_files: expected 1 or more files, found %d", (int)count);
    if (!s)
        s = lamina_find_field(d, name, &input, e);
    if (s)
        return s;
    lamina_field f = {.pieces = lamina_allocate((size_t)count, sizeof(lamina_piece)), .piece_count = count};
    if (!f.pieces)
        return lamina_fail_memory(e, "files", (size_t)count * sizeof(lamina_piece));
    for (int32_t i = 0; !s && i < count; i++)
        s = paths[i] ? read_piece(format, paths[i], &d->net->inputs[input], &f.pieces[i], &records, e)
                     : lamina_need(e, "lamina_dataset_add_files", "path", NULL);
    if (!s)
        s = add_pieces(d, input, &f, records, e);
    if (s)
        lamina_release_field(&f);
    return s;
}

lamina_status lamina_dataset_add_idx(lamina_dataset *d, const char *name, const char *path, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_add_idx", "d name path", d, name, path);
    return s ? s : lamina_dataset_add_files(d, name, LAMINA_FILE_IDX, &path, 1, e);
}

lamina_status lamina_dataset_add_npy(lamina_dataset *d, const char *name, const char *path, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_add_npy", "d name path", d, name, path);
    return s ? s : lamina_dataset_add_files(d, name, LAMINA_FILE_NPY, &path, 1, e);
}

lamina_status lamina_dataset_add_raw(lamina_dataset *d, const char *name, const char *path, lamina_error *e)
{
    lamina_status s = lamina_need(e, "lamina_dataset_add_raw", "d name path", d, name, path);
    return s ? s : lamina_dataset_add_files(d, name, LAMINA_FILE_RAW, &path, 1, e);
}
