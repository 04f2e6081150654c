// Batch normalization in bf16: which nodes, and what their inputs and outputs are.
#include "cpu/batchnorm.h"

#include "cpu/internal.h"

#ifdef LS_HAVE_AVX512_BF16

#include <math.h>

static bool supports(const struct ls_graph *graph, const struct ls_node *node, size_t *workspace) {
    const struct ls_value_info *x = ls_info(graph, node->in[0]);
    const int64_t channels = x->shape.dim[1];
    if (x->dtype != LS_BF16 || channels % LS_BATCHNORM_VECTOR != 0) return false;
    *workspace = ls_batchnorm_workspace(channels);
    return true;
}

// What all have in common.
static struct ls_batchnorm_call call_of(const struct ls_kernel_call *call, bool relu) {
    const struct ls_node *node = call->node;
    const struct ls_shape *x = &ls_info(call->graph, node->in[0])->shape;
    const bool bounded = node->op->n_attrs > LS_BATCHNORM_MOST && node->attr[LS_BATCHNORM_MOST].f != 0;
    // The bound as y would hold it.
    const float most = ls_bf16_to_f32(ls_bf16_from_f32((float)node->attr[LS_BATCHNORM_MOST].f));
    return (struct ls_batchnorm_call){.rows = ls_shape_count(x) / x->dim[1],
                                      .channels = x->dim[1],
                                      .epsilon = node->attr[LS_BATCHNORM_EPSILON].f,
                                      .relu = relu,
                                      .most = bounded ? most : NAN,
                                      .x = call->in[0],
                                      .workspace = call->workspace};
}

static ls_status forward(const struct ls_kernel_call *call) {
    struct ls_batchnorm_call own = call_of(call, call->node->op->id != LS_OP_BATCHNORM);
    own.scale = call->in[1], own.shift = call->in[2];
    own.b = call->node->n_in > 3 ? call->in[3] : NULL;
    own.y = call->out[0], own.mean_out = call->out[1], own.var_out = call->out[2];
    ls_batchnorm_forward(&own);
    return LS_OK;
}

static ls_status backward(const struct ls_kernel_call *call, struct ls_batchnorm_call *own,
                          const void *const in[4]) {
    own->dy = in[0], own->scale = in[1], own->mean = in[2], own->var = in[3];
    own->dx = call->out[0], own->dscale = call->out[1], own->dshift = call->out[2];
    ls_batchnorm_backward(own);
    return LS_OK;
}

// x, dy, scale, mean, var -> dx, dscale, dshift
static ls_status grad(const struct ls_kernel_call *call) {
    struct ls_batchnorm_call own = call_of(call, false);
    return backward(call, &own, (const void *[]){call->in[1], call->in[2], call->in[3], call->in[4]});
}

// x, dy, scale, shift, mean, var -> dx, dscale, dshift
static ls_status relu_grad(const struct ls_kernel_call *call) {
    struct ls_batchnorm_call own = call_of(call, true);
    own.shift = call->in[3];
    return backward(call, &own, (const void *[]){call->in[1], call->in[2], call->in[4], call->in[5]});
}

// x, y, dy, scale, mean, var, [second dy] -> dx, dscale, dshift, db
static ls_status add_relu_grad(const struct ls_kernel_call *call) {
    struct ls_batchnorm_call own = call_of(call, true);
    own.sum_y = call->in[1];
    own.more = call->node->n_in > 6 ? call->in[6] : NULL;
    own.db = call->out[3];
    return backward(call, &own, (const void *[]){call->in[2], call->in[3], call->in[4], call->in[5]});
}

static ls_status run(const struct ls_kernel_call *call) {
    switch (call->node->op->id) {
    case LS_OP_BATCHNORM_GRAD: return grad(call);
    case LS_OP_BATCHNORM_RELU_GRAD: return relu_grad(call);
    case LS_OP_BATCHNORM_ADD_RELU_GRAD: return add_relu_grad(call);
    default: return forward(call);
    }
}

const struct ls_kernel *ls_batchnorm_kernel(enum ls_op_id op) {
    static const struct ls_kernel kernel = {.library = "batchnorm", .supports = supports, .run = run};
    switch (op) {
    case LS_OP_BATCHNORM:
    case LS_OP_BATCHNORM_RELU:
    case LS_OP_BATCHNORM_ADD_RELU:
    case LS_OP_BATCHNORM_GRAD:
    case LS_OP_BATCHNORM_RELU_GRAD:
    case LS_OP_BATCHNORM_ADD_RELU_GRAD: return ls_has_avx512_bf16() ? &kernel : NULL;
    default: return NULL;
    }
}

#else

const struct ls_kernel *ls_batchnorm_kernel(enum ls_op_id op) {
    (void)op;
    return NULL;
}

#endif
