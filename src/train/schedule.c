#include "train/schedule.h"

#include <math.h>

// Steps of a span before rounding, at least 1 where the span is not 0.
static double exact_steps(const struct ls_span *span, const struct ls_clock *clock) {
    if (span->unit == LS_SPAN_NONE || span->amount <= 0) return 0;
    double steps = span->amount;
    if (span->unit == LS_SPAN_EPOCHS && clock->batch > 0)
        steps = span->amount * (double)clock->samples / (double)clock->batch;
    return steps < 1 ? 1 : steps;
}

static uint64_t nearest(double steps) {
    return steps >= 0x1p62 ? (uint64_t)1 << 62 : (uint64_t)floor(steps + 0.5);
}

uint64_t ls_span_steps(const struct ls_span *span, const struct ls_clock *clock) {
    return nearest(exact_steps(span, clock));
}

// How often the span is over after `step` steps: the number of j >= 1 with nearest(j * steps) <= step.
static uint64_t times_over(const struct ls_span *span, const struct ls_clock *clock, uint64_t step) {
    double steps = exact_steps(span, clock);
    if (steps == 0) return 0;
    uint64_t times = (uint64_t)((double)step / steps);
    while (nearest((double)(times + 1) * steps) <= step) times++;
    while (times > 0 && nearest((double)times * steps) > step) times--;
    return times;
}

bool ls_span_due(const struct ls_span *every, const struct ls_clock *clock, uint64_t step) {
    return step > 0 && times_over(every, clock, step) != times_over(every, clock, step - 1);
}

// The terms of a Taylor series from `term` on: each is the last times -y / (n (n + 1)), n going on by 2.
static double series(double term, double y, int n) {
    double sum = term;
    for (int i = 0; i < 10; i++, n += 2) {
        term = term * -y / (n * (n + 1));
        sum += term;
    }
    return sum;
}

// cos(pi t) for t in [0, 1], exact at 0, 1/2 and 1. Not libm's: its last bit depends on the processor, and a
// rate must not. The argument of the series is at most pi / 4, where ten terms reach below f64's last bit.
static double cos_pi(double t) {
    const double pi = 3.14159265358979323846;
    if (t > 0.5) return -cos_pi(1 - t);
    if (t <= 0.25) return series(1, pi * t * pi * t, 1);
    double x = pi * (0.5 - t);
    return series(x, x * x, 2); // sin(pi (1/2 - t))
}

static double power(double base, uint64_t exponent) {
    double result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

// base^exponent for a base in [0, 1]: the whole part by squaring, the rest bit by bit from square roots,
// which every processor rounds alike. Not libm's, as with the cosine.
static double power_of(double base, double exponent) {
    const double whole = floor(exponent);
    double result = power(base, (uint64_t)whole), rest = exponent - whole;
    for (double root = sqrt(base); rest > 0; root = sqrt(root)) {
        rest *= 2;
        if (rest < 1) continue;
        result *= root;
        rest -= 1;
    }
    return result;
}

// Half a cosine from `from` at t = 0 to `to` at t = 1.
static double anneal(double from, double to, double t) {
    return to + (from - to) * (1 + cos_pi(t)) / 2;
}

static double one_cycle(const struct ls_recipe *recipe, double step, double steps) {
    const double peak = recipe->train.peak, first = peak / recipe->train.initial_divisor;
    const double top = fmax(recipe->train.rise * steps - 1, 0), end = steps - 1;
    if (step <= top) return top > 0 ? anneal(first, peak, step / top) : peak;
    if (step >= end) return end > top ? first / recipe->train.final_divisor : peak;
    return anneal(peak, first / recipe->train.final_divisor, (step - top) / (end - top));
}

double ls_schedule_rate(const struct ls_recipe *recipe, const struct ls_clock *clock, uint64_t step,
                        uint64_t steps) {
    const double peak = recipe->train.peak, final = recipe->train.final;
    const uint64_t warmup = ls_span_steps(&recipe->train.warmup, clock);
    if (step < warmup) return peak * (double)(step + 1) / (double)warmup;
    const double t = step >= steps ? 1 : (double)(step - warmup) / (double)(steps - warmup);
    switch (recipe->train.schedule) {
    case LS_RECIPE_CONSTANT: break;
    case LS_RECIPE_STEP:
        return peak * power(recipe->train.gamma, times_over(&recipe->train.every, clock, step));
    case LS_RECIPE_COSINE: return anneal(peak, final, t);
    case LS_RECIPE_POLYNOMIAL: return final + (peak - final) * power_of(1 - t, recipe->train.power);
    case LS_RECIPE_ONE_CYCLE: return one_cycle(recipe, (double)step, (double)steps);
    }
    return peak;
}

double ls_loss_scale_next(double scale, bool skipped, uint64_t updates) {
    if (skipped) return scale > 1 ? scale / 2 : 1;
    const bool due = updates > 0 && updates % LS_LOSS_SCALE_UPDATES == 0;
    return due && scale < LS_LOSS_SCALE_MOST ? scale * 2 : scale;
}

double ls_loss_scale_before(double scale, uint64_t row) {
    while (row-- > 0 && scale > 1 && scale < LS_LOSS_SCALE_MOST) scale *= 2;
    return scale;
}
