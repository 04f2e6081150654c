// y = windows of x times filters, on Tensor Cores. A block takes some lines of y at a time: it puts the lines
// of x that they see into shared memory, with zeros where they reach beyond, and there a window's line is a
// run of numbers, so that windows are read where they lie. A warp keeps the filters of 32 outputs in
// registers, all the while, and makes 16 windows at a time:
//
//     16 windows x 16 numbers of a window (a pair each for four threads)   times   16 numbers x 8 outputs, 4
//     times
//
// The lines of a window are filled up to whole pairs, all of them to whole sixteens, with zeros in both.
//
// dw = the sum over windows of dy times the window, 16 windows at a time: each warp makes all outputs of a
// few elements of a window, each block a part of the sum, of the lines that it takes; the parts are added at
// the end.
#include "cuda/kernels/window.h"

#include "cuda/kernels/columns.cuh"

enum {
    DEPTH = 16,
    DEPTH_PAIRS = DEPTH / 2,
    FEW_DEPTHS = 2,
    MOST_DEPTHS = 10,
    MOST_PAIRS = MOST_DEPTHS * DEPTH_PAIRS
};
enum { TILE = 16, OUTPUTS = 32, TILES_OF_OUTPUTS = 4, WARPS = THREADS / 32 };
enum { MOST_WORDS = 6144, MOST_LINES = 4, BLOCKS = 264 };

struct shape {
    struct ls_columns s;
    int32_t outputs, line; // line: numbers of a window's line
    int32_t pairs, words;  // of a window's line; of a line in shared memory
    int32_t lines, seen;   // of y at a time; of x that they see
};

static struct shape shape_of(const struct ls_columns *of, int64_t outputs) {
    struct shape q = {};
    q.s = *of;
    q.outputs = (int32_t)outputs;
    q.line = (int32_t)(of->kw * of->c);
    q.pairs = (q.line + 1) / 2;
    q.words = (int32_t)((of->ow - 1) * of->stride_w * of->c / 2) + q.pairs;
    q.lines = of->oh < MOST_LINES ? (int32_t)of->oh : (int32_t)MOST_LINES;
    q.seen = (int32_t)((q.lines - 1) * of->stride_h + of->kh);
    return q;
}

bool ls_cuda_window_fits(ls_dtype type, const struct ls_columns *of, int64_t outputs) {
    if (ls_dtype_bytes(type) != 2 || of->groups != 1 || of->dilation_h != 1 || of->dilation_w != 1)
        return false;
    if (of->stride_w * of->c % 2 != 0) return false;
    if (of->kh * ((of->kw * of->c + 1) / 2) > MOST_PAIRS || of->ow * of->stride_w * of->c > 2 * MOST_WORDS)
        return false;
    if (outputs % OUTPUTS != 0 || outputs > OUTPUTS * WARPS || WARPS % (outputs / OUTPUTS) != 0) return false;
    struct shape q = shape_of(of, outputs);
    return (int64_t)q.seen * q.words <= MOST_WORDS && of->n * of->oh <= INT32_MAX;
}

// ---- products of 16 x 16 by 16 x 8 numbers, a pair in a word

#ifdef LS_FAKECUDA
// As the instruction is defined: lane 4g + t has, of a, the pairs t and 4 + t of rows g and 8 + g; of b,
// those of column g; of the product, columns 2t and 2t + 1 of both rows.
template <typename T> static float pair_product(uint32_t a, uint32_t b) {
    const T low_a = {(uint16_t)a}, low_b = {(uint16_t)b};
    const T high_a = {(uint16_t)(a >> 16)}, high_b = {(uint16_t)(b >> 16)};
    return get(low_a) * get(low_b) + get(high_a) * get(high_b);
}

template <typename T>
static void add_product(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int from = 0; from < 4; from++)
        for (int half = 0; half < 2; half++)
            for (int row = 0; row < 2; row++) {
                uint32_t of_a = __shfl_sync(~0u, a[2 * half + row], 4 * g + from);
                for (int column = 0; column < 2; column++) {
                    uint32_t of_b = __shfl_sync(~0u, b[half], 4 * (2 * t + column) + from);
                    sum[2 * row + column] += pair_product<T>(of_a, of_b);
                }
            }
}
#else
template <typename T>
static __device__ __forceinline__ void add_product(float (&sum)[4], const uint32_t (&a)[4],
                                                   const uint32_t (&b)[2]);
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
#define LS_MMA(type)                                                                                         \
    asm("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "         \
        "{%8,%9}, {%0,%1,%2,%3};"                                                                            \
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])                                             \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#else
#define LS_MMA(type) __trap() // such a GPU is not given this kernel
#endif

