/* frontend/document/yaml.c - libyaml's events to a tree.
 *
 * libyaml's marks count from 0, ours from 1: the one is added here, in mark_loc, and nowhere else. */
#include "frontend/document/yaml.h"
#include "ir/base/map.h"
#include <stdio.h>
#include <string.h>
#include <yaml.h>

enum { MAX_DEPTH = 64, SHOWN = 40, MOST_ITEMS = 8 };

typedef struct {
    yaml_parser_t parser;
    const char *content, *file;
    size_t length;
    arena *mem;
    diag *d;
    ir_map *anchors; /* by name */
    int depth;
} loader;

static src_loc mark_loc(const loader *l, yaml_mark_t mark)
{
    return (src_loc){l->file, (int32_t)mark.line + 1, (int32_t)mark.column + 1};
}

/* Bytes that are no UTF-8 have an offset only. */
static src_loc offset_loc(const loader *l, size_t offset)
{
    src_loc at = {l->file, 1, 1};
    for (size_t i = 0; i < offset && i < l->length; i++) {
        at.col++;
        if (l->content[i] == '\n')
            at = (src_loc){l->file, at.line + 1, 1};
    }
    return at;
}

static void report_syntax(loader *l)
{
    const yaml_parser_t *p = &l->parser;
    src_loc at = p->error == YAML_READER_ERROR ? offset_loc(l, p->problem_offset) : mark_loc(l, p->problem_mark);
    size_t index = p->problem_mark.index;
    if (p->error == YAML_SCANNER_ERROR && index < l->length && l->content[index] == '\t')
        diag_error(l->d, at, "a tab cannot indent YAML, expected spaces");
    else
        diag_error(l->d, at, "YAML: %s", p->problem ? p->problem : "out of memory");
    if (p->context && p->context_mark.line != p->problem_mark.line)
        diag_note(l->d, mark_loc(l, p->context_mark), "%s that starts here", p->context);
}

static bool next(loader *l, yaml_event_t *e)
{
    if (yaml_parser_parse(&l->parser, e))
        return true;
    report_syntax(l);
    return false;
}

static fe_yaml **grown(arena *mem, fe_yaml **list, int count)
{
    return arena_grown(mem, list, (size_t)count, sizeof *list);
}

static void add_anchor(loader *l, const yaml_char_t *name, fe_yaml *node)
{
    if (!name)
        return;
    ir_map_set(l->anchors, arena_strdup(l->mem, (const char *)name), node);
}

static fe_yaml *find_anchor(loader *l, const char *name, src_loc at)
{
    fe_yaml *node = ir_map_get(l->anchors, name);
    if (node)
        return node;
    diag_error(l->d, at, "alias '*%s' has no anchor '&%s' before it", name, name);
    node = arena_make(l->mem, fe_yaml);
    *node = (fe_yaml){.at = at, .word = "", .broken = true};
    return node;
}

static fe_yaml *read_node(loader *l, yaml_event_t *e);

/* The next node, or NULL with *end set where the list or map ends. */
static fe_yaml *read_next(loader *l, yaml_event_type_t last, bool *end)
{
    yaml_event_t e;
    *end = false;
    if (!next(l, &e))
        return NULL;
    *end = e.type == last;
    fe_yaml *y = *end ? NULL : read_node(l, &e);
    yaml_event_delete(&e);
    return y;
}

static bool read_list(loader *l, fe_yaml *list)
{
    for (;;) {
        bool end;
        fe_yaml *item = read_next(l, YAML_SEQUENCE_END_EVENT, &end);
        if (!item)
            return end;
        list->item = grown(l->mem, list->item, list->count);
        list->item[list->count++] = item;
        list->broken |= item->broken;
    }
}

/* Can the key be one of the map? 'taken': its keys so far, by their words. */
static bool check_key(loader *l, fe_yaml *map, ir_map *taken, fe_yaml *key)
{
    if (key->kind != FE_SCALAR && !key->broken)
        diag_error(l->d, key->at, "expected a word as key, found %s", fe_yaml_describe(key, l->mem));
    if (key->kind != FE_SCALAR || key->broken) {
        map->broken = true;
        return false;
    }
    const fe_yaml *first = ir_map_get(taken, key->word);
    if (first) {
        diag_error(l->d, key->at, "key %s is given twice", fe_yaml_describe(key, l->mem));
        diag_note(l->d, first->at, "the first is here");
        return false;
    }
    ir_map_set(taken, key->word, key);
    return true;
}

static bool read_items(loader *l, fe_yaml *map, ir_map *taken)
{
    for (;;) {
        bool end;
        fe_yaml *key = read_next(l, YAML_MAPPING_END_EVENT, &end);
        if (!key)
            return end;
        bool good = check_key(l, map, taken, key);
        fe_yaml *item = read_next(l, YAML_NO_EVENT, &end);
        if (!item)
            return false;
        if (!good)
            continue;
        map->key = grown(l->mem, map->key, map->count);
        map->item = grown(l->mem, map->item, map->count);
        map->key[map->count] = key;
        map->item[map->count++] = item;
        map->broken |= item->broken;
    }
}

static bool read_map(loader *l, fe_yaml *map)
{
    arena *tmp = arena_new();
    bool ok = read_items(l, map, ir_map_new(tmp, IR_MAP_TEXTS));
    arena_free(tmp);
    return ok;
}

