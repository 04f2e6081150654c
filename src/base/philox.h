// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// Every random number of Lockstep is a function of a key and a counter, never of a rank, a thread or the
// time. Header only: device code of any kind computes the same bits.
#pragma once

#include <stdint.h>

#if defined(__CUDACC__)
#define LS_ANYWHERE __host__ __device__ static inline
#else
#define LS_ANYWHERE static inline
#endif

// What a stream of random numbers is for; part of the key, so that streams of one seed never meet (nor those
// of seeds below 2^32).
enum ls_purpose {
    LS_RANDOM_WEIGHTS = 1, // counter: element, hash of the parameter's name
    LS_RANDOM_ORDER = 2,   // counter: round and half, epoch
    LS_RANDOM_AUGMENT = 3, // counter: sample id, epoch + (draw << 48)
    LS_RANDOM_DROPOUT =
        4,             // counter: element of the sample / 4 and site, position of the sample in the stream
    LS_RANDOM_MIX = 5, // counter: position of the sample in the stream, draw
    LS_RANDOM_TEST = 6,
};

struct ls_random4 {
    uint32_t word[4];
};

LS_ANYWHERE struct ls_random4 ls_philox(uint64_t seed, uint32_t purpose, uint64_t low, uint64_t high) {
    // The purpose goes into the key, spread by an odd constant: the purposes of one seed have different keys.
    // Two seeds that differ in their upper halves may share a key under different purposes.
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32) ^ (purpose * 0x85ebca6bu);
    // Four words of 32 bits, in 64 as their products are: a loop over blocks then takes vectors that nothing
    // widens.
    const uint64_t word = 0xffffffffu;
    uint64_t c0 = low & word, c1 = low >> 32, c2 = high & word, c3 = high >> 32;
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = 0xD2511F53u * c0, product1 = 0xCD9E8D57u * c2;
        c0 = (product1 >> 32) ^ c1 ^ key0;
        c2 = (product0 >> 32) ^ c3 ^ key1;
        c1 = product1 & word;
        c3 = product0 & word;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    struct ls_random4 result = {{(uint32_t)c0, (uint32_t)c1, (uint32_t)c2, (uint32_t)c3}};
    return result;
}

// Uniform in [0, 1), a multiple of 2^-24: exact in f32.
LS_ANYWHERE float ls_uniform(uint32_t word) {
    return (float)(word >> 8) * (1.0f / 16777216.0f);
}

// Uniform in 0..n-1 by multiplication (the bias is at most n / 2^32).
LS_ANYWHERE uint32_t ls_below(uint32_t word, uint32_t n) {
    return (uint32_t)(((uint64_t)word * n) >> 32);
}
