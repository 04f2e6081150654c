// A keyed bijection of 0..N-1 without a table: a Feistel network permutes the 2^bits numbers of the smallest
// power of two that holds N, and cycle walking (Black, Rogaway: "Ciphers with arbitrary finite domains",
// 2002) applies it again until it lands below N: fewer than two times on average.
//
//          high bits      low bits         bits = ceil(log2 N), split as evenly as they go; halves of
//             │               │            unequal width are fine, as each round changes one half by a
//   even:     ^ ── philox ────┤            function of the other
//   odd:      ├──── philox ── ^
#include "data/order.h"

#include "base/philox.h"
#include "data/class_index.h"

// Four rounds make large halves pseudorandom (Luby, Rackoff 1988); the tiny halves of tiny sets want more.
enum { ROUNDS = 8 };

// Above a half of at most 32 bits and the round; a class has 24 bits at most.
enum { ROUND_SHIFT = 32, STREAM_SHIFT = 36 };

struct network {
    uint64_t seed, stream, epoch;
    int low_bits;
    uint64_t low_mask, high_mask;
};

// `stream`: 0 for the whole set, 1 + class for the samples of a class.
static struct network network_of(uint64_t seed, uint64_t stream, uint64_t epoch, uint64_t samples) {
    int bits = 0;
    while (bits < 63 && (UINT64_C(1) << bits) < samples) bits++;
    int low_bits = bits - bits / 2;
    return (struct network){.seed = seed,
                            .stream = stream << STREAM_SHIFT,
                            .epoch = epoch,
                            .low_bits = low_bits,
                            .low_mask = (UINT64_C(1) << low_bits) - 1,
                            .high_mask = (UINT64_C(1) << (bits / 2)) - 1};
}

static uint64_t round_function(const struct network *network, int round, uint64_t half) {
    struct ls_random4 random =
        ls_philox(network->seed, LS_RANDOM_ORDER, network->stream | (uint64_t)round << ROUND_SHIFT | half,
                  network->epoch);
    return random.word[0];
}

static uint64_t permute(const struct network *network, uint64_t number) {
    uint64_t low = number & network->low_mask, high = number >> network->low_bits;
    for (int round = 0; round < ROUNDS; round += 2) {
        high ^= round_function(network, round, low) & network->high_mask;
        low ^= round_function(network, round + 1, high) & network->low_mask;
    }
    return high << network->low_bits | low;
}

// The rounds in reverse.
static uint64_t permute_back(const struct network *network, uint64_t number) {
    uint64_t low = number & network->low_mask, high = number >> network->low_bits;
    for (int round = ROUNDS; round > 0; round -= 2) {
        low ^= round_function(network, round - 1, high) & network->low_mask;
        high ^= round_function(network, round - 2, low) & network->high_mask;
    }
    return high << network->low_bits | low;
}

static int64_t order_within(uint64_t seed, uint64_t stream, int64_t samples, uint64_t position) {
    uint64_t n = (uint64_t)samples;
    struct network network = network_of(seed, stream, position / n, n);
    uint64_t index = position % n;
    do {
        index = permute(&network, index);
    } while (index >= n);
    return (int64_t)index;
}

int64_t ls_order_at(uint64_t seed, int64_t samples, uint64_t position) {
    return order_within(seed, 0, samples, position);
}

uint64_t ls_order_find(uint64_t seed, int64_t samples, uint64_t epoch, int64_t sample) {
    const uint64_t n = (uint64_t)samples;
    const struct network network = network_of(seed, 0, epoch, n);
    uint64_t index = (uint64_t)sample;
    do {
        index = permute_back(&network, index);
    } while (index >= n);
    return epoch * n + index;
}

// The positions of an epoch, in the plain order, are turns that the classes take one after another.
static struct ls_draw balanced_draw(const struct ls_order *order, uint64_t position) {
    const struct ls_class_index *index = order->classes;
    const uint64_t n = (uint64_t)order->samples, classes = (uint64_t)index->n_present;
    const uint64_t turn = (uint64_t)ls_order_at(order->seed, order->samples, position);
    const uint64_t turns = (n - turn % classes + classes - 1) / classes; // of this class, in each epoch
    const int32_t class = index->present[turn % classes];
    const int64_t samples = index->begin[class + 1] - index->begin[class];
    const uint64_t at = position / n * turns + turn / classes; // in the stream of the class
    const int64_t which = order_within(order->seed, 1 + (uint64_t) class, samples, at);
    return (struct ls_draw){.sample = index->samples[index->begin[class] + which],
                            .pass = at / (uint64_t)samples};
}

struct ls_draw ls_order_draw(const struct ls_order *order, uint64_t position) {
    if (order->classes) return balanced_draw(order, position);
    return (struct ls_draw){.sample = ls_order_at(order->seed, order->samples, position),
                            .pass = position / (uint64_t)order->samples};
}
