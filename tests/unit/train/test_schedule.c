// Learning rates at their ends and corners, and spans where an epoch is no whole number of steps.
#include "train/schedule.h"

#include "unit/check.h"

#include <math.h>

static const struct ls_clock clock_60000 = {.batch = 256, .samples = 60000}; // 234.375 steps an epoch
static const struct ls_clock clock_1000 = {.batch = 256, .samples = 1000};   // 3.90625

static struct ls_span steps_of(double amount) {
    return (struct ls_span){.amount = amount, .unit = LS_SPAN_STEPS};
}

static struct ls_span epochs_of(double amount) {
    return (struct ls_span){.amount = amount, .unit = LS_SPAN_EPOCHS};
}

#define STEPS(span, clock) ls_span_steps(&(struct ls_span){(span).amount, (span).unit}, &(clock))

static void spans_are_rounded_to_steps(void **state) {
    (void)state;
    assert_int_equal(STEPS(steps_of(500), clock_60000), 500);
    assert_int_equal(STEPS(epochs_of(1), clock_60000), 234);
    assert_int_equal(STEPS(epochs_of(5), clock_60000), 1172); // 1171.875
    assert_int_equal(STEPS(epochs_of(0.5), clock_60000), 117);
    assert_int_equal(STEPS(epochs_of(1e-9), clock_60000), 1);
    assert_int_equal(STEPS(epochs_of(1), clock_1000), 4);
    assert_int_equal(STEPS(epochs_of(1), ((struct ls_clock){.batch = 256, .samples = 1})), 1);
    assert_int_equal(STEPS(epochs_of(2), ((struct ls_clock){.batch = 1, .samples = 7})), 14);
    assert_int_equal(STEPS(epochs_of(1e12), ((struct ls_clock){.batch = 1, .samples = UINT64_MAX})),
                     1ull << 62);
    assert_int_equal(ls_span_steps(&(struct ls_span){.unit = LS_SPAN_NONE}, &clock_60000), 0);
}

// The steps at which something is due, up to `last`: at most 16.
static int due_steps(struct ls_span every, const struct ls_clock *clock, uint64_t last, uint64_t due[16]) {
    int n = 0;
    for (uint64_t step = 0; step <= last; step++)
        if (ls_span_due(&every, clock, step) && n < 16) due[n++] = step;
    return n;
}

static void what_is_due_does_not_drift(void **state) {
    (void)state;
    uint64_t due[16];
    assert_int_equal(due_steps(epochs_of(1), &clock_60000, 1172, due), 5);
    const uint64_t epochs[] = {234, 469, 703, 938, 1172};
    for (int i = 0; i < 5; i++) assert_int_equal(due[i], epochs[i]);
    assert_int_equal(due_steps(epochs_of(0.5), &clock_1000, 8, due), 4); // 1.953, 3.906, 5.859, 7.8125
    const uint64_t halves[] = {2, 4, 6, 8};
    for (int i = 0; i < 4; i++) assert_int_equal(due[i], halves[i]);
    assert_int_equal(due_steps(steps_of(3), &clock_1000, 10, due), 3);
    assert_int_equal(due[0], 3);
    assert_int_equal(due[2], 9);
    assert_int_equal(due_steps(epochs_of(0.001), &clock_1000, 4, due), 4); // each step
    assert_int_equal(due_steps((struct ls_span){.unit = LS_SPAN_NONE}, &clock_1000, 10, due), 0);
}

// As often as the span fits, whatever the sizes.
static void what_is_due_is_so_once_each_time(void **state) {
    (void)state;
    for (uint64_t samples = 1; samples < 400; samples += 7) {
        const struct ls_clock clock = {.batch = 16, .samples = samples};
        uint64_t due = 0, last = 500;
        struct ls_span every = epochs_of(1.5);
        for (uint64_t step = 1; step <= last; step++) due += ls_span_due(&every, &clock, step);
        double exact = 1.5 * (double)samples / 16;
        uint64_t expected = 0;
        while (floor((double)(expected + 1) * (exact < 1 ? 1 : exact) + 0.5) <= (double)last) expected++;
        assert_int_equal(due, expected);
    }
}

static double rate(const struct ls_recipe *recipe, uint64_t step, uint64_t steps) {
    return ls_schedule_rate(recipe, &clock_60000, step, steps);
}

