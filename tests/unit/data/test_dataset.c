// What a data set delivers: every sample from wherever it lies, in any order, by any path and from any
// thread.
#include "scene.h"

#include "data/dataset_parts.h"

#include <sys/resource.h>
#include <sys/stat.h>

// Turns columns to the path that big or oddly stored ones take.
static void take_slow_path(struct ls_dataset *set) {
    for (int i = 0; i < set->n_shards; i++)
        for (int id = 0; id < LS_COLUMNS; id++) set->shards[i].columns[id].path = LS_PATH_LIBRARY;
}

static void keep_nothing(struct ls_dataset *set) {
    for (int i = 0; i < set->n_shards; i++)
        for (int id = 0; id < LS_COLUMNS; id++) set->shards[i].columns[id].kept = false;
}

static void assert_images(struct ls_dataset *set, const int64_t *indices, int64_t n) {
    const struct ls_dataset_info *info = ls_dataset_info(set);
    uint8_t *samples = malloc((size_t)n * info->sample_bytes);
    int32_t *targets = malloc((size_t)n * sizeof *targets);
    uint64_t *ids = malloc((size_t)n * sizeof *ids);
    memset(samples, 0xa5, (size_t)n * info->sample_bytes);
    assert_ok(ls_dataset_read(set, indices, n, samples, targets, ids, true));
    for (int64_t i = 0; i < n; i++) {
        assert_int_equal(ids[i], indices[i]);
        assert_int_equal(targets[i], label_of((uint64_t)indices[i]));
        for (size_t b = 0; b < info->sample_bytes; b++)
            assert_int_equal(samples[(size_t)i * info->sample_bytes + b],
                             pixel_of((uint64_t)indices[i], (int64_t)b));
    }
    free(samples);
    free(targets);
    free(ids);
}

static struct ls_dataset *open_three_shards(void) {
    write_images("three-0.h5", 0, 70, 5, 3, 2);
    write_images("three-1.h5", 70, 1, 5, 3, 2);
    write_images("three-2.h5", 71, 200, 5, 3, 2);
    struct ls_dataset *set;
    assert_ok(open_set("three-*.h5", "auto", &set));
    return set;
}

static void assert_all_orders(struct ls_dataset *set) {
    enum { N = 271 };
    int64_t indices[N];
    for (int64_t i = 0; i < N; i++) indices[i] = i;
    assert_images(set, indices, N); // one run a file
    for (int64_t i = 0; i < N; i++) indices[i] = N - 1 - i;
    assert_images(set, indices, N); // runs of many parts, more than one call takes
    for (int64_t i = 0; i < N; i++) indices[i] = i * 100 % N;
    assert_images(set, indices, N);
    for (int64_t i = 0; i < N; i++) indices[i] = i / 3 * 2; // repeated and with holes
    assert_images(set, indices, N);
    assert_images(set, (const int64_t[]){70}, 1);
}

static void test_any_order(void **state) {
    (void)state;
    struct ls_dataset *set = open_three_shards();
    const struct ls_dataset_info *info = ls_dataset_info(set);
    assert_int_equal(info->samples, 271);
    assert_int_equal(info->n_files, 3);
    assert_int_equal(info->height, 5);
    assert_int_equal(info->width, 3);
    assert_int_equal(info->channels, 2);
    assert_int_equal(info->type, LS_U8);
    assert_int_equal(info->sample_bytes, 30);
    assert_true(info->has_target && info->target_is_class && !info->flat && !info->channels_first);
    assert_int_equal(info->target_bytes, 4);
    assert_string_equal(ls_dataset_path_note(set), "3 of 3 files by pread");
    assert_all_orders(set);
    int64_t in_file;
    assert_string_equal(ls_dataset_locate(set, 70, &in_file), scratch("three-1.h5"));
    assert_int_equal(in_file, 0);
    assert_string_equal(ls_dataset_locate(set, 270, &in_file), scratch("three-2.h5"));
    assert_int_equal(in_file, 199);
    uint8_t sample[30];
    assert_fails(LS_INPUT, "expected 0 to 270",
                 ls_dataset_read(set, (const int64_t[]){271}, 1, sample, NULL, NULL, true));
    assert_fails(LS_INPUT, "expected 0 to 270",
                 ls_dataset_read(set, (const int64_t[]){-1}, 1, sample, NULL, NULL, true));
    assert_ok(ls_dataset_read(set, NULL, 0, NULL, NULL, NULL, true));
    ls_dataset_close(set);
}

