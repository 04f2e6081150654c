// Several hosts that have as many ranks each, in the case that aligned.c is for: a host's ranks hold the
// leaves of one node. They fold it in memory that they share (shared.c), a slice each, and each reduces its
// slice with the ranks that have the same place on their hosts. Four ranks on two hosts; letters are the
// ranks in a sum:
//
//                      rank 0      rank 1    |  rank 2      rank 3
//   start              aaaaaaaa    bbbbbbbb  |  cccccccc    dddddddd
//   fold, in memory    (ab)....    ....(ab)  |  (cd)....    ....(cd)
//   messages           s.......    ....s     |  s.......    ....s       s = (ab) + (cd), of four floats
//   write, in memory   ssssssss    ssssssss  |  ssssssss    ssssssss
//
// Of few floats the host's first rank folds all, and alone sends messages.
#include "comm/reducer.h"

void ls_reduce_hosts(const struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                     struct ls_queue *queue) {
    if (count == 0) return;
    const struct ls_span part = ls_shared_part(reducer, count);
    float *sum = buffers[reducer->nodes[0].buffer] + offset;
    ls_shared_join(reducer, buffers, offset, count, queue);
    if (ls_span_count(part) > 0) ls_reduce_aligned(reducer, sum + part.begin, ls_span_count(part), queue);
    ls_shared_spread(reducer, buffers, offset, count, queue);
}
