/* frontend/command/schema.c - lamina schema: the YAML language as a JSON Schema (draft-07), for editors.
 *
 * It is made of the tables that the readers read by: every row of a catalogue is a definition CATALOGUE.KIND, every
 * section's keys one, and a key refers to the definition of its type. A schema knows no names of a file, so it cannot
 * tell a block's name from a misspelt layer: where a file has `blocks`, any name is allowed for a layer; without, only
 * those of the catalogue. Inside of blocks, and so everywhere, a value may be a text with a $parameter. */
#include "frontend/catalogue/catalogue.h"
#include "frontend/command/cmd.h"
#include "frontend/network/sections.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* JSON in C, with ' for its quotes. */
static json_t *from_text(const char *words)
{
    char copy[1024];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *c = copy; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *j = json_loads(copy, JSON_DECODE_ANY, NULL);
    if (!j)
        ir_bug("no JSON: %s", words);
    return j;
}

static json_t *refer_to(const char *definition)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/definitions/%s", definition));
}

/* ---- values ---- */

#define REF(name) "{'$ref':'#/definitions/" name "'}"
#define ANY_OF(...) "{'anyOf':[" __VA_ARGS__ "," REF("argument") "]}"
#define NUMBER(bounds) ANY_OF("{'type':'number'" bounds "}," REF("expression"))
#define WHOLE(bounds) ANY_OF("{'type':'integer'" bounds "}," REF("expression"))
#define LIST(of, more) "{'type':'array','items':" of more "}"
#define TWO_OF(of) LIST(of, ",'minItems':2,'maxItems':2")
#define COUNT WHOLE(",'minimum':1,'maximum':16777216")
#define FROM_0 WHOLE(",'minimum':0")
#define MARGIN FROM_0 "," TWO_OF(FROM_0)
#define MARGINS MARGIN "," TWO_OF(TWO_OF(FROM_0))
#define WORD "{'type':'string','pattern':'^([A-Za-z_][A-Za-z0-9_]{0,62}|.*[$].*)$'}"
#define UP_TO_7 ",'maxItems':7"

/* Names of the definitions, and those. */
static const struct {
    const char *name, *schema;
} values[] = {
    [FE_COUNT] = {"value.count", COUNT},
    [FE_WHOLE] = {"value.whole", FROM_0},
    [FE_NUMBER] = {"value.number", NUMBER("")},
    [FE_POSITIVE] = {"value.positive", NUMBER(",'exclusiveMinimum':0")},
    [FE_NOT_NEGATIVE] = {"value.not_negative", NUMBER(",'minimum':0")},
    [FE_UNIT] = {"value.unit", NUMBER(",'minimum':0,'exclusiveMaximum':1")},
    [FE_FRACTION] = {"value.fraction", NUMBER(",'exclusiveMinimum':0,'exclusiveMaximum':1")},
    [FE_FROM_ONE] = {"value.from_one", NUMBER(",'minimum':1")},
    [FE_BOOL] = {"value.bool", ANY_OF("{'type':'boolean'}")},
    [FE_AXIS] = {"value.axis", WHOLE(",'minimum':-8,'maximum':8")},
    [FE_PAIR] = {"value.pair", ANY_OF(COUNT "," TWO_OF(COUNT))},
    [FE_WHOLE_PAIR] = {"value.whole_pair", ANY_OF(MARGIN)},
    [FE_MARGINS] = {"value.margins", ANY_OF(MARGINS)},
    [FE_MARGINS_1D] = {"value.margins_1d", ANY_OF(MARGIN)},
    [FE_PADDING] = {"value.padding", ANY_OF("{'enum':['valid','same']}," MARGINS)},
    [FE_PADDING_1D] = {"value.padding_1d", ANY_OF("{'enum':['valid','same']}," MARGIN)},
    [FE_EDGES] = {"value.edges", ANY_OF("{'enum':['valid','same','reflect']}," MARGINS)},
    [FE_EDGES_1D] = {"value.edges_1d", ANY_OF("{'enum':['valid','same','reflect','causal']}," MARGIN)},
    [FE_SHAPE] = {"value.shape", ANY_OF(LIST(COUNT, UP_TO_7))},
    [FE_TARGET] = {"value.target", ANY_OF(LIST(WHOLE(",'minimum':-1"), UP_TO_7))},
    [FE_DTYPE] = {"value.dtype", ANY_OF("{'enum':['float32','int32','uint8']}")},
    [FE_NAME] = {"value.name", WORD},
    [FE_PATH] = {"value.path", "{'type':['string','number'],'minLength':1}"},
    [FE_NAMES] = {"value.names", ANY_OF(LIST(WORD, ",'minItems':1"))},
    [FE_ACTIVATION] = {"value.activation", REF("activation")},
    [FE_INITIALIZER] = {"value.initializer", REF("initializer")},
    [FE_REGULARIZER] = {"value.regularizer", REF("regularizer")},
    [FE_MULTIPLE] = {"value.multiple",
                     ANY_OF(NUMBER(",'minimum':0") ",{'type':'string','pattern':'^[-+*/(). 0-9eE]+x$'}")},
    [FE_RATE] = {"value.rate", ANY_OF(NUMBER(",'minimum':0") "," REF("schedule"))},
    [FE_NUMBERS] = {"value.numbers", ANY_OF(LIST(NUMBER(",'exclusiveMinimum':0"), ",'minItems':1"))},
    [FE_WEIGHTS] = {"value.weights", ANY_OF(LIST(NUMBER(",'minimum':0"), ",'minItems':1"))},
    [FE_TREE] = {"value.tree", "{}"},
};