static void test_other_paths(void **state) {
    (void)state;
    struct ls_dataset *set = open_three_shards();
    keep_nothing(set);
    assert_all_orders(set);
    take_slow_path(set);
    assert_all_orders(set);
    ls_dataset_close(set);
}

// ---- many files

enum { MANY = 300, EACH = 3, THREADS = 6 };

static void *read_everywhere(void *argument) {
    struct ls_dataset *set = argument;
    int64_t indices[MANY];
    for (int64_t i = 0; i < MANY; i++) indices[i] = i * 7 % MANY * EACH + i % EACH;
    for (int round = 0; round < 2; round++) assert_images(set, indices, MANY);
    return NULL;
}

static void read_with_threads(struct ls_dataset *set) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, read_everywhere, set);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

// More files than the process may open, and more threads on them than there are places.
static void test_many_files(void **state) {
    (void)state;
    char name[32];
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "many-%05d.h5", i);
        write_images(name, (int64_t)i * EACH, EACH, 2, 2, 1);
    }
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &low);
    for (int slots = 1; slots <= 3; slots += 2) {
        struct ls_dataset *set;
        assert_ok(open_set("many-*.h5", "auto", &set));
        assert_int_equal(set->files.n_slots, 16);
        keep_nothing(set);
        set->files.n_slots = slots;
        read_with_threads(set);
        take_slow_path(set);
        read_with_threads(set);
        for (int i = 0; i < slots; i++) assert_int_equal(set->files.slots[i].pins, 0);
        ls_dataset_close(set);
    }
    setrlimit(RLIMIT_NOFILE, &before);
}

static void read_each_file(struct ls_dataset *set, int files) {
    int64_t indices[MANY];
    for (int64_t i = 0; i < files; i++) indices[i] = i;
    assert_images(set, indices, files);
}

// Each set alone may open a quarter of what the process may, in pairs of descriptors: three of them together
// are to do with less.
static void test_many_sets(void **state) {
    (void)state;
    enum { SETS = 3, FILES = 64, LIMIT = 192 };
    char name[32];
    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof name, "set-%05d.h5", i);
        write_images(name, i, 1, 2, 2, 1);
    }
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = LIMIT;
    setrlimit(RLIMIT_NOFILE, &low);
    struct ls_dataset *sets[SETS + 1];
    for (int i = 0; i < SETS; i++) {
        assert_ok(open_set("set-*.h5", "auto", &sets[i]));
        keep_nothing(sets[i]);
        take_slow_path(sets[i]);
    }
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < SETS; i++) read_each_file(sets[i], FILES);
    assert_int_equal(sets[0]->files.n_open, LIMIT / 4);
    for (int i = 0; i < SETS; i++) ls_dataset_close(sets[i]);
    // What they had is given back.
    assert_ok(open_set("set-*.h5", "auto", &sets[SETS]));
    take_slow_path(sets[SETS]);
    read_each_file(sets[SETS], FILES);
    assert_int_equal(sets[SETS]->files.n_open, LIMIT / 4);
    ls_dataset_close(sets[SETS]);
    setrlimit(RLIMIT_NOFILE, &before);
}

// ---- types

static void write_typed(ls_dtype input, const void *images, ls_dtype target, const void *labels) {
    struct ls_h5 *file = make_file("typed.h5");
    add_data(file, "images", input, DIM(3, 2), images);
    add_data(file, "labels", target, DIM(3), labels);
    assert_ok(ls_h5_finish(file));
}

