// Sums that have one value in any order.
#include "base/exact.h"
#include "unit/check.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void test_single_values(void **state) {
    (void)state;
    const float values[] = {0, FLT_TRUE_MIN, FLT_MIN, 1e-20f, 0.1f, 1, 3, 1e20f, FLT_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct ls_exact sum = {0};
        ls_exact_add(&sum, values[i]);
        ls_exact_carry(&sum);
        assert_true(ls_exact_value(&sum) == (double)values[i]);
    }
}

// Large and small ones, in two orders and in parts that are added word by word.
static void test_any_order(void **state) {
    (void)state;
    enum { N = 3000, PARTS = 7 };
    struct ls_exact forth = {0}, back = {0}, parts[PARTS] = {0}, sum = {0};
    float values[N];
    for (uint32_t i = 0; i < N; i++)
        values[i] = ldexpf((float)(i * 2654435761U % 16777216), (int)(i % 90) - 60);
    for (int i = 0; i < N; i++) ls_exact_add(&forth, values[i]);
    for (int i = N; i-- > 0;) ls_exact_add(&back, values[i]);
    for (int i = 0; i < N; i++) ls_exact_add(&parts[i % PARTS], values[i]);
    for (int p = 0; p < PARTS; p++) {
        ls_exact_carry(&parts[p]);
        for (int w = 0; w < LS_EXACT_WORDS; w++) sum.words[w] += parts[p].words[w];
    }
    ls_exact_carry(&forth);
    ls_exact_carry(&back);
    ls_exact_carry(&sum);
    assert_memory_equal(&forth, &back, sizeof forth);
    assert_memory_equal(&forth, &sum, sizeof forth);
}

// What is lost in f64: 1e30 swallows every 1.
static void test_nothing_is_lost(void **state) {
    (void)state;
    struct ls_exact sum = {0}, large = {0};
    ls_exact_add(&sum, 1e30f);
    ls_exact_add(&large, 1e30f);
    for (int i = 0; i < 1000; i++) ls_exact_add(&sum, 1);
    ls_exact_carry(&sum);
    ls_exact_carry(&large);
    uint64_t difference = 0; // 2^-149 * 2^(32 * 4): word 4 counts 2^-21
    for (int w = 4; w < 6; w++) difference += (sum.words[w] - large.words[w]) << (w == 4 ? 0 : 32);
    assert_true(difference == UINT64_C(1000) << 21);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_values),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
