#include "scene.h"

#include "data/augment.h"

static void test_ranges_and_evenness(void **state) {
    (void)state;
    enum { SAMPLES = 50000, PAD = 2, SHIFTS = 2 * PAD + 1 };
    const struct ls_augment_spec spec = {.crop_pad = PAD, .flip = true};
    int dy[SHIFTS] = {0}, dx[SHIFTS] = {0}, flips = 0;
    for (uint64_t id = 0; id < SAMPLES; id++) {
        struct ls_augment augment = ls_augment_of(&spec, 7, id, 3);
        assert_in_range(augment.dy + PAD, 0, 2 * PAD);
        assert_in_range(augment.dx + PAD, 0, 2 * PAD);
        dy[augment.dy + PAD]++;
        dx[augment.dx + PAD]++;
        assert_true((augment.flags & ~LS_AUGMENT_FLIP) == 0);
        flips += augment.flags;
    }
    // Deviations are about 90 for the shifts and 112 for the flips.
    for (int i = 0; i < SHIFTS; i++) {
        assert_in_range(dy[i], SAMPLES / SHIFTS - 450, SAMPLES / SHIFTS + 450);
        assert_in_range(dx[i], SAMPLES / SHIFTS - 450, SAMPLES / SHIFTS + 450);
    }
    assert_in_range(flips, SAMPLES / 2 - 560, SAMPLES / 2 + 560);
}

// Shifts and flips know nothing of each other: every combination is as frequent.
static void test_independence(void **state) {
    (void)state;
    enum { SAMPLES = 90000 };
    const struct ls_augment_spec spec = {.crop_pad = 1, .flip = true};
    int counts[18] = {0};
    for (uint64_t id = 0; id < SAMPLES; id++) {
        struct ls_augment augment = ls_augment_of(&spec, 1, id, 0);
        counts[(augment.dy + 1) * 6 + (augment.dx + 1) * 2 + augment.flags]++;
    }
    for (int i = 0; i < 18; i++) assert_in_range(counts[i], 5000 - 350, 5000 + 350); // deviation 69
}

static int count_equal(uint64_t seed_a, uint64_t epoch_a, uint64_t seed_b, uint64_t epoch_b) {
    const struct ls_augment_spec spec = {.crop_pad = 4, .flip = true};
    int equal = 0;
    for (uint64_t id = 0; id < 1000; id++) {
        struct ls_augment a = ls_augment_of(&spec, seed_a, id, epoch_a),
                          b = ls_augment_of(&spec, seed_b, id, epoch_b);
        equal += memcmp(&a, &b, sizeof a) == 0;
    }
    return equal;
}

static void test_depends_on_seed_epoch_and_id(void **state) {
    (void)state;
    assert_int_equal(count_equal(1, 5, 1, 5), 1000);
    assert_in_range(count_equal(1, 5, 1, 6), 0, 40); // 1000 / 162 on average
    assert_in_range(count_equal(1, 5, 2, 5), 0, 40);
}

static void test_off(void **state) {
    (void)state;
    const struct ls_augment_spec off = {0}, flip = {.flip = true}, both = {.crop_pad = 3, .flip = true};
    const struct ls_augment nothing = {0};
    for (uint64_t id = 0; id < 100; id++) {
        struct ls_augment augment = ls_augment_of(&off, 1, id, 0);
        assert_memory_equal(&augment, &nothing, sizeof nothing);
        // Turning the crop on leaves the flips as they were.
        assert_int_equal(ls_augment_of(&flip, 1, id, 0).flags, ls_augment_of(&both, 1, id, 0).flags);
        assert_int_equal(ls_augment_of(&flip, 1, id, 0).dy, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranges_and_evenness),
        cmocka_unit_test(test_independence),
        cmocka_unit_test(test_depends_on_seed_epoch_and_id),
        cmocka_unit_test(test_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
