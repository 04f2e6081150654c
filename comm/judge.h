// Who is to blame: from what every rank last said of itself to one line that names a rank, or to nothing. No
// clock, no socket.
#pragma once

#include "base/pulse.h"

#include <stdbool.h>
#include <stddef.h>

struct ls_witness { // one a rank
    bool watched;   // it can be heard, and has not said goodbye
    bool dead;      // its connection ended without a goodbye
    double silent;  // seconds since it was heard
    double still;   // seconds for which it says that nothing moved
    struct ls_pulse pulse;
    char host[64];
};

enum { LS_VERDICT_TEXT = 512 };

struct ls_verdict {
    int rank;    // to blame; -1: none more than the others
    bool silent; // it cannot be heard: its host or the network may be gone, not just the process
    char text[LS_VERDICT_TEXT];
};

// The first that holds of: a rank is dead; one is silent for `timeout`; calls of one number differ between
// ranks; one is still for `timeout` and not because it waits for others; all wait, and nothing moved for
// `timeout`. Then true, and verdict->text has a line without an end, such as
//     rank 2 (host n3) died at step 17: it missed the all-reduce of bucket 3 of 4096 bytes, in which rank 0
//     waits
bool ls_judge(const struct ls_witness *ranks, int n, double timeout, struct ls_verdict *verdict);
