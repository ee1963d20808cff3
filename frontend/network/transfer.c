/* frontend/network/transfer.c - `weights`, of a network or a stage: a file of another one to begin with.
 *
 *     weights: trunk.safetensors
 *     weights: {file: trunk.safetensors, prefix: encoder_, strict: true} */
#include "frontend/network/network.h"
#include "frontend/network/sections.h"

const fe_kind fe_weights_keys = {.name = "weights",
                                 .short_key = "file",
                                 .keys = {{"file", FE_PATH, FE_REQUIRED},
                                          {"prefix", FE_NAME, NULL},
                                          {"into", FE_NAME, NULL},
                                          {"strict", FE_BOOL, "false"}}};

fe_weights *fe_read_weights(fe_reader *r, const char *path, const fe_yaml *y, const char *into)
{
    const fe_choice *c = fe_read_options(r, &fe_weights_keys, NULL, y);
    if (!c)
        return NULL;
    const fe_option *prefix = fe_get(c, "prefix"), *own = fe_get(c, "into");
    fe_weights *w = arena_make(r->mem, fe_weights);
    *w = (fe_weights){.path = fe_beside_yaml(r, path, fe_get(c, "file")->word),
                      .at = fe_get(c, "file")->at,
                      .from = prefix->present ? prefix->word : "",
                      .to = own->present ? own->word : into,
                      .strict = fe_get_bool(c, "strict")};
    return w;
}

bool fe_read_start(fe_reader *r, fe_network *n, const fe_yaml *root)
{
    const fe_yaml *y = fe_yaml_find(root, "weights");
    n->weights = y ? fe_read_weights(r, n->path, y, "") : NULL;
    return !y || n->weights;
}

const fe_weights *fe_weights_of(const fe_network *n)
{
    return n->weights;
}
