// Passes over flat buffers on CUDA, beside the CPU device's: equal bits where each element stands for itself.
// Counts around those of a pack, a thread and a block; places that are no multiple of 16 bytes.
#include "base/philox.h"
#include "cpu/cpu.h"
#include "gpu/stage.h"
#include "graph/plan.h"
#include "unit/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPU, GPU, DEVICES, MOST = 3 * LS_NORM_BLOCK };

static struct ls_device *device[DEVICES];
static struct ls_queue *queue[DEVICES];

static const struct ls_device_api *api(int d) {
    return device[d]->api;
}

static void *memory(int d, size_t bytes) {
    void *made = NULL;
    assert_ok(api(d)->alloc(device[d], bytes, &made));
    return made;
}

static void *placed(int d, const void *from, size_t bytes) {
    void *made = memory(d, bytes);
    api(d)->copy(queue[d], made, from, bytes);
    assert_ok(api(d)->sync(queue[d]));
    return made;
}

static void take(int d, void *to, const void *from, size_t bytes) {
    api(d)->copy(queue[d], to, from, bytes);
    assert_ok(api(d)->sync(queue[d]));
}

// In [-1/2, 1/2).
static float *numbers(size_t n, uint64_t stream) {
    float *data = malloc((n + 1) * sizeof *data);
    for (size_t i = 0; i < n; i++)
        data[i] = ls_uniform(ls_philox(1, LS_RANDOM_TEST, i, stream).word[0]) - 0.5f;
    return data;
}

static void same_bits(const char *what, const float *found, const float *expected, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&found[i], &expected[i], sizeof *found) != 0)
            fail_msg("%s: element %zu of %zu: expected %.9g, found %.9g", what, i, n, (double)expected[i],
                     (double)found[i]);
}

static void test_add(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 3, 4, 5, 4095, 4096, 4099, 9001};
    enum { N = 9100 };
    float *host[2] = {numbers(N, 1), numbers(N, 2)}, *found = malloc(N * sizeof *found),
          *expected = malloc(N * sizeof *expected);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (size_t shift = 0; shift < 3; shift++) {
            float *a = placed(GPU, host[0], N * sizeof(float)), *b = placed(GPU, host[1], N * sizeof(float));
            const size_t n = counts[c];
            api(GPU)->add(queue[GPU], a + shift, a + shift, b + 2 * shift, n); // `to` may be `a`
            take(GPU, found, a, N * sizeof(float));
            for (size_t i = 0; i < N; i++)
                expected[i] = i >= shift && i < shift + n ? host[0][i] + host[1][i + shift] : host[0][i];
            same_bits("add", found, expected, N);
            api(GPU)->free(device[GPU], a);
            api(GPU)->free(device[GPU], b);
        }
    free(host[0]), free(host[1]), free(found), free(expected);
}

// The two add 16,384 squares in f64 in different orders: 2 * 16384 * 2^-53 = 3.6e-12 of the sum at most.
static void test_square_sums(void **state) {
    (void)state;
    static const size_t counts[] = {1, 5, LS_NORM_BLOCK - 1, LS_NORM_BLOCK, 2 * LS_NORM_BLOCK + 7};
    float *host = numbers(MOST, 3);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const size_t n = counts[c], blocks = (n + LS_NORM_BLOCK - 1) / LS_NORM_BLOCK;
        double sums[3][4];
        for (int run = 0; run < 3; run++) { // on the GPU also from a place that is no multiple of 16 bytes
            const int d = run == 0 ? CPU : GPU;
            const double nothing[4] = {-1, -1, -1, -1};
            float *data = memory(d, (MOST + 1) * sizeof(float)), *from = data + (run == 2);
            double *on = placed(d, nothing, sizeof nothing);
            api(d)->copy(queue[d], from, host, n * sizeof(float));
            for (size_t b = blocks; b-- > 0;) api(d)->square_sums(queue[d], from, n, b, b + 1, on);
            take(d, sums[run], on, sizeof sums[run]);
            api(d)->free(device[d], data);
            api(d)->free(device[d], on);
        }
        assert_true(sums[GPU][blocks] == -1);
        assert_memory_equal(sums[1], sums[2], sizeof sums[1]);
        for (size_t b = 0; b < blocks; b++)
            if (!(fabs(sums[GPU][b] - sums[CPU][b]) <= 4e-12 * sums[CPU][b]))
                fail_msg("block %zu of %zu: expected %.17g, found %.17g", b, blocks, sums[CPU][b],
                         sums[GPU][b]);
    }
    free(host);
}

