// Batches come out as asked for, whatever the threads and slots; errors come out with their batch.
#include "scene.h"

#include "data/class_index.h"
#include "data/order.h"
#include "data/reader.h"
#include "graph/plan.h"

enum { SAMPLES = 101, BYTES = 4 };

static struct ls_dataset *open_shards(void) {
    write_images("r-0.h5", 0, 60, 2, 2, 1);
    write_images("r-1.h5", 60, SAMPLES - 60, 2, 2, 1);
    struct ls_dataset *set;
    assert_ok(open_set("r-*.h5", "auto", &set));
    return set;
}

static void assert_sample(const struct ls_batch *batch, int64_t i, int64_t index) {
    for (int b = 0; b < BYTES; b++)
        assert_int_equal(((const uint8_t *)batch->samples)[i * BYTES + b], pixel_of((uint64_t)index, b));
    assert_int_equal(((const int32_t *)batch->targets)[i], label_of((uint64_t)index));
}

static void assert_stream(const struct ls_reader_spec *spec, const struct ls_batch *batch, uint64_t first,
                          int64_t n) {
    assert_int_equal(batch->first_position, first);
    assert_int_equal(batch->n, n);
    assert_int_equal(batch->valid, n);
    for (int64_t i = 0; i < n; i++) {
        uint64_t position = first + (uint64_t)i;
        int64_t index = ls_order_at(spec->seed, SAMPLES, position);
        assert_sample(batch, i, index);
        assert_true(batch->weight[i] == 1);
        struct ls_augment expected =
            ls_augment_of(&spec->augment, spec->seed, (uint64_t)index, position / SAMPLES);
        assert_memory_equal(&batch->augment[i * LS_AUGMENT_WORDS], &expected, sizeof expected);
    }
}

// Batches of 1 to 48 samples over three epochs, with as many requests ahead as there are slots.
static void run_stream(struct ls_dataset *set, int threads, int slots) {
    struct ls_reader_spec spec = {.seed = 11,
                                  .augment = {.crop_pad = 1, .flip = true},
                                  .batch_samples = 48,
                                  .threads = threads,
                                  .slots = slots};
    struct ls_reader *reader;
    assert_ok(ls_reader_open(set, &spec, &reader));
    static const int64_t sizes[] = {48, 1, 17, 33, 16, 47};
    uint64_t ahead = 0, position = 0;
    int asked = 0, got = 0;
    while (position < 3 * SAMPLES) {
        for (; asked < got + slots; asked++) {
            ls_reader_request(reader, ahead, sizes[asked % 6]);
            ahead += (uint64_t)sizes[asked % 6];
        }
        struct ls_batch *batch;
        double waited = -1;
        assert_ok(ls_reader_next(reader, &batch, &waited));
        assert_true(waited >= 0 && waited < 60);
        assert_stream(&spec, batch, position, sizes[got % 6]);
        position += (uint64_t)sizes[got++ % 6];
        ls_reader_release(reader, batch);
    }
    ls_reader_close(reader); // with requests outstanding
}

static void test_stream(void **state) {
    (void)state;
    struct ls_dataset *set = open_shards();
    for (int threads = 1; threads <= 4; threads++)
        for (int slots = 1; slots <= 4; slots++) run_stream(set, threads, slots);
    ls_dataset_close(set);
}

// Two batches in the caller's hands, given back in either order.
static void test_two_held(void **state) {
    (void)state;
    struct ls_dataset *set = open_shards();
    struct ls_reader_spec spec = {.seed = 3, .batch_samples = 40, .threads = 2, .slots = 3};
    struct ls_reader *reader;
    assert_ok(ls_reader_open(set, &spec, &reader));
    ls_reader_request(reader, 0, 40);
    ls_reader_request(reader, 40, 40);
    for (uint64_t round = 0; round < 20; round++) {
        struct ls_batch *a, *b;
        assert_ok(ls_reader_next(reader, &a, NULL));
        ls_reader_request(reader, 80 + round * 80, 40);
        assert_ok(ls_reader_next(reader, &b, NULL));
        assert_stream(&spec, a, round * 80, 40);
        assert_stream(&spec, b, round * 80 + 40, 40);
        ls_reader_release(reader, round % 2 ? a : b);
        ls_reader_request(reader, 120 + round * 80, 40);
        ls_reader_release(reader, round % 2 ? b : a);
    }
    ls_reader_close(reader);
    ls_dataset_close(set);
}