/* What stands at keys that their owners read: the definition of that name. */
static const struct {
    const char *key, *definition, *not_of;
} trees[] = {
    {"layers", "open_layers", NULL},
    {"head", "head", NULL},
    {"losses", "losses", NULL},
    {"metrics", "metrics", NULL},
    {"optimizer", "optimizer", NULL},
    {"train", "train", NULL},
    {"data", "data", NULL},
    {"weights", "weights", "combine"},
    {"teacher", "teacher", NULL},
    {"early_stopping", "early_stopping", NULL},
    {"reduce_on_plateau", "reduce_on_plateau", NULL},
    {"averaging", "averaging", NULL},
    {"gradient_clip", "gradient_clip", NULL},
    {"fine_tune", "fine_tune", NULL},
    {"warmup", "warmup", NULL},
};

static const char *tree_of(const fe_kind *owner, const fe_key *key)
{
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++)
        if (!strcmp(trees[i].key, key->name) && (!trees[i].not_of || strcmp(trees[i].not_of, owner->name)))
            return trees[i].definition;
    return NULL;
}

static json_t *value_of(const fe_kind *owner, const fe_key *key)
{
    const char *tree = key->type == FE_TREE ? tree_of(owner, key) : NULL;
    return refer_to(tree ? tree : values[key->type].name);
}

/* With what an editor shows of it. Beside a reference draft-07 sees nothing, so that is put inside of a list. */
static json_t *key_schema(const fe_kind *owner, const fe_key *key)
{
    json_t *schema = json_pack("{s:[o]}", "anyOf", value_of(owner, key));
    if (key->type != FE_TREE)
        json_object_set_new(schema, "description", json_string(fe_expected(key)));
    if (!key->fallback || key->fallback == FE_REQUIRED)
        return schema;
    json_t *value = json_loads(key->fallback, JSON_DECODE_ANY, NULL);
    json_object_set_new(schema, "default", value ? value : json_string(key->fallback));
    return schema;
}

/* ---- kinds ---- */

static void add_keys(const fe_kind *owner, const fe_key *keys, int most, json_t *properties, json_t *required)
{
    for (int i = 0; i < most && keys[i].name; i++) {
        json_object_set_new(properties, keys[i].name, key_schema(owner, &keys[i]));
        if (keys[i].fallback == FE_REQUIRED)
            json_array_append_new(required, json_string(keys[i].name));
    }
}

static const fe_key *find_key(const fe_key *keys, int most, const char *name)
{
    for (int i = 0; i < most && keys && keys[i].name; i++)
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    return NULL;
}

/* What may stand behind a kind: its keys, its short key's value, or nothing. A layer that shares another one's
 * parameters has that one's keys. */
