// Embedding. Backward: a block has some channels of a row of the table, looks through all indices and adds
// the rows of dy that are meant, in their order: no atomics.
#include "cuda/kernels/embedding.h"

#include "cuda/kernels/number.cuh"

template <typename T, int N>
__global__ void __launch_bounds__(THREADS)
    take_rows(const int32_t *index, int64_t count, const T *table, int64_t rows, int64_t width, T *y) {
    int64_t packs = width / N, i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= count * packs) return;
    int64_t place = quotient(i, packs), at = (i - place * packs) * N, row = index[place];
    pack<T, N> out;
#pragma unroll
    for (int k = 0; k < N; k++) out.at[k] = put<T>(NAN);
    if (row >= 0 && row < rows) out = load<T, N>(table + row * width + at);
    store<T, N>(y + i * N, out);
}

ls_status ls_cuda_embedding(ls_dtype type, const int32_t *index, int64_t count, const void *table,
                            int64_t rows, int64_t width, void *y, cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        constexpr int N = wide<T>::N;
        bool packs = width % N == 0;
        auto *kernel = packs ? take_rows<T, N> : take_rows<T, 1>;
        LS_LAUNCH(kernel, blocks_for(count * (packs ? width / N : width), THREADS), THREADS, stream, index,
                  count, (const T *)table, rows, width, (T *)y);
    });
}

enum { TILE = 128 }; // channels of a block

template <typename T>
__global__ void __launch_bounds__(TILE)
    add_rows(const int32_t *index, int64_t count, const T *dy, int64_t width, unsigned tiles, float *dtable) {
    __shared__ int meant[TILE];
    int64_t row = blockIdx.x / tiles, channel = (int64_t)(blockIdx.x % tiles) * TILE + threadIdx.x;
    float sum = 0;
    for (int64_t first = 0; first < count; first += TILE) {
        int64_t mine = first + threadIdx.x;
        meant[threadIdx.x] = mine < count && index[mine] == row;
        if (!__syncthreads_or(meant[threadIdx.x])) continue;
        for (int i = 0; i < TILE; i++)
            if (meant[i] && channel < width) sum += get(dy[(first + i) * width + channel]);
        __syncthreads();
    }
    if (channel < width) dtable[row * width + channel] = sum;
}

ls_status ls_cuda_embedding_grad(ls_dtype type, const int32_t *index, int64_t count, const void *dy,
                                 int64_t rows, int64_t width, float *dtable, cudaStream_t stream) {
    unsigned tiles = blocks_for(width, TILE);
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        auto *kernel = add_rows<T>;
        LS_LAUNCH(kernel, (unsigned)(rows * tiles), TILE, stream, index, count, (const T *)dy, width, tiles,
                  dtable);
    });
}