static void assert_typed(ls_dtype input, ls_dtype target, bool slow) {
    struct ls_dataset *set;
    assert_ok(open_set("typed.h5", "auto", &set));
    const struct ls_dataset_info *info = ls_dataset_info(set);
    assert_int_equal(info->stored, input);
    assert_int_equal(info->type, input == LS_U8 ? LS_U8 : LS_F32);
    assert_true(info->flat && info->channels == 2);
    assert_int_equal(info->target_is_class, ls_dtype_is_integer(target));
    if (slow) take_slow_path(set);
    float samples[6], targets[3];
    int32_t classes[3];
    assert_ok(ls_dataset_read(set, (const int64_t[]){2, 0, 1}, 3, samples, targets, NULL, true));
    memcpy(classes, targets, sizeof classes);
    static const int order[] = {2, 0, 1};
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 2; k++) {
            int expected = order[i] * 2 + k;
            assert_true(input == LS_U8 ? ((uint8_t *)samples)[i * 2 + k] == expected
                                       : samples[i * 2 + k] == (float)expected);
        }
        assert_true(ls_dtype_is_integer(target) ? classes[i] == order[i] : targets[i] == (float)order[i]);
    }
    ls_dataset_close(set);
}

static void test_stored_types(void **state) {
    (void)state;
    union numbers {
        float f32[6];
        double f64[6];
        uint16_t f16[6];
        uint8_t u8[6];
        int8_t i8[6];
        uint16_t u16[6];
        int16_t i16[6];
        uint32_t u32[6];
        int32_t i32[6];
        uint64_t u64[6];
        int64_t i64[6];
    };
    static const uint16_t halves[6] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500};
    static union numbers data[LS_DTYPES];
    for (int i = 0; i < 6; i++) {
        data[LS_F32].f32[i] = (float)i;
        data[LS_F64].f64[i] = i;
        data[LS_F16].f16[i] = halves[i];
        data[LS_U8].u8[i] = (uint8_t)i;
        data[LS_I8].i8[i] = (int8_t)i;
        data[LS_U16].u16[i] = (uint16_t)i;
        data[LS_I16].i16[i] = (int16_t)i;
        data[LS_U32].u32[i] = (uint32_t)i;
        data[LS_I32].i32[i] = i;
        data[LS_U64].u64[i] = (uint64_t)i;
        data[LS_I64].i64[i] = i;
    }
    for (ls_dtype type = LS_F32; type < LS_DTYPES; type++) {
        if (type == LS_BF16) continue;
        write_typed(type, &data[type], type, &data[type]);
        assert_typed(type, type, false);
        assert_typed(type, type, true);
    }
}

static void test_labels_that_are_no_class(void **state) {
    (void)state;
    float values[6] = {0};
    int32_t out[3];
    float samples[6];
    struct ls_dataset *set;
    const int64_t labels[] = {1, 2, 5000000000};
    write_typed(LS_F32, values, LS_I64, labels);
    for (int slow = 0; slow < 2; slow++) {
        assert_ok(open_set("typed.h5", "auto", &set));
        if (slow) take_slow_path(set);
        assert_fails(LS_INPUT, "labels[2] is 5000000000",
                     ls_dataset_read(set, (const int64_t[]){0}, 1, samples, out, NULL, true));
        assert_fails(LS_INPUT, "labels[2] is 5000000000", ls_dataset_scan(set, 0, 3, 10, false));
        ls_dataset_close(set);
    }
}

// ---- shapes

