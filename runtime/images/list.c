/* runtime/images/list.c - which pictures there are in folders, in an order that does not depend on the file system. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/images/image.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MOST_DEPTH = 32 };

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_picture(const char *name)
{
    static const char *const ends[] = {".png", ".jpg", ".jpeg", ".pgm", ".ppm", ".pnm"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (!strcasecmp(dot, ends[i]))
            return true;
    return false;
}

/* To be released; NULL: no memory. */
static char *join(const char *folder, const char *name)
{
    size_t n = strlen(folder), m = strlen(name);
    char *path = lamina_allocate(n + m + 2, 1);
    if (path)
        snprintf(path, n + m + 2, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
    return path;
}

static lamina_status add_entry(const char *folder, const char *name, lamina_words *files, lamina_words *folders,
                               bool links, lamina_error *e)
{
    struct stat info;
    char *path = join(folder, name);
    if (!path)
        return lamina_fail_memory(e, folder, strlen(name));
    lamina_status s = LAMINA_OK;
    bool known = (links ? stat : lstat)(path, &info) == 0;
    if (known && S_ISDIR(info.st_mode))
        s = lamina_words_insert(folders, folders->count, name, e);
    else if (known && files)
        s = lamina_words_insert(files, files->count, name, e);
    lamina_release(path);
    return s;
}

/* The names in a folder, sorted; of links to folders only where 'links' says so. 'files' may be NULL. */
static lamina_status list(const char *folder, lamina_words *files, lamina_words *folders, bool links, lamina_error *e)
{
    DIR *dir = opendir(folder);
    lamina_status s = LAMINA_OK;
    if (!dir)
        return lamina_fail(e, LAMINA_IO, "%s: cannot open the folder: %s", folder, strerror(errno));
    for (const struct dirent *entry; !s && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            s = add_entry(folder, entry->d_name, files, folders, links, e);
    closedir(dir);
    if (folders->count)
        qsort(folders->word, (size_t)folders->count, sizeof *folders->word, compare);
    if (files && files->count)
        qsort(files->word, (size_t)files->count, sizeof *files->word, compare);
    return s;
}

static lamina_status add_file(lamina_image_list *l, const char *folder, const char *name, lamina_error *e)
{
    if (!is_picture(name)) {
        l->skipped++;
        return LAMINA_OK;
    }
    char *path = join(folder, name);
    lamina_status s =
        path ? lamina_words_insert(&l->files, l->files.count, path, e) : lamina_fail_memory(e, folder, strlen(name));
    lamina_release(path);
    return s;
}

/* All pictures of a folder and of those in it. Links to folders are not followed, since they may lead in a circle. */
static lamina_status add_folder(lamina_image_list *l, const char *folder, int depth, lamina_error *e)
{
    lamina_words files = {0}, folders = {0};
    if (depth > MOST_DEPTH)
        return lamina_fail(e, LAMINA_BAD_FILE, "%s: expected at most %d folders in each other", folder, MOST_DEPTH);
    lamina_status s = list(folder, &files, &folders, false, e);
    for (int64_t i = 0; !s && i < files.count; i++)
        s = add_file(l, folder, files.word[i], e);
    for (int64_t i = 0; !s && i < folders.count; i++) {
        char *path = join(folder, folders.word[i]);
        s = path ? add_folder(l, path, depth + 1, e) : lamina_fail_memory(e, folder, strlen(folders.word[i]));
        lamina_release(path);
    }
    lamina_words_free(&files);
    lamina_words_free(&folders);
    return s;
}

/* ---- classes ---- */

static lamina_status check_folders(const lamina_image_list *l, const char *folder, const char *classes_of,
                                   lamina_error *e)
{
    lamina_words folders = {0};
    bool found = true;
    lamina_status s = list(folder, NULL, &folders, true, e);
    for (int64_t i = 0; !s && i < folders.count; i++) {
        lamina_words_place(&l->classes, folders.word[i], &found);
        if (!found)
            s = lamina_fail(e, LAMINA_BAD_FILE, "%s: expected folders as in '%s', which are the classes, found '%s'",
                            folder, classes_of, folders.word[i]);
    }
    lamina_words_free(&folders);
    return s;
}

static lamina_status find_classes(const char *folder, const lamina_image_options *o, lamina_image_list *l,
                                  lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    for (int32_t i = 0; !s && o->classes && i < o->class_count; i++)
        s = lamina_words_insert(&l->classes, i, o->classes[i], e);
    if (s || o->classes)
        return s;
    s = list(o->classes_of ? o->classes_of : folder, NULL, &l->classes, true, e);
    if (!s && !l->classes.count)
        s = lamina_image_refuse(o->classes_of ? o->classes_of : folder, "a folder for each class", "none", e);
    return s || !o->classes_of ? s : check_folders(l, folder, o->classes_of, e);
}

/* A class that is not in another set's folder has no pictures there; one that is named in a list must be. */
static lamina_status add_class(const char *folder, const lamina_image_options *o, int64_t class, lamina_image_list *l,
                               lamina_error *e)
{
    struct stat info;
    char *path = join(folder, l->classes.word[class]);
    if (!path)
        return lamina_fail_memory(e, folder, strlen(l->classes.word[class]));
    bool there = stat(path, &info) == 0 || o->classes;
    lamina_status s = there ? add_folder(l, path, 1, e) : LAMINA_OK;
    lamina_release(path);
    l->end[class] = l->files.count;
    return s;
}

static lamina_status add_classes(const char *folder, const lamina_image_options *o, lamina_image_list *l,
                                 lamina_error *e)
{
    lamina_status s = find_classes(folder, o, l, e);
    if (s)
        return s;
    l->end = lamina_allocate((size_t)l->classes.count, sizeof *l->end);
    if (!l->end)
        return lamina_fail_memory(e, folder, (size_t)l->classes.count * sizeof *l->end);
    for (int64_t i = 0; !s && i < l->classes.count; i++)
        s = add_class(folder, o, i, l, e);
    return s;
}

static lamina_status add_path(const char *path, lamina_image_list *l, lamina_error *e)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return add_folder(l, path, 0, e);
    return lamina_words_insert(&l->files, l->files.count, path, e);
}

lamina_status lamina_image_list_make(const char *const *paths, int32_t count, const lamina_image_options *o,
                                     lamina_image_list *out, lamina_error *e)
{
    lamina_status s = LAMINA_OK;
    *out = (lamina_image_list){0};
    if (o->by_class)
        s = add_classes(paths[0], o, out, e);
    for (int32_t i = 0; !s && !o->by_class && i < count; i++)
        s = add_path(paths[i], out, e);
    if (!s && !out->files.count)
        s = lamina_image_refuse(paths[0], o->by_class ? "pictures in the classes' folders" : "pictures", "none", e);
    return s;
}

void lamina_image_list_free(lamina_image_list *l)
{
    lamina_words_free(&l->files);
    lamina_words_free(&l->classes);
    lamina_release(l->end);
    l->end = NULL;
}
