// Tensors as rows of channels: [rows][channels], rows being all of NHWC but C; or [groups][rows][channels], a
// group being an image. Threads of a block lie side by side along the channels, each on a pack of them or on
// a single one, and the rest of the block on other rows:
//
//              pack 0   pack 1   …   pack across-1
//     row 0    thread 0 thread 1     thread across-1
//     row 1    thread across …
//     …        (deep rows at a time)
//
// So a warp reads memory that lies together, whatever the number of channels. Rows are cut into parts of a
// size that follows from the tensor's shape alone: the same sums on every device.
#pragma once

#include "cuda/kernels/number.cuh"

#include <stddef.h>

struct columns {
    int64_t rows, channels, part_rows;
    int32_t parts;        // of the rows
    int32_t tiles;        // of the channels, each `across` packs wide
    int32_t across_power; // across = 1 << across_power, deep = THREADS / across
};

// Where a thread is.
struct place {
    int64_t begin, end; // its part's rows
    int64_t step;       // from those that its block takes at once to the next that it takes
    int64_t channel;    // the first of its pack; at or behind the last channel where there is nothing to do
    int32_t group, part, across, x, row, deep;
};

enum { ROWS_AT_ONCE = 4, MOST_ACROSS_POWER = 5 }; // ROWS_AT_ONCE of each thread, where nothing else is said

// `width`: channels of a pack, 1 or a divisor of `channels`. About `most_blocks` blocks at most, whatever the
// rows.
static inline struct columns columns_of(int64_t rows, int64_t channels, int width, int64_t most_blocks) {
    struct columns c = {};
    int64_t packs = (channels + width - 1) / width;
    while (c.across_power < MOST_ACROSS_POWER && ((int64_t)1 << c.across_power) < packs) c.across_power++;
    c.rows = rows;
    c.channels = channels;
    c.tiles = (int32_t)((packs + (1 << c.across_power) - 1) >> c.across_power);
    int64_t deep = THREADS >> c.across_power,
            most_parts = most_blocks / c.tiles > 1 ? most_blocks / c.tiles : 1;
    int64_t step = deep * ROWS_AT_ONCE, steps = (rows + step - 1) / step;
    c.part_rows = (steps + most_parts - 1) / most_parts * step;
    c.parts = (int32_t)((rows + c.part_rows - 1) / c.part_rows);
    return c;
}

// Parts that take steps of rows in turn, deep * at_once of them each (place_in_turn).
static inline struct columns turns_of(int64_t rows, int64_t channels, int width, int64_t most_blocks,
                                      int at_once) {
    struct columns c = columns_of(rows, channels, width, most_blocks);
    int64_t deep = THREADS >> c.across_power, steps = (rows + deep * at_once - 1) / (deep * at_once);
    int64_t most_parts = most_blocks / c.tiles > 1 ? most_blocks / c.tiles : 1;
    c.part_rows = deep * at_once;
    c.parts = (int32_t)(steps < most_parts ? steps : most_parts);
    return c;
}

static inline unsigned blocks_of(const struct columns &c, int64_t groups = 1) {
    return (unsigned)(groups * c.parts * (int64_t)c.tiles);
}

static __device__ __forceinline__ struct place place_in(const struct columns &c, int width) {
    struct place p;
    p.across = 1 << c.across_power;
    p.deep = THREADS >> c.across_power;
    p.x = (int32_t)threadIdx.x & (p.across - 1);
    p.row = (int32_t)threadIdx.x >> c.across_power;
    unsigned part = blockIdx.x / (unsigned)c.tiles;
    p.group = (int32_t)(part / (unsigned)c.parts);
    p.part = (int32_t)(part % (unsigned)c.parts);
    p.channel = ((int64_t)(blockIdx.x % (unsigned)c.tiles) * p.across + p.x) * width;
    p.begin = p.part * c.part_rows;
    p.end = p.begin + c.part_rows < c.rows ? p.begin + c.part_rows : c.rows;
    p.step = (int64_t)p.deep * ROWS_AT_ONCE;
    return p;
}

