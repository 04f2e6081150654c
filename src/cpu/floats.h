// How threads that compute treat subnormal numbers: as zero, going in and coming out, on every thread alike.
// Decaying momentum and second moments pass through that range, where some processors are a hundred times
// slower; and one setting everywhere is what makes a result independent of the thread that computed it.
#pragma once

#include <stdint.h>

#if defined(__SSE2__)
#include <xmmintrin.h>
typedef unsigned ls_float_mode;
static inline ls_float_mode ls_float_mode_get(void) {
    return _mm_getcsr();
}
static inline void ls_float_mode_put(ls_float_mode mode) {
    _mm_setcsr(mode);
}
enum { LS_FLOAT_FLUSH = 0x8040 }; // flush to zero, denormals are zero
#elif defined(__aarch64__)
typedef uint64_t ls_float_mode;
static inline ls_float_mode ls_float_mode_get(void) {
    ls_float_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}
static inline void ls_float_mode_put(ls_float_mode mode) {
    __asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
enum { LS_FLOAT_FLUSH = 1 << 24 };
#else
typedef unsigned ls_float_mode;
static inline ls_float_mode ls_float_mode_get(void) {
    return 0;
}
static inline void ls_float_mode_put(ls_float_mode mode) {
    (void)mode;
}
enum { LS_FLOAT_FLUSH = 0 };
#endif

// The calling thread computes as queues do from here on; returns what to put back where that matters.
static inline ls_float_mode ls_float_mode_flush(void) {
    ls_float_mode before = ls_float_mode_get();
    ls_float_mode_put(before | LS_FLOAT_FLUSH);
    return before;
}
