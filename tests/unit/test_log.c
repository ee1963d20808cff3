/* Every line of log.jsonl is as runtime/training/log.schema.json says: its keys, the types of their values, and that
 * none of the schema's keys is one that no run writes. What is read of JSON Schema is what the file uses. */
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static bool has_type(const char *type, const json_t *value)
{
    return !strcmp(type, "object")    ? json_is_object(value)
           : !strcmp(type, "array")   ? json_is_array(value)
           : !strcmp(type, "string")  ? json_is_string(value)
           : !strcmp(type, "integer") ? json_is_integer(value)
           : !strcmp(type, "number")  ? json_is_number(value)
                                      : !strcmp(type, "null") && json_is_null(value);
}

static bool has_one_type(const json_t *types, const json_t *value)
{
    bool ok = json_is_string(types) && has_type(json_string_value(types), value);
    for (size_t i = 0; i < json_array_size(types); i++)
        ok |= has_type(json_string_value(json_array_get(types, i)), value);
    return ok;
}

/* Keys of the schema's own properties that are found go to 'seen'. */
static bool is_valid(json_t *schema, json_t *value, json_t *seen)
{
    json_t *own = json_object_get(schema, "properties"), *others = json_object_get(schema, "additionalProperties");
    json_t *required = json_object_get(schema, "required"), *item;
    const char *key;
    bool ok = has_one_type(json_object_get(schema, "type"), value);
    for (size_t i = 0; i < json_array_size(required); i++)
        ok &= json_object_get(value, json_string_value(json_array_get(required, i))) != NULL;
    json_object_foreach(value, key, item)
    {
        json_t *rule = json_object_get(own, key);
        if (rule && seen)
            json_object_set_new(seen, key, json_true());
        rule = rule ? rule : others;
        ok &= json_is_object(rule) && is_valid(rule, item, NULL);
    }
    return ok;
}

static void check_log(json_t *schema, const char *run, json_t *seen)
{
    char path[256];
    int lines = 0;
    snprintf(path, sizeof path, "%s/%s/log.jsonl", directory, run);
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (json_t *line; (line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)); lines++) {
        CU_ASSERT_TRUE(is_valid(schema, line, seen));
        json_decref(line);
    }
    CU_ASSERT_TRUE(lines > 0);
    fclose(f);
}

static void write_net(const char *name, const char *more)
{
    char yaml[1024];
    snprintf(
        yaml, sizeof yaml,
        "inputs: {x: [10], y: [1]}\nlayers: [dense: {name: a, units: 6, activation: tanh}, dense: {name: b, units: "
        "1}]\nlosses: [mean_squared_error]\nmetrics: [mean_absolute_error]\noptimizer: {adam: 0.3}\ndata:\n"
        "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
        "  validation: {split: 0.1}\n%s",
        more);
    write_yaml(name, yaml);
}

static void lines(void)
{
    json_t *schema = json_load_file(LAMINA_SOURCE_DIR "/runtime/training/log.schema.json", 0, NULL);
    json_t *seen = json_object(), *broken = json_pack("{s:i}", "epoch", 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(schema);
    write_net("watched", "train: {batch: 50, epochs: 30, early_stopping: 2, reduce_on_plateau: 1}\n");
    write_net("stages", "train: {batch: 50, epochs: 2}\nstaging: {coupling: local}\n"
                        "stages: [{name: one, through: a, head: auto}, {name: two, through: b}]\n");
    train_whole("watched");
    train_whole("stages");
    check_log(schema, "watched-whole", seen);
    check_log(schema, "stages-whole", seen);
    CU_ASSERT_EQUAL(json_object_size(seen), json_object_size(json_object_get(schema, "properties")));
    CU_ASSERT_FALSE(is_valid(schema, broken, NULL));
    json_decref(broken);
    json_decref(seen);
    json_decref(schema);
}

/* On a terminal a line has a bar, if there is room for it; elsewhere none. */
static void terminals(void)
{
    write_net("seen", "train: {batch: 50, epochs: 2}\n");
    CU_ASSERT_EQUAL(run("%s train seen.yaml --overwrite >out && ! grep -q '\\[=' out", LAMINA_BINARY), 0);
    CU_ASSERT_EQUAL(run("script -qec 'stty cols 200; %s train seen.yaml --overwrite' /dev/null >out && "
                        "grep -q '^.*epoch 2/2 \\[=*\\] 74/74  loss .*/s  0:0' out",
                        LAMINA_BINARY),
                    0);
    CU_ASSERT_EQUAL(run("script -qec 'stty cols 145; %s train seen.yaml --overwrite' /dev/null >out && "
                        "grep -q '^.*epoch 2/2 74/74  loss .*/s  0:0' out",
                        LAMINA_BINARY),
                    0);
}

void suite_log(void);
void suite_log(void)
{
    CU_pSuite s = CU_add_suite("log", open_with_data, remove_directory);
    CU_add_test(s, "lines are as the schema says", lines);
    CU_add_test(s, "on terminals and elsewhere", terminals);
}
