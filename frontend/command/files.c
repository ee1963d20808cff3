/* frontend/command/files.c - data sets of files that the command line names. They are read as the YAML's training data
 * is: in its format, and of a table with its columns and what it says of them. */
#include "frontend/command/data.h"
#include <string.h>

enum { MOST_INPUTS = 64 };

static int input_names(const fe_network *net, const char **names)
{
    ir_type type;
    int count = 0;
    while (count < MOST_INPUTS && (names[count] = fe_input_at(net, count, &type)))
        count++;
    return count;
}

/* INPUT=FILE; false after an error in d. */
static bool split_word(const fe_network *net, const char *word, fe_data_field *f, arena *mem, diag *d)
{
    const char *names[MOST_INPUTS];
    int count = input_names(net, names);
    size_t length = strcspn(word, "=");
    for (int i = 0; word[length] && word[length + 1] && i < count; i++)
        if (strlen(names[i]) == length && !strncmp(word, names[i], length)) {
            f->input = names[i];
            f->paths = arena_make(mem, const char *);
            f->paths[0] = word + length + 1;
            f->path_count = 1;
            return true;
        }
    const char *found = arena_printf(mem, "%.*s", (int)length, word);
    const char *nearest = word[length] ? diag_nearest(found, names, (size_t)count) : NULL;
    const char *hint = nearest ? arena_printf(mem, "; did you mean '%s'?", nearest) : "";
    diag_error(d, (src_loc){0}, "expected INPUT=FILE with an input of the network, found '%s'%s", word, hint);
    return false;
}

static const fe_data_field *field_of(const fe_data_set *set, const char *input)
{
    for (int i = 0; i < set->field_count; i++)
        if (!strcmp(set->fields[i].input, input))
            return &set->fields[i];
    return NULL;
}

static bool name_fields(const fe_network *net, const lamina_net *compiled, const char *const *words, int count,
                        fe_data_set *set, arena *mem, diag *d)
{
    set->fields = arena_new_array(mem, fe_data_field, (size_t)count);
    set->field_count = 0;
    for (int i = 0; i < count; i++) {
        fe_data_field *f = &set->fields[i];
        if (!split_word(net, words[i], f, mem, d))
            return false;
        if (field_of(set, f->input)) {
            diag_error(d, (src_loc){0}, "expected one file for input '%s', found '%s' too", f->input, f->paths[0]);
            return false;
        }
        set->field_count++;
    }
    for (int32_t i = 0; i < compiled->input_count; i++)
        if (!field_of(set, compiled->inputs[i].name)) {
            diag_error(d, (src_loc){0}, "expected a file for every input, found none for '%s'",
                       compiled->inputs[i].name);
            return false;
        }
    return true;
}

/* Words are numbered as train's own files have them, which these files may lack or exceed. */
static bool name_table(const fe_table *train, const lamina_net *compiled, const char *const *words, int count, bool all,
                       fe_data_set *set, arena *mem, diag *d)
{
    for (int i = 0; i < train->count; i++)
        if (train->columns[i].sorted && lamina_net_input(compiled, train->columns[i].input) >= 0) {
            diag_error(d, train->columns[i].at,
                       "categories: expected a list of words, since the command line names other files, found the "
                       "words of a file for '%s'",
                       train->columns[i].name);
            return false;
        }
    fe_table *t = arena_make(mem, fe_table);
    *t = *train;
    t->at = (src_loc){0};
    t->drop_missing = t->drop_missing && !all;
    t->drop_duplicates = t->drop_duplicates && !all;
    t->paths = arena_new_array(mem, const char *, (size_t)count);
    t->path_count = count;
    memcpy(t->paths, words, (size_t)count * sizeof *words);
    set->table = t;
    return true;
}

/* Pictures as train's are read. Where their classes are asked for too, they lie in folders of the same names. */
static bool name_images(const fe_data_set *train, const char *const *words, int count, bool all, fe_data_set *set,
                        arena *mem, diag *d)
{
    fe_images *images = arena_make(mem, fe_images);
    *images = *train->images;
    images->at = (src_loc){0};
    images->by_class = images->by_class && !all;
    images->classes_of = images->path;
    images->files = arena_new_array(mem, const char *, (size_t)count);
    images->file_count = count;
    memcpy(images->files, words, (size_t)count * sizeof *words);
    *set = (fe_data_set){.present = true,
                         .format = train->format,
                         .fields = train->fields,
                         .field_count = train->field_count,
                         .images = images,
                         .records = set->records};
    if (!images->by_class || count == 1)
        return true;
    diag_error(d, (src_loc){0}, "expected one folder that holds a folder for each class, found %d paths", count);
    return false;
}

/* Of train's records some classes may be chosen, and numbered anew: that is how the files are to be read; how many are
 * taken is not. */
static const fe_records *without_take(const fe_records *train, arena *mem)
{
    if (!train || !train->input)
        return NULL;
    fe_records *r = arena_make(mem, fe_records);
    *r = *train;
    r->take = 0;
    r->window = 0;
    r->balance = NULL;
    return r;
}

bool cmd_read_files(const fe_network *net, const char *const *words, int count, bool all, const lamina_net *compiled,
                    lamina_dataset **out, arena *mem, diag *d)
{
    const fe_data_set *train = fe_data(net, "train");
    fe_data_set set = {
        .present = true, .format = train->format, .records = all ? NULL : without_take(train->records, mem)};
    lamina_table_report report;
    *out = NULL;
    bool ok = train->table    ? name_table(train->table, compiled, words, count, all, &set, mem, d)
              : train->images ? name_images(train, words, count, all, &set, mem, d)
                              : name_fields(net, compiled, words, count, &set, mem, d);
    return ok && cmd_read_records(net, &set, compiled, out, &report, d);
}
