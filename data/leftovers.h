// Rows of decoded chunks that a shuffled order will want soon. It wants a row here and a row there, and each
// costs the decoding of its whole chunk; but when it will want the others is known (order.h). Those that it
// will want within a window are kept until then, so that a chunk is decoded once for all of them.
//
// With N rows in M chunks, a window of W positions and room for S rows: a chunk is decoded once for
// k = 1 + W / M rows on average, and those left over lie there for W / 2 positions. So W / 2 * (1 - 1 / k)
// rows are kept at a time, which is S for W = S + sqrt(S^2 + 2 S M).
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ls_leftovers;

struct ls_leftovers_spec {
    uint64_t seed; // of the order
    int64_t samples, chunks;
    int64_t stride, width; // of each `stride` positions of the stream, `width` neighbours are read here
    size_t row_bytes;      // of the longest row, as stored
    size_t bytes;          // room, for the rows and for the lists of them
};

// What so many rows and their lists take.
size_t ls_leftovers_bytes(const struct ls_leftovers_spec *spec, int64_t rows);

// NULL, with nothing recorded, where it would be of no use: no room for a row.
ls_status ls_leftovers_open(const struct ls_leftovers_spec *spec, struct ls_leftovers **leftovers);
void ls_leftovers_close(struct ls_leftovers *leftovers);
// A batch that is read here begins at that position.
void ls_leftovers_begin(struct ls_leftovers *leftovers, uint64_t position);

// What follows may be called by any thread. `now` is a position at or before that of the rows that are asked
// for. Takes the row of a sample: false where it is not kept.
bool ls_leftovers_take(struct ls_leftovers *leftovers, uint64_t now, int64_t sample, void *row, size_t bytes);
// Keeps it where it will be wanted soon, and there is room.
void ls_leftovers_keep(struct ls_leftovers *leftovers, uint64_t now, int64_t sample, const void *row,
                       size_t bytes);
