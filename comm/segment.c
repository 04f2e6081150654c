#include "comm/segment.h"

#include "base/pulse.h"
#include "comm/patience.h"

#include <stdlib.h>

// ---- opening ----

ls_status ls_segment_open(struct ls_comm *comm, struct ls_segment **opened) {
    *opened = NULL;
    if (comm->size == 1) return LS_OK;
    uint64_t apart = comm->local_size != comm->size;
    LS_TRY(ls_comm_sum_u64(comm, &apart, 1));
    if (apart > 0) return LS_OK;
    struct ls_window *shares = NULL;
    LS_TRY(ls_window_open(comm, sizeof(struct ls_share), &shares));
    if (!shares) return LS_OK;
    struct ls_segment *segment = calloc(1, sizeof *segment);
    const ls_status status = ls_comm_agree(comm, segment ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory"));
    if (!segment || status != LS_OK) {
        free(segment);
        ls_window_close(shares);
        return status;
    }
    segment->comm = comm;
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
    LS_TRY(ls_window_open(segment->comm, bytes, &window));
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
    struct ls_share *mine = ls_segment_share(segment, segment->comm->rank);
    atomic_store_explicit(&mine->board.staged, round, memory_order_release);
}

void ls_segment_summed(struct ls_segment *segment, uint64_t round) {
    struct ls_share *mine = ls_segment_share(segment, segment->comm->rank);
    atomic_store_explicit(&mine->board.summed, round, memory_order_release);
}

ls_status ls_segment_await_staged(struct ls_segment *segment, uint64_t round) {
    const struct ls_comm *comm = segment->comm;
    const uint64_t expected = ls_segment_notice(segment, comm->rank, round)->count;
    for (int d = 1; d < comm->size; d++) {
        const int r = (comm->rank + d) % comm->size;
        await(&ls_segment_share(segment, r)->board.staged, round, 0);
        const uint64_t found = ls_segment_notice(segment, r, round)->count;
        if (found != expected)
            return LS_FAIL(
                LS_COMM,
                "rank %d on %s: rank %d reduces %llu floats where %llu were expected: ranks disagree",
                comm->rank, comm->host, r, (unsigned long long)found, (unsigned long long)expected);
    }
    ls_pulse_tick();
    return LS_OK;
}

void ls_segment_await_summed(struct ls_segment *segment, uint64_t round) {
    const struct ls_comm *comm = segment->comm;
    const double bytes = (double)sizeof(float) * (double)ls_segment_notice(segment, comm->rank, round)->count;
    for (int d = 1; d < comm->size; d++) {
        const int r = (comm->rank + d) % comm->size;
        await(&ls_segment_share(segment, r)->board.summed, round, bytes);
    }
    ls_pulse_tick();
}
