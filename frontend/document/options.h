/* frontend/document/options.h - keys with types and defaults, said in tables and read by one reader.
 *
 * Everything the YAML names is a kind: a layer, a loss, an optimizer, an activation, an initialiser, and also a section
 * such as `train`. A kind lists its keys; a value in the YAML is `kind`, `{kind: value of its short key}` or
 * `{kind: {key: value, ...}}`. Unknown keys, missing ones and values of another type are reported here, in the same
 * words everywhere. */
#ifndef FRONTEND_OPTIONS_H
#define FRONTEND_OPTIONS_H

#include "frontend/document/yaml.h"
#include "ir/ir.h"

enum { FE_MAX_KEYS = 16, FE_MAX_COMMON = 8 };

typedef enum {
    FE_NO_KEY,
    FE_COUNT,    /* whole number from 1 */
    FE_WHOLE,    /* whole number from 0 */
    FE_NUMBER,   /* any f32 */
    FE_POSITIVE, /* above 0 */
    FE_NOT_NEGATIVE,
    FE_UNIT,     /* 0 <= x < 1 */
    FE_FRACTION, /* 0 < x < 1 */
    FE_FROM_ONE, /* 1 or more */
    FE_BOOL,
    FE_AXIS,       /* whole number of either sign */
    FE_PAIR,       /* a count, or [rows, columns] */
    FE_WHOLE_PAIR, /* the same from 0 */
    FE_MARGINS,    /* n, [rows, columns] or [[top, bottom], [left, right]] */
    FE_MARGINS_1D, /* n or [before, behind] */
    FE_PADDING,    /* valid, same or margins */
    FE_PADDING_1D,
    FE_EDGES,      /* valid, same, reflect or margins */
    FE_EDGES_1D,   /* the same or causal */
    FE_SHAPE,      /* list of counts */
    FE_TARGET,     /* the same; one may be -1 */
    FE_DTYPE,      /* float32, int32, uint8 */
    FE_NAME,       /* of a layer, input, loss ... */
    FE_PATH,       /* any word that is not empty */
    FE_NAMES,      /* a list of them */
    FE_ACTIVATION, /* a choice from the reader's activations */
    FE_INITIALIZER,
    FE_REGULARIZER,
    FE_MULTIPLE, /* a number from 0, or (yes) so many times another, as 0.1x */
    FE_RATE,     /* a learning rate: a number, or a choice from the reader's schedules */
    FE_NUMBERS,  /* a list of numbers above 0 */
    FE_WEIGHTS,  /* a list of numbers from 0 */
    FE_TREE      /* anything: the owner of the key reads it */
} fe_key_type;

typedef struct {
    const char *name;
    fe_key_type type;
    const char *fallback; /* the value where the key is absent, as YAML; FE_REQUIRED; NULL: absence has a meaning */
} fe_key;

extern const char FE_REQUIRED[];

typedef struct {
    const char *name;
    const char *short_key; /* the key that `{kind: value}` sets; NULL: there is no such form */
    fe_key keys[FE_MAX_KEYS];
} fe_kind;

typedef struct fe_choice fe_choice;
typedef struct fe_reader fe_reader;

/* The value of a key. Which members count follows from the key's type. */
typedef struct {
    const fe_key *key;
    bool present; /* given, or by default */
    bool failed;  /* given, and an error was reported */
    src_loc at;   /* the value, or the kind that it is a default of */
    double number;
    bool yes;
    ir_dtype dtype;
    const char *word;          /* FE_NAME; of padding and edges, NULL for valid and numbers */
    int count;                 /* FE_SHAPE, FE_TARGET, FE_NAMES */
    int64_t list[IR_MAX_RANK]; /* pairs: rows, columns; margins: top, bottom, left, right */
    const char **names;        /* FE_NAMES */
    src_loc *name_at;
    double *numbers;     /* FE_NUMBERS, FE_WEIGHTS */
    const fe_yaml *tree; /* FE_TREE */
    fe_choice *choice;   /* FE_ACTIVATION and its like; FE_RATE: of a schedule, whose first number is 'number' */
} fe_option;