static void test_in_order(void **state) {
    (void)state;
    struct ls_dataset *set = open_shards();
    struct ls_reader_spec spec = {.in_order = true,
                                  .seed = 3,
                                  .augment = {.crop_pad = 9, .flip = true},
                                  .batch_samples = 40,
                                  .threads = 2,
                                  .slots = 2};
    struct ls_reader *reader;
    assert_ok(ls_reader_open(set, &spec, &reader));
    static const int64_t valid[] = {40, 40, 21, 0, 0};
    static const uint64_t first[] = {0, 40, 80, 101, 4000};
    const int32_t no_augment[LS_AUGMENT_WORDS] = {0};
    for (int chunk = 0; chunk < 5; chunk++) {
        struct ls_batch *batch;
        ls_reader_request(reader, first[chunk], 40);
        assert_ok(ls_reader_next(reader, &batch, NULL));
        assert_int_equal(batch->valid, valid[chunk]);
        for (int64_t i = 0; i < 40; i++) {
            assert_memory_equal(&batch->augment[i * LS_AUGMENT_WORDS], no_augment, sizeof no_augment);
            if (i < valid[chunk]) {
                assert_true(batch->weight[i] == 1);
                assert_sample(batch, i, (int64_t)first[chunk] + i);
            } else {
                const uint8_t nothing[BYTES] = {0};
                assert_true(batch->weight[i] == 0);
                assert_memory_equal((uint8_t *)batch->samples + i * BYTES, nothing, BYTES);
                assert_int_equal(((int32_t *)batch->targets)[i], 0);
            }
        }
        memset(batch->samples, 0xff, 40 * BYTES); // what a masked sample must not show
        memset(batch->targets, 0xff, 40 * 4);
        ls_reader_release(reader, batch);
    }
    ls_reader_close(reader);
    ls_dataset_close(set);
}

static void test_errors_come_with_their_batch(void **state) {
    (void)state;
    float samples[100] = {0};
    int32_t labels[100] = {0};
    samples[30] = NAN;
    samples[35] = NAN;
    struct ls_h5 *file = make_file("nan.h5");
    add_data(file, "images", LS_F32, DIM(100), samples);
    add_data(file, "labels", LS_I32, DIM(100), labels);
    assert_ok(ls_h5_finish(file));
    struct ls_dataset *set;
    assert_ok(open_set("nan.h5", "auto", &set));
    struct ls_reader_spec spec = {.in_order = true, .batch_samples = 40, .threads = 4, .slots = 4};
    struct ls_reader *reader;
    struct ls_batch *batch;
    assert_ok(ls_reader_open(set, &spec, &reader));
    for (int round = 0; round < 10; round++) {
        ls_reader_request(reader, 0, 20);
        ls_reader_request(reader, 20, 20);
        ls_reader_request(reader, 40, 20);
        ls_reader_request(reader, 40, 41); // more than a batch
        assert_ok(ls_reader_next(reader, &batch, NULL));
        ls_reader_release(reader, batch);
        assert_fails(LS_INPUT, "nan.h5: images[30] is not finite", ls_reader_next(reader, &batch, NULL));
        for (int i = 0; i < 20; i++) assert_true(batch->weight[i] == 0);
        ls_reader_release(reader, batch);
        assert_ok(ls_reader_next(reader, &batch, NULL));
        assert_int_equal(batch->first_position, 40);
        ls_reader_release(reader, batch);
        assert_int_equal(ls_reader_next(reader, &batch, NULL), LS_SYSTEM);
        assert_non_null(strstr(ls_error_last()->text, "41 samples"));
        ls_reader_release(reader, batch);
    }
    // Two parts fail: the error is that of the first, whichever thread was faster.
    for (int round = 0; round < 30; round++) {
        ls_reader_request(reader, 0, 40);
        assert_fails(LS_INPUT, "nan.h5: images[30] is not finite", ls_reader_next(reader, &batch, NULL));
        ls_reader_release(reader, batch);
    }
    assert_int_equal(ls_reader_next(reader, &batch, NULL), LS_SYSTEM); // nothing was asked for
    ls_reader_close(reader);
    ls_dataset_close(set);
}

