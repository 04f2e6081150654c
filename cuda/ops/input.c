// The input op. Its line for each channel is made once and lies in device memory.
#include "cuda/kernels/input.h"
#include "cuda/ops/node.h"
#include "ops/input.h"

#include <stdlib.h>

static ls_status make(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      struct ls_cuda_made *made) {
    (void)lib;
    int64_t channels = ls_cuda_dims(graph, node->out[0]).c;
    size_t bytes = 2 * (size_t)channels * sizeof(float);
    float *line = malloc(bytes);
    if (!line) return LS_FAIL(LS_SYSTEM, "no memory for the lines of %lld channels", (long long)channels);
    ls_input_lines(node, channels, line, line + channels);
    cudaError_t error = cudaMalloc(&made->table, bytes);
    if (error == cudaSuccess) error = cudaMemcpy(made->table, line, bytes, cudaMemcpyHostToDevice);
    free(line);
    if (error == cudaSuccess) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "the lines of %lld channels: %s", (long long)channels,
                   cudaGetErrorString(error));
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
    struct ls_raw raw = ls_input_raw(call->graph, call->node);
    bool augmented = call->node->attr[LS_INPUT_AUGMENTED].i != 0;
    return ls_cuda_input(&raw, ls_cuda_dims(call->graph, call->node->out[0]).n, call->in[0],
                         ls_cuda_made(call)->table, augmented ? call->in[1] : NULL, call->workspace,
                         call->out[0], call->stream);
}

const struct ls_cuda_op ls_cuda_input_op = {.signature = "ri:w", .fits = fits, .make = make, .run = run};
