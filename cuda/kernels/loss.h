// Softmax and the losses of [samples][classes] in f32; weights f32 [samples]. A sample of weight 0 is left
// out whatever it holds. Losses: out[0] the loss, out[1] the score, out[2] the weights, each summed over the
// samples in order, in f64. Where a target is no class the loss and the gradient are NaN.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ls_augment; // graph/augment.h
struct ls_lane_control;

// Softmax is of any type, over `each` numbers of a row. y may be x, and dx y.
ls_status ls_cuda_softmax(ls_dtype type, const void *x, void *y, int64_t rows, int64_t each,
                          cudaStream_t stream);
ls_status ls_cuda_softmax_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t rows,
                               int64_t each, cudaStream_t stream);

size_t ls_cuda_loss_workspace(int64_t samples); // bytes of the workspace of a loss

// augment [samples]: with whom samples are mixed; NULL: with nobody.
ls_status ls_cuda_cross_entropy(const float *logits, const int32_t *target, const float *weight,
                                const struct ls_augment *augment, int64_t samples, int64_t classes,
                                double smoothing, float *const out[3], void *workspace, cudaStream_t stream);
ls_status ls_cuda_cross_entropy_grad(const float *logits, const int32_t *target, const float *weight,
                                     const float *seed, const struct ls_augment *augment, float *dlogits,
                                     int64_t samples, int64_t classes, double smoothing, cudaStream_t stream);

// mse, mae and huber: by the square of how far prediction and target [samples][each] are apart, by its size,
// or as Huber counts it.
enum ls_cuda_distance { LS_CUDA_SQUARE, LS_CUDA_SIZE, LS_CUDA_HUBER };
struct ls_cuda_predictions {
    enum ls_cuda_distance distance;
    double delta; // Huber's
    const float *prediction, *target, *weight;
    int64_t samples, each;
};
ls_status ls_cuda_prediction_loss(const struct ls_cuda_predictions *of, float *const out[3], void *workspace,
                                  cudaStream_t stream);
ls_status ls_cuda_prediction_loss_grad(const struct ls_cuda_predictions *of, const float *seed,
                                       float *dprediction, cudaStream_t stream);

ls_status ls_cuda_binary_cross_entropy(const float *logits, const float *target, const float *weight,
                                       int64_t samples, int64_t labels, double smoothing, float *const out[3],
                                       void *workspace, cudaStream_t stream);
ls_status ls_cuda_binary_cross_entropy_grad(const float *logits, const float *target, const float *weight,
                                            const float *seed, float *dlogits, int64_t samples,
                                            int64_t labels, double smoothing, cudaStream_t stream);

ls_status ls_cuda_rank_flags(const struct ls_lane_control *control, float *stop, float *fault,
                             cudaStream_t stream);

#ifdef __cplusplus
}
#endif
