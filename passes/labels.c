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

const char *label_optimizer(const ir_row *row)
{
    const ir_attr *a = ir_attr_find(row->attrs, "optimizer");
    return a && a->word ? a->word : row->name;
}

const char *label_optimizer_of(const ir_module *m, const ir_symbol *p)
{
    const ir_attr *group = ir_attr_find(p->attrs, "group");
    const ir_row *row = group && group->word ? ir_row_find(m, "group", group->word) : ir_row_find(m, "optimizer", NULL);
    return row ? label_optimizer(row) : NULL;
}