static uint64_t mark_of(const float *host, size_t n, size_t shift) {
    float *data = memory(GPU, (n + shift) * sizeof(float));
    uint64_t *mark = memory(GPU, sizeof *mark), found;
    api(GPU)->copy(queue[GPU], data + shift, host, n * sizeof(float));
    api(GPU)->fingerprint(queue[GPU], data + shift, n, mark);
    api(GPU)->fingerprint(queue[GPU], data + shift, n, mark); // what it held does not count
    take(GPU, &found, mark, sizeof found);
    api(GPU)->free(device[GPU], data);
    api(GPU)->free(device[GPU], mark);
    return found;
}

static void flip_bit(float *number, int bit) {
    uint32_t bits;
    memcpy(&bits, number, sizeof bits);
    bits ^= 1u << bit;
    memcpy(number, &bits, sizeof bits);
}

static void exchange(float *a, float *b, int n) {
    for (int i = 0; i < n; i++) {
        float kept = a[i];
        a[i] = b[i], b[i] = kept;
    }
}

static void test_fingerprint(void **state) {
    (void)state;
    static const size_t counts[] = {1, 2, 3, 4096, 4097, 9001};
    float *host = numbers(9001, 4);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const size_t n = counts[c];
        const uint64_t mark = mark_of(host, n, 0);
        assert_true(mark_of(host, n, 1) == mark && mark_of(host, n, 2) == mark);
        for (size_t i = 0; i < n; i += n / 5 + 1)
            for (int bit = 0; bit < 32; bit += 31) {
                flip_bit(&host[i], bit);
                assert_true(mark_of(host, n, 0) != mark);
                flip_bit(&host[i], bit);
            }
        if (n < 4) continue;
        exchange(&host[0], &host[1], 1); // the two of a pair
        assert_true(mark_of(host, n, 0) != mark);
        exchange(&host[0], &host[1], 1);
        exchange(&host[0], &host[2], 2); // two pairs
        assert_true(mark_of(host, n, 0) != mark);
        exchange(&host[0], &host[2], 2);
    }
    free(host);
}

static struct ls_decision decide(int d, const double *sums, size_t blocks, float loss, float fault,
                                 float scale, float clip) {
    const float metrics[LS_METRICS] = {[LS_METRIC_LOSS] = loss, [LS_METRIC_FAULT] = fault};
    struct ls_decision decision = {-1, -1, -1};
    double *on_sums = placed(d, sums, blocks * sizeof *sums);
    float *on_metrics = placed(d, metrics, sizeof metrics);
    struct ls_decision *on = placed(d, &decision, sizeof decision);
    api(d)->decide(queue[d], &(struct ls_decide){on_sums, blocks, on_metrics, scale, clip, on});
    take(d, &decision, on, sizeof decision);
    api(d)->free(device[d], on_sums);
    api(d)->free(device[d], on_metrics);
    api(d)->free(device[d], on);
    return decision;
}

static void test_decide(void **state) {
    (void)state;
    static const float losses[] = {1, -INFINITY, NAN};
    enum { BLOCKS = 1000 };
    double sums[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) sums[i] = 1 + i % 7;
    for (size_t blocks = 1; blocks <= BLOCKS; blocks = blocks * 3 + 1)
        for (int i = 0; i < 3; i++)
            for (int fault = 0; fault < 2; fault++)
                for (float clip = 0; clip < 3; clip += 1.5f) {
                    struct ls_decision cpu = decide(CPU, sums, blocks, losses[i], (float)fault, 4, clip);
                    struct ls_decision gpu = decide(GPU, sums, blocks, losses[i], (float)fault, 4, clip);
                    assert_int_equal(cpu.skip, gpu.skip);
                    assert_true(cpu.grad_norm == gpu.grad_norm); // whole numbers: every order gives one sum
                    assert_true(cpu.grad_factor == gpu.grad_factor);
                }
    sums[3] = (double)NAN;
    assert_int_equal(decide(GPU, sums, 4, 1, 0, 1, 1).skip, 1);
    sums[3] = (double)INFINITY;
    assert_int_equal(decide(GPU, sums, 4, 1, 0, 1, 1).skip, 1);
}

// ---- optimizers: three steps, in slices whose borders run through packs, of ranges that do too

