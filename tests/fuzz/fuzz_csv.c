// A CSV file, plain or gzip, packed as far as memory; the first two bytes choose among the options.
#include "fuzz.h"

#include "data/pack_parts.h"

enum { MOST_VALUES = 4096 };

// Each sample, one at a time and then two in a row, which are the two ways to the same bytes.
static ls_status read_all(struct ls_pack_source *source, void *worker) {
    static float samples[2 * MOST_VALUES], targets[2 * MOST_VALUES];
    uint64_t ids[2];
    if (ls_shard_sample_values(&source->shape) > MOST_VALUES || source->shape.target_values > MOST_VALUES)
        return LS_OK;
    for (int64_t i = 0; i < source->samples; i++) {
        const int64_t which[2] = {i, i + 1};
        struct ls_pack_batch batch = {which, 1, samples, targets, ids};
        ls_status status = source->read(source, worker, &batch);
        batch.n = i + 1 < source->samples ? 2 : 1;
        if (status == LS_OK) status = source->read(source, worker, &batch);
        if (status != LS_OK) return status;
    }
    return LS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const char *const targets[] = {NULL, "1", "2,1", "b"};
    if (n < 2) return 0;
    const char *files[2] = {fuzz_file(0, data + 2, n - 2), fuzz_file(1, data + 2, n - 2)};
    struct ls_pack_csv job = {.files = files,
                              .n_files = 1 + (data[0] & 1),
                              .target = targets[data[0] >> 1 & 3],
                              .ignore = data[0] & 8 ? "3" : NULL,
                              .header = (enum ls_csv_header)(data[1] % 3),
                              .kind = (enum ls_csv_kind)(data[1] / 3 % 3),
                              .delimiter = data[0] & 16 ? ';' : ',',
                              .bytes = data[0] & 32};
    struct ls_pack_source *source = NULL;
    ls_status status = ls_pack_csv_open(&job, &source);
    if (status == LS_OK) {
        void *worker = source->make_worker(source);
        status = read_all(source, worker);
        source->drop_worker(worker);
    }
    ls_pack_source_close(source);
    fuzz_expect(status);
    return 0;
}
