// Softmax and the losses: a block a sample, whose numbers are added by one tree; then one block adds the
// samples.
#include "cuda/kernels/loss.h"

#include "cuda/kernels/number.cuh"
#include "graph/augment.h"
#include "graph/plan.h"

#include <math.h>

enum { ROW_THREADS = 128 }; // of a sample

struct add_two {
    __device__ float operator()(float a, float b) const {
        return a + b;
    }
};

// NaN is not chosen.
struct greater_of {
    __device__ float operator()(float a, float b) const {
        return b > a || a != a ? b : a;
    }
};

// op over the threads of a block, always by the same tree; the result for all of them.
template <typename Op> static __device__ __forceinline__ float over_block(float mine, float *shared, Op op) {
    shared[threadIdx.x] = mine;
    for (int half = ROW_THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half)
            shared[threadIdx.x] = op(shared[threadIdx.x], shared[threadIdx.x + half]);
    }
    __syncthreads();
    float result = shared[0];
    __syncthreads();
    return result;
}

// The greatest of x and the sum of exp(x - greatest).
struct row_sum {
    float greatest, sum;
};

template <typename T>
static __device__ __forceinline__ struct row_sum sum_row(const T *x, int64_t n, float *shared) {
    float greatest = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS) greatest = greater_of()(greatest, get(x[i]));
    greatest = over_block(greatest, shared, greater_of());
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS) sum += expf(get(x[i]) - greatest);
    return {greatest, over_block(sum, shared, add_two())};
}

// y may be x: a thread writes what it alone still reads.
template <typename T> __global__ void __launch_bounds__(ROW_THREADS) softmax(const T *x, T *y, int64_t n) {
    __shared__ float shared[ROW_THREADS];
    const T *from = x + blockIdx.x * n;
    struct row_sum row = sum_row(from, n, shared);
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS)
        y[blockIdx.x * n + i] = put<T>(expf(get(from[i]) - row.greatest) / row.sum);
}

template <typename T>
__global__ void __launch_bounds__(ROW_THREADS) softmax_grad(const T *y, const T *dy, T *dx, int64_t n) {
    __shared__ float shared[ROW_THREADS];
    int64_t first = blockIdx.x * n;
    float inner = 0;
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS) inner += get(y[first + i]) * get(dy[first + i]);
    inner = over_block(inner, shared, add_two());
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS)
        dx[first + i] = put<T>(get(y[first + i]) * (get(dy[first + i]) - inner));
}

// ---- the metrics of a sample, times its weight

struct metrics {
    double loss, score, weight;
};

// out[k] = the sum of metric k over the samples in order: a thread for each metric, fed by all through shared
// memory.
static __global__ void __launch_bounds__(ROW_THREADS)
    add_samples(const double *of, int64_t samples, float *loss, float *score, float *weight) {
    enum { METRICS = 3, AT_ONCE = 8 * ROW_THREADS / METRICS };
    __shared__ double shared[AT_ONCE * METRICS];
    double sum = 0;
    for (int64_t first = 0; first < samples; first += AT_ONCE) {
        int n = samples - first < AT_ONCE ? (int)(samples - first) : (int)AT_ONCE;
        for (int i = (int)threadIdx.x; i < n * METRICS; i += ROW_THREADS) shared[i] = of[first * METRICS + i];
        __syncthreads();
        if (threadIdx.x < METRICS)
            for (int i = 0; i < n; i++) sum += shared[i * METRICS + (int)threadIdx.x];
        __syncthreads();
    }
    if (threadIdx.x == 0) *loss = (float)sum;
    if (threadIdx.x == 1) *score = (float)sum;
    if (threadIdx.x == 2) *weight = (float)sum;
}

size_t ls_cuda_loss_workspace(int64_t samples) {
    return (size_t)samples * sizeof(struct metrics);
}

static ls_status add_up(const void *workspace, int64_t samples, float *const out[3], cudaStream_t stream) {
    LS_LAUNCH(add_samples, 1u, ROW_THREADS, stream, (const double *)workspace, samples, out[0], out[1],
              out[2]);
    return ls_cuda_launched();
}

// ---- cross entropy

// Is x[target] the first maximum? Then everything before it is less, and nothing behind it greater.
static __device__ __forceinline__ bool is_first_maximum(const float *x, int64_t n, int32_t target,
                                                        float *shared) {
    float above = 0;
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS)
        if (i < target ? x[i] >= x[target] : x[i] > x[target]) above = 1;
    return over_block(above, shared, add_two()) == 0;
}

