// Targets as the loss wants them: classes, one-hot rows, labels, numbers; of every stored type, read every
// way.
#include "unit/data/scene.h"

#include "data/dataset_parts.h"

enum { ROWS = 5, WIDTH = 4, MOST = ROWS * WIDTH };

static const double one_hot[MOST] = {0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0};
static const int32_t hot[ROWS] = {2, 0, 3, 1, 0};

static void write_targets(ls_dtype type, const double *numbers, const int64_t *dim, int rank) {
    const uint8_t images[ROWS] = {0};
    union {
        uint64_t aligned[MOST];
        char bytes[8 * MOST];
    } stored;
    store_numbers(type, numbers, (int)(rank == 2 ? dim[0] * dim[1] : dim[0]), &stored);
    struct ls_h5 *file = make_file("targets.h5");
    add_data(file, "images", LS_U8, DIM(ROWS, 1), images);
    add_data(file, "labels", type, dim, rank, &stored);
    assert_ok(ls_h5_finish(file));
}

static struct ls_dataset *open_as(enum ls_targets targets, bool through_library) {
    const char *patterns[] = {scratch("targets.h5")};
    const struct ls_dataset_spec spec = {.patterns = patterns,
                                         .n_patterns = 1,
                                         .input = "images",
                                         .target = "labels",
                                         .targets = targets,
                                         .through_library = through_library};
    struct ls_dataset *set;
    assert_ok(ls_dataset_open(&spec, &set));
    return set;
}

// A column that is too large to be kept is read a batch at a time.
static void keep_nothing(struct ls_dataset *set) {
    set->shards[0].columns[LS_COLUMN_TARGET].kept = false;
}

static ls_status read_all(struct ls_dataset *set, void *targets) {
    uint8_t samples[ROWS];
    return ls_dataset_read(set, (const int64_t[]){4, 0, 1, 3, 2}, ROWS, samples, targets, NULL, true);
}
static const int order[ROWS] = {4, 0, 1, 3, 2};

static void one_hot_rows_are_classes(void **state) {
    (void)state;
    for (ls_dtype type = LS_F32; type < LS_DTYPES; type++)
        for (int way = 0; way < 4 && type != LS_BF16; way++) {
            write_targets(type, one_hot, DIM(ROWS, WIDTH));
            struct ls_dataset *set = open_as(LS_TARGETS_CLASSES, way & 1);
            if (way & 2) keep_nothing(set);
            const struct ls_dataset_info *info = ls_dataset_info(set);
            assert_true(info->target_is_class && info->target_values == WIDTH && info->target_bytes == 4);
            int32_t classes[ROWS];
            assert_ok(read_all(set, classes));
            for (int i = 0; i < ROWS; i++) assert_int_equal(classes[i], hot[order[i]]);
            assert_ok(ls_dataset_scan(set, 0, ROWS, WIDTH, false));
            ls_dataset_close(set);
        }
}

// Numbers other than the good ones, and what is said of them.
static const struct {
    enum ls_targets targets;
    ls_dtype type;
    int row, place;
    double value;
    const char *words;
} bad_rows[] = {
    {LS_TARGETS_CLASSES, LS_I16, 3, 1, 0, "targets.h5: labels[3] is not one-hot: all of its 4 values are 0"},
    {LS_TARGETS_CLASSES, LS_U8, 3, 3, 1,
     "labels[3] is not one-hot: value 3 of 4 is 1, expected 0 behind a 1"},
    {LS_TARGETS_CLASSES, LS_F16, 2, 3, 0.5,
     "labels[2] is not one-hot: value 3 of 4 is 0.5, expected 0, or 1"},
    {LS_TARGETS_CLASSES, LS_I64, 0, 0, -1, "labels[0] is not one-hot: value 0 of 4 is -1"},
    {LS_TARGETS_CLASSES, LS_F32, 4, 2, NAN, "labels[4] is not one-hot: value 2 of 4 is nan"},
    {LS_TARGETS_LABELS, LS_F64, 1, 2, 0.25,
     "labels[1] is not a row of labels: value 2 of 4 is 0.25, expected 0"},
    {LS_TARGETS_LABELS, LS_U8, 4, 3, 2,
     "labels[4] is not a row of labels: value 3 of 4 is 2, expected 0 or 1"},
    {LS_TARGETS_LABELS, LS_F32, 4, 3, INFINITY, "labels[4] is not finite"},
    {LS_TARGETS_VALUES, LS_F32, 2, 0, NAN, "labels[2] is not finite"},
};

