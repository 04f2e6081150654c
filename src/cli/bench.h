// What `lockstep bench` measures; each reads its own options.
#pragma once

#include "cli/cli.h"

ls_status ls_bench_step(const struct ls_command *command, int argc, char **argv);
ls_status ls_bench_reduce(const struct ls_command *command, int argc, char **argv);
ls_status ls_bench_read(const struct ls_command *command, int argc, char **argv);
ls_status ls_bench_ops(const struct ls_command *command, int argc, char **argv);
