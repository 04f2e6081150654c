#include "comm/segment.h"

#include "base/pulse.h"
#include "comm/mpi_calls.h"
#include "comm/patience.h"

#include <stdlib.h>

// ---- opening ----

ls_status ls_segment_group(struct ls_comm *comm, struct ls_group *group) {
    const struct ls_comm_state *state = comm->state;
    *group = (struct ls_group){comm->rank, 1};
    if (!state) return LS_OK;
    int each = comm->local_size;
    LS_TRY(ls_comm_broadcast(comm, &each, sizeof each, 0));
    const bool side_by_side = comm->rank - comm->local_rank == state->first_on_host;
    uint64_t others = comm->local_size != each || !side_by_side;
    LS_TRY(ls_comm_sum_u64(comm, &others, 1));
    if (others == 0) *group = (struct ls_group){state->first_on_host, each};
    return LS_OK;
}

ls_status ls_segment_open(struct ls_comm *comm, struct ls_group group, struct ls_segment **opened) {
    *opened = NULL;
    if (group.size == 1) return LS_OK;
    struct ls_window *shares = NULL;
    LS_TRY(ls_window_open(comm, group, sizeof(struct ls_share), &shares));
    if (!shares) return LS_OK;
    struct ls_segment *segment = calloc(1, sizeof *segment);
    const ls_status status = ls_comm_agree(comm, segment ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory"));
    if (!segment || status != LS_OK) {
        free(segment);
        ls_window_close(shares);
        return status;
    }
    segment->comm = comm;
    segment->group = group;
    segment->rank = comm->rank - group.first;
    segment->shares = shares;
    *opened = segment;
    return LS_OK;
}

void ls_segment_close(struct ls_segment *segment) {
    if (!segment) return;
    while (segment->buffers)
        ls_segment_close_buffers(segment, segment->buffers->memory[segment->buffers->rank]);
    ls_window_close(segment->shares);
    free(segment);
}

// ---- buffers ----

ls_status ls_segment_open_buffers(struct ls_segment *segment, size_t bytes, void **memory) {
    struct ls_window *window = NULL;
    *memory = NULL;
    LS_TRY(ls_window_open(segment->comm, segment->group, bytes, &window));
    if (!window) return LS_OK;
    window->next = segment->buffers;
    segment->buffers = window;
    *memory = window->memory[window->rank];
    return LS_OK;
}

void ls_segment_close_buffers(struct ls_segment *segment, const void *memory) {
    for (struct ls_window **at = &segment->buffers; *at; at = &(*at)->next) {
        struct ls_window *window = *at;
        if (window->memory[window->rank] != memory) continue;
        *at = window->next;
        ls_window_close(window);
        return;
    }
}

const struct ls_window *ls_segment_find_buffers(const struct ls_segment *segment, const void *memory,
                                                size_t bytes) {
    for (const struct ls_window *window = segment->buffers; window; window = window->next) {
        const uintptr_t begin = (uintptr_t)window->memory[window->rank], at = (uintptr_t)memory;
        const size_t whole = window->bytes[window->rank];
        if (at >= begin && bytes <= whole && at - begin <= whole - bytes) return window;
    }
    return NULL;
}

// ---- rounds ----

// What comes within a microsecond is not worth giving the core away.
enum { QUICK_LOOKS = 40 };

static inline void pause_processor(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void await(const _Atomic uint64_t *word, uint64_t round, double bytes) {
    for (int look = 0; look < QUICK_LOOKS; look++) {
        if (atomic_load_explicit(word, memory_order_acquire) >= round) return;
        pause_processor();
    }
    struct ls_patience patience = ls_patience_for(bytes);
    while (atomic_load_explicit(word, memory_order_acquire) < round) ls_patience_pass(&patience);
}

void ls_segment_staged(struct ls_segment *segment, uint64_t round) {
    struct ls_share *mine = ls_segment_share(segment, segment->rank);
    atomic_store_explicit(&mine->board.staged, round, memory_order_release);
}

void ls_segment_summed(struct ls_segment *segment, uint64_t round) {
    struct ls_share *mine = ls_segment_share(segment, segment->rank);
    atomic_store_explicit(&mine->board.summed, round, memory_order_release);
}

ls_status ls_segment_await_staged(struct ls_segment *segment, uint64_t round) {
    const struct ls_comm *comm = segment->comm;
    const uint64_t expected = ls_segment_notice(segment, segment->rank, round)->count;
    for (int d = 1; d < segment->group.size; d++) {
        const int r = (segment->rank + d) % segment->group.size;
        await(&ls_segment_share(segment, r)->board.staged, round, 0);
        const uint64_t found = ls_segment_notice(segment, r, round)->count;
        if (found != expected)
            return LS_FAIL(
                LS_COMM,
                "rank %d on %s: rank %d reduces %llu floats where %llu were expected: ranks disagree",
                comm->rank, comm->host, segment->group.first + r, (unsigned long long)found,
                (unsigned long long)expected);
    }
    ls_pulse_tick();
    return LS_OK;
}

static double bytes_of(const struct ls_segment *segment, uint64_t round) {
    return (double)sizeof(float) * (double)ls_segment_notice(segment, segment->rank, round)->count;
}

void ls_segment_await_sum_of(struct ls_segment *segment, int rank, uint64_t round) {
    await(&ls_segment_share(segment, rank)->board.summed, round, bytes_of(segment, round));
    ls_pulse_tick();
}

void ls_segment_await_summed(struct ls_segment *segment, uint64_t round) {
    for (int d = 1; d < segment->group.size; d++)
        await(&ls_segment_share(segment, (segment->rank + d) % segment->group.size)->board.summed, round,
              bytes_of(segment, round));
    ls_pulse_tick();
}
