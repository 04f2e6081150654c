// Buckets and segments of a plan. Inside src/graph only.
#pragma once

#include "graph/plan.h"

// Fills in buckets and segments; `width` is the bytes of a float of the output buffer. Needs the final order
// of the nodes and all places. Fails where a node would read from a bucket that is already finished.
ls_status ls_plan_make_buckets(struct ls_plan *plan, size_t bucket_bytes, size_t width);