static void warm_up_rises_to_the_peak(void **state) {
    (void)state;
    struct ls_recipe r = {.train = {.schedule = LS_RECIPE_CONSTANT, .peak = 0.4, .warmup = steps_of(4)}};
    assert_true(rate(&r, 0, 100) == 0.1);
    assert_true(rate(&r, 1, 100) == 0.2);
    assert_true(rate(&r, 3, 100) == 0.4);
    assert_true(rate(&r, 4, 100) == 0.4);
    assert_true(rate(&r, 99, 100) == 0.4);
    r.train.warmup = (struct ls_span){.unit = LS_SPAN_NONE};
    assert_true(rate(&r, 0, 100) == 0.4);
    r.train.warmup = epochs_of(1); // 234 steps: longer than the run
    assert_true(rate(&r, 0, 20) == 0.4 * 1 / 234);
    assert_true(rate(&r, 19, 20) == 0.4 * 20 / 234);
    r.train.schedule = LS_RECIPE_COSINE;
    assert_true(rate(&r, 19, 20) == 0.4 * 20 / 234);
    assert_true(rate(&r, 0, 234) < rate(&r, 233, 234) && rate(&r, 233, 234) == 0.4);
}

static void cosine_goes_from_peak_to_final(void **state) {
    (void)state;
    struct ls_recipe r = {
        .train = {.schedule = LS_RECIPE_COSINE, .peak = 1, .final = 0.5, .warmup = steps_of(10)}};
    assert_true(rate(&r, 9, 110) == 1);
    assert_true(rate(&r, 10, 110) == 1);
    assert_true(rate(&r, 60, 110) == 0.75);
    assert_true(rate(&r, 110, 110) == 0.5);
    assert_true(rate(&r, 1000, 110) == 0.5);
    for (uint64_t step = 10; step < 110; step++) {
        const double pi = 3.14159265358979323846, t = (double)(step - 10) / 100;
        double expected = 0.5 + 0.5 * (1 + cos(pi * t)) / 2;
        assert_true(fabs(rate(&r, step, 110) - expected) < 1e-15);
        assert_true(rate(&r, step + 1, 110) < rate(&r, step, 110));
    }
}

static void steps_go_down_by_gamma(void **state) {
    (void)state;
    struct ls_recipe r = {.train = {.schedule = LS_RECIPE_STEP,
                                    .peak = 8,
                                    .gamma = 0.5,
                                    .every = steps_of(10),
                                    .warmup = steps_of(2)}};
    assert_true(rate(&r, 0, 100) == 4);
    assert_true(rate(&r, 2, 100) == 8);
    assert_true(rate(&r, 9, 100) == 8);
    assert_true(rate(&r, 10, 100) == 4);
    assert_true(rate(&r, 19, 100) == 4);
    assert_true(rate(&r, 20, 100) == 2);
    assert_true(rate(&r, 99, 100) == 8 / 512.0);
    r.train.every = epochs_of(1);
    assert_true(rate(&r, 233, 1172) == 8);
    assert_true(rate(&r, 234, 1172) == 4);
    assert_true(rate(&r, 468, 1172) == 4);
    assert_true(rate(&r, 469, 1172) == 2); // not 468: two epochs are 468.75 steps
}

// 2^-52 for each of the at most 53 roots and their products, and for libm's pow.
static void polynomial_goes_from_peak_to_final(void **state) {
    (void)state;
    static const double powers[] = {1, 2, 3, 0.5, 0.9, 1.5, 0.1, 2.75, 100, 1e-3};
    struct ls_recipe r = {
        .train = {.schedule = LS_RECIPE_POLYNOMIAL, .peak = 2, .final = 0.5, .warmup = steps_of(10)}};
    for (size_t i = 0; i < sizeof powers / sizeof powers[0]; i++) {
        r.train.power = powers[i];
        assert_true(rate(&r, 4, 110) == 1 && rate(&r, 9, 110) == 2 && rate(&r, 10, 110) == 2);
        assert_true(rate(&r, 110, 110) == 0.5 && rate(&r, 1000, 110) == 0.5);
        for (uint64_t step = 10; step < 110; step++) {
            const double left = 1 - (double)(step - 10) / 100, expected = 0.5 + 1.5 * pow(left, powers[i]);
            if (!(fabs(rate(&r, step, 110) - expected) <= 0x1p-45 * expected))
                fail_msg("power %g, step %d: expected %.17g, found %.17g", powers[i], (int)step, expected,
                         rate(&r, step, 110));
        }
    }
    r.train.power = 2;
    assert_true(rate(&r, 60, 110) == 0.5 + 1.5 * 0.25);
}

