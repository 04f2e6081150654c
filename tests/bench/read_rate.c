// What reading random samples costs beside copying them in memory, in one process on one thread, taking
// turns.
//
//   bench_read_rate [FOLDER]   FOLDER: where the file of 384 MiB goes; /tmp
//
// read:    ls_dataset_read of 64 random samples, from the page cache, no checksums
// reader:  the same through ls_reader (its thread, order, augmentation), rate of next and release
// gather:  memcpy of the same samples from an array in memory to the same places; the ratio is to this
#include "base/clock.h"
#include "data/order.h"
#include "data/reader.h"
#include "h5/h5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 64, ROUNDS = 15 };
static const int64_t FILE_BYTES = INT64_C(384) << 20;

static char path[512];

static void stop(const char *what) {
    fprintf(stderr, "read_rate: %s: %s\n", what, ls_error_last()->text);
    unlink(path);
    exit(1);
}

static uint8_t *write_file(int64_t n, int64_t side) {
    int64_t dim[] = {n, side, side, 3}, bytes = side * side * 3;
    uint8_t *images = malloc((size_t)(n * bytes));
    int32_t *labels = calloc((size_t)n, sizeof *labels);
    for (int64_t i = 0; i < n * bytes; i++) images[i] = (uint8_t)(i * 2654435761u >> 13);
    struct ls_h5 *file;
    if (ls_h5_create(path, &file) || ls_h5_write(file, "images", LS_U8, 4, dim, images) ||
        ls_h5_write(file, "labels", LS_I32, 1, dim, labels) || ls_h5_finish(file))
        stop("writing");
    sync(); // or the disk would be written to while it is measured
    free(labels);
    return images;
}

// The best round: what other programs take away is not what is measured.
static double best(const double *seconds) {
    double least = seconds[0];
    for (int i = 1; i < ROUNDS; i++)
        if (seconds[i] < least) least = seconds[i];
    return least;
}

static double time_read(struct ls_dataset *set, const int64_t *indices, int batches, uint8_t *out,
                        int32_t *labels) {
    double start = ls_now();
    for (int b = 0; b < batches; b++)
        if (ls_dataset_read(set, indices + (size_t)b * BATCH, BATCH, out, labels, NULL, false))
            stop("reading");
    return ls_now() - start;
}

static double time_gather(const uint8_t *images, const int64_t *indices, int batches, size_t bytes,
                          uint8_t *out) {
    double start = ls_now();
    for (int b = 0; b < batches; b++)
        for (int i = 0; i < BATCH; i++)
            memcpy(out + (size_t)i * bytes, images + (size_t)indices[b * BATCH + i] * bytes, bytes);
    return ls_now() - start;
}

static double time_reader(struct ls_reader *reader, uint64_t first, int batches) {
    double start = ls_now();
    struct ls_batch *batch;
    for (int b = 0; b < batches + 2; b++) {
        if (b < batches) ls_reader_request(reader, first + (uint64_t)b * BATCH, BATCH);
        if (b < 2) continue;
        if (ls_reader_next(reader, &batch, NULL)) stop("next");
        ls_reader_release(reader, batch);
    }
    return ls_now() - start;
}

static void measure(int64_t side) {
    size_t bytes = (size_t)side * (size_t)side * 3;
    int64_t n = FILE_BYTES / (int64_t)bytes;
    int batches = (int)(n / BATCH / 4);
    uint8_t *images = write_file(n, side), *out = aligned_alloc(64, BATCH * bytes);
    int32_t labels[BATCH];
    int64_t *indices = malloc(sizeof *indices * (size_t)batches * BATCH);
    const char *patterns[] = {path};
    struct ls_dataset_spec spec = {
        .patterns = patterns, .n_patterns = 1, .input = "images", .target = "labels", .what = "bench"};
    struct ls_reader_spec reading = {.seed = 1,
                                     .augment = {.crop_pad = 4, .flip = true},
                                     .batch_samples = BATCH,
                                     .threads = 1,
                                     .slots = 4};
    struct ls_dataset *set;
    struct ls_reader *reader;
    if (ls_dataset_open(&spec, &set) || ls_reader_open(set, &reading, &reader)) stop("opening");
    double read[ROUNDS], gather[ROUNDS], read_ahead[ROUNDS];
    memset(out, 0, BATCH * bytes);
    if (ls_dataset_scan(set, 0, n, 0, false)) stop("scan");
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t first = (uint64_t)round * (uint64_t)batches * BATCH;
        for (int64_t i = 0; i < batches * BATCH; i++) indices[i] = ls_order_at(1, n, first + (uint64_t)i);
        read[round] = time_read(set, indices, batches, out, labels);
        gather[round] = time_gather(images, indices, batches, bytes, out);
        read_ahead[round] = time_reader(reader, first, batches);
    }
    double total = (double)bytes * BATCH * batches, copy = best(gather);
    printf("%lldx%lldx3 u8: gather %.2f GB/s, read %.2f GB/s (%.2f of gather), reader %.2f GB/s (%.2f)\n",
           (long long)side, (long long)side, total / copy * 1e-9, total / best(read) * 1e-9,
           copy / best(read), total / best(read_ahead) * 1e-9, copy / best(read_ahead));
    ls_reader_close(reader);
    ls_dataset_close(set);
    free(images);
    free(indices);
    free(out);
    unlink(path);
}

int main(int argc, char **argv) {
    snprintf(path, sizeof path, "%s/lockstep-read-rate-%d.h5", argc > 1 ? argv[1] : "/tmp", (int)getpid());
    measure(28);
    measure(64);
    measure(256);
    return 0;
}
