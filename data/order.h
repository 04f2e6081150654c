// The order of samples: position p of an endless stream is in epoch p / N; within it, a keyed bijection of
// 0..N-1, computed per index (a Feistel network over Philox with cycle walking), so that no table is kept.
#pragma once

#include <stdint.h>

#include "base/begin.h"

struct ls_class_index; // data/class_index.h

// Global sample index at `position` of the stream over `samples` samples.
int64_t ls_order_at(uint64_t seed, int64_t samples, uint64_t position);
// The position at which it is that sample's turn, in the epoch.
uint64_t ls_order_find(uint64_t seed, int64_t samples, uint64_t epoch, int64_t sample);

// What lies at a position.
struct ls_draw {
    int64_t sample;
    uint64_t pass; // how often the sample came before
};

// Each sample once an epoch; or, where there are `classes`, each class equally often. An epoch is N positions
// then too, and each of the K classes that occur has N / K of them, to within one. From one epoch to the next
// a class goes on through its own samples, in an order of their own for each pass: each of them comes once
// before one comes twice. So a sample of a small class comes several times an epoch, and one of a large class
// not in every epoch.
struct ls_order {
    uint64_t seed;
    int64_t samples;
    const struct ls_class_index *classes; // NULL: plain
};
struct ls_draw ls_order_draw(const struct ls_order *order, uint64_t position);

#include "base/end.h"
