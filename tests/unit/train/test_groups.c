// Groups of parameters: who is in which, what holds there, and those that are refused.
#include "recipe_help.h"

#include "base/log.h"
#include "train/groups.h"

#include <stdio.h>

static struct ls_item params[] = {
    {.name = "conv1.weight", .decays = true},
    {.name = "bn1.weight"},
    {.name = "layer1.0.weight", .decays = true},
    {.name = "layer1.0.bias"},
    {.name = "layer10.weight", .decays = true},
    {.name = "fc.weight", .decays = true},
    {.name = "fc.bias"},
};
enum { PARAMS = sizeof params / sizeof params[0] };
static const struct ls_layout layout = {.params = params, .n_params = PARAMS, .n_trained = PARAMS};
// fc is frozen.
static const struct ls_layout partly = {.params = params, .n_params = PARAMS, .n_trained = PARAMS - 2};

static void expect(const char *override, const float decays[PARAMS], const float scales[PARAMS]) {
    struct ls_recipe recipe = must_parse(LEAST, override);
    assert_int_equal(ls_groups_check(&recipe, &layout), LS_OK);
    for (int i = 0; i < PARAMS; i++) {
        const struct ls_group_setting found = ls_groups_setting(&recipe, &params[i]);
        if (found.weight_decay != decays[i] || found.lr_scale != scales[i])
            fail_msg("%s: %s has decay %g, scale %g; expected %g, %g", override, params[i].name,
                     (double)found.weight_decay, (double)found.lr_scale, (double)decays[i],
                     (double)scales[i]);
    }
    ls_recipe_free(&recipe);
}

static void the_first_that_matches_counts(void **state) {
    (void)state;
    const float own = 5e-4f;
    expect(NULL, (float[]){own, 0, own, 0, own, own, 0}, (float[]){1, 1, 1, 1, 1, 1, 1});
    expect("train.groups=[{match: layer1., weight_decay: 0.1, lr_scale: 2}, {match: layer1, lr_scale: 3}]",
           (float[]){own, 0, 0.1f, 0, own, own, 0}, (float[]){1, 1, 2, 2, 3, 1, 1});
    expect("train.groups=[{match: fc.bias, lr_scale: 0}, {match: fc, weight_decay: 0, lr_scale: 10}]",
           (float[]){own, 0, own, 0, own, 0, 0}, (float[]){1, 1, 1, 1, 1, 10, 0});
    expect("train.groups=[{match: fc., decay_all: true}, {match: '', weight_decay: 0.25, decay_all: true}]",
           (float[]){0.25f, 0.25f, 0.25f, 0.25f, 0.25f, own, own}, (float[]){1, 1, 1, 1, 1, 1, 1});
}

static void must_be_refused_of(const struct ls_layout *of, const char *text, const char *override,
                               const char *words) {
    struct ls_recipe recipe = must_parse(text, override);
    assert_int_equal(ls_groups_check(&recipe, of), LS_INPUT);
    if (!strstr(ls_error_last()->text, words))
        fail_msg("\nexpected: %s\n   found: %s", words, ls_error_last()->text);
    ls_recipe_free(&recipe);
}

static void must_be_refused(const char *text, const char *override, const char *words) {
    must_be_refused_of(&layout, text, override, words);
}

static void a_group_without_parameters_is_refused(void **state) {
    (void)state;
    must_be_refused("model: {zoo: lenet, classes: 10}\ndata: {train: a.h5}\ntrain:\n  epochs: 5\n  groups:\n"
                    "    - {match: fc, lr_scale: 2}\n    - match: layer2\n",
                    NULL, "r.yaml:7: train.groups: no parameter has a name that begins with \"layer2\"");
    must_be_refused(LEAST, "train.groups=[{match: layer1}, {match: layer1.0.}]",
                    "every parameter whose name begins with \"layer1.0.\" is in a group before this one");
    must_be_refused(LEAST, "train.groups=[{match: c, lr_scale: 2}, {match: x}]",
                    "override train.groups=[{match: c, lr_scale: 2}, {match: x}]: no parameter");
}

static void a_group_of_frozen_parameters_is_refused(void **state) {
    (void)state;
    must_be_refused_of(&partly, LEAST, "train.groups=[{match: fc}]",
                       "nothing of the group \"fc\" is trained: model.freeze has all of it");
    must_be_refused_of(&partly, LEAST, "train.groups=[{match: layer10}, {match: conv1}, {match: fc.bias}]",
                       "nothing of the group \"fc.bias\" is trained");
    struct ls_recipe recipe = must_parse(LEAST, "train.groups=[{match: layer10}, {match: ''}]");
    assert_int_equal(ls_groups_check(&recipe, &partly), LS_OK);
    ls_recipe_free(&recipe);
}

static void keep_line(void *context, enum ls_log_kind kind, const char *line) {
    assert_int_equal(kind, LS_LOG_WARNING);
    snprintf(context, 512, "%s", line);
}

// Silent where `words` is NULL.
static void must_warn(const char *override, const char *words) {
    struct ls_recipe recipe = must_parse(LEAST, override);
    char line[512] = "";
    ls_log_to(keep_line, line);
    ls_groups_warn(&recipe, &layout);
    ls_log_to(NULL, NULL);
    if (words ? !strstr(line, words) : line[0]) fail_msg("\nexpected: %s\n   found: %s", words, line);
    ls_recipe_free(&recipe);
}

static void a_decay_without_effect_is_warned_of(void **state) {
    (void)state;
    must_warn("train.groups=[{match: fc.bias, weight_decay: 0.1}]",
              ": the weight_decay of the group \"fc.bias\" is without effect");
    must_warn("train.groups=[{match: fc.weight}, {match: fc, weight_decay: 0.1}]",
              "\"fc\" is without effect");
    must_warn("train.groups=[{match: fc, weight_decay: 0.1}, {match: bn, weight_decay: 0, lr_scale: 2}]",
              NULL);
    must_warn("train.groups=[{match: fc.bias, weight_decay: 0.1, decay_all: true}, {match: bn}]", NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_matches_counts),
        cmocka_unit_test(a_group_without_parameters_is_refused),
        cmocka_unit_test(a_group_of_frozen_parameters_is_refused),
        cmocka_unit_test(a_decay_without_effect_is_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