// A sample's targets and what each counts: one, or two where it is mixed, the larger share first. Not
// `there`: one is no class.
struct shares {
    int n;
    bool there;
    int32_t target[2];
    double weight[2];
};

struct classes_of {
    const int32_t *target;
    const float *weight;
    const struct ls_augment *augment; // NULL: nothing is mixed
    int64_t classes;
};

static __device__ __forceinline__ void add_share(const struct classes_of *of, int64_t sample, double part,
                                                 struct shares *shares) {
    double weight = part * (double)of->weight[sample];
    if (weight == 0) return;
    int32_t target = of->target[sample];
    shares->there = shares->there && target >= 0 && target < of->classes;
    shares->target[shares->n] = target;
    shares->weight[shares->n++] = weight;
}

static __device__ __forceinline__ struct shares shares_of(const struct classes_of *of, int64_t sample) {
    struct shares shares = {0, true, {0, 0}, {0, 0}};
    const struct ls_augment *mixed = of->augment ? &of->augment[sample] : NULL;
    if (!mixed || !(mixed->flags & (LS_AUGMENT_MIXUP | LS_AUGMENT_CUTMIX))) {
        add_share(of, sample, 1, &shares);
        return shares;
    }
    if (mixed->partner < 0 || (unsigned)mixed->partner >= gridDim.x) { // a block a sample
        shares.n = 1;
        shares.there = false;
        return shares;
    }
    double factor = (double)mixed->factor;
    bool own_first = factor >= 0.5;
    add_share(of, own_first ? sample : mixed->partner, own_first ? factor : 1 - factor, &shares);
    add_share(of, own_first ? mixed->partner : sample, own_first ? 1 - factor : factor, &shares);
    return shares;
}

static __global__ void __launch_bounds__(ROW_THREADS)
    cross_entropy(const float *logits, struct classes_of of, float smoothing, struct metrics *out) {
    __shared__ float shared[ROW_THREADS];
    const int64_t n = of.classes;
    const float *x = logits + blockIdx.x * n;
    const struct shares shares = shares_of(&of, blockIdx.x);
    const double weight = shares.weight[0] + shares.weight[1];
    if (shares.n == 0 || !shares.there) {
        if (threadIdx.x == 0) out[blockIdx.x] = {shares.n == 0 ? 0.0 : (double)NAN, 0, weight};
        return;
    }
    struct row_sum row = sum_row(x, n, shared);
    bool right = is_first_maximum(x, n, shares.target[0], shared);
    // -log p[c] = log sum + greatest - x[c]: the sum is 1 at least, and x[c] is near greatest where little is
    // lost.
    float log_sum = logf(row.sum), rest = 0;
    if (smoothing != 0) { // left out where it is 0, so that a logit of -inf elsewhere does not become 0 * inf
        float all = 0;
        for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS) all += log_sum + (row.greatest - x[i]);
        rest = smoothing / (float)n * over_block(all, shared, add_two());
    }
    if (threadIdx.x > 0) return;
    double loss = 0;
    for (int k = 0; k < shares.n; k++) {
        float chosen = (1 - smoothing) * (log_sum + (row.greatest - x[shares.target[k]]));
        loss += shares.weight[k] * (double)(smoothing != 0 ? chosen + rest : chosen);
    }
    out[blockIdx.x] = {loss, right ? weight : 0, weight};
}

static __global__ void __launch_bounds__(ROW_THREADS)
    cross_entropy_grad(const float *logits, struct classes_of of, const float *seed, float *dlogits,
                       float smoothing) {
    __shared__ float shared[ROW_THREADS];
    const int64_t n = of.classes;
    const float *x = logits + blockIdx.x * n;
    float *dx = dlogits + blockIdx.x * n;
    const struct shares shares = shares_of(&of, blockIdx.x);
    if (shares.n == 0 || !shares.there) {
        for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS) dx[i] = shares.n == 0 ? 0 : NAN;
        return;
    }
    struct row_sum row = sum_row(x, n, shared);
    float first = (float)((double)*seed * shares.weight[0]),
          second = (float)((double)*seed * shares.weight[1]);
    float rest = smoothing / (float)n, chosen = rest + (1 - smoothing);
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS) {
        float p = expf(x[i] - row.greatest) / row.sum;
        dx[i] = first * (p - (i == shares.target[0] ? chosen : rest));
        if (shares.n > 1) dx[i] += second * (p - (i == shares.target[1] ? chosen : rest));
    }
}

// ---- the losses of predictions: what a value counts that is `apart` from its target, and by what it changes