// The stored id, not the place in the file, chooses the augmentation.
static void test_stored_ids(void **state) {
    (void)state;
    write_shard("ids.h5", 50, "nothing");
    struct ls_dataset *set;
    assert_ok(open_set("ids.h5", "auto", &set));
    struct ls_reader_spec spec = {
        .seed = 1, .augment = {.crop_pad = 9, .flip = true}, .batch_samples = 50, .threads = 2, .slots = 1};
    struct ls_reader *reader;
    struct ls_batch *batch;
    assert_ok(ls_reader_open(set, &spec, &reader));
    ls_reader_request(reader, 50, 50);
    assert_ok(ls_reader_next(reader, &batch, NULL));
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t id = 1000 - (uint64_t)ls_order_at(1, 50, 50 + i);
        struct ls_augment expected = ls_augment_of(&spec.augment, 1, id, 1);
        assert_memory_equal(&batch->augment[i * LS_AUGMENT_WORDS], &expected, sizeof expected);
    }
    ls_reader_close(reader); // with a batch in the caller's hands
    ls_dataset_close(set);
}

// Classes take turns; a sample counts by its class, and is augmented by how often it came before.
static void test_balance_and_weights(void **state) {
    (void)state;
    struct ls_dataset *set = open_shards();
    struct ls_class_index *index;
    assert_ok(ls_class_index_make(set, 10, &index));
    const float weights[10] = {0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct ls_reader_spec spec = {.seed = 5,
                                  .balance = index,
                                  .class_weights = weights,
                                  .augment = {.crop_pad = 2},
                                  .batch_samples = 40,
                                  .threads = 2,
                                  .slots = 2};
    const struct ls_order order = {.seed = 5, .samples = SAMPLES, .classes = index};
    struct ls_reader *reader;
    assert_ok(ls_reader_open(set, &spec, &reader));
    for (uint64_t first = 0; first < 5 * SAMPLES; first += 40) {
        struct ls_batch *batch;
        ls_reader_request(reader, first, 40);
        assert_ok(ls_reader_next(reader, &batch, NULL));
        for (int64_t i = 0; i < 40; i++) {
            const struct ls_draw draw = ls_order_draw(&order, first + (uint64_t)i);
            assert_sample(batch, i, draw.sample);
            assert_true(batch->weight[i] == weights[label_of((uint64_t)draw.sample)]);
            const struct ls_augment expected =
                ls_augment_of(&spec.augment, 5, (uint64_t)draw.sample, draw.pass);
            assert_memory_equal(&batch->augment[i * LS_AUGMENT_WORDS], &expected, sizeof expected);
        }
        ls_reader_release(reader, batch);
    }
    ls_reader_close(reader);
    ls_class_index_free(index);
    ls_dataset_close(set);
}

struct counts {
    size_t bytes;
    int allocated, freed;
};

static ls_status count_alloc(void *context, size_t bytes, void **memory) {
    struct counts *counts = context;
    counts->bytes += bytes;
    if (++counts->allocated > 3) return LS_FAIL(LS_SYSTEM, "no more pinned memory");
    *memory = malloc(bytes);
    return LS_OK;
}

static void count_free(void *context, void *memory) {
    ((struct counts *)context)->freed++;
    free(memory);
}

static void test_memory_of_the_device(void **state) {
    (void)state;
    struct ls_dataset *set = open_shards();
    struct counts counts = {0};
    struct ls_reader_spec spec = {.batch_samples = 7,
                                  .threads = 1,
                                  .slots = 3,
                                  .alloc = count_alloc,
                                  .free = count_free,
                                  .context = &counts};
    struct ls_reader *reader;
    assert_ok(ls_reader_open(set, &spec, &reader));
    assert_int_equal(counts.bytes, ls_reader_bytes(ls_dataset_info(set), &spec));
    assert_int_equal(counts.allocated, 3);
    ls_reader_close(reader);
    assert_int_equal(counts.freed, 3);
    // The first slot cannot be had; then the second of two.
    assert_int_equal(ls_reader_open(set, &spec, &reader), LS_SYSTEM);
    counts = (struct counts){.allocated = 2};
    assert_int_equal(ls_reader_open(set, &spec, &reader), LS_SYSTEM);
    assert_int_equal(counts.freed, 1);
    assert_null(reader);
    spec.batch_samples = 0;
    assert_int_equal(ls_reader_open(set, &spec, &reader), LS_INPUT);
    ls_dataset_close(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_two_held),
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_errors_come_with_their_batch),
        cmocka_unit_test(test_stored_ids),
        cmocka_unit_test(test_balance_and_weights),
        cmocka_unit_test(test_memory_of_the_device),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
