#include "train/augmentation.h"
#include "train/recipe_parts.h"
#include "zoo/zoo.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// At the key's line, or where the key is left out, at that of the section it belongs in.
static int line_of(const struct ls_yaml *node) {
    return node->key && node->kind == LS_YAML_MAP ? node->key_line : node->line;
}

#define FAIL_AT(root, path, ...)                                                                             \
    ls_yaml_fail(ls_recipe_near((root), (path)), line_of(ls_recipe_near((root), (path))), (path), __VA_ARGS__)

static ls_status check_model(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    if (ls_zoo_find(recipe->model.zoo)) return LS_OK;
    char known[512] = "";
    int length = 0;
    const struct ls_zoo_model *model;
    for (int i = 0; (model = ls_zoo_at(i)) != NULL && length < (int)sizeof known; i++)
        length += snprintf(known + length, sizeof known - (size_t)length, "%s%s", i ? ", " : "", model->name);
    return FAIL_AT(root, "model.zoo", "unknown model %.80s; known are %s", recipe->model.zoo, known);
}

static bool is_only(const struct ls_numbers *numbers, double x) {
    for (int i = 0; i < numbers->n; i++)
        if (numbers->items[i] != x) return false;
    return true;
}

// Tokens are names, not amounts: nothing of them is scaled, or turned.
static ls_status check_tokens(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    static const char untouched[] = "the model reads tokens, which come to it as they are";
    const char *name = recipe->model.zoo;
    const bool reads = ls_zoo_find(name)->samples == LS_SAMPLES_TOKENS;
    if (!reads && recipe->model.vocabulary > 0)
        return FAIL_AT(root, "model.vocabulary", "model %.80s reads no tokens", name);
    if (!reads) return LS_OK;
    if (recipe->model.vocabulary == 0)
        return FAIL_AT(root, "model.vocabulary", "model %.80s reads tokens: say how many there are", name);
    if (!isnan(recipe->data.scale)) return FAIL_AT(root, "data.scale", "%s", untouched);
    if (!is_only(&recipe->data.mean, 0) || !is_only(&recipe->data.std, 1))
        return FAIL_AT(root, "data.normalize", "%s", untouched);
    if (strcmp(recipe->data.axes, "auto") != 0) return FAIL_AT(root, "data.axes", "%s", untouched);
    return ls_augmentation_wanted(recipe) ? FAIL_AT(root, "data.augment", "%s", untouched) : LS_OK;
}

static ls_status check_lanes(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    int64_t batch = recipe->train.batch, lanes = recipe->train.lanes;
    if (batch % lanes == 0) return LS_OK;
    int64_t below = lanes, above = lanes;
    while (below > 1 && batch % below != 0) below--;
    while (above < batch && batch % above != 0) above++;
    char nearest[96];
    snprintf(nearest, sizeof nearest,
             above <= batch && batch % above == 0 ? "%" PRId64 " and %" PRId64 : "%" PRId64, below, above);
    const char *where = ls_recipe_at(root, "train.lanes") ? "train.lanes" : "train.batch";
    const struct ls_yaml *node = ls_recipe_near(root, where);
    return ls_yaml_fail(node, line_of(node), "train.lanes",
                        "%" PRId64 "%s does not divide train.batch: %" PRId64 "; nearest that do: %s", lanes,
                        ls_recipe_at(root, "train.lanes") ? "" : " (the default)", batch, nearest);
}

static ls_status check_normalize(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    int mean = recipe->data.mean.n, std = recipe->data.std.n;
    if (mean == std) return LS_OK;
    return FAIL_AT(root, "data.normalize", "as many means as standard deviations expected, found %d and %d",
                   mean, std);
}

static ls_status check_range(const struct ls_numbers *range, const struct ls_yaml *root, const char *path) {
    if (range->n != 2)
        return FAIL_AT(root, path, "expected two numbers, the least and the most, found %d", range->n);
    if (range->items[0] <= range->items[1]) return LS_OK;
    return FAIL_AT(root, path, "the least, %g, is more than the most, %g", range->items[0], range->items[1]);
}

static ls_status check_mixing(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    const char *key = recipe->data.augment.mixup > 0 ? "data.augment.mixup" : "data.augment.cutmix";
    if (recipe->data.augment.mixup == 0 && recipe->data.augment.cutmix == 0) return LS_OK;
    if (recipe->train.loss != LS_RECIPE_CROSS_ENTROPY)
        return FAIL_AT(root, key, "samples are mixed for train.loss: cross_entropy alone");
    if (recipe->train.batch > recipe->train.lanes) return LS_OK;
    return FAIL_AT(root, key, "a lane has one sample, and none to mix it with; lower train.lanes");
}

static ls_status check_augment(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    if (!recipe->data.augment.resized_crop) return LS_OK;
    LS_TRY(check_range(&recipe->data.augment.scale, root, "data.augment.resized_crop.scale"));
    LS_TRY(check_range(&recipe->data.augment.ratio, root, "data.augment.resized_crop.ratio"));
    if (recipe->data.augment.crop_pad == 0) return LS_OK;
    return FAIL_AT(root, "data.augment.crop_pad",
                   "a crop is either padded or resized: use crop_pad or resized_crop");
}

static ls_status check_schedule(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    const bool cosine = recipe->train.schedule == LS_RECIPE_COSINE;
    if (!cosine && recipe->train.schedule != LS_RECIPE_POLYNOMIAL) return LS_OK;
    if (recipe->train.final <= recipe->train.peak) return LS_OK;
    const char *key = cosine ? "train.schedule.cosine.final" : "train.schedule.polynomial.final";
    return FAIL_AT(root, key, "%g is more than the peak, %g", recipe->train.final, recipe->train.peak);
}

// Only a class says which weight, or whose turn it is.
static ls_status check_classes(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    static const char needs[] = "needs train.loss: cross_entropy, where each sample has a class";
    const struct ls_weights *weights = &recipe->train.class_weights;
    const bool classes = recipe->train.loss == LS_RECIPE_CROSS_ENTROPY;
    if (recipe->data.balanced && !classes) return FAIL_AT(root, "data.sampler", "balanced %s", needs);
    if (weights->kind == LS_WEIGHTS_NONE) return LS_OK;
    if (!classes) return FAIL_AT(root, "train.class_weights", "%s", needs);
    if (weights->kind == LS_WEIGHTS_BALANCED) return LS_OK;
    if (weights->given.n != recipe->model.classes)
        return FAIL_AT(root, "train.class_weights",
                       "expected %" PRId64 " weights, one for each of model.classes, found %d",
                       recipe->model.classes, weights->given.n);
    double sum = 0;
    for (int i = 0; i < weights->given.n; i++) sum += weights->given.items[i];
    return sum > 0 ? LS_OK : FAIL_AT(root, "train.class_weights", "every weight is 0");
}

static ls_status check_length(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    if (recipe->train.length.unit != LS_SPAN_NONE) return LS_OK;
    return FAIL_AT(root, "train", "one of train.epochs and train.steps is needed");
}

ls_status ls_recipe_check(const struct ls_recipe *recipe, const struct ls_yaml *root) {
    LS_TRY(check_model(recipe, root));
    LS_TRY(check_normalize(recipe, root));
    LS_TRY(check_tokens(recipe, root));
    LS_TRY(check_augment(recipe, root));
    LS_TRY(check_length(recipe, root));
    LS_TRY(check_lanes(recipe, root));
    LS_TRY(check_classes(recipe, root));
    LS_TRY(check_mixing(recipe, root));
    return check_schedule(recipe, root);
}