enum { N = 5003 };
static const struct ls_update_range ranges[] = {{0, 64, 0.01f, 1, 0, 1},         {64, 48, 0, 1, 0, 0},
                                                {112, 1, 0.01f, 0.5f, 2, 1},     {113, 2000, 0, 2, 3, 3},
                                                {2113, 6, 0.2f, 0.1f, 0, 0},     {2119, 2800, 0, 1, 0, 0},
                                                {4919, N - 4919, 0.01f, 1, 8, 1}};
enum { RANGES = sizeof ranges / sizeof ranges[0] };
// Of a parameter: as a rule blocks have LS_NORM_BLOCK floats; here less, so that one has three.
static const struct ls_update_block blocks[] = {{0, 64, 0},    {64, 48, 1},     {112, 1, 2},
                                                {113, 257, 3}, {370, 1000, 3},  {1370, 743, 3},
                                                {2113, 6, 4},  {2119, 2800, 5}, {4919, N - 4919, 6}};
enum { BLOCKS = sizeof blocks / sizeof blocks[0] };
static const size_t cuts[] = {0, 5, 64, 64, 130, 2114, N};

static void update_on(int d, struct ls_update update, int n_slots, size_t shift, float skip, float *params,
                      float *slots[2]) {
    const struct ls_decision decision = {1, 0.5f, skip != 0};
    float *host[4] = {numbers(N, 5), numbers(N, 6), numbers(N, 7), numbers(N, 8)}, *buffer[4];
    for (size_t i = 0; i < N; i++) host[3][i] += 0.5f; // second moments are not negative
    for (int b = 0; b < 4; b++) {
        buffer[b] = (float *)memory(d, (N + shift) * sizeof(float)) + shift;
        api(d)->copy(queue[d], buffer[b], host[b], N * sizeof(float));
    }
    update.params = buffer[0], update.grads = buffer[1];
    for (int s = 0; s < n_slots; s++) update.slot[s] = buffer[2 + s];
    struct ls_update_range *on_ranges = placed(d, ranges, sizeof ranges);
    struct ls_decision *on_decision = placed(d, &decision, sizeof decision);
    update.ranges = on_ranges, update.n_ranges = sizeof ranges / sizeof ranges[0];
    update.decision = on_decision;
    for (int step = 1; step <= 3; step++)
        for (size_t c = 0; c + 1 < sizeof cuts / sizeof cuts[0]; c++) {
            update.begin = cuts[c], update.end = cuts[c + 1];
            update.correction1 = 1 - pow(update.beta1, step),
            update.correction2 = 1 - pow(update.beta2, step);
            api(d)->update(queue[d], &update);
        }
    take(d, params, buffer[0], N * sizeof(float));
    for (int s = 0; s < 2; s++) take(d, slots[s], buffer[2 + s], N * sizeof(float));
    for (int b = 0; b < 4; b++) api(d)->free(device[d], buffer[b] - shift), free(host[b]);
    api(d)->free(device[d], on_ranges);
    api(d)->free(device[d], on_decision);
}

static void check_update(const char *what, const struct ls_update *update, int n_slots, size_t shift,
                         float skip) {
    float *params[DEVICES], *slots[DEVICES][2];
    for (int d = 0; d < DEVICES; d++) {
        params[d] = numbers(N, 0), slots[d][0] = numbers(N, 0), slots[d][1] = numbers(N, 0);
        update_on(d, *update, n_slots, shift, skip, params[d], slots[d]);
    }
    same_bits(what, params[GPU], params[CPU], N);
    for (int s = 0; s < 2; s++) same_bits(what, slots[GPU][s], slots[CPU][s], N);
    for (int d = 0; d < DEVICES; d++) free(params[d]), free(slots[d][0]), free(slots[d][1]);
}

static void test_update(void **state) {
    (void)state;
    const struct ls_update sgd = {.kind = LS_SGD, .lr = 0.1f};
    struct ls_update momentum = sgd, nesterov, adamw = sgd;
    momentum.momentum = 0.9f;
    nesterov = momentum;
    nesterov.nesterov = true;
    adamw.kind = LS_ADAMW, adamw.epsilon = 1e-8f, adamw.beta1 = 0.9, adamw.beta2 = 0.999;
    for (size_t shift = 0; shift < 2; shift++) {
        check_update("sgd", &sgd, 0, shift, 0);
        check_update("momentum", &momentum, 1, shift, 0);
        check_update("nesterov", &nesterov, 1, shift, 0);
        check_update("adamw", &adamw, 2, shift, 0);
        check_update("a step that is skipped", &adamw, 2, shift, 1);
    }
}

