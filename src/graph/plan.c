// The plan of a lane: the passes in their order, then a place for every value.
#include "graph/plan.h"

#include "device/device.h"
#include "graph/buckets.h"
#include "graph/layout.h"
#include "graph/memory.h"
#include "graph/passes.h"

#include <stdlib.h>

// ---- passes ----

static ls_status verified(const struct ls_graph *graph, const char *pass, ls_status status) {
    if (status == LS_OK) status = ls_graph_verify(graph);
    if (status != LS_OK) ls_error_prefix("%s", pass);
    return status;
}

static ls_status run_passes(struct ls_graph *graph, ls_dtype precision) {
    LS_TRY(graph->status);
    LS_TRY(verified(graph, "the graph of the model", LS_OK));
    if (graph->mode == LS_TRAIN) LS_TRY(verified(graph, "gradients", ls_pass_gradient(graph)));
    const bool half = precision == LS_BF16 || precision == LS_F16;
    if (half) LS_TRY(verified(graph, "mixed precision", ls_pass_precision(graph, precision)));
    LS_TRY(verified(graph, "fusion", ls_pass_fuse(graph)));
    return verified(graph, "schedule", ls_pass_schedule(graph));
}

// ---- places ----

// Bytes of a number in the flat buffers: f64 in conformance tests, f32 otherwise.
static size_t width_of(ls_dtype precision) {
    return precision == LS_F64 ? 8 : 4;
}

static ls_status check_type(const struct ls_value_info *info, size_t width) {
    ls_dtype expected = width == 8 ? LS_F64 : LS_F32;
    if (info->dtype == expected) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s is %s; what lies in the flat buffers is %s", info->name,
                   ls_dtype_name(info->dtype), ls_dtype_name(expected));
}

static ls_status place_flat(const struct ls_plan *plan, ls_value value, size_t width,
                            struct ls_place *place) {
    const struct ls_layout *layout = plan->layout;
    const struct ls_value_info *info = ls_info(plan->graph, value);
    LS_TRY(check_type(info, width));
    size_t offset;
    if (info->kind == LS_PARAM) {
        place->region = LS_REGION_PARAMS;
        offset = layout->params[ls_layout_param(layout, info->name)].offset;
    } else if (info->kind == LS_STATE) {
        place->region = LS_REGION_STATES;
        offset = layout->states[ls_layout_state(layout, info->name)].offset;
    } else {
        place->region = LS_REGION_OUTPUT;
        LS_TRY(ls_layout_output(layout, plan->graph, value, &offset));
    }
    place->offset = offset * width;
    return LS_OK;
}

// Everything but what lies in the arena.
static ls_status place_value(struct ls_plan *plan, ls_value value, size_t width) {
    struct ls_place *place = &plan->places[value];
    switch (ls_info(plan->graph, value)->kind) {
    case LS_ACTIVATION: return LS_OK;
    case LS_INPUT_RAW:
        place->region = LS_REGION_RAW;
        plan->raw_bytes = ls_value_bytes(plan->graph, value);
        return LS_OK;
    case LS_INPUT_AUGMENT:
        place->region = LS_REGION_AUGMENT;
        plan->augment_bytes = ls_value_bytes(plan->graph, value);
        return LS_OK;
    case LS_INPUT_TARGET:
        place->region = LS_REGION_TARGET;
        plan->target_bytes = ls_value_bytes(plan->graph, value);
        return LS_OK;
    case LS_INPUT_WEIGHT:
        place->region = LS_REGION_WEIGHT;
        plan->weight_bytes = ls_value_bytes(plan->graph, value);
        return LS_OK;
    case LS_INPUT_SEED:
        *place = (struct ls_place){LS_REGION_CONTROL, offsetof(struct ls_lane_control, loss_seed)};
        return LS_OK;
    case LS_PARAM:
    case LS_STATE:
    case LS_OUTPUT: return place_flat(plan, value, width, place);
    }
    return LS_OK;
}

