// Batches, read ahead by a few threads into a ring of buffers. The reader knows positions only; what sample
// lies at a position, and how it is augmented, is a function of the seed (order.h, augment.h).
#pragma once

#include "data/augment.h"
#include "data/dataset.h"

#include "base/begin.h"

struct ls_batch {
    uint64_t first_position;
    int64_t n;        // samples asked for
    int64_t valid;    // of these exist; the rest are zero, weight 0 (the last chunk of an evaluation)
    void *samples;    // host memory [n * sample_bytes]
    void *targets;    // [n * target_bytes]
    int32_t *augment; // [n * LS_AUGMENT_WORDS]
    float *weight;    // [n]
};

struct ls_reader_spec {
    bool in_order; // evaluation: position is the global index, no augmentation, positions past the end are
                   // masked
    uint64_t seed;
    // Of training, where targets are classes; NULL: none. Both outlive the reader.
    const struct ls_class_index *balance; // classes take turns (order.h)
    const float *class_weights;           // [classes]: weight of a sample, by its class
    struct ls_augment_spec augment;       // sizes and channels of the sample are the data set's
    int64_t batch_samples;                // most samples of a batch
    int64_t stride; // positions from the beginning of a batch to that of the next, as all ranks read them:
                    // what chunks hold for later batches is kept for those (leftovers.h); 0: batches are any
    int threads, slots; // readers, one where more are of no use; buffers of the ring
    // From the device: memory that copies to the device run from at full speed. NULL: malloc.
    ls_status (*alloc)(void *context, size_t bytes, void **memory);
    void (*free)(void *context, void *memory);
    void *context;
};

struct ls_reader;

// The dataset stays the caller's and outlives the reader.
ls_status ls_reader_open(struct ls_dataset *dataset, const struct ls_reader_spec *spec,
                         struct ls_reader **reader);
void ls_reader_close(struct ls_reader *reader);
// Starts reading n samples from `first_position`; blocks only while no slot is free. Batches come out in this
// order.
void ls_reader_request(struct ls_reader *reader, uint64_t first_position, int64_t n);
// The oldest requested batch, once it is read. *waited (seconds, may be NULL) is how long the caller was
// kept. A read error comes out here; the batch is there all the same, to be given back, its weights 0.
ls_status ls_reader_next(struct ls_reader *reader, struct ls_batch **batch, double *waited);
// Whether the next one would keep nobody waiting.
bool ls_reader_ready(struct ls_reader *reader);
void ls_reader_release(struct ls_reader *reader, struct ls_batch *batch);
size_t ls_reader_bytes(const struct ls_dataset_info *info,
                       const struct ls_reader_spec *spec); // what open will allocate

#include "base/end.h"