static void assert_axes(const int64_t dim[4], const char *attribute, const char *axes, bool channels_first) {
    size_t n = (size_t)(dim[0] * dim[1] * dim[2] * dim[3]);
    void *zeros = calloc(n, 1);
    int32_t labels[2] = {0};
    struct ls_h5 *file = make_file("axes.h5");
    add_data(file, "images", LS_U8, dim, 4, zeros);
    add_data(file, "labels", LS_I32, DIM(2), labels);
    if (attribute) assert_ok(ls_h5_set_text(file, "images", "axes", attribute));
    assert_ok(ls_h5_finish(file));
    free(zeros);
    struct ls_dataset *set;
    assert_ok(open_set("axes.h5", axes, &set));
    const struct ls_dataset_info *info = ls_dataset_info(set);
    assert_int_equal(info->channels_first, channels_first);
    assert_int_equal(info->channels, dim[channels_first ? 1 : 3]);
    assert_int_equal(info->height, dim[channels_first ? 2 : 1]);
    assert_int_equal(info->width, dim[channels_first ? 3 : 2]);
    ls_dataset_close(set);
}

static void test_axes(void **state) {
    (void)state;
    assert_axes((const int64_t[]){2, 32, 32, 3}, NULL, "auto", false);
    assert_axes((const int64_t[]){2, 3, 32, 32}, NULL, "auto", true);
    assert_axes((const int64_t[]){2, 3, 32, 32}, NULL, NULL, true);
    assert_axes((const int64_t[]){2, 3, 32, 3}, NULL, "auto", false);
    assert_axes((const int64_t[]){2, 3, 32, 3}, "NCHW", "auto", true);
    assert_axes((const int64_t[]){2, 3, 32, 32}, "NHWC", "auto", false);
    assert_axes((const int64_t[]){2, 3, 32, 32}, "time", "auto", true);
    assert_axes((const int64_t[]){2, 32, 32, 3}, "NHWC", "NCHW", true);
    assert_axes((const int64_t[]){2, 3, 32, 32}, NULL, "NHWC", false);
    assert_axes((const int64_t[]){2, 7, 32, 32}, NULL, "auto", false);
    struct ls_dataset *set;
    assert_fails(LS_INPUT, "axes are 'CHWN'", open_set("axes.h5", "CHWN", &set));
}

static void write_shaped(const char *name, const int64_t *dim, int rank, const int64_t *target_dim,
                         int target_rank, ls_dtype target) {
    void *zeros = calloc(100000, 1);
    struct ls_h5 *file = make_file(name);
    add_data(file, "images", LS_F32, dim, rank, zeros);
    if (target_rank) add_data(file, "labels", target, target_dim, target_rank, zeros);
    assert_ok(ls_h5_finish(file));
    free(zeros);
}

static void test_shapes(void **state) {
    (void)state;
    struct ls_dataset *set;
    write_shaped("s.h5", DIM(5), DIM(5, 1), LS_U8);
    assert_ok(open_set("s.h5", "auto", &set));
    const struct ls_dataset_info *info = ls_dataset_info(set);
    assert_true(info->flat && info->channels == 1 && info->sample_bytes == 4 && info->target_is_class);
    ls_dataset_close(set);

    write_shaped("s.h5", DIM(5, 6, 7), DIM(5, 2), LS_I32);
    assert_ok(open_set("s.h5", "auto", &set));
    info = ls_dataset_info(set);
    assert_true(!info->flat && info->height == 6 && info->width == 7 && info->channels == 1);
    assert_true(!info->target_is_class && info->target_values == 2 && info->target_bytes == 8);
    ls_dataset_close(set);

    write_shaped("s.h5", DIM(5, 2, 2, 2, 2), DIM(5), LS_I32);
    assert_fails(LS_INPUT, "'images' is [5, 2, 2, 2, 2] f32, expected [N]", open_set("s.h5", "auto", &set));
    write_shaped("s.h5", DIM(5, 2), DIM(5, 2, 2), LS_I32);
    assert_fails(LS_INPUT, "'labels' is [5, 2, 2] i32, expected targets [N] or [N, D]",
                 open_set("s.h5", "auto", &set));
    write_shaped("s.h5", DIM(5, 2), DIM(4), LS_I32);
    assert_fails(LS_INPUT, "'images' has 5 samples, but 'labels' has 4 targets",
                 open_set("s.h5", "auto", &set));
    write_shaped("s.h5", DIM(5, 2), NULL, 0, LS_I32);
    assert_fails(LS_INPUT, "data.train: ", open_set("s.h5", "auto", &set));
    assert_fails(LS_INPUT, "has no dataset 'labels'; it has: images", open_set("s.h5", "auto", &set));
    assert_fails(LS_INPUT, "no file matches '/", open_set("nothing-*.h5", "auto", &set));
    assert_fails(LS_INPUT, "nothing.h5: no such file", open_set("nothing.h5", "auto", &set));
}

