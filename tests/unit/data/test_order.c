// The order is a bijection for every number of samples, another one each epoch and seed, and even.
#include "scene.h"

#include "data/order.h"

static void assert_permutation(uint64_t seed, int64_t n, uint64_t epoch) {
    unsigned char *seen = calloc((size_t)n, 1);
    for (int64_t i = 0; i < n; i++) {
        int64_t index = ls_order_at(seed, n, epoch * (uint64_t)n + (uint64_t)i);
        assert_true(index >= 0 && index < n);
        assert_int_equal(seen[index]++, 0);
        assert_int_equal(ls_order_find(seed, n, epoch, index), epoch * (uint64_t)n + (uint64_t)i);
    }
    free(seen);
}

static void test_bijection(void **state) {
    (void)state;
    static const int64_t counts[] = {1, 2, 3, 4, 5, 10, 64, 65, 97, 1000, 60000, 65536};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (uint64_t epoch = 0; epoch < 3; epoch++) assert_permutation(42 + epoch, counts[c], epoch);
}

static int count_equal(uint64_t seed_a, uint64_t epoch_a, uint64_t seed_b, uint64_t epoch_b, int64_t n) {
    int equal = 0;
    for (int64_t i = 0; i < n; i++)
        equal += ls_order_at(seed_a, n, epoch_a * (uint64_t)n + (uint64_t)i) ==
                 ls_order_at(seed_b, n, epoch_b * (uint64_t)n + (uint64_t)i);
    return equal;
}

// Two random permutations agree in one place on average; Poisson, so 12 has a chance of about 1e-10.
static void test_differs_by_seed_and_epoch(void **state) {
    (void)state;
    assert_int_equal(count_equal(1, 0, 1, 0, 60000), 60000);
    assert_in_range(count_equal(1, 0, 1, 1, 60000), 0, 12);
    assert_in_range(count_equal(1, 0, 2, 0, 60000), 0, 12);
    assert_in_range(count_equal(1, 0, UINT64_C(1) << 40 | 1, 0, 60000), 0, 12);
    // Not the order of the files either.
    int in_place = 0;
    for (int64_t i = 0; i < 60000; i++) in_place += ls_order_at(7, 60000, (uint64_t)i) == i;
    assert_in_range(in_place, 0, 12);
}

// Chi-square of position against index over many epochs: (n - 1)² degrees of freedom, so mean 81 and
// deviation 12.7 for n = 10.
static void test_every_index_at_every_place(void **state) {
    (void)state;
    enum { N = 10, EPOCHS = 20000 };
    static int counts[N][N];
    memset(counts, 0, sizeof counts);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++)
        for (int place = 0; place < N; place++)
            counts[place][ls_order_at(3, N, epoch * N + (uint64_t)place)]++;
    double chi = 0, expected = (double)EPOCHS / N;
    for (int i = 0; i < N * N; i++) {
        double off = counts[i / N][i % N] - expected;
        chi += off * off / expected;
    }
    assert_true(chi > 81 - 4 * 12.7 && chi < 81 + 5 * 12.7);
}

// What follows what: pairs of neighbours are even, too.
static void test_neighbours(void **state) {
    (void)state;
    enum { N = 10, EPOCHS = 20000 };
    static int counts[N][N];
    memset(counts, 0, sizeof counts);
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++)
        for (int place = 0; place + 1 < N; place++)
            counts[ls_order_at(5, N, epoch * N + (uint64_t)place)]
                  [ls_order_at(5, N, epoch * N + (uint64_t)place + 1)]++;
    double expected = (double)EPOCHS * (N - 1) / (N * (N - 1));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            if (i != j) assert_true(fabs(counts[i][j] - expected) < 6 * sqrt(expected));
}

static void test_large(void **state) {
    (void)state;
    int64_t n = (INT64_C(1) << 40) - 12345;
    double sum = 0;
    for (uint64_t i = 0; i < 10000; i++) {
        int64_t index = ls_order_at(9, n, i * 104729 + 17 * (uint64_t)n);
        assert_true(index >= 0 && index < n);
        sum += (double)index / (double)n;
    }
    // Mean of uniform numbers: 0.5, deviation 0.0029.
    assert_true(fabs(sum / 10000 - 0.5) < 0.015);
}

// The order is part of what a run is: it may not change between versions.
static void test_stays_as_it_is(void **state) {
    (void)state;
    int64_t got[8];
    for (uint64_t i = 0; i < 8; i++) got[i] = ls_order_at(1, 60000, i);
    const int64_t expected[8] = {2005, 1482, 42412, 17330, 1374, 36462, 36442, 7429};
    assert_memory_equal(got, expected, sizeof got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bijection),
        cmocka_unit_test(test_differs_by_seed_and_epoch),
        cmocka_unit_test(test_every_index_at_every_place),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
