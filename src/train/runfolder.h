// The folder of a run, --out DIR:
//
//   DIR/recipe.yaml      as resolved
//   DIR/metrics.jsonl
//   DIR/checkpoints/     step-00000500.h5 …
//   DIR/lock             held by the process that trains here; says who that is
#pragma once

#include "base/status.h"

#include <stdbool.h>

struct ls_run_folder;

// Makes the folder where it is missing, and locks it for the life of this process. LS_INPUT: another process
// holds the lock (named with its host), or a run is there already and `resume` is not set. With `resume`, an
// empty folder is as good as one with a run. Rank 0 only.
ls_status ls_run_folder_open(const char *path, bool resume, struct ls_run_folder **folder);
// LS_INPUT where a run is there already. Makes and locks nothing: for a start that is not to read all its
// data before it is refused.
ls_status ls_run_folder_refuse_a_run(const char *path);
// LS_SYSTEM where the folder was removed, or replaced by another, since it was opened: what is there now may
// be another run's.
ls_status ls_run_folder_check(const struct ls_run_folder *folder);
// As a whole or not at all.
ls_status ls_run_folder_write_recipe(struct ls_run_folder *folder, const char *recipe);
const char *ls_run_folder_path(const struct ls_run_folder *folder);
const char *ls_run_folder_metrics(const struct ls_run_folder *folder);
const char *ls_run_folder_checkpoints(const struct ls_run_folder *folder);
void ls_run_folder_close(struct ls_run_folder *folder); // NULL is allowed