static void read_scalar(loader *l, const yaml_event_t *e, fe_yaml *y)
{
    const char *value = (const char *)e->data.scalar.value;
    y->broken = memchr(value, 0, e->data.scalar.length);
    if (y->broken)
        diag_error(l->d, y->at, "a zero byte cannot be part of a value");
    y->word = y->broken ? "" : arena_strndup(l->mem, value, e->data.scalar.length);
    y->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

/* An anchor counts from the end of its node, so no alias can lie within what it names. */
static fe_yaml *read_node(loader *l, yaml_event_t *e)
{
    fe_yaml *y = arena_make(l->mem, fe_yaml);
    const yaml_char_t *tag = NULL, *name = NULL;
    bool ok = true;
    y->at = mark_loc(l, e->start_mark);
    if (l->depth == MAX_DEPTH) {
        diag_error(l->d, y->at, "nested more than %d levels deep", MAX_DEPTH);
        return NULL;
    }
    if (e->type == YAML_ALIAS_EVENT)
        return find_anchor(l, (const char *)e->data.alias.anchor, y->at);
    l->depth++;
    if (e->type == YAML_SCALAR_EVENT) {
        tag = e->data.scalar.tag;
        name = e->data.scalar.anchor;
        read_scalar(l, e, y);
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        y->kind = FE_LIST;
        tag = e->data.sequence_start.tag;
        name = e->data.sequence_start.anchor;
        ok = read_list(l, y);
    } else {
        y->kind = FE_MAP;
        tag = e->data.mapping_start.tag;
        name = e->data.mapping_start.anchor;
        ok = read_map(l, y);
    }
    l->depth--;
    if (ok && tag) {
        diag_error(l->d, y->at, "YAML tags such as '%s' are not supported", (const char *)tag);
        y->broken = true;
    }
    add_anchor(l, name, y);
    return ok ? y : NULL;
}

/* The document's start and its node. Events of the stream itself carry nothing. */
static fe_yaml *read_document(loader *l)
{
    for (;;) {
        yaml_event_t e;
        if (!next(l, &e))
            return NULL;
        yaml_event_type_t type = e.type;
        fe_yaml *y = NULL;
        if (type == YAML_STREAM_END_EVENT)
            diag_error(l->d, (src_loc){l->file, 1, 1}, "the file is empty, expected a network");
        else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT)
            y = read_node(l, &e);
        yaml_event_delete(&e);
        if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT)
            return y;
    }
}

static bool read_end(loader *l)
{
    for (;;) {
        yaml_event_t e;
        if (!next(l, &e))
            return false;
        yaml_event_type_t type = e.type;
        src_loc at = mark_loc(l, e.start_mark);
        yaml_event_delete(&e);
        if (type == YAML_STREAM_END_EVENT)
            return true;
        if (type == YAML_DOCUMENT_START_EVENT) {
            diag_error(l->d, at, "a second document starts here, expected one");
            return false;
        }
    }
}

fe_yaml *fe_yaml_parse(const char *content, size_t length, const char *file, arena *mem, diag *d)
{
    loader l = {.content = content, .length = length, .file = file, .mem = mem, .d = d};
    l.anchors = ir_map_new(mem, IR_MAP_TEXTS);
    if (!yaml_parser_initialize(&l.parser)) {
        diag_error(d, (src_loc){file, 0, 0}, "YAML: %s", "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&l.parser, (const unsigned char *)content, length);
    fe_yaml *root = read_document(&l);
    if (root && !read_end(&l))
        root = NULL;
    yaml_parser_delete(&l.parser);
    return root;
}

const fe_yaml *fe_yaml_find(const fe_yaml *map, const char *key)
{
    for (int i = 0; map->kind == FE_MAP && i < map->count; i++)
        if (!strcmp(map->key[i]->word, key))
            return map->item[i];
    return NULL;
}

bool fe_yaml_is_null(const fe_yaml *y)
{
    if (y->kind != FE_SCALAR || y->quoted)
        return false;
    return !*y->word || !strcmp(y->word, "~") || !strcmp(y->word, "null");
}

/* A word as it may be shown: cut, and without the bytes that a terminal would obey. */
static const char *shown(const char *word, arena *mem)
{
    size_t length = strlen(word);
    char *s = arena_printf(mem, "%.*s%s", SHOWN, word, length > SHOWN ? "..." : "");
    for (char *c = s; *c; c++)
        if ((unsigned char)*c < 32 || *c == 127)
            *c = '?';
    return s;
}

/* "[28, 0]", or "a list" where it is long or holds more than words. */
static const char *describe_list(const fe_yaml *y, arena *mem)
{
    const char *s = "";
    for (int i = 0; i < y->count; i++) {
        if (i == MOST_ITEMS || y->item[i]->kind != FE_SCALAR)
            return "a list";
        s = arena_printf(mem, "%s%s%s", s, i ? ", " : "", shown(y->item[i]->word, mem));
    }
    return arena_printf(mem, "[%s]", s);
}

const char *fe_yaml_describe(const fe_yaml *y, arena *mem)
{
    if (y->kind == FE_LIST)
        return describe_list(y, mem);
    if (y->kind == FE_MAP)
        return y->count ? "a mapping" : "{}";
    if (fe_yaml_is_null(y))
        return "nothing";
    return arena_printf(mem, y->quoted ? "the text '%s'" : "'%s'", shown(y->word, mem));
}
