// Blocks of samples: all of them, whole, in order and one at a time, whichever thread reads what.
#include "unit/scratch.h"

#include "data/pack_parts.h"

#include <stdatomic.h>
#include <unistd.h>

enum { SIDE = 700, SAMPLES = 151 }; // half a MB each: many more than there is room for at a time

// Sample i begins with its number and ends with it; the first of each thirteen take their time.
static ls_status read_sample(struct ls_pack_source *source, void *worker, const struct ls_pack_batch *batch) {
    (void)source, (void)worker;
    for (int64_t i = 0; i < batch->n; i++) {
        char *sample = (char *)batch->samples + i * (int64_t)SIDE * SIDE;
        if (batch->which[i] % 13 == 0) usleep(3000);
        memcpy(sample, &batch->which[i], sizeof *batch->which);
        memcpy(sample + SIDE * SIDE - sizeof *batch->which, &batch->which[i], sizeof *batch->which);
        ((int32_t *)batch->targets)[i] = (int32_t)batch->which[i] + 1;
        if (batch->which[i] % 50 == 49) return LS_FAIL(LS_INPUT, "sample %d is broken", (int)batch->which[i]);
    }
    return LS_OK;
}

static struct ls_pack_source source_of(int64_t piece) {
    return (struct ls_pack_source){
        .samples = SAMPLES,
        .shape = {.type = LS_U8, .rank = 3, .dim = {SIDE, SIDE, 1}, .classes = true, .target_values = 1},
        .piece = piece,
        .read = read_sample};
}

struct seen {
    const int64_t *which;
    int64_t n, piece, blocks, stop_at, broken;
    _Atomic(int) inside;
};

static int64_t number_at(const char *at) {
    int64_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

static ls_status take(void *context, const struct ls_pack_block *block) {
    struct seen *seen = context;
    assert_int_equal(atomic_fetch_add(&seen->inside, 1), 0);
    assert_int_equal(block->pieces, (block->n + seen->piece - 1) / seen->piece);
    if (seen->blocks++ % 5 == 0) usleep(2000);
    for (int64_t i = 0; i < block->pieces; i++) seen->broken += block->errors[i].status != LS_OK;
    for (int64_t i = 0; i < block->n; i++, seen->n++) {
        const char *sample = block->samples + i * (int64_t)SIDE * SIDE;
        const int64_t expected = seen->which[seen->n];
        assert_int_equal(block->which[i], expected);
        assert_int_equal(block->ids[i], expected);
        if (block->errors[i / seen->piece].status != LS_OK) continue;
        assert_int_equal(number_at(sample), expected);
        assert_int_equal(number_at(sample + SIDE * SIDE - sizeof(int64_t)), expected);
        assert_int_equal(((int32_t *)block->targets)[i], expected + 1);
    }
    atomic_fetch_sub(&seen->inside, 1);
    if (seen->blocks == seen->stop_at) return LS_FAIL(LS_SYSTEM, "no room for block %d", (int)seen->blocks);
    return LS_OK;
}

static void test_order(void **state) {
    (void)state;
    int64_t which[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) which[i] = (int64_t)i * 37 % SAMPLES;
    for (int threads = 1; threads <= 5; threads += 2) {
        for (int64_t piece = 1; piece <= 3; piece += 2) {
            struct ls_pack_source source = source_of(piece);
            struct ls_pack_ring *ring;
            assert_int_equal(ls_pack_ring_open(&source, threads, &ring), LS_OK);
            // Runs of any length, one of them given up on its way.
            const int64_t lengths[] = {SAMPLES, 1, SAMPLES, 0, 67};
            for (int i = 0; i < 5; i++) {
                struct seen seen = {.which = which, .piece = piece, .stop_at = i == 2 ? 2 : 0};
                const struct ls_pack_run run = {which, lengths[i], take, &seen};
                assert_int_equal(ls_pack_ring_run(ring, &run), i == 2 ? LS_SYSTEM : LS_OK);
                if (i == 2) assert_string_equal(ls_error_last()->text, "no room for block 2");
                if (i == 2) assert_int_equal(seen.blocks, 2);
                if (i != 2) assert_int_equal(seen.n, lengths[i]);
                if (i == 0) assert_int_equal(seen.broken, 3);
                ls_error_clear();
            }
            ls_pack_ring_close(ring);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