static void assert_signal(const char *axes, int64_t width, int64_t channels, bool channels_first) {
    struct ls_dataset *set;
    assert_ok(open_set("s.h5", axes, &set));
    const struct ls_dataset_info *info = ls_dataset_info(set);
    assert_true(!info->flat && info->height == 1 && info->channels_first == channels_first);
    assert_int_equal(info->width, width);
    assert_int_equal(info->channels, channels);
    ls_dataset_close(set);
}

static void test_signals(void **state) {
    (void)state;
    struct ls_dataset *set;
    write_shaped("s.h5", DIM(5, 6, 7), DIM(5), LS_I32);
    assert_signal("NLC", 6, 7, false);
    assert_signal("NCL", 7, 6, true);
    write_shaped("s.h5", DIM(5, 6), DIM(5), LS_I32);
    assert_signal("NLC", 6, 1, false);
    assert_signal("NCL", 6, 1, false);
    write_shaped("s.h5", DIM(5, 6, 7, 3), DIM(5), LS_I32);
    assert_fails(LS_INPUT, "'images' is [5, 6, 7, 3] f32, expected signals [N, L], [N, L, C]",
                 open_set("s.h5", "NLC", &set));
    assert_fails(LS_INPUT, "axes are 'LNC', expected auto, NHWC, NCHW, NLC or NCL",
                 open_set("s.h5", "LNC", &set));
    // A file may say so itself; one of the same shape that does not holds something else.
    const float values[2 * 6 * 7] = {0};
    const int32_t labels[2] = {0};
    for (int told = 0; told < 2; told++) {
        struct ls_h5 *file = make_file(told ? "s-1.h5" : "s-0.h5");
        add_data(file, "images", LS_F32, DIM(2, 6, 7), values);
        add_data(file, "labels", LS_I32, DIM(2), labels);
        if (told) assert_ok(ls_h5_set_text(file, "images", "axes", "NCL"));
        assert_ok(ls_h5_finish(file));
    }
    assert_fails(LS_INPUT, "s-1.h5: dataset 'images' ", open_set("s-*.h5", "auto", &set));
    assert_ok(open_set("s-1.h5", "auto", &set));
    assert_true(ls_dataset_info(set)->channels == 6 && ls_dataset_info(set)->channels_first);
    ls_dataset_close(set);
    assert_ok(open_set("s-1.h5", "NHWC", &set)); // the recipe has the last word
    assert_true(ls_dataset_info(set)->channels == 1 && ls_dataset_info(set)->height == 6);
    ls_dataset_close(set);
}

