#include "train/model.h"

#include "train/augmentation.h"
#include "train/freeze.h"
#include "train/groups.h"

#include <math.h>

struct ls_sample_shape ls_sample_shape_of(const struct ls_dataset_info *info) {
    return (struct ls_sample_shape){
        .height = info->height,
        .width = info->width,
        .channels = info->channels,
        .channels_first = info->channels_first,
        .type = info->type,
        .target_is_class = info->target_is_class,
        .target_values = info->target_values,
    };
}

enum ls_targets ls_targets_of(const struct ls_recipe *recipe) {
    switch (recipe->train.loss) {
    case LS_RECIPE_CROSS_ENTROPY: return LS_TARGETS_CLASSES;
    case LS_RECIPE_MSE:
    case LS_RECIPE_MAE:
    case LS_RECIPE_HUBER: return LS_TARGETS_VALUES;
    case LS_RECIPE_BINARY_CROSS_ENTROPY: return LS_TARGETS_LABELS;
    }
    return LS_TARGETS_AS_STORED;
}

enum ls_outputs ls_outputs_of(const struct ls_recipe *recipe) {
    switch (recipe->train.loss) {
    case LS_RECIPE_CROSS_ENTROPY: return LS_CLASSES;
    case LS_RECIPE_BINARY_CROSS_ENTROPY: return LS_LABELS;
    case LS_RECIPE_MSE:
    case LS_RECIPE_MAE:
    case LS_RECIPE_HUBER: break;
    }
    return LS_VALUES;
}

static ls_status check_target(const struct ls_recipe *recipe, const struct ls_sample_shape *sample) {
    const bool classes = recipe->train.loss == LS_RECIPE_CROSS_ENTROPY;
    const long long outputs = recipe->model.classes, values = sample->target_values;
    if (classes && !sample->target_is_class)
        return LS_FAIL(
            LS_INPUT,
            "%s: cross_entropy needs a class for each sample (an integer, or a one-hot row), but dataset "
            "\"%s\" holds a floating-point number for each; use train.loss=mse for regression",
            ls_recipe_place(recipe, "train.loss"), recipe->data.target);
    if (classes && values > 1 && values != outputs)
        return LS_FAIL(
            LS_INPUT,
            "%s: the model has %lld classes, but the rows of dataset \"%s\" have %lld values: "
            "train.loss: cross_entropy takes them for one-hot (mse, mae and huber are for regression, "
            "binary_cross_entropy for labels that may hold together)",
            ls_recipe_place(recipe, "model.classes"), outputs, recipe->data.target, values);
    if (!classes && values != outputs)
        return LS_FAIL(LS_INPUT,
                       "%s: the model has %lld output%s, but dataset \"%s\" has %lld value%s a sample",
                       ls_recipe_place(recipe, "model.classes"), outputs, outputs == 1 ? "" : "s",
                       recipe->data.target, values, values == 1 ? "" : "s");
    return LS_OK;
}

static enum ls_zoo_loss loss_of(const struct ls_recipe *recipe) {
    switch (recipe->train.loss) {
    case LS_RECIPE_CROSS_ENTROPY: break;
    case LS_RECIPE_MSE: return LS_LOSS_MSE;
    case LS_RECIPE_MAE: return LS_LOSS_MAE;
    case LS_RECIPE_HUBER: return LS_LOSS_HUBER;
    case LS_RECIPE_BINARY_CROSS_ENTROPY: return LS_LOSS_BINARY_CROSS_ENTROPY;
    }
    return LS_LOSS_CROSS_ENTROPY;
}

ls_status ls_model_spec_of(const struct ls_recipe *recipe, const struct ls_sample_shape *sample,
                           struct ls_model_spec *spec) {
    const struct ls_zoo_model *model = ls_zoo_find(recipe->model.zoo);
    if (!model)
        return LS_FAIL(LS_INPUT, "%s: there is no model \"%s\"", ls_recipe_place(recipe, "model.zoo"),
                       recipe->model.zoo);
    LS_TRY(check_target(recipe, sample));
    LS_TRY(ls_augmentation_check(recipe, sample));
    int n = recipe->data.mean.n;
    if (n != 1 && n != sample->channels)
        return LS_FAIL(LS_INPUT,
                       "%s: %d means and deviations, but samples have %lld channel%s; expected one for each, "
                       "or one for all",
                       ls_recipe_place(recipe, "data.normalize"), n, (long long)sample->channels,
                       sample->channels == 1 ? "" : "s");
    double scale = recipe->data.scale;
    *spec = (struct ls_model_spec){
        .model = model,
        .options = {.classes = recipe->model.classes,
                    .dropout = recipe->model.dropout,
                    .width = recipe->model.width,
                    .depth = recipe->model.depth,
                    .blocks = recipe->model.blocks,
                    .vocabulary = recipe->model.vocabulary},
        .lane_batch = recipe->train.batch / recipe->train.lanes,
        .height = sample->height,
        .width = sample->width,
        .channels = sample->channels,
        .raw_type = sample->type,
        .channels_first = sample->channels_first,
        .out_height = recipe->data.augment.size,
        .out_width = recipe->data.augment.size,
        .augment = ls_augmentation_wanted(recipe),
        .mixed = ls_augmentation_mixes(recipe),
        .scale = isnan(scale) ? (sample->type == LS_U8 ? 1.0 / 255 : 1.0) : scale,
        .mean = recipe->data.mean.items,
        .std = recipe->data.std.items,
        .n_normalize = n,
        .loss = loss_of(recipe),
        .smoothing = recipe->train.smoothing,
        .huber_delta = recipe->train.huber_delta,
        .freeze = recipe->model.freeze.items,
        .n_freeze = recipe->model.freeze.n,
    };
    return LS_OK;
}

static ls_status make_plan(const struct ls_recipe *recipe, const struct ls_model_spec *spec,
                           enum ls_mode mode, const struct ls_device *device, const struct ls_layout *layout,
                           struct ls_text *description, struct ls_plan **plan) {
    struct ls_graph graph;
    ls_graph_init(&graph, mode);
    ls_status status = ls_zoo_build(&graph, mode, spec);
    if (status == LS_OK && mode == LS_TRAIN) status = ls_freeze_check(recipe, &graph);
    if (status == LS_OK && description) ls_graph_text(&graph, description);
    const struct ls_plan_options options = {
        .precision = recipe->train.precision,
        .bucket_bytes = (size_t)recipe->train.bucket,
        .layout = layout,
    };
    if (status == LS_OK) status = ls_plan_make(&graph, device, &options, plan);
    ls_graph_free(&graph);
    return status;
}

ls_status ls_model_make(const struct ls_recipe *recipe, const struct ls_sample_shape *sample,
                        const struct ls_device *device, struct ls_model *model) {
    *model = (struct ls_model){0};
    struct ls_model_spec spec;
    LS_TRY(ls_model_spec_of(recipe, sample, &spec));
    LS_TRY(make_plan(recipe, &spec, LS_TRAIN, device, NULL, &model->description, &model->train));
    LS_TRY(ls_groups_check(recipe, model->train->layout));
    return make_plan(recipe, &spec, LS_EVAL, device, model->train->layout, NULL, &model->eval);
}

void ls_model_free(struct ls_model *model) {
    if (model->eval) ls_plan_free(model->eval);
    if (model->train) ls_plan_free(model->train);
    ls_text_free(&model->description);
    *model = (struct ls_model){0};
}