/* A kind with its values. */
struct fe_choice {
    const fe_kind *kind;
    src_loc at;
    bool failed;   /* an error was reported */
    bool stranger; /* 'kind' is none of the catalogue's, and has but its common keys */
    int count;
    fe_option *options;
};

/* A table of kinds: rows that begin with a fe_kind. */
typedef struct {
    const void *rows;
    size_t count, row_size;
} fe_rows;

#define FE_ROWS(table)                                                                                                 \
    {                                                                                                                  \
        table, sizeof table / sizeof *table, sizeof *table                                                             \
    }

/* A catalogue: tables of kinds, NULL behind the last, and keys that all kinds have besides their own. */
typedef struct {
    const char *what; /* "layer" */
    const fe_rows *const *tables;
    fe_key common[FE_MAX_COMMON];              /* the last has no name */
    bool (*check)(fe_reader *r, fe_choice *c); /* of a kind that was read without an error; may be NULL */
} fe_catalogue;

/* The tables of a catalogue that has only this one. */
#define FE_ONE_TABLE(table)                                                                                            \
    (const fe_rows *const[])                                                                                           \
    {                                                                                                                  \
        &(const fe_rows)FE_ROWS(table), NULL                                                                           \
    }

/* Files that were opened to be read (staging/files.c). */
typedef struct fe_open_file fe_open_file;

struct fe_reader {
    arena *mem;
    diag *d;
    const fe_catalogue *activations, *initializers, *regularizers, *rates; /* for keys of these types */
    fe_open_file *files;
    bool is_teacher; /* the file is a teacher's: who taught it does not matter */
};

/* A catalogue's kinds in order, whatever their tables; NULL behind the last. */
const fe_kind *fe_row(const fe_catalogue *c, size_t index);

/* Is it time to give up, since enough errors were reported? Loops over what a file lists ask before each entry. */
enum { FE_MOST_ERRORS = 20 };
bool fe_enough(const fe_reader *r);

/* Read `kind`, `{kind: value}` or `{kind: {...}}`. NULL after an error. */
fe_choice *fe_read_choice(fe_reader *r, const fe_catalogue *c, const fe_yaml *y);
/* The same for an entry to which others may refer, with as much as could be read after an error: never NULL. */
fe_choice *fe_read_entry(fe_reader *r, const fe_catalogue *c, const fe_yaml *y);
/* The same, but what is not given is as in 'like', a choice of the same kind; but for keys of the
 * catalogue that have no default, as a name. NULL there: it is not known, since an error was reported. */
fe_choice *fe_read_entry_like(fe_reader *r, const fe_catalogue *c, const fe_yaml *y, const fe_choice *like);
/* Read a section's `{key: value, ...}`, or the value of its short key. 'common' ends with an FE_NO_KEY or is NULL. */
fe_choice *fe_read_options(fe_reader *r, const fe_kind *kind, const fe_key *common, const fe_yaml *y);

/* The option of that name; asking for a key that the kind has not is an ir_bug. */
const fe_option *fe_get(const fe_choice *c, const char *key);
double fe_get_number(const fe_choice *c, const char *key);
int64_t fe_get_int(const fe_choice *c, const char *key);
bool fe_get_bool(const fe_choice *c, const char *key);

/* The value of o->key, which 'y' gives. False after an error. */
bool fe_read_value(fe_reader *r, const fe_yaml *y, fe_option *o);
/* What such a value should be, for messages: "a number from 0". */
const char *fe_expected(const fe_key *key);

/* A name that can be part of a C identifier and of IR text. */
bool fe_is_name(const char *word);

/* The messages that all readers share; each returns false. */
bool fe_mismatch(fe_reader *r, src_loc at, const char *what, const char *expected, const char *found);
bool fe_missing(fe_reader *r, src_loc at, const char *owner, const char *key, const char *expected);
bool fe_unknown(fe_reader *r, src_loc at, const char *what, const char *word, const char *const *known, size_t count);
bool fe_twice(fe_reader *r, src_loc at, const char *what, const char *word, src_loc first);
bool fe_expect_kind(fe_reader *r, const fe_yaml *y, const char *what, fe_yaml_kind kind, const char *expected);

#endif
