// Samples from chunks: decoded, kept, shared between threads, and refused where they are damaged.
#include "scene.h"

#include "data/dataset_parts.h"
#include "data/leftovers.h"
#include "data/order.h"
#include "data/reader.h"

#include <hdf5.h>
#include <zlib.h>

enum { N = 203, ROWS = 8, SIDE = 6 };

static uint16_t number_of(int64_t sample, int64_t i) {
    return (uint16_t)(sample * 257 + i * 31);
}

// [N, SIDE, SIDE] u16, shuffled and compressed, in chunks of `rows` samples and `side` lines, which may be
// more than a sample has; or with a filter that only the library undoes.
static void write_filtered(const char *name, hsize_t rows, hsize_t side, bool ours) {
    static uint16_t numbers[N][SIDE * SIDE];
    int32_t labels[N];
    for (int i = 0; i < N; i++) {
        labels[i] = label_of((uint64_t)i);
        for (int k = 0; k < SIDE * SIDE; k++) numbers[i][k] = number_of(i, k);
    }
    hsize_t dim[3] = {N, SIDE, SIDE}, chunk[3] = {rows, side, SIDE}, most[3] = {N, SIDE + side, SIDE};
    hid_t file = H5Fcreate(scratch(name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, dim, most), line = H5Screate_simple(1, dim, NULL);
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(properties, 3, chunk);
    if (ours) {
        H5Pset_shuffle(properties);
        H5Pset_deflate(properties, 1);
    } else {
        H5Pset_scaleoffset(properties, H5Z_SO_INT, 0);
    }
    hid_t images = H5Dcreate2(file, "images", H5T_STD_U16BE, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    hid_t targets = H5Dcreate2(file, "labels", H5T_STD_I32LE, line, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(images, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
    assert_true(H5Dwrite(targets, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels) >= 0);
    H5Dclose(images);
    H5Dclose(targets);
    H5Pclose(properties);
    H5Sclose(space);
    H5Sclose(line);
    H5Fclose(file);
}

static void write_chunked(const char *name, hsize_t rows, hsize_t side) {
    write_filtered(name, rows, side, true);
}

static void assert_sample(const float *found, int64_t sample) {
    for (int64_t k = 0; k < SIDE * SIDE; k++) assert_true(found[k] == (float)number_of(sample, k));
}

// Every sample, in an order in which each chunk is left and come back to.
static void *read_all_over(void *argument) {
    struct ls_dataset *set = argument;
    enum { BATCH = 29 };
    static _Thread_local float samples[BATCH][SIDE * SIDE];
    for (int64_t round = 0; round < 3 * N / BATCH; round++) {
        int64_t indices[BATCH];
        for (int64_t i = 0; i < BATCH; i++) indices[i] = (round * BATCH + i) * 41 % N;
        assert_ok(ls_dataset_read(set, indices, BATCH, samples, NULL, NULL, true));
        for (int64_t i = 0; i < BATCH; i++) assert_sample(samples[i], indices[i]);
    }
    return NULL;
}

static void keep_only(struct ls_dataset *set, size_t chunks) {
    size_t largest, all;
    ls_chunk_cache_bytes(set, &largest, &all);
    ls_chunk_cache_free(&set->cache);
    set->cache = (struct ls_chunk_cache){0};
    assert_ok(ls_chunk_cache_init(&set->cache, chunks * largest, largest));
}

static void test_threads_share_chunks(void **state) {
    (void)state;
    const hsize_t sides[] = {SIDE, 4, SIDE + 1};
    for (int s = 0; s < 3; s++) {
        for (size_t kept = 0; kept <= 40; kept = kept ? kept * 3 : 1) {
            struct ls_dataset *set;
            write_chunked("chunks.h5", ROWS, sides[s]);
            assert_ok(open_set("chunks.h5", "auto", &set));
            assert_int_equal(set->shards[0].columns[LS_COLUMN_INPUT].path, LS_PATH_DECODED);
            if (kept) keep_only(set, kept); // from one place for all threads to room for all chunks
            pthread_t threads[5];
            for (int i = 0; i < 5; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, read_all_over, set), 0);
            for (int i = 0; i < 5; i++) pthread_join(threads[i], NULL);
            ls_dataset_close(set);
        }
    }
}

// What the library undoes is kept as it comes, and so are chunks that it puts together to whole samples.
static void test_threads_share_what_the_library_undoes(void **state) {
    (void)state;
    const hsize_t sides[] = {SIDE, 4, SIDE + 1};
    for (int s = 0; s < 3; s++) {
        for (size_t kept = 0; kept <= 3; kept += 3) {
            struct ls_dataset *set;
            write_filtered("chunks.h5", ROWS, sides[s], false);
            assert_ok(open_set("chunks.h5", "auto", &set));
            assert_int_equal(set->shards[0].columns[LS_COLUMN_INPUT].path, LS_PATH_FETCHED);
            assert_true(ls_dataset_info(set)->one_at_a_time);
            assert_non_null(strstr(ls_dataset_path_note(set), "scaleoffset; converted to f32"));
            if (kept) keep_only(set, kept);
            pthread_t threads[3];
            for (int i = 0; i < 3; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, read_all_over, set), 0);
            for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
            if (!kept) assert_int_equal(set->cache.decoded, (N + ROWS - 1) / ROWS);
            ls_dataset_close(set);
        }
    }
    struct ls_dataset *set;
    write_filtered("chunks.h5", 1, SIDE, false); // a chunk of one sample: nothing to keep
    assert_ok(open_set("chunks.h5", "auto", &set));
    assert_int_equal(set->shards[0].columns[LS_COLUMN_INPUT].path, LS_PATH_LIBRARY);
    read_all_over(set);
    ls_dataset_close(set);
}

static void test_what_is_kept(void **state) {
    (void)state;
    struct ls_dataset *set;
    size_t largest, all;
    write_chunked("chunks.h5", ROWS, SIDE);
    assert_ok(open_set("chunks.h5", "auto", &set));
    size_t kept = ls_chunk_cache_bytes(set, &largest, &all);
    assert_int_equal(kept, all);
    assert_int_equal(largest, ROWS * SIDE * SIDE * 2);
    assert_int_equal(all, (N + ROWS - 1) / ROWS * largest);
    assert_int_equal(ls_dataset_info(set)->cache_bytes, all);
    ls_dataset_close(set);
    write_chunked("chunks.h5", 1, SIDE); // a chunk of one sample is of no use to another
    assert_ok(open_set("chunks.h5", "auto", &set));
    assert_int_equal(ls_dataset_info(set)->cache_bytes, 0);
    read_all_over(set);
    ls_dataset_close(set);
}

// ---- rows left over

static struct ls_leftovers *open_leftovers(int64_t stride, int64_t width, size_t rows) {
    struct ls_leftovers_spec spec = {.seed = 3,
                                     .samples = 100,
                                     .chunks = 10,
                                     .stride = stride,
                                     .width = width,
                                     .row_bytes = sizeof(int64_t)};
    spec.bytes = ls_leftovers_bytes(&spec, (int64_t)rows);
    struct ls_leftovers *leftovers;
    assert_ok(ls_leftovers_open(&spec, &leftovers));
    return leftovers;
}

static bool take(struct ls_leftovers *leftovers, uint64_t now, int64_t sample) {
    int64_t row = -1;
    const bool found = ls_leftovers_take(leftovers, now, sample, &row, sizeof row);
    assert_true(!found || row == sample);
    return found;
}

// Whatever is kept comes out once, at its turn; of an order in which 20 of each 50 positions from 30 on are
// read here.
static void test_leftovers(void **state) {
    (void)state;
    assert_null(open_leftovers(20, 20, 0));
    struct ls_leftovers *leftovers = open_leftovers(50, 20, 100);
    ls_leftovers_begin(leftovers, 30 + 50);
    for (int64_t sample = 0; sample < 100; sample++)
        ls_leftovers_keep(leftovers, 30, sample, &sample, sizeof sample);
    int taken = 0;
    for (uint64_t position = 30; position < 130; position++) {
        const int64_t sample = ls_order_at(3, 100, position);
        const bool here = (position - 30) % 50 < 20;
        assert_int_equal(take(leftovers, position, sample), here);
        assert_false(take(leftovers, position, sample));
        taken += here;
    }
    assert_int_equal(taken, 40);
    ls_leftovers_close(leftovers);
    // Room for three rows: whatever those are, no more come out, and there is room again afterwards.
    leftovers = open_leftovers(1, 1, 3);
    for (uint64_t now = 0; now < 300; now += 100) {
        taken = 0;
        for (int64_t sample = 0; sample < 100; sample++)
            ls_leftovers_keep(leftovers, now, sample, &sample, sizeof sample);
        for (int64_t sample = 0; sample < 100; sample++) taken += take(leftovers, now, sample);
        assert_int_equal(taken, 3);
    }
    ls_leftovers_close(leftovers);
}

// As many rows as there is room for with their lists, and not one more; also where lists take more than rows.
static void test_leftovers_room(void **state) {
    (void)state;
    const struct ls_leftovers_spec narrow = {
        .samples = 1000000, .chunks = 1000, .stride = 1, .width = 1, .row_bytes = 1};
    for (int64_t rows = 1; rows < 100000; rows = rows * 3 + 1) {
        struct ls_leftovers_spec spec = narrow;
        struct ls_leftovers *leftovers;
        spec.bytes = ls_leftovers_bytes(&spec, rows);
        assert_ok(ls_leftovers_open(&spec, &leftovers));
        int64_t kept = 0;
        for (int64_t position = 0; position < 3 * rows + 2000; position++) {
            const int64_t sample = ls_order_at(spec.seed, spec.samples, (uint64_t)position);
            ls_leftovers_keep(leftovers, 0, sample, "r", 1);
        }
        for (int64_t position = 0; position < 3 * rows + 2000; position++) {
            char row = 0;
            const int64_t sample = ls_order_at(spec.seed, spec.samples, (uint64_t)position);
            kept += ls_leftovers_take(leftovers, 0, sample, &row, 1);
        }
        assert_int_equal(kept, rows);
        ls_leftovers_close(leftovers);
    }
}

enum { BATCHES = 40 };

// Chunks that a reader has decoded after BATCHES batches, where one chunk is kept.
static int64_t decoded_for(int64_t rows, int64_t stride, int64_t width, int64_t offset, int threads) {
    struct ls_dataset *set;
    struct ls_reader *reader;
    assert_ok(open_set("chunks.h5", "auto", &set));
    keep_only(set, 1);
    const size_t row_value_bytes = ls_dtype_bytes(set->shards[0].columns[LS_COLUMN_INPUT].stored);
    const struct ls_leftovers_spec room = {.samples = N,
                                           .chunks = (N + ROWS - 1) / ROWS,
                                           .stride = stride,
                                           .width = width,
                                           .row_bytes = SIDE * SIDE * row_value_bytes};
    set->info.leftover_bytes = ls_leftovers_bytes(&room, rows);
    const struct ls_reader_spec spec = {
        .seed = 5, .batch_samples = width, .stride = stride, .threads = threads, .slots = 3};
    assert_ok(ls_reader_open(set, &spec, &reader));
    for (int64_t b = 0; b < BATCHES; b++) {
        struct ls_batch *batch;
        ls_reader_request(reader, (uint64_t)(b * stride + offset), width);
        assert_ok(ls_reader_next(reader, &batch, NULL));
        for (int64_t i = 0; i < width; i++) {
            const int64_t sample = ls_order_at(5, N, (uint64_t)(b * stride + offset + i));
            assert_sample((const float *)batch->samples + i * SIDE * SIDE, sample);
            assert_int_equal(((const int32_t *)batch->targets)[i], label_of((uint64_t)sample));
        }
        ls_reader_release(reader, batch);
    }
    ls_reader_close(reader);
    const int64_t decoded = set->cache.decoded;
    ls_dataset_close(set);
    return decoded;
}

// Of 8 rows a chunk and 26 chunks; what leftovers.h expects is 8.8 rows for each decoding with room for all,
// 3.2 with room for 20; and 3.0 where 16 of each 64 positions are read. Without, a batch itself has some of a
// chunk; and the first window is empty at first.
static void test_leftovers_spare_decoding(void **state) {
    (void)state;
    write_chunked("chunks.h5", ROWS, SIDE);
    const int64_t without = decoded_for(0, 16, 16, 0, 1);
    assert_in_range(without, BATCHES * 16 / 2, BATCHES * 16);
    assert_in_range(decoded_for(N, 16, 16, 0, 1), BATCHES * 16 / ROWS, without / 4);
    assert_in_range(decoded_for(20, 16, 16, 0, 1), BATCHES * 16 / ROWS, without * 2 / 3);
    assert_in_range(decoded_for(N, 64, 16, 32, 1), BATCHES * 16 / ROWS, without * 2 / 3);
    for (int threads = 2; threads < 5; threads++) decoded_for(30, 48, 48, 0, threads);
    write_filtered("chunks.h5", ROWS, SIDE, false);
    assert_in_range(decoded_for(N, 16, 16, 0, 1), BATCHES * 16 / ROWS, without / 4);
    // Chunks cut across samples, or higher than these, leave nothing.
    for (hsize_t side = 4; side <= SIDE + 3; side += SIDE - 1) {
        write_chunked("chunks.h5", ROWS, side);
        assert_int_equal(decoded_for(0, 16, 16, 0, 1), decoded_for(N, 16, 16, 0, 1));
    }
}

// ---- filters

static void set_bytes(struct ls_buffer *buffer, const void *bytes, size_t n) {
    assert_ok(ls_buffer_reserve(buffer, n));
    memcpy(buffer->data, bytes, n);
}

static void test_shuffle(void **state) {
    (void)state;
    struct ls_h5_chunking chunking = {.n_filters = 1, .filters = {LS_H5_SHUFFLE}};
    struct ls_buffer chunk = {0}, other = {0};
    set_bytes(&chunk, "adgbehcfij", 10); // three numbers of three bytes, and one byte that is left over
    assert_ok(ls_chunk_decode(&chunking, 0, 3, &chunk, 10, &other, 10));
    assert_memory_equal(chunk.data, "abcdefghij", 10);
    assert_ok(ls_chunk_decode(&chunking, 1, 3, &chunk, 10, &other, 10)); // skipped
    assert_memory_equal(chunk.data, "abcdefghij", 10);
    assert_fails(LS_INPUT, "it has 9 bytes, expected 10",
                 ls_chunk_decode(&chunking, 0, 3, &chunk, 9, &other, 10));
    struct ls_buffer empty = {0}, none = {0}; // nothing, of nothing
    assert_ok(ls_buffer_reserve(&empty, 1));
    assert_ok(ls_chunk_decode(&chunking, 0, 3, &empty, 0, &none, 0));
    free(empty.data);
    free(none.data);
    free(chunk.data);
    free(other.data);
}

// Of "abcde", "abcdef" and "abcdefgh" in big-endian words, as the definition says; worked out by hand.
static void test_fletcher(void **state) {
    (void)state;
    struct ls_h5_chunking chunking = {.n_filters = 1, .filters = {LS_H5_FLETCHER32}};
    struct ls_buffer chunk = {0}, other = {0};
    const uint32_t sum = 0x6162 + 0x6364 + 0x6566, sums = 0x6162 + (0x6162 + 0x6364) + sum;
    const uint32_t low = sum % 65535, high = sums % 65535;
    uint8_t bytes[10] = "abcdef";
    for (int i = 0; i < 4; i++) bytes[6 + i] = (uint8_t)((high << 16 | low) >> (8 * i));
    set_bytes(&chunk, bytes, 10);
    assert_ok(ls_chunk_decode(&chunking, 0, 1, &chunk, 10, &other, 6));
    bytes[3] ^= 1;
    set_bytes(&chunk, bytes, 10);
    assert_fails(LS_INPUT, "fletcher32", ls_chunk_decode(&chunking, 0, 1, &chunk, 10, &other, 6));
    assert_fails(LS_INPUT, "no room", ls_chunk_decode(&chunking, 0, 1, &chunk, 3, &other, 6));
    free(chunk.data);
    free(other.data);
}

static void test_gzip(void **state) {
    (void)state;
    enum { BYTES = 100000 };
    struct ls_h5_chunking chunking = {.n_filters = 1, .filters = {LS_H5_GZIP}};
    struct ls_buffer chunk = {0}, other = {0};
    uint8_t *bytes = calloc(BYTES, 1), *packed = malloc(compressBound(BYTES));
    uLongf n = compressBound(BYTES);
    assert_int_equal(compress2(packed, &n, bytes, BYTES, 9), Z_OK);
    set_bytes(&chunk, packed, n);
    assert_ok(ls_chunk_decode(&chunking, 0, 1, &chunk, n, &other, BYTES));
    assert_memory_equal(chunk.data, bytes, BYTES);
    set_bytes(&chunk, packed, n);
    assert_fails(LS_INPUT, "gzip", ls_chunk_decode(&chunking, 0, 1, &chunk, n, &other, BYTES - 1));
    set_bytes(&chunk, packed, n);
    assert_fails(LS_INPUT, "gzip", ls_chunk_decode(&chunking, 0, 1, &chunk, n, &other, BYTES + 1));
    assert_fails(LS_INPUT, "gzip", ls_chunk_decode(&chunking, 0, 1, &chunk, n / 2, &other, BYTES));
    // Before any memory is asked for.
    assert_fails(LS_INPUT, "cannot hold",
                 ls_chunk_decode(&chunking, 0, 1, &chunk, n, &other, (size_t)1 << 60));
    free(bytes);
    free(packed);
    free(chunk.data);
    free(other.data);
}

// ---- szip, as HDF5 writes it

// A type, szip's blocks, and sides of samples that make lines of whole blocks and others, which are padded.
static const struct packing {
    const char *what;
    hid_t *type; // of the file; all values fit in 8 bits
    unsigned options, block;
    hsize_t side;
    bool shuffle, checksum, checksum_first;
} packings[] = {
    {"bytes, differences", &H5T_STD_U8LE_g, H5_SZIP_NN_OPTION_MASK, 8, 16, false, false, false},
    {"bytes, padded lines", &H5T_STD_U8LE_g, H5_SZIP_NN_OPTION_MASK, 8, 13, false, false, false},
    {"bytes, lines shorter than a block", &H5T_STD_U8LE_g, H5_SZIP_EC_OPTION_MASK, 32, 5, false, false,
     false},
    {"16 bits, big-endian", &H5T_STD_U16BE_g, H5_SZIP_NN_OPTION_MASK, 16, 33, false, false, false},
    {"16 bits, a checksum packed too", &H5T_STD_I16LE_g, H5_SZIP_NN_OPTION_MASK, 4, 9, false, true, true},
    {"32 bits, shuffled, a checksum", &H5T_STD_I32LE_g, H5_SZIP_EC_OPTION_MASK, 10, 24, true, true, false},
    {"f32, padded lines", &H5T_IEEE_F32BE_g, H5_SZIP_NN_OPTION_MASK, 8, 11, false, false, false},
    {"f64", &H5T_IEEE_F64LE_g, H5_SZIP_NN_OPTION_MASK, 2, 6, false, true, false},
};

static uint8_t szip_value(hsize_t sample, hsize_t i) {
    return sample % 9 == 4 ? 0 : (uint8_t)(sample * 5 + i / 3 + (i * i % 7 == 0) * 40);
}

// Chunks of ROWS samples and one line less than all, so that samples are put together, and edges are cut.
static void write_szip(const struct packing *packing) {
    const hsize_t dim[3] = {N, packing->side, packing->side}, values = packing->side * packing->side;
    const hsize_t chunk[3] = {ROWS, packing->side - 1, packing->side};
    uint8_t *numbers = malloc(N * values);
    for (hsize_t i = 0; i < N; i++)
        for (hsize_t k = 0; k < values; k++) numbers[i * values + k] = szip_value(i, k);
    hid_t file = H5Fcreate(scratch("szip.h5"), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, dim, NULL), properties = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(properties, 3, chunk);
    if (packing->checksum_first) H5Pset_fletcher32(properties);
    if (packing->shuffle) H5Pset_shuffle(properties);
    assert_true(H5Pset_szip(properties, packing->options, packing->block) >= 0);
    if (packing->checksum && !packing->checksum_first) H5Pset_fletcher32(properties);
    hid_t images = H5Dcreate2(file, "images", *packing->type, space, H5P_DEFAULT, properties, H5P_DEFAULT);
    assert_true(H5Dwrite(images, H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
    H5Dclose(images);
    H5Pclose(properties);
    H5Sclose(space);
    H5Fclose(file);
    free(numbers);
}

static void test_szip(void **state) {
    (void)state;
    if (!ls_szip_is_built_in() || H5Zfilter_avail(H5Z_FILTER_SZIP) <= 0) skip();
    for (size_t p = 0; p < sizeof packings / sizeof packings[0]; p++) {
        const hsize_t values = packings[p].side * packings[p].side;
        struct ls_dataset *set;
        write_szip(&packings[p]);
        const char *path = scratch("szip.h5");
        const struct ls_dataset_spec spec = {
            .patterns = &path, .n_patterns = 1, .input = "images", .target_optional = true};
        assert_ok(ls_dataset_open(&spec, &set));
        assert_int_equal(set->shards[0].columns[LS_COLUMN_INPUT].path, LS_PATH_DECODED);
        assert_false(ls_dataset_info(set)->one_at_a_time);
        const bool bytes = ls_dataset_info(set)->type == LS_U8;
        void *sample = malloc(values * sizeof(float));
        for (int64_t i = 0; i < N; i++) {
            if (ls_dataset_read(set, &i, 1, sample, NULL, NULL, false) != LS_OK)
                fail_msg("%s: %s", packings[p].what, ls_error_last()->text);
            for (hsize_t k = 0; k < values; k++) {
                const float found = bytes ? ((uint8_t *)sample)[k] : ((float *)sample)[k];
                if (found != szip_value((hsize_t)i, k))
                    fail_msg("%s: sample %d, value %d is %g", packings[p].what, (int)i, (int)k,
                             (double)found);
            }
        }
        free(sample);
        ls_dataset_close(set);
    }
}

// What a chunk says of itself, and what was to be.
static void test_szip_damaged(void **state) {
    (void)state;
    if (!ls_szip_is_built_in()) skip();
    // Of four bytes in blocks of two, without differences: blocks as they are, each behind three bits.
    const uint8_t packed[] = {4, 0, 0, 0, 0xed, 0x12, 0x3c, 0xcd, 0x10};
    struct ls_h5_chunking chunking = {
        .n_filters = 1, .filters = {LS_H5_SZIP}, .szip = {.bits = 8, .block = 2, .line = 4}};
    struct ls_buffer chunk = {0}, other = {0};
    const struct {
        size_t bytes, expected;
        unsigned bits, block, line;
        uint8_t size;
        const char *words;
    } cases[] = {
        {9, 4, 8, 2, 4, 4, NULL},
        {9, 5, 8, 2, 4, 4, "says that it holds 4 bytes, expected 5"},
        {9, 4, 8, 2, 4, 3, "says that it holds 3 bytes, expected 4"},
        {3, 4, 8, 2, 4, 4, "no room for its size"},
        {6, 4, 8, 2, 4, 4, "of its 4 come out"},
        {4, 4, 8, 2, 4, 4, "0 bytes of its 4 come out"},
        {9, 4, 8, 2, 3, 4, "of its 8 come out"}, // a second line, of which nothing is there
        {9, 4, 64, 2, 4, 4, "no whole numbers of 64 bits"},
        {9, 4, 12, 2, 4, 4, "found 12, 2 and 4"},
        {9, 4, 8, 0, 4, 4, "found 8, 0 and 4"},
        {9, 4, 8, 3, 4, 4, "found 8, 3 and 4"},
        {9, 4, 8, 34, 4, 4, "found 8, 34 and 4"},
        {9, 4, 8, 2, 0, 4, "found 8, 2 and 0"},
        {9, 4, 8, 2, 5000, 4, "found 8, 2 and 5000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        chunking.szip.bits = cases[i].bits;
        chunking.szip.block = cases[i].block;
        chunking.szip.line = cases[i].line;
        set_bytes(&chunk, packed, sizeof packed);
        *(uint8_t *)chunk.data = cases[i].size;
        ls_status status =
            ls_chunk_decode(&chunking, 0, 1, &chunk, cases[i].bytes, &other, cases[i].expected);
        if (cases[i].words)
            assert_fails(LS_INPUT, cases[i].words, status);
        else
            assert_ok(status);
        if (!cases[i].words) assert_memory_equal(chunk.data, "\x68\x91\x33\x44", 4);
    }
    // Before any memory is asked for.
    memset(chunk.data, 255, 4);
    chunking.szip = (struct ls_h5_szip){.bits = 8, .block = 2, .line = 4};
    assert_fails(LS_INPUT, "cannot hold", ls_chunk_decode(&chunking, 0, 1, &chunk, 9, &other, UINT32_MAX));
    free(chunk.data);
    free(other.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_share_chunks),
        cmocka_unit_test(test_threads_share_what_the_library_undoes),
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_leftovers_room),
        cmocka_unit_test(test_leftovers_spare_decoding),
        cmocka_unit_test(test_shuffle),
        cmocka_unit_test(test_fletcher),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_szip),
        cmocka_unit_test(test_szip_damaged),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