struct square_of {
    __device__ float value(float apart) const {
        return apart * apart;
    }
    __device__ float slope(float apart) const {
        return 2 * apart;
    }
};

struct size_of {
    __device__ float value(float apart) const {
        return fabsf(apart);
    }
    __device__ float slope(float apart) const {
        return apart > 0 ? 1 : apart < 0 ? -1 : apart;
    }
};

struct huber_of {
    float delta;
    __device__ float value(float apart) const {
        float size = fabsf(apart);
        return size > delta ? delta * (size - delta / 2) : apart * apart / 2;
    }
    __device__ float slope(float apart) const {
        return apart > delta ? delta : apart < -delta ? -delta : apart;
    }
};

template <typename Distance>
__global__ void __launch_bounds__(ROW_THREADS)
    prediction_loss(Distance distance, const float *prediction, const float *target, const float *weight_of,
                    int64_t n, struct metrics *out) {
    __shared__ float shared[ROW_THREADS];
    int64_t first = blockIdx.x * n;
    float weight = weight_of[blockIdx.x], losses = 0, sizes = 0;
    for (int64_t i = threadIdx.x; weight != 0 && i < n; i += ROW_THREADS) {
        float apart = prediction[first + i] - target[first + i];
        losses += distance.value(apart);
        sizes += fabsf(apart);
    }
    losses = over_block(losses, shared, add_two());
    sizes = over_block(sizes, shared, add_two());
    if (threadIdx.x > 0) return;
    double share = (double)weight / (double)n;
    out[blockIdx.x] = {share * (double)losses, share * (double)sizes, (double)weight};
}

template <typename Distance>
__global__ void __launch_bounds__(ROW_THREADS)
    prediction_loss_grad(Distance distance, const float *prediction, const float *target,
                         const float *weight_of, const float *seed, float *dprediction, int64_t n) {
    int64_t first = blockIdx.x * n;
    float weight = weight_of[blockIdx.x], factor = (float)((double)*seed * (double)weight / (double)n);
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS)
        dprediction[first + i] =
            weight == 0 ? 0 : factor * distance.slope(prediction[first + i] - target[first + i]);
}

// ---- binary cross entropy

// A target between 0 and 1, smoothed.
static __device__ __forceinline__ float smoothed(float target, float smoothing) {
    return (1 - smoothing) * target + smoothing / 2;
}

static __global__ void __launch_bounds__(ROW_THREADS)
    binary_cross_entropy(const float *logits, const float *target_of, const float *weight_of, int64_t n,
                         float smoothing, struct metrics *out) {
    __shared__ float shared[ROW_THREADS];
    int64_t first = blockIdx.x * n;
    float weight = weight_of[blockIdx.x], sum = 0, wrong = 0;
    for (int64_t i = threadIdx.x; weight != 0 && i < n; i += ROW_THREADS) {
        float x = logits[first + i], target = target_of[first + i];
        sum += (x <= 0 ? 0 : x) - x * smoothed(target, smoothing) + log1pf(expf(-fabsf(x)));
        if ((x > 0) != (target > 0.5f)) wrong = 1;
    }
    sum = over_block(sum, shared, add_two());
    wrong = over_block(wrong, shared, add_two());
    if (threadIdx.x > 0) return;
    out[blockIdx.x] = {(double)weight * ((double)sum / (double)n),
                       weight != 0 && wrong == 0 ? (double)weight : 0, (double)weight};
}

static __global__ void __launch_bounds__(ROW_THREADS)
    binary_cross_entropy_grad(const float *logits, const float *target_of, const float *weight_of,
                              const float *seed, float *dlogits, int64_t n, float smoothing) {
    int64_t first = blockIdx.x * n;
    float weight = weight_of[blockIdx.x], factor = (float)((double)*seed * (double)weight / (double)n);
    for (int64_t i = threadIdx.x; i < n; i += ROW_THREADS)
        dlogits[first + i] =
            weight == 0 ? 0
                        : factor * (sigmoid(logits[first + i]) - smoothed(target_of[first + i], smoothing));
}

// ---- the flags of the rank

static __global__ void rank_flags(const struct ls_lane_control *control, float *stop, float *fault) {
    *stop = control->stop;
    *fault = control->fault;
}

// ---- launches

ls_status ls_cuda_softmax(ls_dtype type, const void *x, void *y, int64_t rows, int64_t each,
                          cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        auto *kernel = softmax<T>;
        LS_LAUNCH(kernel, (unsigned)rows, ROW_THREADS, stream, (const T *)x, (T *)y, each);
    });
}

