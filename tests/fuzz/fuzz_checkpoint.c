// A checkpoint with bytes changed, or cut off: verified, and its header read.
#include "fuzz.h"

#include "graph/plan.h"
#include "train/checkpoint.h"

static uint8_t *good;
static size_t good_bytes;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    char folder[] = "/tmp/lockstep-fuzz-XXXXXX", path[64];
    static float params[64], states[64];
    struct ls_item items[2] = {
        {.name = "fc.weight", .shape = {.rank = 2, .dim = {3, 4}}, .count = 12},
        {.name = "fc.bias", .shape = {.rank = 1, .dim = {3}}, .offset = 16, .count = 3}};
    struct ls_layout layout = {.params = items, .n_params = 2, .param_floats = 32, .parameters = 15};
    struct ls_checkpoint checkpoint = {.layout = &layout,
                                       .params = params,
                                       .states = states,
                                       .state = {.step = 7, .seed = 1},
                                       .recipe = "model: {zoo: mlp}\n",
                                       .model = "graph",
                                       .fingerprint = "cpu",
                                       .version = "0"};
    if (!mkdtemp(folder) || ls_checkpoint_write(folder, &checkpoint)) {
        fprintf(stderr, "%s\n", ls_error_last()->text);
        abort();
    }
    snprintf(path, sizeof path, "%s/step-00000007.h5", folder);
    good = fuzz_read(path, &good_bytes);
    unlink(path);
    rmdir(folder);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    size_t bytes;
    uint8_t *changed = fuzz_change(good, good_bytes, data, n, &bytes);
    const char *path = fuzz_file(0, changed, bytes);
    free(changed);
    fuzz_expect(ls_checkpoint_verify(path));
    struct ls_checkpoint_header header = {0};
    fuzz_expect(ls_checkpoint_read_header(path, &header));
    ls_checkpoint_header_free(&header);
    return 0;
}
