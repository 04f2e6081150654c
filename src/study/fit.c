#include "study/fit.h"

#include "base/philox.h"
#include "base/sort.h"
#include "comm/reduce.h"
#include "study/parts.h"

#include <math.h>
#include <string.h>

enum { RESAMPLED = 200, LATENCY_BYTES = 4096 };

// ---- what a number of ranks means ----

int64_t ls_scaling_lanes(const struct ls_study *study, enum ls_scaling_mode mode, int ranks) {
    const int base = study->spec->ranks[0];
    return mode == LS_STRONG ? study->lanes : study->lanes * ranks / base;
}

static double ranks_of_a_host(const struct ls_study *study, int ranks) {
    return ceil((double)ranks / study->hosts);
}

// A rank takes all the cores that its neighbours on the host leave it, unless the recipe says how many.
static double side_by_side(const struct ls_study *study, int ranks) {
    if (study->threads > 0) return study->threads;
    return fmax(1, floor(study->cores / ranks_of_a_host(study, ranks)));
}

static double waves(const struct ls_study *study, int64_t lanes, int ranks) {
    const double most = ceil((double)lanes / ranks);
    return ceil(most / fmin(most, side_by_side(study, ranks)));
}

static double crowding(const struct ls_study *study, int64_t lanes, int ranks) {
    const double most = ceil((double)lanes / ranks);
    const double wanted = ranks_of_a_host(study, ranks) * fmin(most, side_by_side(study, ranks));
    return fmax(1, wanted / study->cores);
}

static double work(const struct ls_study *study, enum ls_scaling_mode mode, int ranks) {
    const int64_t lanes = ls_scaling_lanes(study, mode, ranks);
    return waves(study, lanes, ranks) * crowding(study, lanes, ranks);
}

// Messages that follow each other: comm/aligned.c halves and doubles, comm/slices.c scatters and gathers.
static double rounds(const struct ls_study *study, int64_t lanes, int ranks) {
    if (ranks == 1) return 0;
    switch (ls_reduce_choose(ranks, (int)lanes, study->fast)) {
    case LS_REDUCE_ALIGNED: return 2 * log2(ranks);
    default: return 2 * (ranks - 1);
    }
}

static double traffic(const struct ls_study *study, int64_t lanes, int ranks, double bytes) {
    double most = 0;
    for (int r = 0; r < ranks; r++)
        most =
            fmax(most, ls_reduce_traffic(r, ranks, (int)lanes, study->fast, (size_t)(bytes / sizeof(float))));
    return most * sizeof(float);
}

static double communication(const struct ls_study *study, const struct ls_scaling_fit *fit, int64_t lanes,
                            int ranks) {
    return fit->latency * rounds(study, lanes, ranks) +
           fit->inverse_bw * traffic(study, lanes, ranks, study->bytes);
}

static double window(const struct ls_study *study, const struct ls_scaling_fit *fit, int64_t lanes,
                     int ranks) {
    return 2.0 / 3 * fit->lane * crowding(study, lanes, ranks);
}

// ---- fitting ----

static double compute_of(const struct ls_trial *trial) {
    return fmax(0, trial->step - trial->exposed - trial->wait);
}

// Least squares of compute = fixed + lane * work, neither below 0.
static void fit_compute(const struct ls_study *study, struct ls_scaling_fit *fit) {
    double n = 0, x = 0, y = 0, xx = 0, xy = 0;
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        if (!point->fitted) continue;
        const double at = work(study, point->mode, point->ranks), seconds = compute_of(&point->median);
        n += 1, x += at, y += seconds, xx += at * at, xy += at * seconds;
    }
    const double spread = n * xx - x * x;
    fit->lane = spread > 1e-9 * xx ? (n * xy - x * y) / spread : y / x;
    fit->fixed = (y - fit->lane * x) / n;
    if (fit->lane < 0 || fit->fixed < 0) fit->lane = xy / xx, fit->fixed = 0;
}

// Reductions alone have a lane a rank, whatever the run has.
static void fit_network(const struct ls_study *study, struct ls_scaling_fit *fit) {
    double latencies[2 * LS_STUDY_POINTS], bandwidths[2 * LS_STUDY_POINTS];
    int n = 0;
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        if (!point->fitted || point->ranks == 1 || point->transfer <= 0) continue;
        const double sent = traffic(study, point->ranks, point->ranks, study->bytes);
        const double sent_small = traffic(study, point->ranks, point->ranks, LATENCY_BYTES);
        bandwidths[n] = fmax(0, (point->transfer - point->latency) / (sent - sent_small));
        latencies[n] =
            fmax(0, point->latency - bandwidths[n] * sent_small) / rounds(study, point->ranks, point->ranks);
        n++;
    }
    fit->latency = n ? ls_median(latencies, (size_t)n) : 0;
    fit->inverse_bw = n ? ls_median(bandwidths, (size_t)n) : 0;
}

