#include "data/statistics.h"

#include "data/processors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ls_status ls_statistics_open(struct ls_statistics *statistics, ls_dtype type, int64_t channels) {
    *statistics = (struct ls_statistics){.type = type, .channels = channels};
    size_t n = (size_t)channels;
    bool whole;
    if (type == LS_U8) {
        statistics->sum = calloc(n, sizeof *statistics->sum);
        statistics->squares = calloc(n, sizeof *statistics->squares);
        whole = statistics->sum && statistics->squares;
    } else {
        double *four = calloc(4 * n, sizeof *four);
        whole = four != NULL;
        statistics->mean = four;
        if (whole) {
            statistics->deviations = four + n;
            statistics->sample_mean = four + 2 * n;
            statistics->sample_deviations = four + 3 * n;
        }
    }
    if (whole) return LS_OK;
    ls_statistics_close(statistics);
    return LS_FAIL(LS_SYSTEM, "out of memory for statistics of %lld channels", (long long)channels);
}

void ls_statistics_close(struct ls_statistics *statistics) {
    free(statistics->sum);
    free(statistics->squares);
    free(statistics->mean);
    *statistics = (struct ls_statistics){0};
}

// ---- u8: sums of whole numbers are exact in any order

// Sums over the numbers whose place modulo `stride` is one; stride is a multiple of the channels, so that the
// inner loop is long. 32 bits hold the squares of 65536 numbers.
enum { MOST_STRIDE = 192, MOST_STEPS = 65536, WIDE_STRIDE = 4096 };

LS_FOR_EACH_PROCESSOR
static void add_strides(const uint8_t *restrict samples, size_t steps, size_t stride, uint32_t *restrict sum,
                        uint32_t *restrict squares) {
    for (size_t step = 0; step < steps; step++, samples += stride) {
        for (size_t i = 0; i < stride; i++) {
            sum[i] += samples[i];
            squares[i] += (uint32_t)samples[i] * samples[i];
        }
    }
}

// More channels than a stride may hold.
static void add_wide(struct ls_statistics *statistics, const uint8_t *values, size_t n) {
    size_t channels = (size_t)statistics->channels;
    for (size_t begin = 0; begin < n; begin += channels) {
        for (size_t c = 0; c < channels; c++) {
            uint64_t value = values[begin + c];
            statistics->sum[c] += value;
            statistics->squares[c] += value * value;
        }
    }
}

static void add_u8(struct ls_statistics *statistics, const uint8_t *values, size_t n) {
    size_t channels = (size_t)statistics->channels;
    size_t stride = channels < MOST_STRIDE ? MOST_STRIDE / channels * channels : channels;
    uint32_t sum[WIDE_STRIDE], squares[WIDE_STRIDE];
    if (stride > WIDE_STRIDE) {
        add_wide(statistics, values, n);
        return;
    }
    while (n) {
        if (n < stride) stride = channels; // what is left over, pixel by pixel
        size_t steps = n / stride < MOST_STEPS ? n / stride : MOST_STEPS;
        memset(sum, 0, stride * sizeof *sum);
        memset(squares, 0, stride * sizeof *squares);
        add_strides(values, steps, stride, sum, squares);
        for (size_t i = 0; i < stride; i++) {
            statistics->sum[i % channels] += sum[i];
            statistics->squares[i % channels] += squares[i];
        }
        values += steps * stride;
        n -= steps * stride;
    }
}

// ---- f32: sample by sample, so that the order is one

// Mean and deviations of a sample, in two passes.
static void measure(struct ls_statistics *statistics, const float *values, int64_t pixels) {
    int64_t channels = statistics->channels;
    double *mean = statistics->sample_mean, *deviations = statistics->sample_deviations;
    memset(mean, 0, (size_t)channels * sizeof *mean);
    memset(deviations, 0, (size_t)channels * sizeof *deviations);
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < channels; c++) mean[c] += (double)values[p * channels + c];
    for (int64_t c = 0; c < channels; c++) mean[c] /= (double)pixels;
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t c = 0; c < channels; c++) {
            double off = (double)values[p * channels + c] - mean[c];
            deviations[c] += off * off;
        }
    }
}

// The set at hand into the one before, as Chan, Golub and LeVeque have it ("Updating Formulae and a Pairwise
// Algorithm for Computing Sample Variances", 1979): no difference of large sums.
static void merge(struct ls_statistics *statistics, int64_t pixels) {
    double before = (double)statistics->count, more = (double)pixels;
    double share = more / (before + more), weight = before * share;
    for (int64_t c = 0; c < statistics->channels; c++) {
        double off = statistics->sample_mean[c] - statistics->mean[c];
        statistics->mean[c] += off * share;
        statistics->deviations[c] += statistics->sample_deviations[c] + off * off * weight;
    }
    statistics->count += pixels;
}

void ls_statistics_add(struct ls_statistics *statistics, int64_t n, int64_t values, const void *samples) {
    int64_t pixels = values / statistics->channels;
    if (statistics->type == LS_U8) {
        add_u8(statistics, samples, (size_t)(n * values));
        statistics->count += n * pixels;
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        measure(statistics, (const float *)samples + i * values, pixels);
        merge(statistics, pixels);
    }
}

void ls_statistics_add_known(struct ls_statistics *statistics, int64_t count, const double *mean,
                             const double *std) {
    for (int64_t c = 0; c < statistics->channels; c++) {
        statistics->sample_mean[c] = mean[c];
        statistics->sample_deviations[c] = std[c] * std[c] * (double)count;
    }
    if (count) merge(statistics, count);
}

void ls_statistics_merge(struct ls_statistics *statistics, const struct ls_statistics *more) {
    const size_t channels = (size_t)statistics->channels;
    if (statistics->type == LS_U8) {
        for (size_t c = 0; c < channels; c++) {
            statistics->sum[c] += more->sum[c];
            statistics->squares[c] += more->squares[c];
        }
        statistics->count += more->count;
    } else if (more->count) {
        memcpy(statistics->sample_mean, more->mean, channels * sizeof *more->mean);
        memcpy(statistics->sample_deviations, more->deviations, channels * sizeof *more->deviations);
        merge(statistics, more->count);
    }
}

void ls_statistics_result(const struct ls_statistics *statistics, double *mean, double *std) {
    double count = statistics->count ? (double)statistics->count : 1;
    for (int64_t c = 0; c < statistics->channels; c++) {
        if (statistics->type != LS_U8) {
            mean[c] = statistics->mean[c];
            std[c] = sqrt(statistics->deviations[c] / count);
            continue;
        }
        double average = (double)statistics->sum[c] / count;
        double variance = (double)statistics->squares[c] / count - average * average;
        mean[c] = average / 255;
        std[c] = sqrt(variance > 0 ? variance : 0) / 255;
    }
}
