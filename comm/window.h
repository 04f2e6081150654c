// Memory of each rank of one host that all of them see. It has no name in any file system: it goes with the
// last process that has it, however that ends.
#pragma once

#include "comm/comm.h"

// Ranks [first, first + size), of one host.
struct ls_group {
    int first, size;
};

struct ls_window {
    int rank, size; // in the group
    char **memory;  // [size]: each rank's, as this process sees it
    size_t *bytes;  // [size]
    struct ls_window *next;
};

// Collective: of all ranks, each with the group that it is in. `bytes` of this rank's own, zeroed, which its
// group sees; ranks may ask for different sizes. NULL on all ranks where one of them does not get its own or
// does not find another's: the system has no such memory, or allows no file of that size, or the ranks are in
// several containers. An error is agreed on.
ls_status ls_window_open(struct ls_comm *comm, struct ls_group group, size_t bytes,
                         struct ls_window **window);
void ls_window_close(struct ls_window *window); // takes NULL
