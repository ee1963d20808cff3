/* examples/embed/main.c - a program with a network inside: classify WEIGHTS DATA_DIRECTORY
 *
 * It is linked with the library that Lamina made of fashion_mlp.yaml, loads trained weights, names what it sees on a
 * few test images, and then trains on. By hand, without CMake:
 *
 *     cc main.c -I../../runtime -I$NET_DIR -L$NET_DIR -l:fashion_mlp.so -Wl,-rpath,$NET_DIR \
 *        ../../build/liblamina.a -ljansson -lz -lm -lpthread -ldl -o classify */
#include "fashion_mlp.h"
#include "lamina.h"

enum { SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, SHOWN = 3, BATCH = 128, STEPS = 50 };

static const char *const names[CLASSES] = {"T-shirt", "trousers", "pullover", "dress", "coat",
                                           "sandal",  "shirt",    "sneaker",  "bag",   "ankle boot"};

/* Two rows of pixels to a line of text, since a character is about twice as high as wide. */
static void draw(const uint8_t *pixels)
{
    static const char shades[] = " .:-=+*#%@";
    for (int y = 0; y < SIDE; y += 2) {
        for (int x = 0; x < SIDE; x++) {
            int grey = (pixels[y * SIDE + x] + pixels[(y + 1) * SIDE + x]) / 2;
            putchar(shades[grey * (int)(sizeof shades - 2) / 255]);
        }
        putchar('\n');
    }
}

static int best(const float *logits)
{
    int guess = 0;
    for (int i = 1; i < CLASSES; i++)
        if (logits[i] > logits[guess])
            guess = i;
    return guess;
}

/* An array of pointers, one for each input of the network: to records of a data set that lie one after the other. */
static void point_at(const lamina_net *net, const lamina_dataset *d, int64_t first, const void *inputs[])
{
    for (int32_t i = 0; i < net->input_count; i++)
        inputs[i] = lamina_dataset_record(d, i, first);
}

static lamina_status load_data(const lamina_net *net, const char *folder, const char *set, lamina_dataset **out,
                               lamina_error *e)
{
    char images[1024], labels[1024];
    snprintf(images, sizeof images, "%s/%s-images-idx3-ubyte.gz", folder, set);
    snprintf(labels, sizeof labels, "%s/%s-labels-idx1-ubyte.gz", folder, set);
    lamina_status s = lamina_dataset_new(net, out, e);
    if (!s)
        s = lamina_dataset_add_idx(*out, "image", images, e);
    if (!s)
        s = lamina_dataset_add_idx(*out, "label", labels, e);
    return s ? s : lamina_dataset_check_labels(*out, "label", CLASSES, e);
}

static lamina_status classify(lamina_model *m, const lamina_dataset *test, lamina_error *e)
{
    const lamina_net *net = lamina_model_net(m);
    int32_t image = lamina_net_input(net, "image"), label = lamina_net_input(net, "label");
    const void *inputs[8];
    float logits[SHOWN][CLASSES];
    void *const outputs[] = {logits};
    point_at(net, test, 0, inputs);
    lamina_status s = lamina_infer(m, inputs, SHOWN, outputs, e);
    for (int i = 0; !s && i < SHOWN; i++) {
        draw(lamina_dataset_record(test, image, i));
        printf("guess: %s, truth: %s\n\n", names[best(logits[i])],
               names[*(const int32_t *)lamina_dataset_record(test, label, i)]);
    }
    return s;
}

static lamina_status measure(lamina_model *m, const lamina_dataset *test, const char *when, lamina_error *e)
{
    lamina_status s = lamina_evaluate_dataset(m, test, NULL, e);
    if (s)
        return s;
    printf("test data, %s:", when);
    for (int32_t i = 0; i < lamina_model_net(m)->metric_count; i++)
        printf("  %s %.4f", lamina_model_net(m)->metrics[i].name, lamina_metric_value(m, i));
    putchar('\n');
    return LAMINA_OK;
}

/* Steps by hand, as a program does whose data come one after the other; lamina_fit is for whole data sets. */
static lamina_status train_on(lamina_model *m, const lamina_dataset *train, lamina_error *e)
{
    for (int i = 0; i < STEPS; i++) {
        const void *inputs[8];
        point_at(lamina_model_net(m), train, (int64_t)i * BATCH, inputs);
        lamina_reset_metrics(m);
        lamina_status s = lamina_train_step(m, inputs, BATCH, e);
        if (s)
            return s;
        if (i % 10 == 9)
            printf("step %d: loss %.4f\n", i + 1, lamina_metric_value(m, 0));
    }
    return LAMINA_OK;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: classify WEIGHTS DATA_DIRECTORY\n");
        return 2;
    }
    lamina_error e;
    lamina_model *m = NULL;
    lamina_dataset *test = NULL, *train = NULL;
    const lamina_net *net = fashion_mlp_query(LAMINA_ABI_MAJOR);
    lamina_status s;
    if (!(s = lamina_model_new(net, NULL, &m, &e)) && !(s = lamina_load_weights(m, argv[1], &e)) &&
        !(s = load_data(net, argv[2], "t10k", &test, &e)) && !(s = load_data(net, argv[2], "train", &train, &e)) &&
        !(s = classify(m, test, &e)) && !(s = measure(m, test, "as loaded", &e)) && !(s = train_on(m, train, &e)))
        s = measure(m, test, "trained on", &e);
    if (s)
        fprintf(stderr, "classify: %s\n", e.text);
    lamina_dataset_free(train);
    lamina_dataset_free(test);
    lamina_model_free(m);
    return s != LAMINA_OK;
}