// torch.optim.lr_scheduler.OneCycleLR(max_lr=0.4, total_steps=20, pct_start=0.3, div_factor=25,
// final_div_factor=1e4), version 2.15.0: the rate of each step.
static const double one_cycle_of_20[] = {0.016000000000000014,
                                         0.05266873708001013,
                                         0.1486687370800101,
                                         0.2673312629199899,
                                         0.3633312629199899,
                                         0.4,
                                         0.39498560249403497,
                                         0.38019385280538953,
                                         0.35636647102842,
                                         0.3246982615799052,
                                         0.28677720071652035,
                                         0.24450480877451572,
                                         0.2000008,
                                         0.1554967912254843,
                                         0.11322439928347969,
                                         0.0753033384200948,
                                         0.04363512897158001,
                                         0.019807747194610516,
                                         0.005015997505965022,
                                         1.6e-06};

static void one_cycle_rises_and_falls(void **state) {
    (void)state;
    struct ls_recipe r = {.train = {.schedule = LS_RECIPE_ONE_CYCLE,
                                    .peak = 0.4,
                                    .rise = 0.3,
                                    .initial_divisor = 25,
                                    .final_divisor = 1e4}};
    for (uint64_t step = 0; step < 20; step++) // both are sums of a few f64 numbers of at most 0.4
        if (!(fabs(rate(&r, step, 20) - one_cycle_of_20[step]) <= 1e-15))
            fail_msg("step %d: expected %.17g, found %.17g", (int)step, one_cycle_of_20[step],
                     rate(&r, step, 20));
    assert_true(fabs(rate(&r, 0, 20) - 0.4 / 25) < 1e-15 && rate(&r, 5, 20) == 0.4);
    assert_true(rate(&r, 19, 20) == 0.4 / 25 / 1e4 && rate(&r, 50, 20) == rate(&r, 19, 20));
    // The top between two steps: at 0.35 * 10 - 1 = 2.5.
    r.train.rise = 0.35;
    const double pi = 3.14159265358979323846, low = 0.4 / 25, end = low / 1e4;
    assert_true(fabs(rate(&r, 2, 10) - (0.4 + (low - 0.4) * (1 + cos(pi * 2 / 2.5)) / 2)) < 1e-15);
    assert_true(fabs(rate(&r, 3, 10) - (end + (0.4 - end) * (1 + cos(pi * 0.5 / 6.5)) / 2)) < 1e-15);
}

static void one_cycle_of_few_steps(void **state) {
    (void)state;
    struct ls_recipe r = {.train = {.schedule = LS_RECIPE_ONE_CYCLE,
                                    .peak = 0.5,
                                    .rise = 0.3,
                                    .initial_divisor = 2,
                                    .final_divisor = 4}};
    assert_true(rate(&r, 0, 1) == 0.5);
    assert_true(rate(&r, 0, 2) == 0.5 && rate(&r, 1, 2) == 0.5 / 8);
    assert_true(rate(&r, 0, 3) == 0.5 && rate(&r, 2, 3) == 0.5 / 8);
    r.train.rise = 0;
    assert_true(rate(&r, 0, 101) == 0.5 && rate(&r, 100, 101) == 0.5 / 8);
    assert_true(rate(&r, 50, 101) == (0.5 + 0.5 / 8) / 2);
}

static void loss_scale_moves_by_powers_of_2(void **state) {
    (void)state;
    assert_true(ls_loss_scale_next(65536, true, 5) == 32768);
    assert_true(ls_loss_scale_next(65536, true, LS_LOSS_SCALE_UPDATES) == 32768);
    assert_true(ls_loss_scale_next(1, true, 5) == 1);
    assert_true(ls_loss_scale_next(65536, false, 0) == 65536);
    assert_true(ls_loss_scale_next(65536, false, LS_LOSS_SCALE_UPDATES - 1) == 65536);
    assert_true(ls_loss_scale_next(65536, false, LS_LOSS_SCALE_UPDATES) == 131072);
    assert_true(ls_loss_scale_next(65536, false, 3 * LS_LOSS_SCALE_UPDATES) == 131072);
    assert_true(ls_loss_scale_next(LS_LOSS_SCALE_MOST, false, LS_LOSS_SCALE_UPDATES) == LS_LOSS_SCALE_MOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_rounded_to_steps),
        cmocka_unit_test(what_is_due_does_not_drift),
        cmocka_unit_test(what_is_due_is_so_once_each_time),
        cmocka_unit_test(warm_up_rises_to_the_peak),
        cmocka_unit_test(cosine_goes_from_peak_to_final),
        cmocka_unit_test(steps_go_down_by_gamma),
        cmocka_unit_test(loss_scale_moves_by_powers_of_2),
        cmocka_unit_test(polynomial_goes_from_peak_to_final),
        cmocka_unit_test(one_cycle_rises_and_falls),
        cmocka_unit_test(one_cycle_of_few_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
