// The model of a step's time: what went in comes out, and what was left out is forecast.
#include "study/fit.h"
#include "study/parts.h"

#include "comm/reduce.h"
#include "unit/check.h"

#include <math.h>
#include <string.h>

static struct ls_study_spec spec;
static struct ls_study study;

enum { BYTES = 40000000 };
static const double LANE = 0.05, FIXED = 0.01, ROUND = 20e-6, BANDWIDTH = 1e9, OPEN = 0.1;

static double traffic(int ranks, int lanes, double bytes) {
    double most = 0;
    for (int r = 0; r < ranks; r++)
        most = fmax(most, 4 * ls_reduce_traffic(r, ranks, lanes, false, (size_t)(bytes / 4)));
    return most;
}

// One host of 1,000 cores, a thread a rank: what a step takes by the model's own formula.
static double step_of(int ranks, double *exposed) {
    const double compute = FIXED + LANE * ceil(16.0 / ranks);
    const double rounds = ranks == 1 ? 0 : 2 * log2(ranks);
    const double comm = ROUND * rounds + traffic(ranks, 16, BYTES) / BANDWIDTH, window = 2.0 / 3 * LANE;
    *exposed = ranks == 1 ? 0 : comm - (1 - OPEN) * fmin(comm, window);
    return compute + *exposed;
}

static void add_point(int ranks, bool fitted, double noise) {
    struct ls_point *point = &study.points[study.n_points++];
    *point = (struct ls_point){
        .mode = LS_STRONG, .ranks = ranks, .batch = 64, .lanes = 16, .n_trials = 3, .fitted = fitted};
    double exposed;
    const double step = step_of(ranks, &exposed);
    for (int t = 0; t < 3; t++)
        point->trials[t] = (struct ls_trial){.step = step * (1 + noise * (t - 1)), .exposed = exposed};
    point->median = (struct ls_trial){.step = step, .exposed = exposed};
    if (ranks == 1) return;
    point->latency = ROUND * 2 * log2(ranks) + traffic(ranks, ranks, 4096) / BANDWIDTH;
    point->transfer = ROUND * 2 * log2(ranks) + traffic(ranks, ranks, BYTES) / BANDWIDTH;
}

static int fresh(void **state) {
    (void)state;
    spec = (struct ls_study_spec){.ranks = {1, 2, 4}, .n_ranks = 3, .strong = true};
    study = (struct ls_study){
        .spec = &spec, .batch = 64, .lanes = 16, .bytes = BYTES, .threads = 1, .cores = 1000, .hosts = 1};
    return 0;
}

static void assert_near(double found, double expected) {
    if (!(fabs(found - expected) <= 1e-6 * fabs(expected))) fail_msg("%.9g, expected %.9g", found, expected);
}

static void what_went_in_comes_out(void **state) {
    (void)state;
    for (int ranks = 1; ranks <= 4; ranks *= 2) add_point(ranks, true, 0);
    const struct ls_scaling_fit fit = ls_scaling_fit_to(&study);
    assert_near(fit.lane, LANE);
    assert_near(fit.fixed, FIXED);
    assert_near(fit.latency, ROUND);
    assert_near(1 / fit.inverse_bw, BANDWIDTH);
    assert_near(fit.open, OPEN);
}

static void what_was_left_out_is_forecast(void **state) {
    (void)state;
    add_point(1, true, 0);
    add_point(2, true, 0);
    add_point(4, false, 0);
    study.points[2].median.step = 77; // must not matter
    const struct ls_scaling_fit fit = ls_scaling_fit_to(&study);
    for (int ranks = 4; ranks <= 16; ranks *= 2) {
        double exposed;
        const double step = step_of(ranks, &exposed);
        const struct ls_forecast forecast = ls_scaling_forecast(&study, &fit, LS_STRONG, ranks);
        assert_near(forecast.step, step);
        assert_near(forecast.exposed, exposed);
        assert_near(forecast.low, step);
        assert_near(forecast.high, step);
    }
}

