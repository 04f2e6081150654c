// Samples sorted by class, over files; and the order in which classes take turns.
#include "scene.h"

#include "data/class_index.h"
#include "data/order.h"

enum { MOST = 1000 };

// Files of the given labels, `each` in a file.
static struct ls_dataset *open_labels(const int32_t *labels, int64_t n, int64_t each) {
    static const uint8_t zeros[MOST] = {0};
    for (int64_t begin = 0; begin < n; begin += each) {
        const int64_t rows = n - begin < each ? n - begin : each;
        char name[32];
        snprintf(name, sizeof name, "labels-%03d.h5", (int)(begin / each));
        struct ls_h5 *file = make_file(name);
        add_data(file, "images", LS_U8, DIM(rows, 1), zeros);
        add_data(file, "labels", LS_I32, DIM(rows), labels + begin);
        assert_ok(ls_h5_finish(file));
    }
    struct ls_dataset *set;
    assert_ok(open_set("labels-*.h5", "auto", &set));
    return set;
}

static void remove_labels(void) {
    char command[sizeof scratch_folder + 32];
    snprintf(command, sizeof command, "rm -f '%s'/labels-*", scratch_folder);
    assert_int_equal(system(command), 0);
}

static void samples_by_class(void **state) {
    (void)state;
    static const int32_t labels[] = {3, 0, 3, 5, 0, 3, 3, 0};
    struct ls_dataset *set = open_labels(labels, 8, 3);
    struct ls_class_index *index;
    assert_ok(ls_class_index_make(set, 6, &index));
    static const int64_t begin[] = {0, 3, 3, 3, 7, 7, 8};
    static const uint32_t samples[] = {1, 4, 7, 0, 2, 5, 6, 3};
    static const int32_t present[] = {0, 3, 5};
    assert_memory_equal(index->begin, begin, sizeof begin);
    assert_memory_equal(index->samples, samples, sizeof samples);
    assert_int_equal(index->n_present, 3);
    assert_memory_equal(index->present, present, sizeof present);
    ls_class_index_free(index);
    assert_fails(LS_INPUT, "labels-001.h5: labels[0] is 5, expected a class from 0 to 4",
                 ls_class_index_make(set, 5, &index));
    ls_dataset_close(set);
    remove_labels();
}

// Classes of 1, 3, 50 and 147 samples: some are drawn many times an epoch, some not even once.
static struct ls_dataset *open_uneven(int64_t *n) {
    static int32_t labels[MOST];
    static const int64_t counts[] = {50, 0, 3, 147, 1};
    *n = 0;
    for (int c = 0; c < 5; c++)
        for (int64_t i = 0; i < counts[c]; i++) labels[(*n)++] = c;
    return open_labels(labels, *n, 60);
}

static void classes_take_turns(void **state) {
    (void)state;
    enum { EPOCHS = 7 };
    int64_t n;
    struct ls_dataset *set = open_uneven(&n);
    struct ls_class_index *index;
    assert_ok(ls_class_index_make(set, 5, &index));
    const struct ls_order order = {.seed = 3, .samples = n, .classes = index};
    int64_t seen[MOST] = {0};
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int64_t of_class[5] = {0};
        for (uint64_t i = 0; i < (uint64_t)n; i++) {
            const struct ls_draw draw = ls_order_draw(&order, epoch * (uint64_t)n + i);
            assert_in_range(draw.sample, 0, n - 1);
            seen[draw.sample]++;
            const int64_t s = draw.sample;
            of_class[s < 50 ? 0 : s < 53 ? 2 : s < 200 ? 3 : 4]++;
        }
        // 201 turns of four classes: each has 50, and one of them one more.
        for (int c = 0; c < 5; c++) assert_in_range(of_class[c], c == 1 ? 0 : 50, c == 1 ? 0 : 51);
        // Within a class, no sample is ahead of another by more than one.
        for (int c = 0; c < 5; c++) {
            int64_t least = INT64_MAX, most = 0;
            for (int64_t k = index->begin[c]; k < index->begin[c + 1]; k++) {
                const int64_t times = seen[index->samples[k]];
                least = times < least ? times : least;
                most = times > most ? times : most;
            }
            if (c != 1) assert_in_range(most - least, 0, 1);
        }
    }
    ls_class_index_free(index);
    ls_dataset_close(set);
    remove_labels();
}

// A pass is how often the sample came before, in the order of the class's own turns; every pass has an order
// of its own.
static void passes_count_up(void **state) {
    (void)state;
    int64_t n;
    struct ls_dataset *set = open_uneven(&n);
    struct ls_class_index *index;
    assert_ok(ls_class_index_make(set, 5, &index));
    const struct ls_order order = {.seed = 9, .samples = n, .classes = index}, other = {9 + 1, n, index};
    static unsigned char seen[MOST][64];
    memset(seen, 0, sizeof seen);
    int64_t equal = 0;
    for (uint64_t position = 0; position < 4 * (uint64_t)n; position++) {
        const struct ls_draw draw = ls_order_draw(&order, position);
        if (draw.sample >= 53 && draw.sample < 200) assert_in_range(draw.pass, 0, 1); // 200 turns for 147
        if (draw.pass < 64) assert_int_equal(seen[draw.sample][draw.pass]++, 0);
        equal += ls_order_draw(&other, position).sample == draw.sample;
    }
    // The class of one sample agrees wherever it has its turn in both, some 50 times; so do few others.
    assert_in_range(equal, 10, 200);
    for (int64_t s = 0; s < 50; s++) assert_true(seen[s][0] && seen[s][1] && seen[s][2]);
    ls_class_index_free(index);
    ls_dataset_close(set);
    remove_labels();
}

static void plain_order_is_as_it_was(void **state) {
    (void)state;
    const struct ls_order order = {.seed = 4, .samples = 100};
    for (uint64_t position = 0; position < 350; position++) {
        const struct ls_draw draw = ls_order_draw(&order, position);
        assert_int_equal(draw.sample, ls_order_at(4, 100, position));
        assert_int_equal(draw.pass, position / 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_by_class),
        cmocka_unit_test(classes_take_turns),
        cmocka_unit_test(passes_count_up),
        cmocka_unit_test(plain_order_is_as_it_was),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_drop);
}
