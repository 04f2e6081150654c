// A shard of Lockstep's own with bytes changed, or cut off: opened as data, and checked.
#include "fuzz.h"

#include "data/pack.h"
#include "data/shard_writer.h"

enum { N = 20, BYTES = 12 };

static uint8_t *good;
static size_t good_bytes;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    static const char *const names[] = {"cat", "dog"};
    char path[] = "/tmp/lockstep-fuzz-XXXXXX";
    uint8_t samples[N * BYTES];
    int32_t labels[N];
    uint64_t ids[N];
    for (int i = 0; i < N; i++) labels[i] = i % 2, ids[i] = (uint64_t)i;
    for (int i = 0; i < N * BYTES; i++) samples[i] = (uint8_t)(i * 11);
    struct ls_shard_about about = {
        .uuid = "5d3f3c7e-0000-8000-8000-000000000000",
        .split = "train",
        .shards = 1,
        .shape = {.rank = 3, .dim = {2, 2, 3}, .type = LS_U8, .classes = true, .target_values = 1},
        .class_names = names,
        .n_class_names = 2};
    struct ls_shard_writer *writer;
    close(mkstemp(path));
    if (ls_shard_writer_open(path, &about, N, &writer) ||
        ls_shard_writer_add(writer, N, samples, labels, ids) || ls_shard_writer_finish(writer))
        abort();
    good = fuzz_read(path, &good_bytes);
    unlink(path);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    size_t bytes;
    uint8_t *changed = fuzz_change(good, good_bytes, data, n, &bytes);
    struct ls_check_report report;
    fuzz_expect(ls_check_shard(fuzz_file(0, changed, bytes), "images", NULL, 0, 2, &report));
    ls_check_report_free(&report);
    free(changed);
    return 0;
}
