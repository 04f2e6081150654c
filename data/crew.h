// A few threads that share out items of work: for packing, where an item is a picture.
#pragma once

#include "base/status.h"

#include <stdint.h>

struct ls_crew;

// `threads` in all, the caller's among them. LS_SYSTEM where a thread cannot be started.
ls_status ls_crew_open(int threads, struct ls_crew **crew);
void ls_crew_close(struct ls_crew *crew);
// Calls work(context, worker, item) once for each item in [0, n), worker in [0, threads), and waits for all.
// Whatever goes wrong is for `work` to write down.
void ls_crew_run(struct ls_crew *crew, int64_t n, void (*work)(void *context, int worker, int64_t item),
                 void *context);
