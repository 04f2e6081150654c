// Elementary functions against the library's, and their bits against those of any other machine.
#include "base/hash.h"
#include "data/elementary.h"
#include "unit/check.h"

#include <math.h>

enum { POINTS = 200000 };

// The library's own results are off by at most 1 unit, what is declared is 4.
static void expect_near(double found, double expected, double x) {
    const double unit = fmax(1, fabs(expected)) * 0x1p-52;
    if (!(fabs(found - expected) <= 5 * unit))
        fail_msg("at %.17g: expected %.17g, found %.17g", x, expected, found);
}

static double at(int i, double least, double most) {
    return least + (most - least) * ((i + 0.5) / POINTS);
}

static void test_log(void **state) {
    (void)state;
    assert_true(ls_log(1) == 0);
    for (int i = 0; i < POINTS; i++) {
        const double near = at(i, 0.2, 4), any = exp(at(i, -700, 700));
        expect_near(ls_log(near), log(near), near);
        expect_near(ls_log(any), log(any), any);
    }
}

static void test_exp(void **state) {
    (void)state;
    assert_true(ls_exp(0) == 1);
    for (int i = 0; i < POINTS; i++) {
        const double x = at(i, -700, 700);
        expect_near(ls_exp(x) / exp(x), 1, x);
    }
}

static void test_sin_cos(void **state) {
    (void)state;
    double sine, cosine;
    for (int quarter = -4; quarter <= 4; quarter++) {
        ls_sin_cos(quarter * 0.25, &sine, &cosine);
        static const double around[5] = {0, 1, 0, -1, 0};
        assert_true(sine == around[quarter & 3] && cosine == around[(quarter & 3) + 1]);
    }
    for (int i = 0; i < POINTS; i++) {
        const double turns = at(i, -1, 1), quarters = rint(turns * 4),
                     x = (turns - quarters / 4) * 6.283185307179586;
        const double s[4] = {sin(x), cos(x), -sin(x), -cos(x)}, c[4] = {cos(x), -sin(x), -cos(x), sin(x)};
        ls_sin_cos(turns, &sine, &cosine);
        expect_near(sine, s[(int)quarters & 3], turns);
        expect_near(cosine, c[(int)quarters & 3], turns);
    }
}

// What one machine computed, for every other one.
static void test_bits(void **state) {
    (void)state;
    struct ls_hash *hash = ls_hash_open();
    assert_non_null(hash);
    for (int i = 0; i < 1000; i++) {
        const double x = (i - 500.5) / 8;
        double all[4] = {ls_exp(x), ls_log(x * x), 0, 0};
        ls_sin_cos(x / 63, &all[2], &all[3]);
        ls_hash_add(hash, all, sizeof all);
    }
    assert_int_equal(ls_hash_value(hash), 0x63732180ff2cc087);
    ls_hash_close(hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_sin_cos),
        cmocka_unit_test(test_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
