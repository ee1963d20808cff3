/* passes/update/groups.c - which optimizer is whose, as the rows and the parameters' `group` attributes say. */
#include "passes/update/update.h"
#include <string.h>

update_groups update_groups_of(const ir_module *m, arena *mem, diag *d)
{
    update_groups all = {0};
    for (int groups = 0; groups < 2; groups++)
        for (const ir_row *r = m->rows; r; r = r->next) {
            bool is_group = !strcmp(r->kind, "group");
            if (groups ? !is_group : all.count || strcmp(r->kind, "optimizer"))
                continue;
            const optimizer *rule = update_optimizer(r, d);
            if (!rule)
                return (update_groups){0};
            all.list = arena_grown(mem, all.list, (size_t)all.count, sizeof *all.list);
            all.list[all.count++] = (update_group){.row = r, .rule = rule};
        }
    return all;
}

update_group *update_group_find(const update_groups *groups, const ir_symbol *p)
{
    const ir_attr *name = ir_attr_find(p->attrs, "group");
    if (!name)
        return groups->list;
    for (int i = 1; name->word && i < groups->count; i++)
        if (!strcmp(groups->list[i].row->name, name->word))
            return &groups->list[i];
    return NULL;
}

static bool same_option(const ir_row *a, const ir_row *b, const char *name, double fallback)
{
    return !name || update_option(a, name, fallback) == update_option(b, name, fallback);
}

const char *update_power_name(const update_groups *groups, const update_group *g, const optimizer_power *power,
                              arena *mem)
{
    const update_group *owner = groups->list;
    while (owner->rule != g->rule || !same_option(owner->row, g->row, power->option, power->fallback) ||
           !same_option(owner->row, g->row, power->second, power->second_fallback))
        owner++;
    return owner == groups->list ? power->state : arena_printf(mem, "%s/%s", power->state, owner->row->name);
}
