/* Values that `--set` replaces (frontend/network/changes.c): a network with a change is the network that says the same
 * in its file, and what is wrong with a change is said of the option. */
#include "frontend/frontend.h"
#include "tests/unit/shell.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

static void write_file(const char *name, const char *yaml)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(yaml, f);
    fclose(f);
}

/* The module as text, or the messages. */
static void described(const char *yaml, const char *const *changes, text *out)
{
    char path[256];
    arena *mem = arena_new();
    diag *d = diag_new();
    write_file("net.yaml", yaml);
    snprintf(path, sizeof path, "%s/net.yaml", directory);
    fe_network *n = fe_read_changed(path, changes, mem, d);
    ir_module *m = n ? fe_build(n, d) : NULL;
    if (m)
        ir_print(m, false, out);
    diag_print_plain(d, out, false);
    ir_module_free(m);
    diag_free(d);
    arena_free(mem);
}

static void check_equal(const char *yaml, const char *const *changes, const char *wanted)
{
    static const char *const none[] = {NULL};
    text changed = {0}, written = {0};
    described(yaml, changes, &changed);
    described(wanted, none, &written);
    bool ok = !strcmp(text_get(&changed), text_get(&written)) && !strncmp(text_get(&changed), "module", 6);
    CU_ASSERT_TRUE(ok);
    if (!ok)
        fprintf(stderr, "with %s: got\n%swanted\n%s", changes[0], text_get(&changed), text_get(&written));
    text_free(&changed);
    text_free(&written);
}

static const char head[] = "inputs: {x: [8], y: [1]}\n", tail[] = "losses: [mean_squared_error]\n";

/* Networks of these layers and these sections behind the losses. */
static void check_net(const char *layers, const char *more, const char *change, const char *other_layers,
                      const char *other_more)
{
    char yaml[1024], wanted[1024];
    const char *const changes[] = {change, NULL};
    snprintf(yaml, sizeof yaml, "%slayers: %s\n%s%s\n", head, layers, tail, more);
    snprintf(wanted, sizeof wanted, "%slayers: %s\n%s%s\n", head, other_layers, tail, other_more);
    check_equal(yaml, changes, wanted);
}

static void check_layers(const char *layers, const char *change, const char *wanted)
{
    check_net(layers, "optimizer: sgd", change, wanted, "optimizer: sgd");
}

static void entries(void)
{
    const char *net = "[dense: {units: 4, activation: relu}, dense: {name: last, units: 1}]";
    check_layers(net, "layers.dense1.units=5", "[dense: {units: 5, activation: relu}, dense: {name: last, units: 1}]");
    check_layers(net, "layers.1.units=5", "[dense: {units: 5, activation: relu}, dense: {name: last, units: 1}]");
    check_layers(net, "layers.last.use_bias=false",
                 "[dense: {units: 4, activation: relu}, dense: {name: last, units: 1, use_bias: false}]");
    check_layers(net, "layers.1=dropout: 0.5", "[dropout: 0.5, dense: {name: last, units: 1}]");
    check_layers("[dense: 3, dropout: 0.1, dense: 1]", "layers.dropout.rate=0.25",
                 "[dense: 3, dropout: 0.25, dense: 1]");
    check_net("[dense: 1]", "optimizer: sgd\nmetrics: [mean_absolute_error]",
              "metrics.1={mean_absolute_error: {name: m}}", "[dense: 1]",
              "optimizer: sgd\nmetrics: [mean_absolute_error: {name: m}]");
}

static void short_forms(void)
{
    check_layers("[dense: 4, dense: 1]", "layers.dense1.activation=tanh",
                 "[dense: {units: 4, activation: tanh}, dense: 1]");
    check_layers("[dense: 4, dense: 1]", "layers.dense1.units=5", "[dense: 5, dense: 1]");
    check_layers("[flatten, dense: 1]", "layers.flatten1.name=flat", "[flatten: {name: flat}, dense: 1]");
    check_layers("[activation: relu, dense: 1]", "layers.1.leaky_relu.negative_slope=0.5",
                 "[activation: {leaky_relu: {negative_slope: 0.5}}, dense: 1]");
    check_net("[dense: 1]", "optimizer: adam", "optimizer.adam.learning_rate=0.5", "[dense: 1]",
              "optimizer: {adam: 0.5}");
    check_net("[dense: 1]", "optimizer: {sgd: 0.25}", "optimizer.sgd.momentum=0.9", "[dense: 1]",
              "optimizer: {sgd: {learning_rate: 0.25, momentum: 0.9}}");
    check_net("[dense: 1]", "optimizer: {sgd: 0.25}", "optimizer.sgd.learning_rate={cosine: {initial: 1/8, epochs: 3}}",
              "[dense: 1]", "optimizer: {sgd: {learning_rate: {cosine: {initial: 0.125, epochs: 3}}}}");
    const char *const changes[] = {"inputs.x.dtype=uint8", "inputs.x.scale=1/255", NULL};
    check_equal("inputs: {x: [3]}\nlayers: [dense: 1]\n", changes,
                "inputs: {x: {shape: [3], dtype: uint8, scale: 1/255}}\nlayers: [dense: 1]\n");
    const char *const numbers[] = {"inputs.x.2=7", NULL};
    check_equal("inputs: {x: [3, 3]}\nlayers: [flatten, dense: 1]\n", numbers,
                "inputs: {x: [3, 7]}\nlayers: [flatten, dense: 1]\n");
}

