/* Event files, read by TensorFlow's rules: records whole to the last bit, and what their events say. */
#include "tests/unit/train_runs.h"
#include <CUnit/CUnit.h>
#include <glob.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t step;
    char tag[128], version[32];
    float value;
    bool starts;
} event;

typedef struct {
    unsigned char at[1 << 16];
    size_t size;
} content;

static uint64_t little(const unsigned char *at, int bytes)
{
    uint64_t v = 0;
    while (bytes-- > 0)
        v = v << 8 | at[bytes];
    return v;
}

/* By long division of the message, bits reversed, by the polynomial 0x1edc6f41. */
static uint32_t castagnoli(const unsigned char *at, size_t size)
{
    uint32_t rest = ~0u;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        uint32_t top = rest >> 31 ^ (at[bit / 8] >> bit % 8 & 1u);
        rest = rest << 1 ^ (top ? 0x1edc6f41u : 0);
    }
    uint32_t mirrored = 0;
    for (int bit = 0; bit < 32; bit++)
        mirrored |= (~rest >> bit & 1u) << (31 - bit);
    return mirrored;
}

static bool is_checked(const unsigned char *at, size_t size)
{
    uint32_t c = (uint32_t)little(at + size, 4) - 0xa282ead8u;
    return (c >> 17 | c << 15) == castagnoli(at, size);
}

static uint64_t varint(const unsigned char **at)
{
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
        v |= (uint64_t)(**at & 0x7f) << shift;
        if (!(*(*at)++ & 0x80))
            return v;
    }
}

/* What lies in a message, to any depth: the fields of these messages that matter have numbers of their own. */
static void read_message(const unsigned char *at, size_t size, int depth, event *e)
{
    for (const unsigned char *end = at + size; at < end;) {
        uint64_t key = varint(&at), length = 0;
        switch (key & 7) {
        case 0:
            length = varint(&at);
            e->step = depth == 0 && key >> 3 == 2 ? (int64_t)length : e->step;
            e->starts |= depth == 1 && key >> 3 == 1 && length == 1;
            break;
        case 1:
            at += 8;
            break;
        case 5:
            memcpy(&e->value, at, 4), at += 4;
            break;
        default:
            length = varint(&at);
            if (depth == 0 && key >> 3 == 3)
                snprintf(e->version, sizeof e->version, "%.*s", (int)length, (const char *)at);
            else if (depth == 2)
                snprintf(e->tag, sizeof e->tag, "%.*s", (int)length, (const char *)at);
            else
                read_message(at, length, depth + 1, e);
            at += length;
        }
    }
}

/* The events of DIRECTORY's file of this number; their count. */
static int read_events(const char *run, size_t number, event *events, int most)
{
    static content c;
    char pattern[256];
    glob_t found;
    int count = 0;
    snprintf(pattern, sizeof pattern, "%s/%s/events.out.tfevents.*", directory, run);
    CU_ASSERT_FATAL(glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > number);
    FILE *f = fopen(found.gl_pathv[number], "rb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    c.size = fread(c.at, 1, sizeof c.at, f);
    fclose(f);
    globfree(&found);
    for (size_t at = 0; at < c.size && count < most; count++) {
        size_t size = (size_t)little(c.at + at, 8);
        CU_ASSERT_FATAL(at + 16 + size <= c.size);
        CU_ASSERT_TRUE(is_checked(c.at + at, 8) && is_checked(c.at + at + 12, size));
        events[count] = (event){0};
        read_message(c.at + at + 12, size, 0, &events[count]);
        at += 16 + size;
    }
    return count;
}

static const event *find(const event *events, int count, const char *tag, int64_t step)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(events[i].tag, tag) && events[i].step == step)
            return &events[i];
    return NULL;
}

static void write_net(const char *name, const char *more)
{
    char yaml[1024];
    snprintf(
        yaml, sizeof yaml,
        "inputs: {x: [10], y: [1]}\nlayers: [dense: {name: a, units: 6, activation: tanh}, dense: {name: b, units: "
        "1}]\nlosses: [mean_squared_error]\nmetrics: [mean_absolute_error]\noptimizer: {adam: 0.01}\ndata:\n"
        "  train: {format: idx, x: data/linear-train-x.idx, y: data/linear-train-y.idx}\n"
        "  validation: {split: 0.1}\ntrain: {batch: 50, epochs: 3}\n%s",
        more);
    write_yaml(name, yaml);
}

/* What a run's log says of an epoch. */
static double logged(const char *run, int epoch, const char *set, const char *metric)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s/log.jsonl", directory, run);
    FILE *f = fopen(path, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    json_t *line = NULL;
    for (int i = 0; i < epoch; i++) {
        json_decref(line);
        line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
    }
    double value = json_number_value(json_object_get(json_object_get(line, set), metric));
    json_decref(line);
    fclose(f);
    return value;
}

static void a_run(void)
{
    event e[64];
    write_net("plain", "");
    CU_ASSERT_EQUAL_FATAL(run("%s train plain.yaml --out=plain --tensorboard >out", LAMINA_BINARY), 0);
    int count = read_events("plain", 0, e, 64);
    CU_ASSERT_EQUAL(count, 2 + 3 * 5);
    CU_ASSERT_STRING_EQUAL(e[0].version, "brain.Event:2");
    CU_ASSERT_TRUE(e[1].starts && e[1].step == 1);
    const event *loss = find(e, count, "validation/mean_absolute_error", 3), *rate = find(e, count, "learning_rate", 1);
    CU_ASSERT_FATAL(loss && rate && find(e, count, "train/loss", 2));
    CU_ASSERT_EQUAL(rate->value, 0.01f);
    CU_ASSERT_EQUAL(loss->value, (float)logged("plain", 3, "validation", "mean_absolute_error"));
}

static void resumed(void)
{
    event e[64];
    write_net("stopped", "");
    CU_ASSERT_EQUAL_FATAL(run("%s train stopped.yaml --out=stopped --tensorboard --max-steps=100 >out", LAMINA_BINARY),
                          0);
    CU_ASSERT_EQUAL_FATAL(run("%s train stopped.yaml --out=stopped --tensorboard --resume >out", LAMINA_BINARY), 0);
    int count = read_events("stopped", 1, e, 64);
    CU_ASSERT_EQUAL(count, 2 + 2 * 5);
    CU_ASSERT_TRUE(e[1].starts && e[1].step == 2);
}

static void of_stages(void)
{
    event e[64];
    write_net("staged", "staging: {coupling: local}\n"
                        "stages: [{name: one, through: a, head: auto}, {name: two, through: b}]\n");
    CU_ASSERT_EQUAL_FATAL(run("%s train staged.yaml --out=staged --tensorboard >out", LAMINA_BINARY), 0);
    int count = read_events("staged", 0, e, 64);
    CU_ASSERT_PTR_NOT_NULL(find(e, count, "one/train/loss", 1));
    CU_ASSERT_PTR_NOT_NULL(find(e, count, "two/validation/loss", 6));
}

void suite_events(void);
void suite_events(void)
{
    CU_pSuite s = CU_add_suite("events", open_with_data, remove_directory);
    CU_add_test(s, "a run's values, epoch by epoch", a_run);
    CU_add_test(s, "a resumed run takes later ones back", resumed);
    CU_add_test(s, "stages have theirs by name", of_stages);
}