static void test_files_that_differ(void **state) {
    (void)state;
    struct ls_dataset *set;
    write_shaped("d-0.h5", DIM(5, 2), DIM(5), LS_I32);
    write_shaped("d-1.h5", DIM(5, 3), DIM(5), LS_I32);
    assert_fails(LS_INPUT, "d-1.h5: dataset 'images' is [5, 3] f32, but in /tmp/",
                 open_set("d-*.h5", "auto", &set));
    write_shaped("d-1.h5", DIM(5, 2), DIM(5), LS_F32);
    assert_fails(LS_INPUT, "d-1.h5: dataset 'labels' is [5] f32, but in /tmp/",
                 open_set("d-*.h5", "auto", &set));
    write_shaped("d-1.h5", DIM(7, 2), DIM(7), LS_I64); // other length and stored type: the same delivery
    assert_ok(open_set("d-*.h5", "auto", &set));
    assert_int_equal(ls_dataset_info(set)->samples, 12);
    ls_dataset_close(set);
    const uint8_t bytes[10] = {0};
    struct ls_h5 *file = make_file("d-1.h5");
    add_data(file, "images", LS_U8, DIM(5, 2), bytes);
    add_data(file, "labels", LS_U8, DIM(5), bytes);
    assert_ok(ls_h5_finish(file));
    assert_fails(LS_INPUT, "d-1.h5: dataset 'images' is [5, 2] u8, but in /tmp/",
                 open_set("d-*.h5", "auto", &set));
}

static void test_targets_are_optional(void **state) {
    (void)state;
    write_shaped("o-0.h5", DIM(5, 2), NULL, 0, LS_I32);
    const char *patterns[] = {scratch("o-*.h5"), scratch("o-0.h5")}; // the same file twice: once
    struct ls_dataset_spec spec = {.patterns = patterns,
                                   .n_patterns = 2,
                                   .input = "images",
                                   .target = "labels",
                                   .target_optional = true};
    struct ls_dataset *set;
    assert_ok(ls_dataset_open(&spec, &set));
    assert_int_equal(ls_dataset_info(set)->n_files, 1);
    assert_false(ls_dataset_info(set)->has_target);
    assert_int_equal(ls_dataset_info(set)->target_bytes, 0);
    float samples[4], targets[1] = {42};
    assert_ok(ls_dataset_read(set, (const int64_t[]){4, 3}, 2, samples, targets, NULL, true));
    assert_true(targets[0] == 42);
    ls_dataset_close(set);
    write_shaped("o-1.h5", DIM(5, 2), DIM(5), LS_I32);
    assert_fails(LS_INPUT, "o-1.h5 has a dataset 'labels', but /tmp/", ls_dataset_open(&spec, &set));
}

static void test_empty_files(void **state) {
    (void)state;
    write_shaped("e-0.h5", DIM(0, 2), DIM(0), LS_I32);
    struct ls_dataset *set;
    assert_fails(LS_INPUT, "e-0.h5: dataset 'images' has no samples", open_set("e-*.h5", "auto", &set));
    write_shaped("e-1.h5", DIM(1, 2), DIM(1), LS_I32);
    write_shaped("e-2.h5", DIM(0, 9), DIM(0), LS_I32);
    write_shaped("e-3.h5", DIM(1, 2), DIM(1), LS_I32);
    write_shaped("e-4.h5", DIM(0, 2), DIM(0), LS_I32);
    assert_ok(open_set("e-*.h5", "auto", &set));
    assert_int_equal(ls_dataset_info(set)->samples, 2);
    float samples[4];
    int32_t targets[2];
    assert_ok(ls_dataset_read(set, (const int64_t[]){1, 0}, 2, samples, targets, NULL, true));
    assert_ok(ls_dataset_scan(set, 0, 2, 1, true));
    int64_t in_file;
    assert_string_equal(ls_dataset_locate(set, 1, &in_file), scratch("e-3.h5"));
    ls_dataset_close(set);
}

// ---- bad values

