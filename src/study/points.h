// What a study has measured.
#pragma once

#include "study/study.h"

enum ls_scaling_mode {
    LS_STRONG, // the recipe as it is, shared out
    LS_WEAK,   // batch and lanes grow with the ranks: a rank's work stays
};

// One run: medians over its steps, the first fifth left out.
struct ls_trial {
    double step, wait, exposed; // seconds
    char params[24];
    int64_t ranks, steps, batch, lanes; // that it had
};

struct ls_point {
    enum ls_scaling_mode mode;
    int ranks;
    int64_t batch, lanes;
    struct ls_trial trials[LS_STUDY_TRIALS];
    int n_trials;
    // Seconds of an all-reduce of 4 KiB and of all gradients (bench reduce); 0: not measured.
    double latency, transfer;
    struct ls_trial median;  // of the trials
    double fastest, slowest; // step
    bool fitted;
};

// What the whole is about.
struct ls_study {
    const struct ls_study_spec *spec;
    struct ls_point points[2 * LS_STUDY_POINTS];
    int n_points;
    int64_t batch, lanes, samples, steps; // of the recipe; steps of the whole training
    int64_t parameters;
    double bytes;              // of the gradients
    bool fast;                 // reduce: fast
    int threads, cores, hosts; // threads: 0: as many as there are cores
    char model[64], device[160], version[32], fingerprint[320];
};
