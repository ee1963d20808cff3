/* `lamina schema`: every row of the catalogues' tables is in it with every key, every reference leads somewhere, every
 * example is as it says, and what is misspelt is not. What is read of JSON Schema here is what it uses, but for bounds
 * of numbers. */
#include "frontend/catalogue/catalogue.h"
#include "frontend/network/sections.h"
#include "tests/unit/shell.h"
#include <CUnit/CUnit.h>
#include <dirent.h>
#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *root;

static json_t *definition(const char *name)
{
    return json_object_get(json_object_get(root, "definitions"), name);
}

static int open_schema(void)
{
    char path[128];
    if (open_directory() || run("%s schema >schema.json", LAMINA_BINARY))
        return 1;
    snprintf(path, sizeof path, "%s/schema.json", directory);
    root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    return !root;
}

static int close_schema(void)
{
    json_decref(root);
    return remove_directory();
}

/* ---- a YAML against a schema ---- */

static bool is_number(const fe_yaml *y)
{
    char *end;
    strtod(y->word, &end);
    return !y->quoted && *y->word && !*end;
}

static bool is_bool(const fe_yaml *y)
{
    return !y->quoted && (!strcmp(y->word, "true") || !strcmp(y->word, "false"));
}

static bool has_type(const char *type, const fe_yaml *y)
{
    if (y->kind != FE_SCALAR)
        return !strcmp(type, y->kind == FE_LIST ? "array" : "object");
    if (fe_yaml_is_null(y))
        return !strcmp(type, "null");
    if (is_number(y))
        return !strcmp(type, "number") || (!strcmp(type, "integer") && !strpbrk(y->word, ".e"));
    return !strcmp(type, is_bool(y) ? "boolean" : "string");
}

static bool has_one_type(const json_t *types, const fe_yaml *y)
{
    bool ok = !types || (json_is_string(types) && has_type(json_string_value(types), y));
    for (size_t i = 0; i < json_array_size(types); i++)
        ok |= has_type(json_string_value(json_array_get(types, i)), y);
    return ok;
}

