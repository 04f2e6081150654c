// What `lockstep bench read` measures of a data set; bench_read.c asks and prints.
#pragma once

#include "data/reader.h"

enum ls_read_way {
    // Into one batch, over and over:
    LS_READ_COPY,    // memcpy of the same samples from an array in memory, one thread
    LS_READ_LIBRARY, // H5Dread of runs of samples, one thread
    LS_READ_DIRECT,  // ls_dataset_read, one thread, checksums not verified
    LS_READ_CHECKED, // the same, verified; only where the set holds checksums
    // Into a ring of as many batches as the reader has, which does not stay in the processor's cache:
    LS_READ_COPY_RING,    // memcpy, one thread
    LS_READ_COPY_THREADS, // memcpy, all threads, a batch each: what memory allows; only where they are
                          // several
    LS_READ_LIBRARY_RING, // H5Dread, one thread
    LS_READ_ALONE,        // through the reader, by one thread; only beside several
    LS_READ_READER,       // the same by its threads, as training does
    LS_READ_WAYS,
};

struct ls_read_bench {
    struct ls_dataset *set, *library; // the same files, as they would be read, and all through H5Dread
    uint64_t seed;
    int64_t batch;
    int threads;    // of READER
    double seconds; // to spend on a way, an order and a cache, about
};

// Seconds a sample; the median over rounds in which the ways take turns, and of each round's ratios.
struct ls_read_figures {
    double seconds[LS_READ_WAYS];    // 0: not measured
    double of_copy[LS_READ_WAYS];    // this rate over that of memcpy to the same place by as many threads
    double of_library[LS_READ_WAYS]; // over that of H5Dread to the same place
    int64_t samples;                 // that were read in a round
    int rounds;
};

// The most samples, of the set's first, that are read: they lie in memory too, for memcpy.
int64_t ls_read_bench_samples(const struct ls_read_bench *bench);
// Reads whole batches, in the order of the files or shuffled. `cold`: the files are dropped from the page
// cache before each way's turn (memcpy's too, which does not care).
ls_status ls_read_bench_run(const struct ls_read_bench *bench, bool shuffled, bool cold,
                            struct ls_read_figures *figures);
