// The input op. Its line for each channel is made once and lies in device memory.
#include "cuda/kernels/input.h"
#include "cuda/ops/node.h"
#include "ops/augment_pixel.h"

#include <stdlib.h>

// x = raw * a + b; the node's list is the means, then the deviations, of all channels or of one for all.
static void line_of_channels(const struct ls_node *node, int64_t channels, float *a, float *b) {
    int given = node->n_list / 2;
    for (int64_t c = 0; c < channels; c++) {
        double mean = given > 0 ? node->list[given > 1 ? c : 0] : 0;
        double deviation = given > 0 ? node->list[given + (given > 1 ? c : 0)] : 1;
        a[c] = (float)(node->attr[LS_INPUT_SCALE].f / deviation);
        b[c] = (float)(-mean / deviation);
    }
}

static ls_status make(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      struct ls_cuda_made *made) {
    (void)lib;
    int64_t channels = ls_cuda_dims(graph, node->out[0]).c;
    size_t bytes = 2 * (size_t)channels * sizeof(float);
    float *line = malloc(bytes);
    if (!line) return LS_FAIL(LS_SYSTEM, "no memory for the lines of %lld channels", (long long)channels);
    line_of_channels(node, channels, line, line + channels);
    cudaError_t error = cudaMalloc(&made->table, bytes);
    if (error == cudaSuccess) error = cudaMemcpy(made->table, line, bytes, cudaMemcpyHostToDevice);
    free(line);
    if (error == cudaSuccess) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "the lines of %lld channels: %s", (long long)channels,
                   cudaGetErrorString(error));
}

static struct ls_raw describe(const struct ls_graph *graph, const struct ls_node *node) {
    struct ls_cuda_dims raw = ls_cuda_dims(graph, node->in[0]), x = ls_cuda_dims(graph, node->out[0]);
    bool first = node->attr[LS_INPUT_CHANNELS_FIRST].i != 0;
    return (struct ls_raw){
        .height = (int32_t)raw.h,
        .width = (int32_t)raw.w,
        .channels = (int32_t)raw.c,
        .out_height = (int32_t)x.h,
        .out_width = (int32_t)x.w,
        .bytes = ls_cuda_type(graph, node->in[0]) == LS_U8,
        .row_step = first ? raw.w : raw.w * raw.c,
        .pixel_step = first ? 1 : raw.c,
        .channel_step = first ? raw.h * raw.w : 1,
    };
}

// A colour shift for each sample.
static bool fits(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                 size_t *workspace) {
    (void)lib;
    bool augmented = node->attr[LS_INPUT_AUGMENTED].i != 0;
    *workspace = augmented ? (size_t)ls_cuda_dims(graph, node->out[0]).n * sizeof(float) : 0;
    return true;
}

// raw, augment -> x
static ls_status run(const struct ls_cuda_call *call) {
    struct ls_raw raw = describe(call->graph, call->node);
    bool augmented = call->node->attr[LS_INPUT_AUGMENTED].i != 0;
    return ls_cuda_input(&raw, ls_cuda_dims(call->graph, call->node->out[0]).n, call->in[0],
                         ls_cuda_made(call)->table, augmented ? call->in[1] : NULL, call->workspace,
                         call->out[0], call->stream);
}

const struct ls_cuda_op ls_cuda_input_op = {.signature = "ri:w", .fits = fits, .make = make, .run = run};