static bool matches(const char *pattern, const fe_yaml *y)
{
    regex_t r;
    if (!pattern || y->kind != FE_SCALAR)
        return true;
    CU_ASSERT_EQUAL_FATAL(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool ok = !regexec(&r, y->word, 0, NULL, 0);
    regfree(&r);
    return ok;
}

static bool is_among(const json_t *words, const fe_yaml *y)
{
    for (size_t i = 0; i < json_array_size(words); i++)
        if (y->kind == FE_SCALAR && !strcmp(json_string_value(json_array_get(words, i)), y->word))
            return true;
    return !words;
}

static bool has_required(const json_t *names, const fe_yaml *y)
{
    for (size_t i = 0; i < json_array_size(names); i++)
        if (y->kind == FE_MAP && !fe_yaml_find(y, json_string_value(json_array_get(names, i))))
            return false;
    return true;
}

static bool fits(json_t *schema, const fe_yaml *y);

static bool keys_fit(json_t *schema, const fe_yaml *y)
{
    json_t *others = json_object_get(schema, "additionalProperties"), *most = json_object_get(schema, "maxProperties");
    if (y->kind != FE_MAP)
        return true;
    for (int i = 0; i < y->count; i++) {
        json_t *own = json_object_get(json_object_get(schema, "properties"), y->key[i]->word);
        if ((own || others) && !fits(own ? own : others, y->item[i]))
            return false;
    }
    return has_required(json_object_get(schema, "required"), y) && (!most || y->count <= json_integer_value(most));
}

static bool items_fit(json_t *schema, const fe_yaml *y)
{
    json_t *items = json_object_get(schema, "items"), *most = json_object_get(schema, "maxItems");
    for (int i = 0; items && y->kind == FE_LIST && i < y->count; i++)
        if (!fits(items, y->item[i]))
            return false;
    return y->kind != FE_LIST || !most || y->count <= json_integer_value(most);
}

static bool fits_any(const json_t *schemas, const fe_yaml *y)
{
    for (size_t i = 0; i < json_array_size(schemas); i++)
        if (fits(json_array_get(schemas, i), y))
            return true;
    return !schemas;
}

static bool fits(json_t *schema, const fe_yaml *y)
{
    const char *reference = json_string_value(json_object_get(schema, "$ref"));
    json_t *condition = json_object_get(schema, "if"), *constant = json_object_get(schema, "const");
    if (!json_is_object(schema))
        return json_is_true(schema);
    if (reference)
        return fits(definition(strrchr(reference, '/') + 1), y);
    if (condition && !fits(json_object_get(schema, fits(condition, y) ? "then" : "else"), y))
        return false;
    return has_one_type(json_object_get(schema, "type"), y) && is_among(json_object_get(schema, "enum"), y) &&
           (!constant || (y->kind == FE_SCALAR && !strcmp(y->word, "false"))) &&
           matches(json_string_value(json_object_get(schema, "pattern")), y) && keys_fit(schema, y) &&
           items_fit(schema, y) && fits_any(json_object_get(schema, "anyOf"), y);
}

static bool text_fits(const char *content, size_t length)
{
    arena *mem = arena_new();
    diag *d = diag_new();
    const fe_yaml *y = fe_yaml_parse(content, length, "net.yaml", mem, d);
    bool ok = y && fits(root, y);
    diag_free(d);
    arena_free(mem);
    return ok;
}

/* ---- tests ---- */

static void check_kind(const char *catalogue, const fe_kind *kind, const fe_key *common)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s", catalogue, kind->name);
    json_t *forms = json_object_get(definition(name), "anyOf");
    json_t *properties = json_object_get(json_array_get(forms, 0), "properties");
    size_t count = 0;
    for (int i = 0; i < FE_MAX_KEYS && kind->keys[i].name; i++, count++)
        CU_ASSERT_PTR_NOT_NULL(json_object_get(properties, kind->keys[i].name));
    for (int i = 0; common[i].name; i++, count++)
        CU_ASSERT_PTR_NOT_NULL(json_object_get(properties, common[i].name));
    CU_ASSERT_EQUAL(json_object_size(properties), count);
    json_t *choice = json_array_get(json_object_get(definition(catalogue), "anyOf"), 1);
    CU_ASSERT_PTR_NOT_NULL(json_object_get(json_object_get(choice, "properties"), kind->name));
}

static void every_row(void)
{
    static const struct {
        const char *name;
        const fe_catalogue *c;
    } all[] = {{"layer", &fe_layers},
               {"loss", &fe_losses},
               {"metric", &fe_metrics},
               {"optimizer", &fe_optimizers},
               {"schedule", &fe_rates},
               {"activation", &fe_activations},
               {"initializer", &fe_initializers},
               {"regularizer", &fe_regularizers},
               {"averaging", &fe_averagings}};
    const fe_kind *kind;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        for (size_t i = 0; (kind = fe_row(all[k].c, i)); i++)
            check_kind(all[k].name, kind, all[k].c->common);
    for (int i = 0; i < FE_SECTIONS; i++)
        CU_ASSERT_PTR_NOT_NULL(json_object_get(json_object_get(root, "properties"), fe_sections[i]));
}

static void check_references(json_t *j)
{
    const char *key, *reference = json_string_value(json_object_get(j, "$ref"));
    json_t *item;
    size_t i;
    if (reference)
        CU_ASSERT_PTR_NOT_NULL(definition(reference + strlen("#/definitions/")));
    json_object_foreach(j, key, item) check_references(item);
    json_array_foreach(j, i, item) check_references(item);
}

static void references(void)
{
    check_references(root);
}