static json_t *kind_schema(const fe_kind *kind, const fe_key *common)
{
    json_t *properties = json_object(), *required = json_array(), *forms = json_array();
    add_keys(kind, kind->keys, FE_MAX_KEYS, properties, required);
    if (common)
        add_keys(kind, common, FE_MAX_COMMON, properties, required);
    bool needs = json_array_size(required);
    json_t *keys = json_pack("{s:s,s:o,s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
    if (needs && find_key(common, FE_MAX_COMMON, "share"))
        json_object_set_new(keys, "anyOf", json_pack("[{s:O},{s:[s]}]", "required", required, "required", "share"));
    else if (needs)
        json_object_set(keys, "required", required);
    json_array_append_new(forms, keys);
    const fe_key *brief = kind->short_key ? find_key(kind->keys, FE_MAX_KEYS, kind->short_key) : NULL;
    if (kind->short_key && !brief)
        brief = find_key(common, FE_MAX_COMMON, kind->short_key);
    if (brief)
        json_array_append_new(forms, key_schema(kind, brief));
    if (!needs)
        json_array_append_new(forms, json_pack("{s:s}", "type", "null"));
    json_decref(required);
    return json_pack("{s:o}", "anyOf", forms);
}

static bool needs_keys(const fe_kind *kind)
{
    for (int i = 0; i < FE_MAX_KEYS && kind->keys[i].name; i++)
        if (kind->keys[i].fallback == FE_REQUIRED)
            return true;
    return false;
}

/* The definitions of a catalogue's kinds, and the choice of one: its name, or that with what stands behind. */
static json_t *add_catalogue(json_t *definitions, const char *name, const fe_catalogue *c)
{
    json_t *words = json_array(), *properties = json_object();
    const fe_kind *kind;
    for (size_t i = 0; (kind = fe_row(c, i)); i++) {
        char definition[96];
        snprintf(definition, sizeof definition, "%s.%s", name, kind->name);
        json_object_set_new(definitions, definition, kind_schema(kind, c->common));
        json_object_set_new(properties, kind->name, refer_to(definition));
        if (!needs_keys(kind))
            json_array_append_new(words, json_string(kind->name));
    }
    json_t *choice =
        json_pack("{s:[{s:o},{s:s,s:o,s:b,s:i,s:i},o]}", "anyOf", "enum", words, "type", "object", "properties",
                  properties, "additionalProperties", 0, "minProperties", 1, "maxProperties", 1, refer_to("argument"));
    json_object_set_new(definitions, name, choice);
    return properties;
}

static void add_layers(json_t *definitions)
{
    json_t *properties = add_catalogue(definitions, "layer", &fe_layers);
    json_object_set_new(definitions, "repeat", kind_schema(&fe_repeat_keys, NULL));
    json_object_set_new(properties, "repeat", refer_to("repeat"));
    /* of a file with blocks: other names too */
    json_t *open = json_pack("{s:[{s:s},{s:s,s:O,s:i,s:i}]}", "anyOf", "type", "string", "type", "object", "properties",
                             properties, "minProperties", 1, "maxProperties", 1);
    json_object_set_new(definitions, "open_layer", open);
    json_object_set_new(definitions, "layers", from_text(LIST(REF("layer"), ",'minItems':1")));
    json_object_set_new(definitions, "open_layers", from_text(LIST(REF("open_layer"), ",'minItems':1")));
}

/* ---- the whole ---- */

static const struct {
    const char *name;
    const fe_catalogue *catalogue;
} catalogues[] = {
    {"activation", &fe_activations}, {"initializer", &fe_initializers}, {"regularizer", &fe_regularizers},
    {"schedule", &fe_rates},         {"optimizer", &fe_optimizers},     {"loss", &fe_losses},
    {"metric", &fe_metrics},         {"averaging", &fe_averagings},
};

static const struct {
    const char *name;
    const fe_kind *kind;
} kinds[] = {
    {"input", &fe_input_keys},        {"group", &fe_group_keys},     {"pattern", &fe_pattern_keys},
    {"weights", &fe_weights_keys},    {"augment", &fe_augment_keys}, {"train", &fe_train_keys},
    {"gradient_clip", &fe_clip_keys}, {"warmup", &fe_warmup_keys},   {"stage", &fe_stage_keys},
    {"staging", &fe_staging_keys},    {"combine", &fe_combine_keys}, {"fine_tune", &fe_fine_tune_keys},
    {"teacher", &fe_teacher_keys},
};

/* Sections and the like that are no kind. */
static const char *const others[][2] = {
    {"argument", "{'type':'string','pattern':'[$]'}"},
    {"expression", "{'type':'string','pattern':'^[-+*/(). 0-9eE]+$'}"},
    {"name", WORD},
    {"inputs", "{'type':'object','minProperties':1,'additionalProperties':" REF("input") "}"},
    {"blocks", "{'type':'object','additionalProperties':{'type':'object','properties':{'parameters':{'type':['object',"
               "'null']},'layers':" REF("open_layers") "},'required':['layers'],'additionalProperties':false}}"},
    {"head", "{'anyOf':[{'enum':['auto']}," REF("open_layers") "]}"},
    {"losses", LIST(REF("loss"), ",'minItems':1")},
    {"metrics", LIST(REF("metric"), "")},
    {"groups", "{'anyOf':[" LIST(REF("group"), "") ",{'type':'object','additionalProperties':" REF("pattern") "}]}"},
    {"stages", LIST(REF("stage"), "")},
    {"data", "{'type':'object','properties':{'train':" REF("data_set") ",'validation':" REF("data_set") ",'test':" REF(
                 "data_set") "},'additionalProperties':false}"},
};

/* Inputs have any names, so a set of files may have any keys. */
static json_t *data_set(void)
{
    static const fe_kind *const parts[] = {&fe_table_keys, &fe_folds_keys, &fe_split_keys};
    json_t *properties = json_object(), *required = json_array();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        add_keys(parts[i], parts[i]->keys, FE_MAX_KEYS, properties, required);
    json_decref(required);
    json_object_set_new(properties, "augment", refer_to("augment"));
    return json_pack("{s:s,s:o}", "type", "object", "properties", properties);
}

/* What a stage's `false` leaves out of the file's. */
static json_t *watch(const fe_kind *kind)
{
    return json_pack("{s:[{s:b},o]}", "anyOf", "const", 0, kind_schema(kind, NULL));
}

static json_t *definitions(void)
{
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        json_object_set_new(all, others[i][0], from_text(others[i][1]));
    for (size_t i = 0; i < sizeof catalogues / sizeof *catalogues; i++)
        add_catalogue(all, catalogues[i].name, catalogues[i].catalogue);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        json_object_set_new(all, kinds[i].name, kind_schema(kinds[i].kind, NULL));
    for (size_t i = FE_COUNT; i < sizeof values / sizeof *values; i++)
        json_object_set_new(all, values[i].name, from_text(values[i].schema));
    add_layers(all);
    json_object_set_new(all, "early_stopping", watch(&fe_early_stopping_keys));
    json_object_set_new(all, "reduce_on_plateau", watch(&fe_plateau_keys));
    json_object_set_new(all, "data_set", data_set());
    return all;
}

static json_t *schema(void)
{
    json_t *properties = json_object();
    for (int i = 0; i < FE_SECTIONS; i++)
        json_object_set_new(properties, fe_sections[i],
                            strcmp(fe_sections[i], "layers") ? refer_to(fe_sections[i]) : json_object());
    json_t *root = from_text(
        "{'$schema':'http://json-schema.org/draft-07/schema#','title':'a network of Lamina',"
        "'type':'object','additionalProperties':false,'if':{'required':['blocks']},"
        "'then':{'properties':{'layers':" REF("open_layers") "}},"
                                                             "'else':{'properties':{'layers':" REF("layers") "}}}");
    json_object_set_new(root, "properties", properties);
    json_object_set_new(root, "definitions", definitions());
    return root;
}

int cmd_schema(int argc, char **argv)
{
    const cmd_option options[] = {{0}};
    const cmd_syntax syntax = {
        "schema", "lamina schema",
        "Prints a JSON Schema (draft-07) of the YAML language, by which editors complete and check.", options};
    int code = cmd_parse(&syntax, argc, argv, NULL, 0, 0);
    if (code >= 0)
        return code;
    json_t *all = schema();
    char *words = json_dumps(all, JSON_INDENT(1));
    puts(words ? words : "{}");
    free(words);
    json_decref(all);
    return EXIT_OK;
}
