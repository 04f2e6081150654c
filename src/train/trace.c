#include "train/trace.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sort.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTSIDE_STEPS = 256, CLOCK_ROUNDS = 15 };

struct ls_trace {
    struct ls_comm *comm;
    int queues;
    bool copies;
    uint64_t first_step, steps; // traced
    bool begun, active;
    uint64_t step;
    struct ls_trace_span *spans;
    int64_t n, capacity;
    // The clock of rank 0 less this rank's, at two times of this rank's.
    double offset[2], at[2];
};

// ---- clocks ----

// Ranks leave a barrier at about one time: the median over several of what their clocks say then. all
// [ranks].
static ls_status offsets_of(struct ls_comm *comm, double *all, double *offset, double *at) {
    double offsets[CLOCK_ROUNDS];
    LS_TRY(ls_comm_agree(comm, all ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory")));
    for (int i = 0; i < CLOCK_ROUNDS; i++) {
        LS_TRY(ls_comm_barrier(comm));
        const double now = ls_now();
        LS_TRY(ls_comm_gather_all(comm, &now, all, sizeof now));
        offsets[i] = all[0] - now;
        *at = now;
    }
    *offset = ls_median(offsets, CLOCK_ROUNDS);
    return LS_OK;
}

// Ranks under one kernel have one clock, which is read and not guessed.
static ls_status share_a_clock(struct ls_comm *comm, bool *shared) {
    char mine[64] = "", first[64];
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file && !fgets(mine, sizeof mine, file)) mine[0] = 0;
    if (file) fclose(file);
    memcpy(first, mine, sizeof first);
    LS_TRY(ls_comm_broadcast(comm, first, sizeof first, 0));
    *shared = mine[0] && strcmp(mine, first) == 0;
    return LS_OK;
}

static ls_status compare_clocks(struct ls_comm *comm, double *offset, double *at) {
    bool shared = false;
    LS_TRY(share_a_clock(comm, &shared));
    double *all = calloc((size_t)comm->size, sizeof *all);
    ls_status status = offsets_of(comm, all, offset, at);
    free(all);
    if (shared) *offset = 0;
    return status;
}

// A time of this rank's on rank 0's clock; the clocks drift apart evenly.
static double on_common_clock(const struct ls_trace *trace, double time) {
    const double between = trace->at[1] - trace->at[0];
    const double part = between > 0 ? (time - trace->at[0]) / between : 0;
    return time + trace->offset[0] + part * (trace->offset[1] - trace->offset[0]);
}

// ---- spans ----

ls_status ls_trace_open(struct ls_comm *comm, int queues, bool copies, int64_t steps, int64_t spans_a_step,
                        struct ls_trace **out) {
    struct ls_trace *trace = calloc(1, sizeof *trace);
    const int64_t capacity = steps * spans_a_step + OUTSIDE_STEPS;
    struct ls_trace_span *spans = calloc((size_t)capacity, sizeof *spans);
    ls_status status =
        trace && spans ? LS_OK
                       : LS_FAIL(LS_SYSTEM, "out of memory for a trace of %lld spans", (long long)capacity);
    status = ls_comm_agree(comm, status);
    if (status != LS_OK || !trace) {
        free(trace);
        free(spans);
        return status;
    }
    *trace = (struct ls_trace){.comm = comm,
                               .queues = queues,
                               .copies = copies,
                               .steps = (uint64_t)steps,
                               .spans = spans,
                               .capacity = capacity};
    *out = trace;
    return compare_clocks(comm, &trace->offset[0], &trace->at[0]);
}

void ls_trace_close(struct ls_trace *trace) {
    if (!trace) return;
    free(trace->spans);
    free(trace);
}

void ls_trace_step(struct ls_trace *trace, uint64_t step) {
    if (!trace) return;
    if (!trace->begun) trace->first_step = step + LS_TRACE_WARM_UP;
    trace->begun = true;
    trace->step = step;
    trace->active = step >= trace->first_step && step < trace->first_step + trace->steps;
}

struct ls_trace_span *ls_trace_add(struct ls_trace *trace, enum ls_trace_kind kind, int row, int first,
                                   int second) {
    if (!trace || !trace->active || trace->n == trace->capacity) return NULL;
    struct ls_trace_span *span = &trace->spans[trace->n++];
    *span = (struct ls_trace_span){
        .kind = kind, .row = row, .first = first, .second = second, .step = trace->step};
    return span;
}

const struct ls_trace_span *ls_trace_spans(const struct ls_trace *trace, int64_t *n) {
    *n = trace->n;
    return trace->spans;
}

int ls_trace_row_of_communication(const struct ls_trace *trace) {
    return trace ? trace->queues : 0;
}

int ls_trace_row_of_host(const struct ls_trace *trace) {
    return trace ? trace->queues + 1 : 0;
}

int ls_trace_row_of_copies(const struct ls_trace *trace) {
    return trace ? trace->queues + 2 : 0;
}

// ---- the file ----

const char *ls_trace_kind_name(enum ls_trace_kind kind) {
    static const char *const names[] = {[LS_SPAN_SEGMENT] = "lane",           [LS_SPAN_FOLD] = "fold",
                                        [LS_SPAN_REDUCE] = "all-reduce",      [LS_SPAN_UPDATE] = "update",
                                        [LS_SPAN_COPY] = "copy input",        [LS_SPAN_STEP] = "step",
                                        [LS_SPAN_WAIT] = "wait for data",     [LS_SPAN_EVALUATE] = "evaluate",
                                        [LS_SPAN_CHECKPOINT] = "checkpoint",  [LS_SPAN_NORM] = "norm",
                                        [LS_SPAN_CONVERT] = "convert weights"};
    return names[kind];
}

static void name_span(const struct ls_trace_span *span, char out[64]) {
    const char *name = ls_trace_kind_name(span->kind);
    switch (span->kind) {
    case LS_SPAN_SEGMENT: snprintf(out, 64, "%s %d, segment %d", name, span->first, span->second); break;
    case LS_SPAN_FOLD:
    case LS_SPAN_REDUCE: snprintf(out, 64, "%s bucket %d", name, span->first); break;
    case LS_SPAN_STEP: snprintf(out, 64, "%s %" PRIu64, name, span->step + 1); break;
    default: snprintf(out, 64, "%s", name); break;
    }
}

static const char *category_of(enum ls_trace_kind kind) {
    if (kind == LS_SPAN_REDUCE) return "communication";
    if (kind == LS_SPAN_WAIT) return "data";
    if (kind == LS_SPAN_COPY) return "copy";
    return kind <= LS_SPAN_UPDATE ? "compute" : "host";
}

static void begin_event(const struct ls_trace *trace, const char *name, const char *phase, int row,
                        struct ls_text *text) {
    ls_json_begin(text, NULL);
    ls_json_text(text, "name", name);
    ls_json_text(text, "ph", phase);
    ls_json_count(text, "pid", trace->comm->rank);
    ls_json_count(text, "tid", row);
}

// Its arguments end with it. Each line ends with a comma.
static void end_event(struct ls_text *text) {
    ls_json_end(text);
    ls_json_end(text);
    ls_text_add(text, ",\n");
}

// Microseconds.
static void add_span(const struct ls_trace *trace, const struct ls_trace_span *span, struct ls_text *text) {
    char name[64];
    name_span(span, name);
    const double begin = on_common_clock(trace, span->begin), end = on_common_clock(trace, span->end);
    begin_event(trace, name, "X", span->row, text);
    ls_json_text(text, "cat", category_of(span->kind));
    ls_json_rounded(text, "ts", begin * 1e6, 13);
    ls_json_rounded(text, "dur", (end - begin) * 1e6, 13);
    ls_json_begin(text, "args");
    ls_json_count(text, "step", (int64_t)span->step + 1);
    if (span->bytes) ls_json_count(text, "bytes", (int64_t)span->bytes);
    end_event(text);
}

static void add_name(const struct ls_trace *trace, const char *what, int row, const char *name,
                     struct ls_text *text) {
    begin_event(trace, what, "M", row, text);
    ls_json_begin(text, "args");
    ls_json_text(text, "name", name);
    end_event(text);
}

static void add_rank(const struct ls_trace *trace, struct ls_text *text) {
    char name[256];
    snprintf(name, sizeof name, "rank %d on %s", trace->comm->rank, trace->comm->host);
    add_name(trace, "process_name", 0, name, text);
    for (int q = 0; q < trace->queues; q++) {
        snprintf(name, sizeof name, "lanes %d", q);
        add_name(trace, "thread_name", q, name, text);
    }
    add_name(trace, "thread_name", ls_trace_row_of_communication(trace), "communication", text);
    add_name(trace, "thread_name", ls_trace_row_of_host(trace), "host", text);
    if (trace->copies) add_name(trace, "thread_name", ls_trace_row_of_copies(trace), "copies", text);
    for (int64_t i = 0; i < trace->n; i++) add_span(trace, &trace->spans[i], text);
}

static ls_status take_turn(struct ls_trace *trace, int rank, char *copy, size_t bytes,
                           const struct ls_text *mine, struct ls_text *all) {
    LS_TRY(ls_comm_agree(trace->comm, copy ? LS_OK : LS_FAIL(LS_SYSTEM, "out of memory for a trace")));
    if (trace->comm->rank == rank) memcpy(copy, mine->data, bytes);
    LS_TRY(ls_comm_broadcast(trace->comm, copy, bytes, rank));
    if (trace->comm->rank == 0) ls_text_add_bytes(all, copy, bytes);
    return LS_OK;
}

// Every rank's text in turn, of which rank 0 makes one.
static ls_status collect(struct ls_trace *trace, const struct ls_text *mine, struct ls_text *all) {
    for (int r = 0; r < trace->comm->size; r++) {
        uint64_t bytes = mine->length;
        LS_TRY(ls_comm_broadcast(trace->comm, &bytes, sizeof bytes, r));
        char *copy = malloc(bytes);
        ls_status status = take_turn(trace, r, copy, bytes, mine, all);
        free(copy);
        LS_TRY(status);
    }
    return LS_OK;
}

ls_status ls_trace_write(struct ls_trace *trace, const char *path) {
    LS_TRY(compare_clocks(trace->comm, &trace->offset[1], &trace->at[1]));
    struct ls_text mine = {0}, all = {0};
    add_rank(trace, &mine);
    ls_text_add(&all, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n");
    ls_status status = collect(trace, &mine, &all);
    if (status == LS_OK && trace->comm->rank == 0) {
        all.length -= 2; // the last comma
        ls_text_add(&all, "\n]}\n");
        status = ls_file_write(path, all.data, all.length);
    }
    ls_text_free(&mine);
    ls_text_free(&all);
    return ls_comm_agree(trace->comm, status);
}