template <>
__device__ __forceinline__ void add_product<bf16>(float (&sum)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2]) {
    LS_MMA("bf16");
}

template <>
__device__ __forceinline__ void add_product<f16>(float (&sum)[4], const uint32_t (&a)[4],
                                                 const uint32_t (&b)[2]) {
    LS_MMA("f16");
}
#endif

// ---- pairs of a window, and where they are

// A pair in shared memory, from the start of a window: its word, and which of its two numbers count.
struct spot {
    int32_t word;
    uint32_t mask;
};

static __device__ __forceinline__ struct spot spot_of(const struct shape &q, int32_t pair) {
    int32_t h = pair / q.pairs, at = pair - h * q.pairs;
    if (h >= q.s.kh) return {0, 0};
    return {h * q.words + at, 2 * at + 1 < q.line ? ~0u : 0xffffu};
}

template <typename T>
static __device__ __forceinline__ uint32_t filter_pair(const struct shape &q, const T *w, int32_t output,
                                                       int32_t pair) {
    int32_t h = pair / q.pairs, at = 2 * (pair - h * q.pairs);
    if (h >= q.s.kh) return 0;
    const T *from = w + (output * (int32_t)q.s.kh + h) * q.line + at;
    return bits_of(from[0]) | (at + 1 < q.line ? bits_of(from[1]) << 16 : 0);
}

// The lines of x from `top` on, two numbers a word, with the padding at the left and right, which is zero
// already: packs of N numbers, several on their way together.
enum { PACKS = 5 };

template <int N, typename T>
static __device__ __forceinline__ void fetch_packs(const struct shape &q, const T *image, int32_t top,
                                                   T *to) {
    const int32_t width = (int32_t)(q.s.w * q.s.c), left = (int32_t)(q.s.pad_w * q.s.c), packs = width / N;
    for (int32_t first = (int32_t)threadIdx.x; first < q.seen * packs; first += PACKS * THREADS) {
        pack<T, N> in[PACKS] = {};
#pragma unroll
        for (int u = 0; u < PACKS; u++) {
            const int32_t i = first + u * THREADS, line = (int32_t)((uint32_t)i / (uint32_t)packs),
                          h = top + line;
            if (i < q.seen * packs && h >= 0 && h < (int32_t)q.s.h)
                in[u] = load<T, N>(image + h * width + (i - line * packs) * N);
        }
#pragma unroll
        for (int u = 0; u < PACKS; u++) {
            const int32_t i = first + u * THREADS, line = (int32_t)((uint32_t)i / (uint32_t)packs);
            const int32_t at = left + (i - line * packs) * N;
#pragma unroll
            for (int k = 0; k < N; k++)
                if (i < q.seen * packs && at + k < 2 * q.words) to[line * 2 * q.words + at + k] = in[u].at[k];
        }
    }
}

template <typename T>
static __device__ __forceinline__ void fetch_lines(const struct shape &q, const T *image, int32_t top,
                                                   T *to) {
    if (q.s.w * q.s.c % 4 == 0)
        fetch_packs<4>(q, image, top, to);
    else
        fetch_packs<1>(q, image, top, to);
}

// Before the first lines are fetched, and a barrier.
static __device__ __forceinline__ void clear_lines(uint32_t *lines) {
    for (int32_t i = (int32_t)threadIdx.x; i < MOST_WORDS; i += THREADS) lines[i] = 0;
}

// The lines of y that a block takes at a time: of one sample, and as many as are left.
struct stretch {
    int32_t sample, line, windows;
};

static __device__ __forceinline__ int32_t stretches_of(const struct shape &q) {
    return (int32_t)((q.s.oh + q.lines - 1) / q.lines);
}

static __device__ __forceinline__ struct stretch stretch_at(const struct shape &q, int32_t each,
                                                            int32_t step) {
    const int32_t sample = step / each, line = (step - sample * each) * q.lines,
                  left = (int32_t)q.s.oh - line;
    return {sample, line, (left < q.lines ? left : q.lines) * (int32_t)q.s.ow};
}

// Where window m of a block's lines begins in shared memory.
static __device__ __forceinline__ int32_t start_of(const struct shape &q, int32_t m) {
    int32_t line = m / (int32_t)q.s.ow;
    return line * (int32_t)q.s.stride_h * q.words +
           (m - line * (int32_t)q.s.ow) * (int32_t)(q.s.stride_w * q.s.c / 2);
}

