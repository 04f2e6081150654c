// What `lockstep bench` measures; each reads its own options.
#pragma once

#include "base/json.h"
#include "cli/cli.h"

// A measurement as a JSON object of its own line, which "bench": `what` begins.
void ls_bench_begin(struct ls_text *row, const char *what);
void ls_bench_print(struct ls_text *row); // ends it, prints it, frees it

ls_status ls_bench_step(const struct ls_command *command, int argc, char **argv);
ls_status ls_bench_reduce(const struct ls_command *command, int argc, char **argv);
ls_status ls_bench_read(const struct ls_command *command, int argc, char **argv);
ls_status ls_bench_ops(const struct ls_command *command, int argc, char **argv);