// The norms and ratios of a device, then the update by ratios that are given.
struct trusting {
    double norms[BLOCKS][2];
    float ratios[RANGES], params[N], slots[2][N];
};

static void trusting_on(int d, struct ls_update update, size_t shift, int skip, const float *given,
                        struct trusting *found) {
    const struct ls_decision decision = {1, 0.5f, skip};
    float *host[4] = {numbers(N, 5), numbers(N, 6), numbers(N, 7), numbers(N, 8)}, *buffer[4];
    for (size_t i = 0; i < N; i++) host[3][i] += 0.5f;
    for (size_t i = 4919; i < N; i++) host[0][i] = 0; // weights of 0
    for (int b = 0; b < 4; b++) {
        buffer[b] = (float *)memory(d, (N + shift) * sizeof(float)) + shift;
        api(d)->copy(queue[d], buffer[b], host[b], N * sizeof(float));
    }
    update.params = buffer[0], update.grads = buffer[1];
    update.slot[0] = buffer[2], update.slot[1] = buffer[3];
    memset(found, 0, sizeof *found);
    struct ls_update_range *on_ranges = placed(d, ranges, sizeof ranges);
    struct ls_update_block *on_blocks = placed(d, blocks, sizeof blocks);
    struct ls_decision *on_decision = placed(d, &decision, sizeof decision);
    update.norms = placed(d, found->norms, sizeof found->norms);
    update.ratios = placed(d, found->ratios, sizeof found->ratios);
    update.ranges = on_ranges, update.n_ranges = RANGES;
    update.blocks = on_blocks, update.decision = on_decision;
    api(d)->update_norms(queue[d], &update, 4, BLOCKS);
    api(d)->update_norms(queue[d], &update, 0, 4);
    api(d)->update_ratios(queue[d], &update);
    take(d, found->norms, update.norms, sizeof found->norms);
    take(d, found->ratios, update.ratios, sizeof found->ratios);
    api(d)->copy(queue[d], update.ratios, given, sizeof found->ratios);
    for (size_t c = 0; c + 1 < sizeof cuts / sizeof cuts[0]; c++) {
        update.begin = cuts[c], update.end = cuts[c + 1];
        api(d)->update(queue[d], &update);
    }
    take(d, found->params, buffer[0], N * sizeof(float));
    for (int s = 0; s < 2; s++) take(d, found->slots[s], buffer[2 + s], N * sizeof(float));
    for (int b = 0; b < 4; b++) api(d)->free(device[d], buffer[b] - shift), free(host[b]);
    api(d)->free(device[d], on_ranges);
    api(d)->free(device[d], on_blocks);
    api(d)->free(device[d], on_decision);
    api(d)->free(device[d], update.norms);
    api(d)->free(device[d], update.ratios);
}

// The sums are of equal numbers in other orders: as of square_sums. A ratio is rounded to f32 after it.
static void check_trusting(const char *what, const struct ls_update *update, size_t shift, int skip) {
    static const float given[RANGES] = {0.3f, 1, 0.7f, 0.01f, 1, 1, 1};
    static struct trusting found[DEVICES];
    for (int d = 0; d < DEVICES; d++) trusting_on(d, *update, shift, skip, given, &found[d]);
    for (int b = 0; b < BLOCKS; b++)
        for (int k = 0; k < 2; k++)
            if (!(fabs(found[GPU].norms[b][k] - found[CPU].norms[b][k]) <= 4e-12 * found[CPU].norms[b][k]))
                fail_msg("%s: norm %d of block %d: expected %.17g, found %.17g", what, k, b,
                         found[CPU].norms[b][k], found[GPU].norms[b][k]);
    for (int r = 0; r < RANGES; r++)
        if (!(fabsf(found[GPU].ratios[r] - found[CPU].ratios[r]) <= 0x1p-23f * found[CPU].ratios[r]))
            fail_msg("%s: ratio %d: expected %.9g, found %.9g", what, r, (double)found[CPU].ratios[r],
                     (double)found[GPU].ratios[r]);
    if (!skip)
        assert_true(found[GPU].ratios[1] == 1 && found[GPU].ratios[6] == 1 && found[GPU].ratios[3] != 1);
    same_bits(what, found[GPU].params, found[CPU].params, N);
    for (int s = 0; s < 2; s++) same_bits(what, found[GPU].slots[s], found[CPU].slots[s], N);
}