template <typename T>
static __device__ __forceinline__ void store_outputs(T *y, const float (&sum)[TILES_OF_OUTPUTS][4], int row) {
    pack<T, 2 * TILES_OF_OUTPUTS> out;
#pragma unroll
    for (int i = 0; i < TILES_OF_OUTPUTS; i++) {
        out.at[2 * i] = put<T>(sum[i][2 * row]);
        out.at[2 * i + 1] = put<T>(sum[i][2 * row + 1]);
    }
    store<T, 2 * TILES_OF_OUTPUTS>(y, out);
}

// Column n of tile i is output 8 (n / 2) + 2 i + n % 2 of the warp's: so a thread has eight outputs side by
// side.
template <typename T, int DEPTHS>
__global__ void __launch_bounds__(THREADS, 2) window_products(struct shape q, const T *x, const T *w, T *y) {
    __shared__ uint32_t lines[MOST_WORDS];
    __shared__ struct spot spots[DEPTHS * DEPTH_PAIRS];
    const int32_t lane = (int32_t)threadIdx.x % 32, warp = (int32_t)threadIdx.x / 32, g = lane / 4,
                  t = lane % 4;
    const int32_t sharing = q.outputs / OUTPUTS, output = warp % sharing * OUTPUTS;
    uint32_t filters[DEPTHS][TILES_OF_OUTPUTS][2];
#pragma unroll
    for (int d = 0; d < DEPTHS; d++)
#pragma unroll
        for (int i = 0; i < TILES_OF_OUTPUTS; i++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                filters[d][i][half] =
                    filter_pair(q, w, output + g / 2 * 8 + 2 * i + g % 2, d * DEPTH_PAIRS + half * 4 + t);
    for (int32_t i = (int32_t)threadIdx.x; i < DEPTHS * DEPTH_PAIRS; i += THREADS) spots[i] = spot_of(q, i);
    clear_lines(lines);
    const int32_t some = stretches_of(q);
    for (int32_t step = (int32_t)blockIdx.x; step < (int32_t)q.s.n * some; step += BLOCKS) {
        const struct stretch part = stretch_at(q, some, step);
        const int32_t sample = part.sample, line = part.line, windows = part.windows;
        __syncthreads();
        fetch_lines(q, x + (int64_t)sample * q.s.h * q.s.w * q.s.c,
                    line * (int32_t)q.s.stride_h - (int32_t)q.s.pad_h, reinterpret_cast<T *>(lines));
        __syncthreads();
        T *to = y + (sample * q.s.oh + line) * q.s.ow * q.outputs + output + 8 * t;
        for (int32_t tile = warp / sharing * TILE; tile < windows; tile += WARPS / sharing * TILE) {
            const int32_t first = tile + g, second = first + TILE / 2;
            const int32_t one = start_of(q, first < windows ? first : 0);
            const int32_t other = start_of(q, second < windows ? second : 0);
            float sum[TILES_OF_OUTPUTS][4] = {};
#pragma unroll
            for (int d = 0; d < DEPTHS; d++) {
                const struct spot low = spots[d * DEPTH_PAIRS + t], high = spots[d * DEPTH_PAIRS + 4 + t];
                const uint32_t pairs[4] = {
                    lines[one + low.word] & low.mask, lines[other + low.word] & low.mask,
                    lines[one + high.word] & high.mask, lines[other + high.word] & high.mask};
#pragma unroll
                for (int i = 0; i < TILES_OF_OUTPUTS; i++) add_product<T>(sum[i], pairs, filters[d][i]);
            }
            if (first < windows) store_outputs(to + (int64_t)first * q.outputs, sum, 0);
            if (second < windows) store_outputs(to + (int64_t)second * q.outputs, sum, 1);
        }
    }
}

// ---- the filters' gradient

enum { CHUNK = 64, MOST_OUTPUTS = 64, FILLED = 8, MOST_WINDOWS = 1024 }; // FILLED: keeps rows in other banks
enum { ELEMENTS = 8, ELEMENT_TILES = 3, MOST_ELEMENTS = WARPS * ELEMENT_TILES * ELEMENTS };

// 16 outputs of 16 windows, turned over, as add_product takes them; `flow` [windows][pitch].
template <typename T>
static __device__ __forceinline__ void load_turned(uint32_t (&a)[4], const T *flow, int32_t pitch,
                                                   int32_t lane) {
#ifdef LS_FAKECUDA
    for (int r = 0; r < 4; r++) {
        const T *at = flow + (r / 2 * 8 + lane % 4 * 2) * pitch + r % 2 * 8 + lane / 4;
        a[r] = bits_of(at[0]) | bits_of(at[pitch]) << 16;
    }
#else
    const T *row = flow + (lane / 16 * 8 + lane % 8) * pitch + lane / 8 % 2 * 8;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"((uint32_t)__cvta_generic_to_shared(row))
                 : "memory");
#endif
}