static void examples(void)
{
    DIR *folder = opendir(LAMINA_SOURCE_DIR "/examples");
    int count = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    for (struct dirent *e; (e = readdir(folder));) {
        char path[512];
        text content = {0};
        if (!strstr(e->d_name, ".yaml"))
            continue;
        snprintf(path, sizeof path, "%s/examples/%s", LAMINA_SOURCE_DIR, e->d_name);
        bool ok = text_read_file(&content, path) && text_fits(text_get(&content), content.length);
        if (!ok)
            fprintf(stderr, "%s: not as the schema says\n", path);
        CU_ASSERT_TRUE(ok);
        text_free(&content);
        count++;
    }
    closedir(folder);
    CU_ASSERT_TRUE(count > 10);
}

static void check_net(const char *more, bool wanted)
{
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "inputs: {x: [4], y: {shape: [], dtype: int32}}\n%s\n", more);
    bool fitting = text_fits(yaml, strlen(yaml));
    if (fitting != wanted)
        fprintf(stderr, "%s: is %sas the schema says\n", more, fitting ? "" : "not ");
    CU_ASSERT_EQUAL(fitting, wanted);
}

static void misspelt(void)
{
    static const char *const wrong[] = {
        "layer: [flatten]",
        "layers: [flaten]",
        "layers: [dens: 3]",
        "layers: [dense: three]",
        "layers: [dense: {unit: 3}]",
        "layers: [dense: {units: 3, activation: rellu}]",
        "layers: [dense: {units: 3, activation: {leaky_relu: {slop: 1}}}]",
        "layers: [dense: {units: 3, kernel_initializer: he_norml}]",
        "layers: [dense: {units: 3, use_bias: yess}]",
        "layers: [dense: {activation: relu}]",
        "layers: [dense]",
        "layers: [conv2d: {filters: 3, kernel_size: [3, 3, 3]}]",
        "layers: [conv2d: {filters: 3, kernel_size: 3, padding: sam}]",
        "layers: [dense: {units: 3}, repeat: {time: 3, layers: [flatten]}]",
        "layers: {dense: 3}",
        "layers: [dense: 3]\nlosses: [mean_squard_error]",
        "layers: [dense: 3]\nlosses: [mean_squared_error: {wight: 2}]",
        "layers: [dense: 3]\nmetrics: [acuracy]",
        "layers: [dense: 3]\noptimizer: {adm: 0.1}",
        "layers: [dense: 3]\noptimizer: {adam: {learning_rate: {cosin: {initial: 1, steps: 3}}}}",
        "layers: [dense: 3]\ntrain: {epoch: 3}",
        "layers: [dense: 3]\ntrain: {early_stopping: {patient: 3}}",
        "layers: [dense: 3]\ndata: {validate: {split: 0.1}}",
        "layers: [dense: 3]\nstages: [{name: a, throu: dense1}]",
        "layers: [dense: 3]\nweights: {fil: a.safetensors}",
        "layers: [dense: 3]\nblocks: {a: {layer: [flatten]}}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_net(wrong[i], false);
}

static void well_spelt(void)
{
    static const char *const right[] = {
        "layers: [dense: 3]",
        "layers: [dense: 2*3]",
        "layers: [dense: {units: 3, name: a}, dense: {share: a}]",
        "layers: [activation: {leaky_relu: {negative_slope: 0.1}}]",
        "layers: [mlp: {units: 3}, mlp]\nblocks: {mlp: {parameters: {units: 3}, layers: [dense: {units: $units}]}}",
        "layers: [repeat: {times: 3, layers: [dense: 3, dropout: 0.1]}]",
        "layers: [dense: 3]\ngroups: {\"*.bias\": {weight_decay: 0, learning_rate: 0.1x}}",
        "layers: [dense: 3]\ntrain: {early_stopping: false, averaging: {ema: 0.9}}",
    };
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        check_net(right[i], true);
}

void suite_schema(void);
void suite_schema(void)
{
    CU_pSuite s = CU_add_suite("schema", open_schema, close_schema);
    CU_add_test(s, "every row of the tables, with every key", every_row);
    CU_add_test(s, "references lead somewhere", references);
    CU_add_test(s, "examples are as it says", examples);
    CU_add_test(s, "what is misspelt is not", misspelt);
    CU_add_test(s, "what is right is", well_spelt);
}
