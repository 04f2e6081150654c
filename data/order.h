// The order of samples: position p of an endless stream is in epoch p / N; within it, a keyed bijection of
// 0..N-1, computed per index (a Feistel network over Philox with cycle walking), so that no table is kept.
#pragma once

#include <stdint.h>

// Global sample index at `position` of the stream over `samples` samples.
int64_t ls_order_at(uint64_t seed, int64_t samples, uint64_t position);
