#include "train/groups.h"

#include "base/log.h"

#include <math.h>
#include <string.h>

static bool matches(const struct ls_group *group, const struct ls_item *param) {
    return strncmp(param->name, group->match, strlen(group->match)) == 0;
}

// The first that matches, or NULL.
static const struct ls_group *group_of(const struct ls_groups *groups, const struct ls_item *param) {
    for (int i = 0; i < groups->n; i++)
        if (matches(&groups->items[i], param)) return &groups->items[i];
    return NULL;
}

struct ls_group_setting ls_groups_setting(const struct ls_recipe *recipe, const struct ls_item *param) {
    const struct ls_group *group = group_of(&recipe->train.groups, param);
    const bool decays = param->decays || (group && group->decay_all);
    const bool own = group && !isnan(group->weight_decay);
    return (struct ls_group_setting){
        .weight_decay = decays ? (float)(own ? group->weight_decay : recipe->train.weight_decay) : 0,
        .lr_scale = group ? (float)group->lr_scale : 1,
    };
}

ls_status ls_groups_check(const struct ls_recipe *recipe, const struct ls_layout *layout) {
    const struct ls_groups *groups = &recipe->train.groups;
    for (int g = 0; g < groups->n; g++) {
        const struct ls_group *group = &groups->items[g];
        int matching = 0, members = 0, trained = 0;
        for (int i = 0; i < layout->n_params; i++) {
            const bool member = group_of(groups, &layout->params[i]) == group;
            matching += matches(group, &layout->params[i]);
            members += member;
            trained += member && i < layout->n_trained;
        }
        if (trained > 0) continue;
        if (members > 0)
            return LS_FAIL(LS_INPUT, "%s: nothing of the group \"%s\" is trained: model.freeze has all of it",
                           group->where, group->match);
        if (matching > 0)
            return LS_FAIL(LS_INPUT,
                           "%s: every parameter whose name begins with \"%s\" is in a group before this one",
                           group->where, group->match);
        return LS_FAIL(
            LS_INPUT,
            "%s: no parameter has a name that begins with \"%s\"; 'lockstep show zoo:%s' lists them",
            group->where, group->match, recipe->model.zoo);
    }
    return LS_OK;
}

static bool any_decays(const struct ls_groups *groups, const struct ls_group *group,
                       const struct ls_layout *layout) {
    for (int i = 0; i < layout->n_trained; i++)
        if (layout->params[i].decays && group_of(groups, &layout->params[i]) == group) return true;
    return false;
}

void ls_groups_warn(const struct ls_recipe *recipe, const struct ls_layout *layout) {
    const struct ls_groups *groups = &recipe->train.groups;
    for (int g = 0; g < groups->n; g++) {
        const struct ls_group *group = &groups->items[g];
        if (group->decay_all || !(group->weight_decay > 0) || any_decays(groups, group, layout)) continue;
        ls_warn("%s: the weight_decay of the group \"%s\" is without effect: its parameters are biases and "
                "normalization, which decay only with decay_all: true",
                group->where, group->match);
    }
}
