// Pairs of elements of tensors that are spread over each other: a thread finds out from its place in the
// result where its pack is in both. And their gradients: sums over what was spread, in two stages as in
// sums.cu.
#include "cuda/kernels/broadcast.h"

#include "cuda/kernels/columns.cuh"
#include "cuda/kernels/map.cuh"

struct offsets {
    int64_t of[2];
};

// Where the two tensors are at place `i` of the axes from `first` on.
static __device__ __forceinline__ struct offsets offsets_at(const struct ls_cuda_axes &along, int first,
                                                            int64_t i) {
    struct offsets at = {{0, 0}};
    for (int axis = first; axis < along.axes; axis++) {
        int64_t round = quotient(i, along.size[axis]), index = i - round * along.size[axis];
        at.of[0] += index * along.stride[0][axis];
        at.of[1] += index * along.stride[1][axis];
        i = round;
    }
    return at;
}

// A pack along axis 0, or one element for all of it.
template <typename T, int N>
static __device__ __forceinline__ pack<T, N> load_along(const T *from, int64_t column, int64_t stride) {
    if (stride) return load<T, N>(from + column);
    pack<T, N> same;
#pragma unroll
    for (int k = 0; k < N; k++) same.at[k] = *from;
    return same;
}

template <typename T, int N, typename Op>
__global__ void __launch_bounds__(THREADS)
    map_pairs(Op op, struct ls_cuda_axes along, int64_t packs, const T *a, const T *b, T *y) {
    int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= packs) return;
    int64_t packs_of_row = along.size[0] / N, row = quotient(i, packs_of_row);
    int64_t column = (i - row * packs_of_row) * N;
    struct offsets at = offsets_at(along, 1, row);
    pack<T, N> in_a = load_along<T, N>(a + at.of[0], column, along.stride[0][0]),
               in_b = load_along<T, N>(b + at.of[1], column, along.stride[1][0]), out;
#pragma unroll
    for (int k = 0; k < N; k++) out.at[k] = put<T>(op(get(in_a.at[k]), get(in_b.at[k])));
    store<T, N>(y + i * N, out);
}

struct sum_of {
    __device__ float operator()(float a, float b) const {
        return a + b;
    }
};

struct sum_relu_of {
    __device__ float operator()(float a, float b) const {
        float sum = a + b;
        return sum <= 0 ? 0 : sum;
    }
};

struct product_of {
    __device__ float operator()(float a, float b) const {
        return a * b;
    }
};

template <typename Op>
static ls_status pairs(ls_dtype type, Op op, const struct ls_cuda_axes *along, const void *a, const void *b,
                       void *y, cudaStream_t stream) {
    int64_t n = 1;
    for (int axis = 0; axis < along->axes; axis++) n *= along->size[axis];
    if (along->axes == 1 && along->stride[0][0] && along->stride[1][0])
        return by_type(type, [&](auto one) {
            typedef decltype(one) T;
            map_all<2, wide<T>::N, T, T>(op, a, b, y, n, stream);
        });
    return by_type_and_width(type, along->size[0], [&](auto one, auto width) {
        typedef decltype(one) T;
        auto *kernel = map_pairs<T, decltype(width)::N, Op>;
        int64_t packs = n / decltype(width)::N;
        LS_LAUNCH(kernel, blocks_for(packs, THREADS), THREADS, stream, op, *along, packs, (const T *)a,
                  (const T *)b, (T *)y);
    });
}

ls_status ls_cuda_sum(ls_dtype type, const struct ls_cuda_axes *along, const void *a, const void *b, void *y,
                      cudaStream_t stream) {
    return pairs(type, sum_of(), along, a, b, y, stream);
}

ls_status ls_cuda_sum_relu(ls_dtype type, const struct ls_cuda_axes *along, const void *a, const void *b,
                           void *y, cudaStream_t stream) {
    return pairs(type, sum_relu_of(), along, a, b, y, stream);
}

ls_status ls_cuda_product(ls_dtype type, const struct ls_cuda_axes *along, const void *a, const void *b,
                          void *y, cudaStream_t stream) {
    return pairs(type, product_of(), along, a, b, y, stream);
}

