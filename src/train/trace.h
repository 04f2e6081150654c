// What happened when, on every rank, on one clock: a Chrome trace (trace.json), for chrome://tracing and
// Perfetto.
//
//   process: a rank        rows: lane queues 0, 1, … | communication | the host thread | copies, of a GPU
//
// On a GPU, a step's lanes may begin before the step before it has ended, on the host's row: its result is
// not waited for. Times are taken by host calls on the queues, and only in the steps that are traced. Spans
// lie in memory that is there before the first step.
#pragma once

#include "comm/comm.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/begin.h"

enum ls_trace_kind {
    LS_SPAN_CONVERT, // weights, once for all lanes
    LS_SPAN_SEGMENT, // forward or backward of lane `first`, segment `second`
    LS_SPAN_FOLD,    // of bucket `first`
    LS_SPAN_REDUCE,  // of bucket `first`, `bytes`
    LS_SPAN_NORM,    // its sums of squares
    LS_SPAN_UPDATE,
    LS_SPAN_COPY, // of a lane's input to the device, `bytes`
    LS_SPAN_STEP,
    LS_SPAN_WAIT, // for data
    LS_SPAN_EVALUATE,
    LS_SPAN_CHECKPOINT, // the copy; the writing goes on behind
};

struct ls_trace_span {
    enum ls_trace_kind kind;
    int row, first, second;
    uint64_t step, bytes;
    double begin, end; // ls_now()
};

// "all-reduce"
const char *ls_trace_kind_name(enum ls_trace_kind kind);

enum { LS_TRACE_WARM_UP = 2 };

struct ls_trace;

// Collective: compares the ranks' clocks. `copies`: there is a row of them. `steps` are traced, after
// LS_TRACE_WARM_UP others; `spans_a_step` of this rank.
ls_status ls_trace_open(struct ls_comm *comm, int queues, bool copies, int64_t steps, int64_t spans_a_step,
                        struct ls_trace **trace);
void ls_trace_close(struct ls_trace *trace); // takes NULL
// A step begins, 0-based. What follows is traced if this step is.
void ls_trace_step(struct ls_trace *trace, uint64_t step);
// A span of the step, whose times the caller fills in; NULL where nothing is traced now. `trace` may be NULL.
struct ls_trace_span *ls_trace_add(struct ls_trace *trace, enum ls_trace_kind kind, int row, int first,
                                   int second);
// What was traced so far, [*n].
const struct ls_trace_span *ls_trace_spans(const struct ls_trace *trace, int64_t *n);
int ls_trace_row_of_communication(const struct ls_trace *trace);
int ls_trace_row_of_host(const struct ls_trace *trace);
int ls_trace_row_of_copies(const struct ls_trace *trace);
// Collective: compares the clocks again, and rank 0 writes all ranks' spans to `path`, whole or not at all.
ls_status ls_trace_write(struct ls_trace *trace, const char *path);

#include "base/end.h"