static void test_not_finite(void **state) {
    (void)state;
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e300};
    double values[6] = {0};
    int32_t labels[3] = {0, 1, 2};
    for (int b = 0; b < 4; b++) {
        for (int slow = 0; slow < 3; slow++) {
            for (int i = 0; i < 6; i++) values[i] = i == 3 ? bad[b] : i;
            float narrow[6];
            for (int i = 0; i < 6; i++) narrow[i] = (float)values[i];
            // f32 goes straight to its place, f64 through a conversion, both also through HDF5.
            if (slow == 2)
                write_typed(LS_F32, narrow, LS_I32, labels);
            else
                write_typed(LS_F64, values, LS_I32, labels);
            struct ls_dataset *set;
            float samples[6];
            assert_ok(open_set("typed.h5", "auto", &set));
            if (slow == 1) take_slow_path(set);
            assert_ok(ls_dataset_read(set, (const int64_t[]){2, 0}, 2, samples, NULL, NULL, true));
            assert_fails(LS_INPUT, "typed.h5: images[1] is not finite: value 1 of 2 is ",
                         ls_dataset_read(set, (const int64_t[]){2, 0, 1}, 3, samples, NULL, NULL, true));
            assert_ok(ls_dataset_scan(set, 0, 3, 3, false));
            assert_ok(ls_dataset_scan(set, 0, 1, 3, true));
            assert_fails(LS_INPUT, "images[1] is not finite", ls_dataset_scan(set, 0, 3, 3, true));
            ls_dataset_close(set);
        }
    }
    float targets[3] = {0, 1, NAN};
    write_typed(LS_U8, values, LS_F32, targets);
    struct ls_dataset *set;
    uint8_t samples[6];
    assert_ok(open_set("typed.h5", "auto", &set));
    assert_fails(LS_INPUT, "labels[2] is not finite",
                 ls_dataset_read(set, (const int64_t[]){2}, 1, samples, targets, NULL, true));
    assert_fails(LS_INPUT, "labels[2] is not finite", ls_dataset_scan(set, 0, 3, 0, false));
    ls_dataset_close(set);
}

static void test_scan_of_classes(void **state) {
    (void)state;
    struct ls_dataset *set = open_three_shards();
    assert_ok(ls_dataset_scan(set, 0, 271, 10, true));
    assert_ok(ls_dataset_scan(set, 72, 79, 9, true)); // labels 2 to 8
    assert_fails(LS_INPUT, "three-2.h5: labels[8] is 9, expected a class from 0 to 8",
                 ls_dataset_scan(set, 72, 271, 9, true));
    assert_fails(LS_INPUT, "three-0.h5: labels[9] is 9", ls_dataset_scan(set, 0, 271, 9, true));
    ls_dataset_close(set);
}

// ---- shards of Lockstep's own

static void test_own_shard(void **state) {
    (void)state;
    struct ls_dataset *set;
    uint8_t samples[8];
    int32_t targets[2];
    uint64_t ids[2];
    const int64_t last[] = {1, 49};
    write_shard("own.h5", 50, "nothing");
    assert_ok(open_set("own.h5", "auto", &set));
    int n;
    const char *const *names = ls_dataset_class_names(set, &n);
    assert_int_equal(n, 3);
    assert_string_equal(names[2], "Bär");
    for (int kept = 0; kept < 2; kept++) {
        assert_ok(ls_dataset_read(set, last, 2, samples, targets, ids, true));
        assert_true(ids[0] == 999 && ids[1] == 951);
        assert_ok(ls_dataset_read(set, last, 2, samples, NULL, NULL, true));
        keep_nothing(set);
    }
    ls_dataset_close(set);

    write_shard("own.h5", 50, "crc");
    assert_ok(open_set("own.h5", "auto", &set));
    assert_ok(ls_dataset_read(set, last, 2, samples, targets, ids, false));
    assert_ok(ls_dataset_read(set, last, 1, samples, targets, ids, true));
    assert_fails(LS_INPUT, "own.h5: checksum mismatch at sample 49",
                 ls_dataset_read(set, last, 2, samples, targets, ids, true));
    assert_fails(LS_INPUT, "checksum mismatch at sample 49",
                 ls_dataset_read(set, last, 2, samples, NULL, NULL, true));
    ls_dataset_close(set);
    write_shard("own.h5", 50, "version");
    assert_fails(LS_INPUT, "version 99", open_set("own.h5", "auto", &set));
}