static void where_the_network_decides_the_runs_say_its_speed(void **state) {
    (void)state;
    study.bytes = BYTES; // and half the bandwidth in a run: what a run exposes grows by what was expected
    add_point(1, true, 0);
    add_point(2, true, 0);
    study.points[1].transfer *= 50, study.points[1].latency = 0;
    const double alone = study.points[1].transfer;
    study.points[1].median.exposed = 2 * alone - 2.0 / 3 * LANE;
    study.points[1].median.step = FIXED + 8 * LANE + study.points[1].median.exposed;
    const struct ls_scaling_fit fit = ls_scaling_fit_to(&study);
    const double measured = traffic(2, 2, BYTES) / alone * (1 - 4096.0 / BYTES);
    assert_true(fabs(measured * fit.inverse_bw - 2) < 1e-3);
}

static void noise_widens_the_interval(void **state) {
    (void)state;
    for (int ranks = 1; ranks <= 4; ranks *= 2) add_point(ranks, true, 0.05);
    const struct ls_scaling_fit fit = ls_scaling_fit_to(&study);
    double exposed;
    const double step = step_of(16, &exposed);
    const struct ls_forecast forecast = ls_scaling_forecast(&study, &fit, LS_STRONG, 16);
    assert_near(forecast.step, step);
    assert_true(forecast.low < step * 0.99 && forecast.high > step * 1.01);
}

static void ranks_share_the_cores_of_a_host(void **state) {
    (void)state;
    add_point(1, true, 0);
    const struct ls_scaling_fit fit = {.lane = LANE, .fixed = 0};
    study.cores = 2;
    // 4 ranks of one thread on 2 cores: 4 lanes each, at half speed.
    assert_near(ls_scaling_forecast(&study, &fit, LS_STRONG, 4).compute - ls_scaling_fit_to(&study).fixed,
                8 * LANE);
    study.hosts = 2;
    assert_near(ls_scaling_forecast(&study, &fit, LS_STRONG, 4).compute, 4 * LANE);
    study.threads = 0; // then a rank takes both cores of its host
    study.hosts = 4;
    assert_near(ls_scaling_forecast(&study, &fit, LS_STRONG, 4).compute, 2 * LANE);
}

static void weak_scaling_keeps_the_work_of_a_rank(void **state) {
    (void)state;
    assert_int_equal(ls_scaling_lanes(&study, LS_WEAK, 1), 16);
    assert_int_equal(ls_scaling_lanes(&study, LS_WEAK, 8), 128);
    assert_int_equal(ls_scaling_lanes(&study, LS_STRONG, 8), 16);
    spec.ranks[0] = 2;
    assert_int_equal(ls_scaling_lanes(&study, LS_WEAK, 8), 64);
}

static void numbers_are_read_from_lines(void **state) {
    (void)state;
    const char *line =
        "{\"kind\":\"step\",\"step\":3,\"step_ms\": 14.5,\"loss\":null,\"params_hash\":\"93ce\"}";
    assert_true(ls_study_number(line, "step_ms") == 14.5);
    assert_true(ls_study_number(line, "step") == 3);
    assert_true(isnan(ls_study_number(line, "loss")));
    assert_true(isnan(ls_study_number(line, "missing")));
    char text[3];
    ls_study_string(line, "params_hash", text, sizeof text);
    assert_string_equal(text, "93");
    ls_study_string(line, "step", text, sizeof text);
    assert_string_equal(text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_went_in_comes_out, fresh),
        cmocka_unit_test_setup(what_was_left_out_is_forecast, fresh),
        cmocka_unit_test_setup(where_the_network_decides_the_runs_say_its_speed, fresh),
        cmocka_unit_test_setup(noise_widens_the_interval, fresh),
        cmocka_unit_test_setup(ranks_share_the_cores_of_a_host, fresh),
        cmocka_unit_test_setup(weak_scaling_keeps_the_work_of_a_rank, fresh),
        cmocka_unit_test_setup(numbers_are_read_from_lines, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
