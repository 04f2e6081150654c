#include "train/planning.h"

#include "train/setup.h"

#include <inttypes.h>
#include <stdio.h>

struct inputs {
    struct ls_dataset *train, *test;
    struct ls_sample_shape sample;
};

static ls_status look_at_data(const struct ls_recipe *recipe, struct inputs *inputs) {
    LS_TRY(ls_data_open(recipe, false, &inputs->train));
    inputs->sample = ls_sample_shape_of(ls_dataset_info(inputs->train));
    if (recipe->data.test.n == 0) return LS_OK;
    LS_TRY(ls_data_open(recipe, true, &inputs->test));
    return ls_data_same_shape(recipe, ls_dataset_info(inputs->train), ls_dataset_info(inputs->test));
}

static ls_status find_shape(const struct ls_planning_request *request, const struct ls_recipe *recipe,
                            struct inputs *inputs) {
    if (request->height == 0) return look_at_data(recipe, inputs);
    inputs->sample = (struct ls_sample_shape){
        .height = request->height,
        .width = request->width,
        .channels = request->channels,
        .type = recipe->model.vocabulary ? LS_I32 : LS_U8,
        .target_is_class = recipe->train.loss == LS_RECIPE_CROSS_ENTROPY,
        .target_values = recipe->model.classes,
    };
    return LS_OK;
}

static void plan_reduction(const struct ls_recipe *recipe, int ranks, size_t floats,
                           struct ls_planning *planning) {
    static const enum ls_planning_reduction of[] = {
        [LS_REDUCE_ALIGNED] = LS_PLANNING_ALIGNED,
        [LS_REDUCE_SLICES] = LS_PLANNING_SLICES,
        [LS_REDUCE_FAST] = LS_PLANNING_FAST,
    };
    const int lanes = (int)recipe->train.lanes;
    if (ranks == 1) return;
    planning->reduction = of[ls_reduce_choose(ranks, lanes, recipe->train.fast)];
    for (int r = 0; r < ranks; r++) {
        const double sent =
            ls_reduce_traffic(r, ranks, lanes, recipe->train.fast, floats) * (double)sizeof(float);
        if (sent > planning->sent_bytes) planning->sent_bytes = sent;
    }
}

static void fill(const struct ls_recipe *recipe, const struct ls_model *model, const struct ls_device *device,
                 int ranks, struct ls_planning *planning) {
    const struct ls_plan *plan = model->train;
    const int lanes = (int)recipe->train.lanes;
    const struct ls_lane_range most = ls_lanes_of(ranks - 1, ranks, lanes);
    planning->parameters = plan->layout->parameters;
    planning->frozen = plan->layout->frozen;
    planning->lane_samples = plan->lane_batch;
    planning->lane_flops = plan->flops;
    planning->nodes = plan->graph->n_nodes;
    planning->buckets = plan->n_buckets;
    planning->lanes = lanes;
    planning->most_lanes = most.end - most.begin;
    planning->side_by_side =
        device->compute_queues < planning->most_lanes ? device->compute_queues : planning->most_lanes;
    snprintf(planning->model, sizeof planning->model, "%.63s", recipe->model.zoo);
    snprintf(planning->device, sizeof planning->device, "%.127s", device->name);
    planning->shares_memory = ranks > 1 && device->host_memory && !recipe->train.fast;
    plan_reduction(recipe, ranks, plan->layout->output_floats, planning);
}

static ls_status plan_on(struct ls_device *device, const struct ls_recipe *recipe,
                         const struct inputs *inputs, const struct ls_comm *comm,
                         struct ls_planning *planning) {
    struct ls_model model;
    ls_status status = ls_model_make(recipe, &inputs->sample, device, &model);
    if (status == LS_OK) {
        fill(recipe, &model, device, comm->size, planning);
        planning->memory = ls_memory_of(recipe, &model, inputs->train ? ls_dataset_info(inputs->train) : NULL,
                                        inputs->test ? ls_dataset_info(inputs->test) : NULL, device, comm);
        planning->made = true;
        status = ls_memory_check(recipe, &inputs->sample, device, comm, &planning->memory);
        planning->limited = status == LS_OK && device->memory_limit > 0;
    }
    ls_model_free(&model);
    return status;
}

static ls_status plan_recipe(const struct ls_planning_request *request, const struct ls_recipe *recipe,
                             struct inputs *inputs, struct ls_planning *planning) {
    const int ranks = request->ranks == 0 ? 1 : request->ranks;
    if (ranks < 1 || ranks > recipe->train.lanes)
        return LS_FAIL(LS_INPUT, "ranks: expected 1 to train.lanes: %" PRId64 ", found %d",
                       recipe->train.lanes, ranks);
    LS_TRY(find_shape(request, recipe, inputs));
    // Ranks of one host share its cores, as they would in training.
    const struct ls_comm comm = {.size = ranks, .local_size = ranks};
    struct ls_device *device = NULL;
    LS_TRY(ls_device_choose(recipe, &comm, false, &device));
    const ls_status status = plan_on(device, recipe, inputs, &comm, planning);
    device->api->close(device);
    return status;
}

ls_status ls_planning_make(const struct ls_planning_request *request, struct ls_planning *planning) {
    struct ls_recipe recipe;
    struct inputs inputs = {0};
    *planning = (struct ls_planning){0};
    LS_TRY(ls_recipe_load(&request->recipe, &recipe));
    if (request->device_memory > 0) recipe.device.memory = request->device_memory;
    const ls_status status = plan_recipe(request, &recipe, &inputs, planning);
    if (inputs.train) ls_dataset_close(inputs.train);
    if (inputs.test) ls_dataset_close(inputs.test);
    ls_recipe_free(&recipe);
    return status;
}