// What every node needs of memory, of its own and for what its kernel makes of its weight.
static ls_status ask_device(struct ls_plan *plan, const struct ls_device *device) {
    const struct ls_graph *graph = plan->graph;
    for (int i = 0; i < graph->n_nodes; i++) {
        const struct ls_node *node = &graph->nodes[i];
        if (node->op->flags & LS_OP_VIEW) continue;
        ls_status status = device->api->node_workspace(device, graph, node, &plan->workspace_bytes[i]);
        if (status != LS_OK) {
            ls_error_prefix("node \"%s\" on device %s", node->name, device->api->kind);
            return status;
        }
        if (device->api->node_kept) plan->kept_bytes[i] = device->api->node_kept(device, graph, node);
    }
    return LS_OK;
}

// ---- the plan ----

static ls_status fill_plan(struct ls_plan *plan, const struct ls_device *device,
                           const struct ls_plan_options *options) {
    const struct ls_graph *graph = plan->graph;
    size_t width = width_of(options->precision);
    plan->lane_batch = ls_graph_samples(graph);
    plan->result = graph->result;
    if (options->layout) {
        LS_TRY(ls_layout_match(options->layout, graph));
        plan->layout = options->layout;
    } else {
        LS_TRY(ls_layout_make(graph, &plan->memory, &plan->layout));
    }
    plan->places = LS_ARENA_NEW(&plan->memory, struct ls_place, graph->n_values);
    plan->workspace = LS_ARENA_NEW(&plan->memory, struct ls_place, graph->n_nodes);
    plan->workspace_bytes = LS_ARENA_NEW(&plan->memory, size_t, graph->n_nodes);
    plan->kept_bytes = LS_ARENA_NEW(&plan->memory, size_t, graph->n_nodes);
    for (ls_value v = 0; v < graph->n_values; v++) LS_TRY(place_value(plan, v, width));
    LS_TRY(ask_device(plan, device));
    size_t cast_bytes;
    ls_plan_place_converted(plan, &cast_bytes);
    LS_TRY(ls_plan_place_arena(plan));
    if (plan->arena_bytes < cast_bytes) plan->arena_bytes = cast_bytes;
    for (int i = 0; i < graph->n_nodes; i++) plan->flops += ls_node_flops(graph, &graph->nodes[i]);
    return ls_plan_make_buckets(plan, options->bucket_bytes, width);
}

static ls_status check_options(const struct ls_plan_options *options) {
    ls_dtype precision = options->precision;
    if (precision == LS_F32 || precision == LS_BF16 || precision == LS_F16 || precision == LS_F64)
        return LS_OK;
    return LS_FAIL(LS_INPUT, "precision %s; expected f32, bf16 or f16", ls_dtype_name(precision));
}

ls_status ls_plan_make(struct ls_graph *graph, const struct ls_device *device,
                       const struct ls_plan_options *options, struct ls_plan **plan) {
    *plan = NULL;
    struct ls_plan *made = calloc(1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "out of memory for a plan");
    struct ls_graph *own = LS_ARENA_NEW(&made->memory, struct ls_graph, 1);
    *own = *graph;
    ls_graph_init(graph, own->mode);
    made->graph = own;

    ls_status status;
    LS_TRY_GOTO(failed, check_options(options));
    LS_TRY_GOTO(failed, run_passes(own, options->precision));
    LS_TRY_GOTO(failed, fill_plan(made, device, options));
    *plan = made;
    return LS_OK;
failed:
    ls_plan_free(made);
    return status;
}

void ls_plan_free(struct ls_plan *plan) {
    if (!plan) return;
    struct ls_graph graph = *plan->graph;
    ls_graph_free(&graph);
    ls_arena_free(&plan->memory);
    free(plan);
}

void ls_lane_bases(const struct ls_lane *lane, char *base[LS_REGIONS]) {
    base[LS_REGION_ARENA] = lane->arena;
    base[LS_REGION_PARAMS] = (char *)lane->params;
    base[LS_REGION_STATES] = (char *)lane->states;
    base[LS_REGION_OUTPUT] = (char *)lane->output;
    base[LS_REGION_RAW] = (char *)lane->raw;
    base[LS_REGION_AUGMENT] = (char *)lane->augment;
    base[LS_REGION_TARGET] = (char *)lane->target;
    base[LS_REGION_WEIGHT] = (char *)lane->weight;
    base[LS_REGION_CONTROL] = (char *)lane->control;
    base[LS_REGION_CONVERTED] = lane->converted;
}
