"""Lockstep's random numbers in numpy: Philox4x32-10 as src/base/philox.h has it, and XXH64 of names."""

import numpy as np

WEIGHTS, DROPOUT, TEST = 1, 4, 6  # enum ls_purpose

U64 = 0xFFFFFFFFFFFFFFFF
U32 = np.uint64(0xFFFFFFFF)


def philox(seed, purpose, low, high):
    """Words [..., 4] as u64 below 2^32; `low` and `high` are numbers or arrays of one shape."""
    low, high = np.broadcast_arrays(np.asarray(low, np.uint64), np.asarray(high, np.uint64))
    half = np.uint64(32)
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32 ^ purpose * 0x85EBCA6B & 0xFFFFFFFF
    c0, c1, c2, c3 = low & U32, low >> half, high & U32, high >> half
    for _ in range(10):
        product0, product1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1 = product1 >> half ^ c1 ^ np.uint64(key0), product1 & U32
        c2, c3 = product0 >> half ^ c3 ^ np.uint64(key1), product0 & U32
        key0, key1 = key0 + 0x9E3779B9 & 0xFFFFFFFF, key1 + 0xBB67AE85 & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=-1)


def words(n, seed, purpose, high, first=0):
    """Word e % 4 of counter first + e / 4, for e in 0..n-1."""
    return philox(seed, purpose, np.uint64(first) + np.arange((n + 3) // 4, dtype=np.uint64), high).reshape(-1)[:n]


def uniform(word):
    """In [0, 1), f32."""
    return (word >> np.uint64(8)).astype(np.float32) * np.float32(2**-24)


def below(word, n):
    return (word * np.uint64(n) >> np.uint64(32)).astype(np.int64)


def dropout_mask(shape, rate, site, seed, first_position):
    """What dropout multiplies each element with, f32, for [samples, elements in memory order]."""
    samples, each = shape
    kept = np.stack([uniform(words(each, seed, DROPOUT, first_position + n, site << 40)) for n in range(samples)])
    return np.where(kept >= np.float32(rate), np.float32(1 / (1 - rate)), np.float32(0))


def xxh64(data):
    """XXH64 of bytes, seed 0 (Collet, "xxHash fast digest algorithm", 2018)."""
    p1, p2, p3, p4, p5 = (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63,
                          0x27D4EB2F165667C5)

    def turn(x, r):
        return (x << r | x >> 64 - r) & U64

    def mix(lane, word):
        return turn(lane + word * p2 & U64, 31) * p1 & U64

    def word_at(i, size):
        return int.from_bytes(data[i:i + size], "little")

    at = 0
    if len(data) >= 32:
        lanes = [p1 + p2 & U64, p2, 0, -p1 & U64]
        for at in range(0, len(data) - 31, 32):
            lanes = [mix(lane, word_at(at + 8 * k, 8)) for k, lane in enumerate(lanes)]
        at += 32
        hashed = sum(turn(lane, r) for lane, r in zip(lanes, (1, 7, 12, 18))) & U64
        for lane in lanes:
            hashed = (hashed ^ mix(0, lane)) * p1 + p4 & U64
    else:
        hashed = p5
    hashed = hashed + len(data) & U64
    while at + 8 <= len(data):
        hashed = turn(hashed ^ mix(0, word_at(at, 8)), 27) * p1 + p4 & U64
        at += 8
    if at + 4 <= len(data):
        hashed = turn(hashed ^ word_at(at, 4) * p1 & U64, 23) * p2 + p3 & U64
        at += 4
    for byte in data[at:]:
        hashed = turn(hashed ^ byte * p5 & U64, 11) * p1 & U64
    hashed = (hashed ^ hashed >> 33) * p2 & U64
    hashed = (hashed ^ hashed >> 29) * p3 & U64
    return hashed ^ hashed >> 32


def hash_of(name):
    return xxh64(name.encode())
