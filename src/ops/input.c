// The input op: raw samples become a normalized tensor, on the device.
#include "ops/input.h"

#include "graph/plan.h"
#include "ops/rule.h"

#include <inttypes.h>
#include <math.h>

// The list is mean, then std: one number each, or one for each channel.
static ls_status check_normalization(const struct ls_node *node, int64_t channels) {
    int each = node->n_list / 2;
    if (node->n_list % 2 || (each != 1 && each != channels))
        return LS_FAIL(LS_INPUT,
                       "a list of %d numbers (means, then standard deviations); expected 2 or %" PRId64
                       " for %" PRId64 " channels",
                       node->n_list, 2 * channels, channels);
    for (int i = 0; i < each; i++) {
        double mean = node->list[i], std = node->list[each + i];
        if (!isfinite(mean)) return LS_FAIL(LS_INPUT, "mean %d is %g; expected a finite number", i, mean);
        if (!isfinite(std) || std <= 0)
            return LS_FAIL(LS_INPUT, "std %d is %g; expected a number above 0", i, std);
    }
    return LS_OK;
}

static int64_t shown(int64_t asked, int64_t there) {
    return asked > 0 ? asked : there;
}

static ls_status check_size(const char *what, int64_t size, int64_t there) {
    if (size <= there) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s is %" PRId64 "; expected at most the sample's, %" PRId64, what, size, there);
}

// Kernels count pixels and channels in 32 bits.
static ls_status check_dimensions(const struct ls_shape *raw) {
    for (int i = 1; i < 4; i++)
        if (raw->dim[i] > INT32_MAX)
            return LS_FAIL(LS_INPUT, "raw samples have a dimension of %" PRId64 "; expected at most %d",
                           raw->dim[i], INT32_MAX);
    return LS_OK;
}

static ls_status input_infer(const struct ls_graph *graph, const struct ls_node *node,
                             struct ls_value_info *out) {
    const struct ls_value_info *raw = ls_in(graph, node, 0);
    bool augmented = node->attr[LS_INPUT_AUGMENTED].i;
    if (raw->dtype != LS_U8 && raw->dtype != LS_F32)
        return LS_FAIL(LS_INPUT, "raw samples are %s; expected u8 or f32", ls_dtype_name(raw->dtype));
    LS_TRY(ls_expect_rank(graph, node, 0, "raw", 4));
    LS_TRY(check_dimensions(&raw->shape));
    if (node->n_in != (augmented ? 2 : 1))
        return LS_FAIL(LS_INPUT, "%d inputs; expected %d with augmented=%d", node->n_in, augmented ? 2 : 1,
                       augmented);
    if (augmented) {
        LS_TRY(ls_expect_shape(graph, node, 1, "augment", LS_SHAPE(raw->shape.dim[0], LS_AUGMENT_WORDS)));
        LS_TRY(ls_expect_type(graph, node, 1, "augment", LS_I32));
    }
    if (node->attr[LS_INPUT_SCALE].f == 0) return LS_FAIL(LS_INPUT, "scale is 0; expected any other number");
    LS_TRY(check_normalization(node, raw->shape.dim[1]));
    struct ls_shape shape = raw->shape;
    shape.dim[2] = shown(node->attr[LS_INPUT_HEIGHT].i, raw->shape.dim[2]);
    shape.dim[3] = shown(node->attr[LS_INPUT_WIDTH].i, raw->shape.dim[3]);
    LS_TRY(check_size("height", shape.dim[2], raw->shape.dim[2]));
    LS_TRY(check_size("width", shape.dim[3], raw->shape.dim[3]));
    ls_set(&out[0], shape, LS_F32);
    return LS_OK;
}

static double input_flops(const struct ls_graph *graph, const struct ls_node *node) {
    return 2 * (double)ls_shape_count(&ls_info(graph, node->out[0])->shape);
}

static const struct ls_attr_info input_attrs[] = {
    LS_INT("augmented", 0, 0, 1),      LS_INT("channels_first", 0, 0, 1), LS_FLOAT("scale", 1, -3e38, 3e38),
    LS_INT("height", 0, 0, INT32_MAX), LS_INT("width", 0, 0, INT32_MAX),
};

const struct ls_op ls_input_op = {
    .id = LS_OP_INPUT,
    .name = "input",
    .min_in = 1,
    .max_in = 2,
    .n_out = 1,
    .flags = LS_OP_LIST,
    .n_attrs = 5,
    .attrs = input_attrs,
    .infer = input_infer,
    .flops = input_flops,
};

struct ls_raw ls_input_raw(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_value_info *raw = ls_in(graph, node, 0), *x = ls_info(graph, node->out[0]);
    const int64_t channels = raw->shape.dim[1], height = raw->shape.dim[2], width = raw->shape.dim[3];
    const bool first = node->attr[LS_INPUT_CHANNELS_FIRST].i != 0;
    return (struct ls_raw){
        .height = (int32_t)height,
        .width = (int32_t)width,
        .channels = (int32_t)channels,
        .out_height = (int32_t)x->shape.dim[2],
        .out_width = (int32_t)x->shape.dim[3],
        .bytes = raw->dtype == LS_U8,
        .row_step = first ? width : width * channels,
        .pixel_step = first ? 1 : channels,
        .channel_step = first ? height * width : 1,
    };
}

// The node's list is the means, then the deviations, of all channels or of one for all.
void ls_input_lines(const struct ls_node *node, int64_t channels, float *a, float *b) {
    const int given = node->n_list / 2;
    for (int64_t c = 0; c < channels; c++) {
        const double mean = given > 0 ? node->list[given > 1 ? c : 0] : 0;
        const double deviation = given > 0 ? node->list[given + (given > 1 ? c : 0)] : 1;
        a[c] = (float)(node->attr[LS_INPUT_SCALE].f / deviation);
        b[c] = (float)(-mean / deviation);
    }
}

ls_value ls_input(struct ls_graph *graph, const struct ls_input_spec *spec) {
    ls_value in[2];
    in[0] = ls_graph_add_value(graph, LS_INPUT_RAW, "raw", spec->raw_type,
                               LS_SHAPE(spec->batch, spec->channels, spec->height, spec->width));
    if (spec->augment)
        in[1] = ls_graph_add_value(graph, LS_INPUT_AUGMENT, "augment", LS_I32,
                                   LS_SHAPE(spec->batch, LS_AUGMENT_WORDS));
    if (graph->status) return LS_NONE;

    int n = spec->n_normalize;
    double *list = LS_ARENA_NEW(&graph->arena, double, n > 0 ? 2 * n : 1);
    for (int i = 0; i < n; i++) list[i] = spec->mean[i], list[n + i] = spec->std[i];
    const union ls_attr attr[] = {
        [LS_INPUT_AUGMENTED].i = spec->augment, [LS_INPUT_CHANNELS_FIRST].i = spec->channels_first,
        [LS_INPUT_SCALE].f = spec->scale,       [LS_INPUT_HEIGHT].i = spec->out_height,
        [LS_INPUT_WIDTH].i = spec->out_width,
    };
    const struct ls_node *node = ls_graph_add_node_list(graph, &ls_input_op, ls_scoped(graph, "input"), in,
                                                        spec->augment ? 2 : 1, attr, list, 2 * n);
    return node ? node->out[0] : LS_NONE;
}