// Rows of dy from `first` on, of those that there are; zeros behind them. `flow`: packs, in shared memory.
template <typename T>
static __device__ __forceinline__ void fetch_flow(const T *dy, int32_t first, int32_t windows,
                                                  int32_t outputs, uint4 *flow) {
    constexpr int N = wide<T>::N;
    const int32_t packs = outputs / N;
#pragma unroll 2
    for (int32_t i = (int32_t)threadIdx.x; i < CHUNK * packs; i += THREADS) {
        const int32_t row = i / packs, at = i - row * packs;
        pack<T, N> in = {};
        if (first + row < windows) in = load<T, N>(dy + (int64_t)(first + row) * outputs + at * N);
        uint4 words;
        words.x = word_at(in, 0), words.y = word_at(in, 1), words.z = word_at(in, 2),
        words.w = word_at(in, 3);
        flow[row * (packs + FILLED / N) + at] = words;
    }
}

template <typename T>
__global__ void __launch_bounds__(THREADS, 2)
    window_gradients(struct shape q, const T *x, const T *dy, float *parts) {
    __shared__ uint32_t lines[MOST_WORDS];
    __shared__ uint16_t starts[MOST_WINDOWS]; // of windows, in numbers
    __shared__ uint4 flow[CHUNK * (MOST_OUTPUTS + FILLED) / wide<T>::N];
    const T *numbers = reinterpret_cast<const T *>(lines);
    const int32_t lane = (int32_t)threadIdx.x % 32, warp = (int32_t)threadIdx.x / 32, g = lane / 4,
                  t = lane % 4;
    const int32_t all = (int32_t)q.s.kh * q.line, pitch = q.outputs + FILLED;
    int32_t element[ELEMENT_TILES], spot[ELEMENT_TILES];
#pragma unroll
    for (int i = 0; i < ELEMENT_TILES; i++) {
        element[i] = (i * WARPS + warp) * ELEMENTS; // of the tile; elements behind the last are not kept
        const int32_t at = element[i] + g < all ? element[i] + g : 0, h = at / q.line;
        spot[i] = h * 2 * q.words + at - h * q.line;
    }
    for (int32_t m = (int32_t)threadIdx.x; m < q.lines * (int32_t)q.s.ow; m += THREADS)
        starts[m] = (uint16_t)(2 * start_of(q, m));
    float sum[MOST_OUTPUTS / TILE][ELEMENT_TILES][4] = {};
    clear_lines(lines);
    const int32_t some = stretches_of(q);
    for (int32_t step = (int32_t)blockIdx.x; step < (int32_t)q.s.n * some; step += BLOCKS) {
        const struct stretch part = stretch_at(q, some, step);
        const int32_t sample = part.sample, line = part.line, windows = part.windows;
        const T *from = dy + ((int64_t)sample * q.s.oh + line) * q.s.ow * q.outputs;
        __syncthreads();
        fetch_lines(q, x + (int64_t)sample * q.s.h * q.s.w * q.s.c,
                    line * (int32_t)q.s.stride_h - (int32_t)q.s.pad_h, reinterpret_cast<T *>(lines));
        for (int32_t first = 0; first < windows; first += CHUNK) {
            if (first > 0) __syncthreads();
            fetch_flow(from, first, windows, q.outputs, flow);
            __syncthreads();
            for (int32_t m = 0; m < CHUNK && first + m < windows; m += DEPTH) {
                uint32_t pairs[ELEMENT_TILES][2];
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    const int32_t one = first + m + 8 * half + 2 * t, other = one + 1;
                    const int32_t at = starts[one < windows ? one : 0],
                                  behind = starts[other < windows ? other : 0];
#pragma unroll
                    for (int i = 0; i < ELEMENT_TILES; i++)
                        pairs[i][half] = bits_of(numbers[at + spot[i]]) | bits_of(numbers[behind + spot[i]])
                                                                              << 16;
                }
#pragma unroll
                for (int o = 0; o < MOST_OUTPUTS / TILE; o++) {
                    if (o * TILE >= q.outputs) continue;
                    uint32_t turned[4];
                    load_turned(turned, reinterpret_cast<const T *>(flow) + m * pitch + o * TILE, pitch,
                                lane);
#pragma unroll
                    for (int i = 0; i < ELEMENT_TILES; i++) add_product<T>(sum[o][i], turned, pairs[i]);
                }
            }
        }
    }
    float *to = parts + (int64_t)blockIdx.x * q.outputs * all;