ls_status ls_cuda_softmax_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t rows,
                               int64_t each, cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        auto *kernel = softmax_grad<T>;
        LS_LAUNCH(kernel, (unsigned)rows, ROW_THREADS, stream, (const T *)y, (const T *)dy, (T *)dx, each);
    });
}

ls_status ls_cuda_cross_entropy(const float *logits, const int32_t *target, const float *weight,
                                const struct ls_augment *augment, int64_t samples, int64_t classes,
                                double smoothing, float *const out[3], void *workspace, cudaStream_t stream) {
    const struct classes_of of = {target, weight, augment, classes};
    LS_LAUNCH(cross_entropy, (unsigned)samples, ROW_THREADS, stream, logits, of, (float)smoothing,
              (struct metrics *)workspace);
    LS_TRY(ls_cuda_launched());
    return add_up(workspace, samples, out, stream);
}

ls_status ls_cuda_cross_entropy_grad(const float *logits, const int32_t *target, const float *weight,
                                     const float *seed, const struct ls_augment *augment, float *dlogits,
                                     int64_t samples, int64_t classes, double smoothing,
                                     cudaStream_t stream) {
    const struct classes_of of = {target, weight, augment, classes};
    LS_LAUNCH(cross_entropy_grad, (unsigned)samples, ROW_THREADS, stream, logits, of, seed, dlogits,
              (float)smoothing);
    return ls_cuda_launched();
}

template <typename Distance>
static ls_status run_loss(Distance distance, const struct ls_cuda_predictions *of, float *const out[3],
                          void *workspace, cudaStream_t stream) {
    auto *kernel = prediction_loss<Distance>;
    LS_LAUNCH(kernel, (unsigned)of->samples, ROW_THREADS, stream, distance, of->prediction, of->target,
              of->weight, of->each, (struct metrics *)workspace);
    LS_TRY(ls_cuda_launched());
    return add_up(workspace, of->samples, out, stream);
}

template <typename Distance>
static ls_status run_loss_grad(Distance distance, const struct ls_cuda_predictions *of, const float *seed,
                               float *dprediction, cudaStream_t stream) {
    auto *kernel = prediction_loss_grad<Distance>;
    LS_LAUNCH(kernel, (unsigned)of->samples, ROW_THREADS, stream, distance, of->prediction, of->target,
              of->weight, seed, dprediction, of->each);
    return ls_cuda_launched();
}

ls_status ls_cuda_prediction_loss(const struct ls_cuda_predictions *of, float *const out[3], void *workspace,
                                  cudaStream_t stream) {
    switch (of->distance) {
    case LS_CUDA_SIZE: return run_loss(size_of(), of, out, workspace, stream);
    case LS_CUDA_HUBER: return run_loss(huber_of{(float)of->delta}, of, out, workspace, stream);
    default: return run_loss(square_of(), of, out, workspace, stream);
    }
}

ls_status ls_cuda_prediction_loss_grad(const struct ls_cuda_predictions *of, const float *seed,
                                       float *dprediction, cudaStream_t stream) {
    switch (of->distance) {
    case LS_CUDA_SIZE: return run_loss_grad(size_of(), of, seed, dprediction, stream);
    case LS_CUDA_HUBER: return run_loss_grad(huber_of{(float)of->delta}, of, seed, dprediction, stream);
    default: return run_loss_grad(square_of(), of, seed, dprediction, stream);
    }
}

ls_status ls_cuda_binary_cross_entropy(const float *logits, const float *target, const float *weight,
                                       int64_t samples, int64_t labels, double smoothing, float *const out[3],
                                       void *workspace, cudaStream_t stream) {
    LS_LAUNCH(binary_cross_entropy, (unsigned)samples, ROW_THREADS, stream, logits, target, weight, labels,
              (float)smoothing, (struct metrics *)workspace);
    LS_TRY(ls_cuda_launched());
    return add_up(workspace, samples, out, stream);
}

ls_status ls_cuda_binary_cross_entropy_grad(const float *logits, const float *target, const float *weight,
                                            const float *seed, float *dlogits, int64_t samples,
                                            int64_t labels, double smoothing, cudaStream_t stream) {
    LS_LAUNCH(binary_cross_entropy_grad, (unsigned)samples, ROW_THREADS, stream, logits, target, weight, seed,
              dlogits, labels, (float)smoothing);
    return ls_cuda_launched();
}

ls_status ls_cuda_rank_flags(const struct ls_lane_control *control, float *stop, float *fault,
                             cudaStream_t stream) {
    LS_LAUNCH(rank_flags, 1u, 1u, stream, control, stop, fault);
    return ls_cuda_launched();
}