// Where the network decides, the runs themselves say what it gives: more, or less, than to reductions that
// begin together and alone.
static void correct_network(const struct ls_study *study, struct ls_scaling_fit *fit) {
    double factors[2 * LS_STUDY_POINTS];
    int n = 0;
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        if (!point->fitted || point->ranks == 1) continue;
        const double comm = communication(study, fit, point->lanes, point->ranks);
        const double hidden = window(study, fit, point->lanes, point->ranks);
        if (comm > 4 * hidden) factors[n++] = (point->median.exposed + hidden) / comm;
    }
    if (n == 0) return;
    const double factor = ls_median(factors, (size_t)n);
    fit->latency *= factor;
    fit->inverse_bw *= factor;
}

static void fit_overlap(const struct ls_study *study, struct ls_scaling_fit *fit) {
    double open[2 * LS_STUDY_POINTS];
    int n = 0;
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        if (!point->fitted || point->ranks == 1) continue;
        const double comm = communication(study, fit, point->lanes, point->ranks);
        const double room = fmin(comm, window(study, fit, point->lanes, point->ranks));
        if (room <= 0) continue;
        open[n++] = fmin(1, fmax(0, 1 - (comm - point->median.exposed) / room));
    }
    fit->open = n ? ls_median(open, (size_t)n) : 0;
}

struct ls_scaling_fit ls_scaling_fit_to(const struct ls_study *study) {
    struct ls_scaling_fit fit = {0};
    double waits[2 * LS_STUDY_POINTS];
    int n = 0;
    for (int i = 0; i < study->n_points; i++)
        if (study->points[i].fitted) waits[n++] = study->points[i].median.wait;
    if (n == 0) return fit;
    fit.wait = ls_median(waits, (size_t)n);
    fit_compute(study, &fit);
    fit_network(study, &fit);
    correct_network(study, &fit);
    fit_overlap(study, &fit);
    return fit;
}

// ---- forecasting ----

static struct ls_forecast best_guess(const struct ls_study *study, const struct ls_scaling_fit *fit,
                                     enum ls_scaling_mode mode, int ranks) {
    const int64_t lanes = ls_scaling_lanes(study, mode, ranks);
    struct ls_forecast forecast = {.compute = fit->fixed + fit->lane * work(study, mode, ranks)};
    if (ranks > 1) {
        const double comm = communication(study, fit, lanes, ranks);
        forecast.exposed = comm - (1 - fit->open) * fmin(comm, window(study, fit, lanes, ranks));
    }
    forecast.step = forecast.compute + forecast.exposed + fit->wait;
    return forecast;
}

// A study whose points have trials drawn with replacement from their own.
static void resample(const struct ls_study *study, uint64_t draw, struct ls_study *out) {
    *out = *study;
    for (int i = 0; i < out->n_points; i++) {
        struct ls_point *point = &out->points[i];
        double step[LS_STUDY_TRIALS], wait[LS_STUDY_TRIALS], exposed[LS_STUDY_TRIALS];
        for (int t = 0; t < point->n_trials; t++) {
            const struct ls_random4 random =
                ls_philox(1, LS_RANDOM_TEST, draw, (uint64_t)i * LS_STUDY_TRIALS + (uint64_t)t);
            const struct ls_trial *trial =
                &study->points[i].trials[ls_below(random.word[0], (uint32_t)point->n_trials)];
            step[t] = trial->step, wait[t] = trial->wait, exposed[t] = trial->exposed;
        }
        if (point->n_trials == 0) continue;
        point->median.step = ls_median(step, (size_t)point->n_trials);
        point->median.wait = ls_median(wait, (size_t)point->n_trials);
        point->median.exposed = ls_median(exposed, (size_t)point->n_trials);
    }
}

struct ls_forecast ls_scaling_forecast(const struct ls_study *study, const struct ls_scaling_fit *fit,
                                       enum ls_scaling_mode mode, int ranks) {
    struct ls_study drawn;
    double steps[RESAMPLED];
    for (int i = 0; i < RESAMPLED; i++) {
        resample(study, (uint64_t)i, &drawn);
        const struct ls_scaling_fit refit = ls_scaling_fit_to(&drawn);
        steps[i] = best_guess(&drawn, &refit, mode, ranks).step;
    }
    struct ls_forecast forecast = best_guess(study, fit, mode, ranks);
    ls_sort(steps, RESAMPLED);
    forecast.low = fmin(forecast.step, steps[RESAMPLED / 20]);
    forecast.high = fmax(forecast.step, steps[RESAMPLED - 1 - RESAMPLED / 20]);
    return forecast;
}
