#include "scene.h"

#include "data/dataset_parts.h"

#define WIDENED(type, ctype, ...)                                                                            \
    do {                                                                                                     \
        const ctype in[] = {__VA_ARGS__};                                                                    \
        const float expected[] = {__VA_ARGS__};                                                              \
        float out[sizeof in / sizeof *in];                                                                   \
        ls_widen(type, in, (int64_t)(sizeof in / sizeof *in), out);                                          \
        assert_memory_equal(out, expected, sizeof out);                                                      \
    } while (0)

static void test_widen(void **state) {
    (void)state;
    WIDENED(LS_U8, uint8_t, 0, 1, 255);
    WIDENED(LS_I8, int8_t, -128, 0, 127);
    WIDENED(LS_U16, uint16_t, 0, 65535);
    WIDENED(LS_I16, int16_t, -32768, 32767);
    WIDENED(LS_U32, uint32_t, 0, 4294967295u);
    WIDENED(LS_I32, int32_t, -2147483647, 16777217);
    WIDENED(LS_U64, uint64_t, 0, 18446744073709551615u);
    WIDENED(LS_I64, int64_t, -1, 1099511627776);
    WIDENED(LS_F32, float, -0.5f, 3.25f);
    WIDENED(LS_F64, double, -0.5, 1e-3);
    const ls_bf16 bf[] = {0x3f80, 0xc000};
    float out[2];
    ls_widen(LS_BF16, bf, 2, out);
    assert_true(out[0] == 1 && out[1] == -2);
}

// Every half, against the definition.
static void test_halves(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t half = (uint16_t)bits;
        float out;
        ls_widen(LS_F16, &half, 1, &out);
        int exponent = (int)(bits >> 10 & 31), fraction = (int)(bits & 1023);
        double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        if (exponent == 31) {
            assert_true(fraction ? isnan(out) : isinf(out));
        } else {
            assert_true((double)out == (bits >> 15 ? -magnitude : magnitude));
        }
        assert_int_equal(signbit(out) != 0, bits >> 15);
    }
}

static void test_narrow(void **state) {
    (void)state;
    int32_t out[3];
    const int64_t wide[] = {-5, 2147483647, 2147483648};
    assert_int_equal(ls_narrow(LS_I64, wide, 3, out), 2);
    assert_int_equal(ls_narrow(LS_I64, wide, 2, out), 2);
    assert_int_equal(out[0], -5);
    assert_int_equal(out[1], 2147483647);
    const int64_t low[] = {-2147483649};
    assert_int_equal(ls_narrow(LS_I64, low, 1, out), 0);
    const uint64_t huge[] = {7, UINT64_MAX};
    assert_int_equal(ls_narrow(LS_U64, huge, 2, out), 1);
    const uint32_t unsigned_wide[] = {3000000000u};
    assert_int_equal(ls_narrow(LS_U32, unsigned_wide, 1, out), 0);
    const int8_t small[] = {-1, 2, 3};
    assert_int_equal(ls_narrow(LS_I8, small, 3, out), 3);
    assert_int_equal(out[0], -1);
    const double whole[] = {2147483647, -2147483648, 0.5};
    assert_int_equal(ls_narrow(LS_F64, whole, 3, out), 2);
    assert_int_equal(out[0], 2147483647);
    assert_int_equal(out[1], INT32_MIN);
    const double beyond[] = {2147483648.0};
    assert_int_equal(ls_narrow(LS_F64, beyond, 1, out), 0);
    const float infinite[] = {3, INFINITY};
    assert_int_equal(ls_narrow(LS_F32, infinite, 2, out), 1);
    const uint16_t halves[] = {0xc200, 0x3e00}; // -3, 1.5
    assert_int_equal(ls_narrow(LS_F16, halves, 2, out), 1);
    assert_int_equal(out[0], -3);
}

static void test_first_not_finite(void **state) {
    (void)state;
    float values[100];
    for (int i = 0; i < 100; i++) values[i] = i % 2 ? 3.4e38f : -1e-45f;
    assert_int_equal(ls_first_not_finite(values, 100), 100);
    assert_int_equal(ls_first_not_finite(values, 0), 0);
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int b = 0; b < 4; b++)
        for (int i = 0; i < 100; i++) {
            float before = values[i];
            values[i] = bad[b];
            assert_int_equal(ls_first_not_finite(values, 100), i);
            values[i] = before;
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widen),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_narrow),
        cmocka_unit_test(test_first_not_finite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