static void blocks(void)
{
    const char *yaml = "inputs: {x: [8]}\nblocks: {b: {parameters: {units: ~, act: relu}, layers: [dense: $units, "
                       "activation: $act, add: [activation1, $input]]}}\nlayers: [b: 8, repeat: {times: 2, layers: [b: "
                       "8, dense: 8]}]\n";
    const char *const argument[] = {"layers.b1.act=tanh", NULL};
    check_equal(yaml, argument,
                "inputs: {x: [8]}\nblocks: {b: {parameters: {units: ~, act: relu}, layers: [dense: $units, activation: "
                "$act, add: [activation1, $input]]}}\nlayers: [b: {units: 8, act: tanh}, repeat: {times: 2, layers: "
                "[b: 8, dense: 8]}]\n");
    const char *const within[] = {"blocks.b.layers.dense1.activation=elu", "blocks.b.layers.add1.trainable=false",
                                  "layers.repeat1.layers.dense1.use_bias=false", NULL};
    check_equal(yaml, within,
                "inputs: {x: [8]}\nblocks: {b: {parameters: {units: ~, act: relu}, layers: [dense: {units: $units, "
                "activation: elu}, activation: $act, add: {inputs: [activation1, $input], trainable: false}]}}\n"
                "layers: [b: 8, repeat: {times: 2, layers: [b: 8, dense: {units: 8, use_bias: false}]}]\n");
}

/* What an alias stands for changes there alone. */
static void aliases(void)
{
    check_layers("[dense: &d {units: 4, activation: relu}, dense: *d, dense: 1]", "layers.dense1.units=5",
                 "[dense: {units: 5, activation: relu}, dense: {units: 4, activation: relu}, dense: 1]");
    check_layers("[dense: &d {units: 4, activation: relu}, dense: *d, dense: 1]", "layers.dense2.units=5",
                 "[dense: {units: 4, activation: relu}, dense: {units: 5, activation: relu}, dense: 1]");
}

static void stages(void)
{
    const char *const changes[] = {"stages.one.train.epochs=7", "stages.two.optimizer=adam",
                                   "stages.one.head.dense1.units=1", NULL};
    check_equal("inputs: {x: [8], y: [1]}\nlayers: [dense: 4, dense: 1]\nlosses: [mean_squared_error]\noptimizer: "
                "sgd\nstaging: {coupling: local}\nstages: [{name: one, through: dense1, head: [dense: 2]}, {name: two, "
                "through: dense2}]\n",
                changes,
                "inputs: {x: [8], y: [1]}\nlayers: [dense: 4, dense: 1]\nlosses: [mean_squared_error]\noptimizer: "
                "sgd\nstaging: {coupling: local}\nstages: [{name: one, through: dense1, head: [dense: 1], train: "
                "{epochs: 7}}, {name: two, through: dense2, optimizer: adam}]\n");
}

/* A section that the file has not is made; of changes to one value the last one counts. */
static void sections(void)
{
    const char *const changes[] = {"train.batch=7", "optimizer.adam.beta_1=0.5", "optimizer.adam.beta_1=0.25", NULL};
    check_equal("inputs: {x: [8], y: [1]}\nlayers: [dense: 1]\nlosses: [mean_squared_error]\n", changes,
                "inputs: {x: [8], y: [1]}\nlayers: [dense: 1]\nlosses: [mean_squared_error]\noptimizer: {adam: "
                "{beta_1: 0.25}}\ntrain: {batch: 7}\n");
}

static void check_error(const char *change, const char *wanted)
{
    const char *const changes[] = {change, NULL};
    text got = {0};
    described("inputs: {x: [8], y: [1]}\nlayers: [dense: 4, dense: 1]\nlosses: [mean_squared_error]\noptimizer: {sgd: "
              "1}\n",
              changes, &got);
    CU_ASSERT_STRING_EQUAL(text_get(&got), wanted);
    text_free(&got);
}

static void errors(void)
{
    check_error("train.epoch=3", "--set train.epoch=3: error: train: key 'epoch' is unknown, did you mean 'epochs'?\n");
    check_error("layers.dense2.units=-1", "--set layers.dense2.units=-1: error: units: expected a whole number from 1 "
                                          "to 16777216, found '-1'\n");
    check_error("layers.dense3.units=1", "--set layers.dense3.units=1: error: entry 'dense3' is unknown, did you mean "
                                         "'dense1'?\n");
    check_error("optimizer.rate=1", "--set optimizer.rate=1: error: optimizer: expected a name, or one name with its "
                                    "keys ({sgd: {...}}), found a mapping\n");
    check_error("layers.dense1.units=[", "--set layers.dense1.units=[:2:1: error: YAML: did not find expected node "
                                         "content\n");
}

void suite_changes(void);
void suite_changes(void)
{
    CU_pSuite s = CU_add_suite("changes", open_directory, remove_directory);
    CU_add_test(s, "entries of lists", entries);
    CU_add_test(s, "short forms", short_forms);
    CU_add_test(s, "blocks and repetitions", blocks);
    CU_add_test(s, "aliases", aliases);
    CU_add_test(s, "stages", stages);
    CU_add_test(s, "sections", sections);
    CU_add_test(s, "errors stand at the option", errors);
}