// Of targets that are delivered as another type too, the checksums are looked at.
static void test_own_shard_of_values(void **state) {
    (void)state;
    for (int wrong = 0; wrong < 2; wrong++) {
        struct ls_dataset *set;
        uint8_t samples[8];
        float targets[2];
        write_shard("own.h5", 50, wrong ? "crc of label" : "nothing");
        const char *patterns[] = {scratch("own.h5")};
        const struct ls_dataset_spec spec = {
            .patterns = patterns, .n_patterns = 1, .target = "labels", .targets = LS_TARGETS_VALUES};
        assert_ok(ls_dataset_open(&spec, &set));
        for (int kept = 0; kept < 2; kept++) {
            assert_ok(ls_dataset_read(set, (const int64_t[]){47, 1}, 2, samples, targets, NULL, true));
            assert_true(targets[0] == 2 && targets[1] == 1 && samples[4] == pixel_of(999, 0));
            const ls_status status =
                ls_dataset_read(set, (const int64_t[]){1, 49}, 2, samples, targets, NULL, true);
            if (wrong) assert_fails(LS_INPUT, "own.h5: checksum mismatch at sample 49", status);
            if (!wrong) assert_true(status == LS_OK && targets[0] == 1 && targets[1] == 1);
            keep_nothing(set);
        }
        ls_dataset_close(set);
    }
}

static void test_cut_while_open(void **state) {
    (void)state;
    write_images("cut.h5", 0, 100, 8, 8, 1);
    struct ls_dataset *set;
    assert_ok(open_set("cut.h5", "auto", &set));
    uint8_t sample[64];
    int64_t offset = set->shards[0].columns[LS_COLUMN_INPUT].offset;
    assert_int_equal(truncate(scratch("cut.h5"), offset + 64 * 50 + 10), 0);
    assert_ok(ls_dataset_read(set, (const int64_t[]){49}, 1, sample, NULL, NULL, true));
    assert_fails(LS_INPUT, "cut.h5: is truncated",
                 ls_dataset_read(set, (const int64_t[]){50}, 1, sample, NULL, NULL, true));
    ls_dataset_close(set);
    assert_fails(LS_INPUT, "cut.h5: is truncated", open_set("cut.h5", "auto", &set));
}

static uint64_t identity_of(const char *pattern) {
    struct ls_dataset *set;
    assert_ok(open_set(pattern, "auto", &set));
    uint64_t identity = ls_dataset_info(set)->identity;
    ls_dataset_close(set);
    return identity;
}

static void test_identity(void **state) {
    (void)state;
    write_images("id.h5", 0, 10, 2, 2, 1);
    uint64_t first = identity_of("id.h5");
    assert_int_equal(identity_of("id.h5"), first);
    assert_int_equal(mkdir(scratch("elsewhere"), 0777), 0);
    write_images("elsewhere/id.h5", 0, 10, 2, 2, 1);
    assert_int_equal(identity_of("elsewhere/id.h5"), first);
    write_images("id.h5", 0, 11, 2, 2, 1);
    assert_int_not_equal(identity_of("id.h5"), first);
    write_images("id.h5", 0, 10, 2, 1, 2);
    assert_int_not_equal(identity_of("id.h5"), first);
    write_images("id2.h5", 0, 10, 2, 2, 1);
    assert_int_not_equal(identity_of("id2.h5"), first);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_other_paths),
        cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_many_sets),
        cmocka_unit_test(test_stored_types),
        cmocka_unit_test(test_labels_that_are_no_class),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_files_that_differ),
        cmocka_unit_test(test_targets_are_optional),
        cmocka_unit_test(test_empty_files),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_scan_of_classes),
        cmocka_unit_test(test_own_shard),
        cmocka_unit_test(test_own_shard_of_values),
        cmocka_unit_test(test_cut_while_open),
        cmocka_unit_test(test_identity),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