// ---- sums

// A block adds for `across` places side by side, in rows of threads that take every `deep`-th term of a part.
struct sharing {
    int32_t across, deep;
    int64_t parts, part_terms;
};

static struct sharing sharing_of(const struct ls_cuda_terms *of) {
    struct sharing share = {};
    share.across = of->rows_first ? 32 : 1;
    share.deep = THREADS / share.across;
    int64_t blocks = (of->places + share.across - 1) / share.across;
    int64_t step = (int64_t)share.deep * ROWS_AT_ONCE, steps = (of->terms + step - 1) / step;
    int64_t most = SUMMING_BLOCKS / blocks > 1 ? SUMMING_BLOCKS / blocks : 1;
    share.part_terms = (steps + most - 1) / most * step;
    share.parts = (of->terms + share.part_terms - 1) / share.part_terms;
    return share;
}

size_t ls_cuda_sum_to_workspace(const struct ls_cuda_terms *of) {
    int64_t parts = sharing_of(of).parts;
    return parts > 1 ? (size_t)(parts * of->places) * sizeof(float) : 0;
}

template <typename T>
static __device__ __forceinline__ float term_at(const struct ls_cuda_axes &summed, const T *x,
                                                const T *factor, int64_t i) {
    struct offsets at = offsets_at(summed, 0, i);
    float value = get(x[at.of[0]]);
    return factor ? value * get(factor[at.of[1]]) : value;
}

// sums [parts][places]
template <typename T>
__global__ void __launch_bounds__(THREADS)
    sum_terms(struct sharing share, struct ls_cuda_axes kept, struct ls_cuda_axes summed, int64_t places,
              int64_t terms, const T *x, const T *factor, float *sums) {
    __shared__ float shared[THREADS];
    int column = (int)threadIdx.x % share.across, row = (int)threadIdx.x / share.across;
    int64_t block = quotient(blockIdx.x, share.parts), part = blockIdx.x - block * share.parts;
    int64_t place = block * share.across + column, begin = part * share.part_terms;
    int64_t end = begin + share.part_terms < terms ? begin + share.part_terms : terms;
    float sum = 0;
    if (place < places) {
        struct offsets at = offsets_at(kept, 0, place);
        for (int64_t i = begin + row; i < end; i += share.deep)
            sum += term_at(summed, x + at.of[0], factor ? factor + at.of[1] : NULL, i);
    }
    shared[threadIdx.x] = sum;
    for (int half = share.deep / 2; half > 0; half /= 2) {
        __syncthreads();
        if (row < half) shared[threadIdx.x] += shared[threadIdx.x + half * share.across];
    }
    if (row == 0 && place < places) sums[part * places + place] = shared[threadIdx.x];
}

static __global__ void __launch_bounds__(THREADS)
    sum_parts(int64_t parts, int64_t places, const float *sums, float *y) {
    int64_t place = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (place >= places) return;
    double sum = 0;
    for (int64_t part = 0; part < parts; part++) sum += (double)sums[part * places + place];
    y[place] = (float)sum;
}

ls_status ls_cuda_sum_to(const struct ls_cuda_terms *of, const void *x, const void *factor, float *y,
                         void *workspace, cudaStream_t stream) {
    struct sharing share = sharing_of(of);
    float *sums = share.parts > 1 ? (float *)workspace : y;
    LS_TRY(by_type(of->type, [&](auto one) {
        typedef decltype(one) T;
        auto *kernel = sum_terms<T>;
        LS_LAUNCH(kernel, (unsigned)(blocks_for(of->places, share.across) * share.parts), THREADS, stream,
                  share, of->kept, of->summed, of->places, of->terms, (const T *)x, (const T *)factor, sums);
    }));
    if (share.parts == 1) return LS_OK;
    LS_LAUNCH(sum_parts, blocks_for(of->places, THREADS), THREADS, stream, share.parts, of->places,
              (const float *)workspace, y);
    return ls_cuda_launched();
}