static void bad_rows_are_named(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++)
        for (int way = 0; way < 4; way++) {
            double numbers[MOST];
            memcpy(numbers, one_hot, sizeof numbers);
            numbers[bad_rows[i].row * WIDTH + bad_rows[i].place] = bad_rows[i].value;
            write_targets(bad_rows[i].type, numbers, DIM(ROWS, WIDTH));
            struct ls_dataset *set = open_as(bad_rows[i].targets, way & 1);
            if (way & 2) keep_nothing(set);
            float targets[MOST];
            assert_fails(LS_INPUT, bad_rows[i].words, read_all(set, targets));
            assert_fails(LS_INPUT, bad_rows[i].words, ls_dataset_scan(set, 0, ROWS, WIDTH, false));
            ls_dataset_close(set);
        }
}

// A row longer than is looked at at a time, hot near its end.
static void long_one_hot_rows(void **state) {
    (void)state;
    enum { LONG = 1000 };
    static uint8_t rows[ROWS * LONG];
    for (int i = 0; i < ROWS; i++) rows[i * LONG + 997 - 250 * (i % 4)] = 1;
    struct ls_h5 *file = make_file("targets.h5");
    add_data(file, "images", LS_U8, DIM(ROWS, 1), rows);
    add_data(file, "labels", LS_U8, DIM(ROWS, LONG), rows);
    assert_ok(ls_h5_finish(file));
    struct ls_dataset *set = open_as(LS_TARGETS_CLASSES, false);
    int32_t classes[ROWS];
    assert_ok(read_all(set, classes));
    for (int i = 0; i < ROWS; i++) assert_int_equal(classes[i], 997 - 250 * (order[i] % 4));
    ls_dataset_close(set);
}

// Integers are classes, labels or numbers: as they are asked for.
static void integers_are_what_is_asked_for(void **state) {
    (void)state;
    static const enum ls_targets all[] = {LS_TARGETS_AS_STORED, LS_TARGETS_CLASSES, LS_TARGETS_LABELS,
                                          LS_TARGETS_VALUES};
    static const double numbers[ROWS] = {0, 1, 1, 0, 1};
    for (int i = 0; i < 4; i++) {
        const bool classes = i < 2;
        write_targets(LS_I32, numbers, DIM(ROWS));
        struct ls_dataset *set = open_as(all[i], false);
        assert_int_equal(ls_dataset_info(set)->target_is_class, classes);
        assert_int_equal(ls_dataset_info(set)->target_values, 1);
        float targets[ROWS];
        int32_t labels[ROWS];
        assert_ok(read_all(set, targets));
        memcpy(labels, targets, sizeof labels);
        for (int k = 0; k < ROWS; k++)
            assert_true(classes ? labels[k] == (int)numbers[order[k]]
                                : targets[k] == (float)numbers[order[k]]);
        ls_dataset_close(set);
    }
    // Other numbers are classes where classes are asked for: that they are whole shows when they are read.
    for (int i = 0; i < 2; i++) {
        write_targets(LS_F32, numbers, DIM(ROWS, 1));
        struct ls_dataset *set = open_as(all[i], false);
        assert_int_equal(ls_dataset_info(set)->target_is_class, all[i] == LS_TARGETS_CLASSES);
        ls_dataset_close(set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_hot_rows_are_classes),
        cmocka_unit_test(bad_rows_are_named),
        cmocka_unit_test(long_one_hot_rows),
        cmocka_unit_test(integers_are_what_is_asked_for),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