#pragma unroll
    for (int o = 0; o < MOST_OUTPUTS / TILE; o++)
#pragma unroll
        for (int i = 0; i < ELEMENT_TILES; i++)
#pragma unroll
            for (int k = 0; k < 4; k++) {
                const int32_t output = o * TILE + k / 2 * 8 + g, at = element[i] + 2 * t + k % 2;
                if (output < q.outputs && at < all) to[output * all + at] = sum[o][i][k];
            }
}

static __global__ void __launch_bounds__(PART_THREADS, 1)
    add_gradients(struct columns c, const float *parts, float *dw) {
    __shared__ double shared[PART_THREADS];
    const int64_t at = (int64_t)blockIdx.x * PART_CHANNELS + threadIdx.x % PART_CHANNELS;
    const double sum = sum_of_parts(c, parts, at, shared);
    if (at < c.channels && threadIdx.x < PART_CHANNELS) dw[at] = (float)sum;
}

// ---- launches

static int32_t blocks_of_steps(const struct shape &q) {
    const int64_t steps = q.s.n * ((q.s.oh + q.lines - 1) / q.lines);
    return steps < BLOCKS ? (int32_t)steps : (int32_t)BLOCKS;
}

template <typename T>
static void launch_window(const struct shape &q, const void *x, const void *w, void *y, cudaStream_t stream) {
    bool small = q.s.kh * q.pairs <= FEW_DEPTHS * DEPTH_PAIRS;
    auto *kernel = small ? window_products<T, FEW_DEPTHS> : window_products<T, MOST_DEPTHS>;
    LS_LAUNCH(kernel, (unsigned)blocks_of_steps(q), THREADS, stream, q, (const T *)x, (const T *)w, (T *)y);
}

ls_status ls_cuda_window(ls_dtype type, const struct ls_columns *of, int64_t outputs, const void *x,
                         const void *w, void *y, cudaStream_t stream) {
    struct shape q = shape_of(of, outputs);
    if (type == LS_BF16)
        launch_window<bf16>(q, x, w, y, stream);
    else
        launch_window<f16>(q, x, w, y, stream);
    return ls_cuda_launched();
}

bool ls_cuda_window_grad_fits(ls_dtype type, const struct ls_columns *of, int64_t outputs) {
    if (!ls_cuda_window_fits(type, of, outputs) || outputs > MOST_OUTPUTS) return false;
    return of->kh * of->kw * of->c <= MOST_ELEMENTS && shape_of(of, outputs).lines * of->ow <= MOST_WINDOWS;
}

size_t ls_cuda_window_grad_workspace(const struct ls_columns *of, int64_t outputs) {
    const struct shape q = shape_of(of, outputs);
    return (size_t)(blocks_of_steps(q) * outputs * of->kh * q.line) * sizeof(float);
}

ls_status ls_cuda_window_grad(ls_dtype type, const struct ls_columns *of, int64_t outputs, const void *x,
                              const void *dy, float *dw, void *workspace, cudaStream_t stream) {
    const struct shape q = shape_of(of, outputs);
    struct columns c = {};
    c.channels = outputs * of->kh * q.line;
    c.parts = blocks_of_steps(q);
    if (type == LS_BF16)
        LS_LAUNCH(window_gradients<bf16>, (unsigned)c.parts, THREADS, stream, q, (const bf16 *)x,
                  (const bf16 *)dy, (float *)workspace);
    else
        LS_LAUNCH(window_gradients<f16>, (unsigned)c.parts, THREADS, stream, q, (const f16 *)x,
                  (const f16 *)dy, (float *)workspace);
    LS_TRY(ls_cuda_launched());
    LS_LAUNCH(add_gradients, blocks_for(c.channels, PART_CHANNELS), PART_THREADS, stream, c,
              (const float *)workspace, dw);
    return ls_cuda_launched();
}