static void test_trusting(void **state) {
    (void)state;
    struct ls_update lars = {.kind = LS_LARS, .lr = 0.1f, .momentum = 0.9f, .trust = 0.02f}, lamb = lars;
    lamb.kind = LS_LAMB, lamb.epsilon = 1e-6f, lamb.beta1 = 0.9, lamb.beta2 = 0.999;
    lamb.correction1 = 1 - pow(0.9, 3), lamb.correction2 = 1 - pow(0.999, 3);
    for (size_t shift = 0; shift < 2; shift++) {
        check_trusting("lars", &lars, shift, 0);
        check_trusting("lamb", &lamb, shift, 0);
        check_trusting("a step of lamb that is skipped", &lamb, shift, 1);
    }
}

static void test_update_states(void **state) {
    (void)state;
    static const struct ls_update_state table[] = {
        {0, 2, 8, 0.25f, 1}, {16, 1, 900, 0.5f, 2}, {32, 700, 100, 0.1f, 1.01f}};
    enum { STATES = 740, OUTPUT = 1000 };
    float *host = numbers(STATES, 9), *output = numbers(OUTPUT, 10), found[DEVICES][STATES];
    for (int skip = 0; skip < 2; skip++) {
        const struct ls_decision decision = {1, 1, skip};
        for (int d = 0; d < DEVICES; d++) {
            struct ls_update_state *on_table = placed(d, table, sizeof table);
            float *states = placed(d, host, STATES * sizeof(float)),
                  *from = placed(d, output, OUTPUT * sizeof(float));
            struct ls_decision *on_decision = placed(d, &decision, sizeof decision);
            api(d)->update_states(queue[d],
                                  &(struct ls_update_states){on_table, 3, states, from, 3, on_decision});
            take(d, found[d], states, sizeof found[d]);
            api(d)->free(device[d], on_table);
            api(d)->free(device[d], states);
            api(d)->free(device[d], from);
            api(d)->free(device[d], on_decision);
        }
        same_bits("running statistics", found[GPU], found[CPU], STATES);
        assert_true((memcmp(found[GPU], host, sizeof found[GPU]) == 0) == (skip != 0));
    }
    free(host), free(output);
}

static void average_on(int d, size_t n, size_t shift, int skip, float *found) {
    const struct ls_decision decision = {1, 1, skip};
    float *host[2] = {numbers(N, 11), numbers(N, 12)};
    if (skip) host[1][0] = NAN;
    float *average = placed(d, host[0], N * sizeof(float)), *values = placed(d, host[1], N * sizeof(float));
    struct ls_decision *on = placed(d, &decision, sizeof decision);
    api(d)->average(queue[d], &(struct ls_average){average + shift, values + shift, n, 0.3f, on});
    take(d, found, average, N * sizeof(float));
    api(d)->free(device[d], average);
    api(d)->free(device[d], values);
    api(d)->free(device[d], on);
    free(host[0]), free(host[1]);
}

static void test_average(void **state) {
    (void)state;
    static const size_t counts[] = {0, 1, 3, 4, 4097, 5001};
    static float found[DEVICES][N];
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++)
        for (size_t shift = 0; shift < 2; shift++)
            for (int skip = 0; skip < 2; skip++) {
                for (int d = 0; d < DEVICES; d++) average_on(d, counts[c], shift, skip, found[d]);
                same_bits("average", found[GPU], found[CPU], N);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),         cmocka_unit_test(test_square_sums),
        cmocka_unit_test(test_fingerprint), cmocka_unit_test(test_decide),
        cmocka_unit_test(test_update),      cmocka_unit_test(test_update_states),
        cmocka_unit_test(test_average),     cmocka_unit_test(test_trusting),
    };
    char why[256] = "";
    if (ls_stage_device(&device[GPU], why) != LS_OK ||
        ls_cpu_open(&(struct ls_cpu_options){1, LS_CPU_PLAIN}, &device[CPU]) != LS_OK) {
        fprintf(stderr, "%s\n", ls_error_last()->text);
        return 1;
    }
    if (!device[GPU]) {
        fprintf(stderr, "skipped: no GPU: %s\n", why);
        return 77;
    }
    for (int d = 0; d < DEVICES; d++)
        if (api(d)->queue_open(device[d], "flat", &queue[d]) != LS_OK) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int d = 0; d < DEVICES; d++) {
        api(d)->queue_close(queue[d]);
        api(d)->close(device[d]);
    }
    return failed;
}