// Of two passes over a tensor the first goes through memory from its start to its end, all blocks together:
// each takes steps of part_rows rows in turn with the others. The second begins with the last blocks: what
// was read last is still in the cache.
static __device__ __forceinline__ struct place place_in_turn(const struct columns &c, int width) {
    struct place p = place_in(c, width);
    p.end = c.rows;
    p.step = c.parts * c.part_rows;
    return p;
}

static __device__ __forceinline__ struct place place_from_end(const struct columns &c, int width) {
    struct place p = place_in(c, width);
    p.part = c.parts - 1 - p.part;
    p.begin = p.part * c.part_rows;
    p.end = p.begin + c.part_rows < c.rows ? p.begin + c.part_rows : c.rows;
    return p;
}

// The most blocks of a pass that sums: enough to keep a large GPU busy, and so few that the sums of their
// parts are quickly added. Of a pass that sums nothing.
enum { SUMMING_BLOCKS = 512, PASSING_BLOCKS = 4096 };

// ---- the pixel that a row is

struct pixel {
    int64_t image;
    int32_t h, w;
};

static __device__ __forceinline__ struct pixel pixel_at(int64_t row, int32_t height, int32_t width) {
    int64_t line = quotient(row, width), image = quotient(line, height);
    return {image, (int32_t)(line - image * height), (int32_t)(row - line * width)};
}

// ---- rows of a thread, U of them on their way together; those behind its part are left as they are

template <int U, typename T, int N>
static __device__ __forceinline__ void read_rows(const struct columns &c, const struct place &p, int64_t row,
                                                 const T *x, pack<T, N> (&to)[U]) {
#pragma unroll
    for (int u = 0; u < U; u++)
        if (row + u * p.deep < p.end) to[u] = load<T, N>(x + (row + u * p.deep) * c.channels + p.channel);
}

// ---- a number for each channel of a thread

template <int N>
static __device__ __forceinline__ void read_channels(const float *from, int64_t channel, float (&to)[N]) {
    pack<float, N> numbers = load<float, N>(from + channel);
#pragma unroll
    for (int k = 0; k < N; k++) to[k] = numbers.at[k];
}

template <int N>
static __device__ __forceinline__ void write_channels(float *to, int64_t channel, const float (&from)[N]) {
    pack<float, N> numbers;
#pragma unroll
    for (int k = 0; k < N; k++) numbers.at[k] = from[k];
    store<float, N>(to + channel, numbers);
}

// Each rounded once to what is stored.
template <typename T, int N>
static __device__ __forceinline__ void store_rounded(T *to, const float (&from)[N]) {
    pack<T, N> numbers;
#pragma unroll
    for (int k = 0; k < N; k++) numbers.at[k] = put<T>(from[k]);
    store<T, N>(to, numbers);
}

// ---- sums over the rows of a block, always by the same tree

template <int N>
static __device__ __forceinline__ void add_over_rows(const struct place &p, float (&sum)[N], float *shared) {
#pragma unroll
    for (int k = 0; k < N; k++) shared[k * THREADS + (int)threadIdx.x] = sum[k];
    for (int half = p.deep / 2; half > 0; half /= 2) {
        __syncthreads();
        if (p.row >= half) continue;
#pragma unroll
        for (int k = 0; k < N; k++)
            shared[k * THREADS + (int)threadIdx.x] +=
                shared[k * THREADS + (int)threadIdx.x + half * p.across];
    }
#pragma unroll
    for (int k = 0; k < N; k++) sum[k] = shared[k * THREADS + (int)threadIdx.x]; // row 0 has the sum
    __syncthreads();
}

// ---- sums over the parts: a block has 32 channels side by side and adds a 16th of the parts in each row of
// threads

enum { PART_CHANNELS = 32, PART_ROWS = 16, PART_THREADS = PART_CHANNELS * PART_ROWS };

// The sum of `mine` over the threads of a channel, for all of them.
static __device__ __forceinline__ double add_over_parts(double mine, double *shared) {
    int row = (int)threadIdx.x / PART_CHANNELS, x = (int)threadIdx.x % PART_CHANNELS;
    shared[threadIdx.x] = mine;
    for (int half = PART_ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (row < half) shared[threadIdx.x] += shared[threadIdx.x + half * PART_CHANNELS];
    }
    __syncthreads();
    double total = shared[x];
    __syncthreads();
    return total;
}

