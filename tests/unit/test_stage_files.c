/* Stages that are files of their own, to any depth: the nets that come of them are those of one file that has all of it
 * written out. Compared is the text of the modules. */
#include "frontend/frontend.h"
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <string.h>

static const char innermost[] = "inputs: {u: [7], label: {shape: [], dtype: int32}, w: []}\n"
                                "layers:\n"
                                "  - dense: {name: a, units: 9, activation: relu}\n"
                                "  - dropout: {name: d, rate: 0.25}\n"
                                "  - dense: {name: head_dense1, units: 4}\n"
                                "losses: [softmax_cross_entropy: {labels: label, sample_weights: w,\n"
                                "                                 class_weights: [1, 0, 2, 1/3]}]\n"
                                "metrics: [accuracy]\n"
                                "optimizer: {adam: {learning_rate: 0.2}}\n";
static const char inner[] = "inputs: {v: [7], label: {shape: [], dtype: int32}, weight: []}\n"
                            "layers:\n"
                            "  - dense: {name: c, units: 6, trainable: false}\n"
                            "  - dense: {name: e, units: 5, input: low}\n"
                            "  - concatenate: {name: j, inputs: [c, e]}\n"
                            "  - dense: {name: high_head_dense1, units: 4}\n"
                            "losses: [softmax_cross_entropy: {sample_weights: weight}]\n"
                            "optimizer: {sgd: 0.3}\n"
                            "groups: [{name: slow, layers: [e], optimizer: {sgd: 0.003}}]\n"
                            "staging: {coupling: local}\n"
                            "stages:\n"
                            "  - {name: low, net: innermost.yaml, output: d, inputs: {u: v, w: weight}}\n"
                            "  - {name: high, through: high_head_dense1}\n";
static const char ends[] = "losses: [softmax_cross_entropy: {sample_weights: w, class_weights: [1, 0, 2, 1/3]}]\n"
                           "metrics: [accuracy]\n"
                           "optimizer: {sgd: 0.1}\n"
                           "train: {batch: 8}\n"
                           "combine: average\n"
                           "staging: {coupling: local}\n";
static const char outer[] = "name: net\n"
                            "inputs: {x: [7], label: {shape: [], dtype: int32}, w: []}\n"
                            "layers: [{dense: {name: logits, units: 4}}]\n"
                            "stages:\n"
                            "  - {name: enc, net: inner.yaml, output: j, inputs: {v: x, weight: w}}\n"
                            "  - {name: last, through: logits}\n";
/* The same, all in one file. */
static const char by_hand[] =
    "name: net\n"
    "inputs: {x: [7], label: {shape: [], dtype: int32}, w: []}\n"
    "layers:\n"
    "  - dense: {name: enc_low_a, units: 9, activation: relu}\n"
    "  - dropout: {name: enc_low_d, rate: 0.25}\n"
    "  - dense: {name: enc_c, units: 6, trainable: false}\n"
    "  - dense: {name: enc_e, units: 5, input: enc_low_d}\n"
    "  - concatenate: {name: enc_j, inputs: [enc_c, enc_e]}\n"
    "  - dense: {name: logits, units: 4}\n"
    "groups: [{name: enc_slow, layers: [enc_e], optimizer: {sgd: 0.003}}]\n"
    "stages:\n"
    "  - {name: enc_low, through: enc_low_d, head: [{dense: 4}], optimizer: {adam: {learning_rate: 0.2}}}\n"
    "  - {name: enc_high, through: enc_j, head: [{dense: 4}], losses: [softmax_cross_entropy: {sample_weights: w}],\n"
    "     optimizer: {sgd: 0.3}}\n"
    "  - {name: last, through: logits}\n";

/* The text of a part's module (NULL: of the whole) as it is built. */
static void print_part(const char *name, const char *part, text *out)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s.yaml", directory, name);
    arena *mem = arena_new();
    diag *d = diag_new();
    const fe_network *n = fe_read(path, mem, d);
    diag_print_plain(d, out, true);
    const fe_hierarchy *h = n ? fe_stages(n) : NULL;
    for (int i = 0; part && h && i < h->count; i++)
        if (!strcmp(h->parts[i].name, part))
            n = h->parts[i].net;
    ir_module *m = n ? fe_build(n, d) : NULL;
    if (m) {
        ir_attr_remove(m->mem, &m->attrs, "source");
        ir_attr_remove(m->mem, &m->attrs, "hash");
        ir_print(m, false, out);
    }
    ir_module_free(m);
    diag_free(d);
    arena_free(mem);
}

static void write_with_ends(const char *name, const char *content)
{
    text all = {0};
    text_printf(&all, "%s%s", content, ends);
    write_yaml(name, text_get(&all));
    text_free(&all);
}

/* Three files deep: the parts are those of one file with all of it. */
static void files_are_one_net(void)
{
    static const char *const all[] = {"enc_low", "enc_high", "last", NULL};
    write_yaml("innermost", innermost);
    write_yaml("inner", inner);
    write_with_ends("by_hand", by_hand);
    write_with_ends("outer", outer);
    for (int i = 0; i < 4; i++) {
        text files = {0}, hand = {0};
        print_part("outer", all[i], &files);
        print_part("by_hand", all[i], &hand);
        CU_ASSERT_TRUE(files.length > 100);
        CU_ASSERT_STRING_EQUAL(text_get(&files), text_get(&hand));
        text_free(&files);
        text_free(&hand);
    }
}

void suite_stage_files(void);
void suite_stage_files(void)
{
    CU_pSuite s = CU_add_suite("stages in files of their own", open_directory, remove_directory);
    CU_add_test(s, "files three deep are one net", files_are_one_net);
}
