// A model of a step's time, from few points to many ranks.
//
//   step    = compute + exposed + wait
//   compute = fixed + lane * waves * crowding
//   comm    = latency * rounds + traffic / bandwidth
//   exposed = comm - (1 - open) * min(comm, window)
//
// waves is the lanes of the busiest rank by its lanes side by side, traffic the bytes that the busiest rank
// sends (comm/reduce.h), or would send where all are on one host and share memory, and window the backward of
// a rank's last lanes: 2/3 of their time, as backward costs twice what forward does.
//
// crowding is above 1 where ranks of one machine want more cores than it has. latency and bandwidth come from
// reductions measured alone, lane and fixed from the runs by least squares, open (the share of the window in
// which nothing is hidden) from what the runs say was exposed. Where communication is more than four times
// the window, latency and bandwidth are those that the runs had, by one factor to both.
#pragma once

#include "study/points.h"

struct ls_scaling_fit {
    double lane, fixed;         // seconds
    double latency, inverse_bw; // seconds a round; seconds a byte
    double open;                // 0 … 1
    double wait;                // seconds
};

struct ls_forecast {
    double step, compute, exposed; // seconds
    double low, high;              // step: 5th and 95th percentile over resampled trials
};

// From the points that are marked as fitted.
struct ls_scaling_fit ls_scaling_fit_to(const struct ls_study *study);
struct ls_forecast ls_scaling_forecast(const struct ls_study *study, const struct ls_scaling_fit *fit,
                                       enum ls_scaling_mode mode, int ranks);
// Lanes of the recipe on so many ranks.
int64_t ls_scaling_lanes(const struct ls_study *study, enum ls_scaling_mode mode, int ranks);
