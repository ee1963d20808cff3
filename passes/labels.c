/* passes/labels.c - see labels.h. */
#include "passes/labels.h"
#include <string.h>

const char *label_layer(arena *mem, const char *name)
{
    const char *role = label_role(name);
    return role ? arena_strndup(mem, name, (size_t)(role - 1 - name)) : NULL;
}

const char *label_role(const char *name)
{
    const char *dot = name ? strrchr(name, '.') : NULL;
    return dot ? dot + 1 : NULL;
}

static bool has_role(const ir_node *n, const char *a, const char *b)
{
    const char *role = label_role(n->label);
    return role && (!strcmp(role, a) || !strcmp(role, b));
}

bool label_is_forward(const ir_node *n)
{
    return has_role(n, "forward", "scale");
}

bool label_is_update(const ir_node *n)
{
    return has_role(n, "update", "step");
}
