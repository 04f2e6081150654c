// A scaling study: short runs of one recipe on several numbers of ranks, each in a folder of its own, and
// what they say together. The runs are children of this process, started by mpirun or srun; this process
// itself is no rank.
#pragma once

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/begin.h"

enum { LS_STUDY_POINTS = 32, LS_STUDY_TRIALS = 16 };

struct ls_study_spec {
    const char *recipe, *out;
    const char *const *overrides;
    int n_overrides;
    int ranks[LS_STUDY_POINTS], n_ranks; // ascending
    int fit[LS_STUDY_POINTS], n_fit;     // ranks that the model is fitted to; 0: all but the most
    bool strong;                         // the recipe as it is, shared out
    bool weak;                           // batch and lanes grow with the ranks: a rank's work stays
    int repeats, steps;
    const char *hosts;    // for mpirun: a file, or host:ranks,…; NULL: this machine
    const char *launcher; // what to start a run with, "%n" being its ranks; NULL: srun in a Slurm allocation,
                          // else mpirun
    const char *program;  // lockstep, which makes the runs; NULL: this process's own
    bool collect;         // start nothing: what is there is read
    bool array;           // start nothing: write a Slurm array job that makes the runs
    double price;         // of a device hour; 0: no money is spoken of
    int forecast;         // up to so many ranks
};

// The whole of it. Errors: LS_INPUT where the recipe, the ranks or the launcher cannot be used; what a run
// ended with, with the place of its output; LS_NUMBERS where strong-scaling runs of an ordered reduction end
// with different params. Files: scaling.csv, scaling.json, report.md, scaling.svg and .png, runs/.
ls_status ls_study(const struct ls_study_spec *spec);

#include "base/end.h"