enum { PARTS_AT_ONCE = 16 }; // on their way together, added one after the other

// The sum of term(part) over the parts, of a channel if there is one, for all of its threads.
template <typename F>
static __device__ __forceinline__ double sum_over_parts(const struct columns &c, int64_t channel,
                                                        double *shared, F term) {
    double sum = 0;
    for (int part = (int)threadIdx.x / PART_CHANNELS; channel < c.channels && part < c.parts;
         part += PARTS_AT_ONCE * PART_ROWS) {
        double few[PARTS_AT_ONCE];
#pragma unroll
        for (int u = 0; u < PARTS_AT_ONCE; u++) {
            int other = part + u * PART_ROWS;
            few[u] = term(other < c.parts ? other : part);
        }
#pragma unroll
        for (int u = 0; u < PARTS_AT_ONCE; u++) sum += part + u * PART_ROWS < c.parts ? few[u] : 0;
    }
    return add_over_parts(sum, shared);
}

// Two sums at once, so that their numbers [parts][channels] are on their way together: of what term(part,
// first number, second number) is. `shared`: 2 * PART_THREADS.
struct two {
    double first, second;
};

template <typename F>
static __device__ __forceinline__ struct two sum_two_over_parts(const struct columns &c, int64_t channel,
                                                                const float *first, const float *second,
                                                                double *shared, F term) {
    struct two sum = {};
    for (int part = (int)threadIdx.x / PART_CHANNELS; channel < c.channels && part < c.parts;
         part += PARTS_AT_ONCE * PART_ROWS) {
        float one[PARTS_AT_ONCE], other[PARTS_AT_ONCE];
#pragma unroll
        for (int u = 0; u < PARTS_AT_ONCE; u++) {
            int here = part + u * PART_ROWS < c.parts ? part + u * PART_ROWS : part;
            one[u] = first[here * c.channels + channel];
            other[u] = second[here * c.channels + channel];
        }
#pragma unroll
        for (int u = 0; u < PARTS_AT_ONCE; u++) {
            if (part + u * PART_ROWS >= c.parts) continue;
            struct two more = term(part + u * PART_ROWS, (double)one[u], (double)other[u]);
            sum.first += more.first;
            sum.second += more.second;
        }
    }
    int row = (int)threadIdx.x / PART_CHANNELS, x = (int)threadIdx.x % PART_CHANNELS;
    shared[threadIdx.x] = sum.first;
    shared[PART_THREADS + threadIdx.x] = sum.second;
    for (int half = PART_ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (row >= half) continue;
        shared[threadIdx.x] += shared[threadIdx.x + half * PART_CHANNELS];
        shared[PART_THREADS + threadIdx.x] += shared[PART_THREADS + threadIdx.x + half * PART_CHANNELS];
    }
    __syncthreads();
    return {shared[x], shared[PART_THREADS + x]};
}

// Of numbers [parts][channels].
static __device__ __forceinline__ double sum_of_parts(const struct columns &c, const float *numbers,
                                                      int64_t channel, double *shared) {
    return sum_over_parts(c, channel, shared,
                          [&](int part) { return (double)numbers[part * c.channels + channel]; });
}

// ---- launches

// Width of the packs along channels: 16 bytes where they divide, else one number.
static inline int pack_width(ls_dtype type, int64_t channels) {
    int width = 16 / (int)ls_dtype_bytes(type);
    return channels % width == 0 ? width : 1;
}

template <int WIDTH> struct width_of { static constexpr int N = WIDTH; };

// Calls launch(T(), width_of<N>()) with the T that `type` stores and its pack_width.
template <typename F> static ls_status by_type_and_width(ls_dtype type, int64_t channels, F launch) {
    return by_type(type, [&](auto one) {
        if (pack_width(type, channels) == 1)
            launch(one, width_of<1>());
        else
            launch(one, width_of<wide<decltype(one)>::N>());
    });
}
