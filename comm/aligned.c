// Recursive halving, then doubling (Thakur, Rabenseifner, Gropp 2005), for a power of two of ranks that hold
// one node each. Halving with distances 1, 2, 4 … climbs the tree of lanes: after the round of distance d a
// rank holds its part of the node of 2d ranks. Four ranks, of 8 floats; letters are the ranks in a sum:
//
//              rank 0      rank 1      rank 2      rank 3
//   start      aaaaaaaa    bbbbbbbb    cccccccc    dddddddd
//   d = 1      (ab)....    ....(ab)    (cd)....    ....(cd)     each (..) four floats
//   d = 2      ((ab)(cd))  at 0..1, 4..5, 2..3, 6..7
//   back       d = 2, then d = 1: each gives its partner what it has
//
// Of few floats partners give each other all they hold, and both add: half the rounds.
#include "comm/reducer.h"

enum { MAX_ROUNDS = 12 }; // log2(LS_MAX_LANES)

size_t ls_aligned_scratch(size_t count, size_t few) {
    const size_t whole = count < few ? count : few;
    const size_t half = count - count / 2; // the first round's share, the larger half
    return whole > half ? whole : half;
}

// Gives the partner `give`, of n floats, and adds what it gives to `mine`, which may be the same.
static void join_partner(const struct ls_reducer *reducer, int distance, const float *give, size_t n,
                         float *mine, size_t count, struct ls_queue *queue) {
    struct ls_transport *transport = reducer->transport;
    const int partner = transport->rank ^ distance;
    const bool on_the_left = (transport->rank & distance) == 0;
    float *theirs = reducer->scratch;
    if (transport->api->exchange_add && n + count > 0) {
        transport->api->exchange_add(transport, partner, give, n, mine, count, on_the_left, theirs, queue);
        return;
    }
    ls_reducer_exchange(reducer, partner, give, n, partner, theirs, count, queue);
    ls_reducer_add(reducer, mine, on_the_left ? mine : theirs, on_the_left ? theirs : mine, count, queue);
}

static void reduce_few(const struct ls_reducer *reducer, float *data, size_t count, struct ls_queue *queue) {
    for (int distance = reducer->nearest; distance < reducer->transport->size; distance *= 2)
        join_partner(reducer, distance, data, count, data, count, queue);
}

static void reduce_many(const struct ls_reducer *reducer, float *data, size_t count, struct ls_queue *queue) {
    const int rank = reducer->transport->rank, ranks = reducer->transport->size;
    struct ls_span held[MAX_ROUNDS + 1] = {{0, count}}; // before each round
    struct ls_span given[MAX_ROUNDS];
    int rounds = 0;
    for (int distance = reducer->nearest; distance < ranks; distance *= 2, rounds++) {
        const struct ls_span whole = held[rounds];
        const size_t middle = whole.begin + ls_span_count(whole) / 2;
        const struct ls_span lower = {whole.begin, middle}, upper = {middle, whole.end};
        const bool on_the_left = (rank & distance) == 0;
        const struct ls_span keep = on_the_left ? lower : upper, give = on_the_left ? upper : lower;
        join_partner(reducer, distance, data + give.begin, ls_span_count(give), data + keep.begin,
                     ls_span_count(keep), queue);
        held[rounds + 1] = keep;
        given[rounds] = give;
    }
    while (rounds-- > 0) {
        const struct ls_span have = held[rounds + 1], lack = given[rounds];
        const int partner = rank ^ (reducer->nearest << rounds);
        ls_reducer_exchange(reducer, partner, data + have.begin, ls_span_count(have), partner,
                            data + lack.begin, ls_span_count(lack), queue);
    }
}

void ls_reduce_aligned(const struct ls_reducer *reducer, float *data, size_t count, struct ls_queue *queue) {
    if (count <= reducer->few)
        reduce_few(reducer, data, count, queue);
    else
        reduce_many(reducer, data, count, queue);
}
