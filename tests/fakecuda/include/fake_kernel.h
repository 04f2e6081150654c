// The language of kernels, for the host compiler: qualifiers, built-in variables, vector types, barriers,
// warp functions, and the intrinsics that kernels here use. A thread of a block is a fiber; threads.cpp runs
// them.
#pragma once

#include "fake_math.h"

#include <stdint.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __constant__     static
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __restrict__ __restrict

// Shared memory is static: the blocks of all kernels run one after another, and the threads of one on one OS
// thread. shared.ld puts it where it can be poisoned before each block; so a function here has no other
// static variable.
#define __shared__ static __attribute__((aligned(16)))

// ---- vector types ----
#define LS_FAKE_VECTORS(type, name)                                                                          \
    struct name##1 {                                                                                         \
        type x;                                                                                              \
    };                                                                                                       \
    struct alignas(2 * sizeof(type)) name##2 {                                                               \
        type x, y;                                                                                           \
    };                                                                                                       \
    struct name##3 {                                                                                         \
        type x, y, z;                                                                                        \
    };                                                                                                       \
    struct alignas(4 * sizeof(type) < 16 ? 4 * sizeof(type) : 16) name##4 {                                  \
        type x, y, z, w;                                                                                     \
    };                                                                                                       \
    static inline name##2 make_##name##2(type x, type y) {                                                   \
        return {x, y};                                                                                       \
    }                                                                                                        \
    static inline name##3 make_##name##3(type x, type y, type z) {                                           \
        return {x, y, z};                                                                                    \
    }                                                                                                        \
    static inline name##4 make_##name##4(type x, type y, type z, type w) {                                   \
        return {x, y, z, w};                                                                                 \
    }
LS_FAKE_VECTORS(signed char, char)
LS_FAKE_VECTORS(unsigned char, uchar)
LS_FAKE_VECTORS(short, short)
LS_FAKE_VECTORS(unsigned short, ushort)
LS_FAKE_VECTORS(int, int)
LS_FAKE_VECTORS(unsigned, uint)
LS_FAKE_VECTORS(long long, longlong)
LS_FAKE_VECTORS(unsigned long long, ulonglong)
LS_FAKE_VECTORS(float, float)
LS_FAKE_VECTORS(double, double)
#undef LS_FAKE_VECTORS

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// ---- built-in variables: those of the thread that runs ----
#pragma GCC visibility push(hidden)
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
static constexpr int warpSize = 32;

// ---- barriers and warp functions ----
namespace fake {

struct Site { // where in the sources; what meets must meet at one place
    const char *file;
    int line;
};

enum class WarpOp { sync, index, up, down, exclusive_or, ballot };
enum class BlockOp { sync, count, all, any };

int block_barrier(BlockOp op, bool predicate, Site site);
uint64_t warp_exchange(WarpOp op, unsigned mask, uint64_t value, int argument, int width, Site site);
[[noreturn]] void kernel_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

template <typename T> T warp_value(WarpOp op, unsigned mask, T value, int argument, int width, Site site) {
    static_assert(sizeof(T) <= 8, "a shuffle moves 8 bytes at most");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = warp_exchange(op, mask, bits, argument, width, site);
    memcpy(&value, &bits, sizeof value);
    return value;
}

} // namespace fake
#pragma GCC visibility pop

#define LS_FAKE_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(LS_FAKE_HERE) {
    fake::block_barrier(fake::BlockOp::sync, false, {file, line});
}
static inline int __syncthreads_count(int predicate, LS_FAKE_HERE) {
    return fake::block_barrier(fake::BlockOp::count, predicate != 0, {file, line});
}
static inline int __syncthreads_and(int predicate, LS_FAKE_HERE) {
    return fake::block_barrier(fake::BlockOp::all, predicate != 0, {file, line});
}
static inline int __syncthreads_or(int predicate, LS_FAKE_HERE) {
    return fake::block_barrier(fake::BlockOp::any, predicate != 0, {file, line});
}
static inline void __syncwarp(unsigned mask = ~0u, LS_FAKE_HERE) {
    fake::warp_exchange(fake::WarpOp::sync, mask, 0, 0, 32, {file, line});
}
template <typename T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32, LS_FAKE_HERE) {
    return fake::warp_value(fake::WarpOp::index, mask, value, lane, width, {file, line});
}
template <typename T> T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, LS_FAKE_HERE) {
    return fake::warp_value(fake::WarpOp::up, mask, value, (int)delta, width, {file, line});
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, LS_FAKE_HERE) {
    return fake::warp_value(fake::WarpOp::down, mask, value, (int)delta, width, {file, line});
}
template <typename T> T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, LS_FAKE_HERE) {
    return fake::warp_value(fake::WarpOp::exclusive_or, mask, value, lanes, width, {file, line});
}
static inline unsigned __ballot_sync(unsigned mask, int predicate, LS_FAKE_HERE) {
    return (unsigned)fake::warp_exchange(fake::WarpOp::ballot, mask, predicate != 0, 0, 32, {file, line});
}
static inline int __any_sync(unsigned mask, int predicate, LS_FAKE_HERE) {
    return __ballot_sync(mask, predicate, file, line) != 0;
}
static inline int __all_sync(unsigned mask, int predicate, LS_FAKE_HERE) {
    return __ballot_sync(mask, predicate, file, line) == mask;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}

// ---- atomics: of integers alone; those of floating-point numbers would have no fixed order ----
#define LS_FAKE_ATOMIC(function, expression)                                                                 \
    template <typename T> T function(T *address, T value) {                                                  \
        static_assert(std::is_integral_v<T>, "atomics are for integers: the order of a sum must be fixed");  \
        const T old = *address;                                                                              \
        *address = (T)(expression);                                                                          \
        return old;                                                                                          \
    }
LS_FAKE_ATOMIC(atomicAdd, old + value)
LS_FAKE_ATOMIC(atomicSub, old - value)
LS_FAKE_ATOMIC(atomicExch, value)
LS_FAKE_ATOMIC(atomicMin, old < value ? old : value)
LS_FAKE_ATOMIC(atomicMax, old < value ? value : old)
LS_FAKE_ATOMIC(atomicAnd, old &value)
LS_FAKE_ATOMIC(atomicOr, old | value)
LS_FAKE_ATOMIC(atomicXor, old ^ value)
#undef LS_FAKE_ATOMIC
template <typename T> T atomicCAS(T *address, T expected, T value) {
    const T old = *address;
    if (old == expected) *address = value;
    return old;
}

// ---- loads and stores with hints ----
template <typename T> T __ldg(const T *address) {
    return *address;
}
template <typename T> T __ldcs(const T *address) {
    return *address;
}
template <typename T> T __ldcg(const T *address) {
    return *address;
}
template <typename T> void __stcs(T *address, T value) {
    *address = value;
}
template <typename T> void __stcg(T *address, T value) {
    *address = value;
}
