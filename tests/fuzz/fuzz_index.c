// The index of chunks, and the chunks, of a file of other people's: what Lockstep reads of it without HDF5.
// Changed are the nodes of the tree, the header of the dataset, and what lies behind them; the rest of HDF5's
// own metadata, which has no checksums in this format, stays good, because the library itself crashes on what
// is damaged there.
#include "fuzz.h"

#include "data/dataset.h"

#include <hdf5.h>

enum { N = 40, SIDE = 4 };

static uint8_t *good;
static size_t good_bytes, tree;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    const char *path = fuzz_file(3, "", 0);
    static uint8_t images[N][SIDE][SIDE];
    static int labels[N];
    for (int i = 0; i < N * SIDE * SIDE; i++) ((uint8_t *)images)[i] = (uint8_t)(i * 7);
    hsize_t dim[3] = {N, SIDE, SIDE}, chunk[3] = {3, SIDE, SIDE};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
          space = H5Screate_simple(3, dim, NULL);
    hid_t line = H5Screate_simple(1, dim, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(properties, 3, chunk);
    H5Pset_deflate(properties, 1);
    hid_t targets = H5Dcreate2(file, "labels", H5T_STD_I32LE, line, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(targets, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels);
    hid_t dataset = H5Dcreate2(file, "images", H5T_STD_U8LE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Dwrite(dataset, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, images);
    H5Dclose(dataset);
    H5Dclose(targets);
    H5Pclose(properties);
    H5Sclose(space);
    H5Sclose(line);
    H5Fclose(file);
    good = fuzz_read(path, &good_bytes);
    uint8_t *found = memmem(good, good_bytes, "TREE\1", 5);
    if (!found) abort();
    tree = (size_t)(found - good);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    size_t bytes;
    uint8_t *part = fuzz_change(good + tree, good_bytes - tree, data, n / 5 * 5, &bytes);
    uint8_t *whole = malloc(good_bytes);
    memcpy(whole, good, tree);
    memcpy(whole + tree, part, bytes);
    const char *patterns[] = {fuzz_file(0, whole, good_bytes)};
    free(part);
    free(whole);
    struct ls_dataset_spec spec = {
        .patterns = patterns, .n_patterns = 1, .input = "images", .target = "labels"};
    struct ls_dataset *set;
    ls_status status = ls_dataset_open(&spec, &set);
    if (status == LS_OK) {
        static uint8_t samples[N * SIDE * SIDE];
        static int32_t targets[N];
        int64_t indices[N];
        for (int64_t i = 0; i < N; i++) indices[i] = i * 17 % N;
        int64_t n_read = ls_dataset_info(set)->samples < N ? 1 : N;
        if (ls_dataset_info(set)->sample_bytes == SIDE * SIDE && ls_dataset_info(set)->target_bytes == 4)
            status = ls_dataset_read(set, indices, n_read, samples, targets, NULL, true);
        ls_dataset_close(set);
    }
    fuzz_expect(status);
    return 0;
}
