// Passes over flat f32 buffers: the sum of two, the norm, the optimizers, moving averages.
#include "cpu/plain/plain.h"

#include <math.h>

static void add(float *to, const float *a, const float *b, size_t n) {
    PLAIN_INDEPENDENT
    for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
}

static double square_sum(const float *data, size_t n) {
    enum { PARTS = 16 }; // element i goes to sum i % 16; the sums are folded pairwise
    double part[PARTS] = {0};
    size_t i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (int j = 0; j < PARTS; j++) part[j] += (double)data[i + (size_t)j] * (double)data[i + (size_t)j];
    for (int j = 0; i < n; i++, j++) part[j] += (double)data[i] * (double)data[i];
    for (int width = PARTS / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) part[j] += part[j + width];
    return part[0];
}

static void sgd(const struct ls_update *update, const struct ls_update_range *range, size_t begin,
                size_t end) {
    float *param = update->params, *velocity = update->slot[0];
    const float *grad = update->grads;
    float factor = update->decision->grad_factor, momentum = update->momentum;
    float lr = update->lr * range->lr_scale, decay = range->weight_decay;
    if (!velocity) {
        PLAIN_INDEPENDENT
        for (size_t i = begin; i < end; i++) param[i] -= lr * (grad[i] * factor + decay * param[i]);
        return;
    }
    bool nesterov = update->nesterov;
    PLAIN_INDEPENDENT
    for (size_t i = begin; i < end; i++) {
        float g = grad[i] * factor + decay * param[i];
        float v = momentum * velocity[i] + g;
        velocity[i] = v;
        param[i] -= lr * (nesterov ? g + momentum * v : v);
    }
}

// In the order of operations of PyTorch's AdamW, constants computed in f64 and rounded once.
static void adamw(const struct ls_update *update, const struct ls_update_range *range, size_t begin,
                  size_t end) {
    float *param = update->params, *first = update->slot[0], *second = update->slot[1];
    const float *grad = update->grads;
    float factor = update->decision->grad_factor, epsilon = update->epsilon;
    float lr = update->lr * range->lr_scale;
    float keep = (float)(1 - (double)lr * (double)range->weight_decay);
    float beta1 = (float)update->beta1, rest1 = (float)(1 - update->beta1);
    float beta2 = (float)update->beta2, rest2 = (float)(1 - update->beta2);
    float step = (float)((double)lr / update->correction1);
    float root = (float)sqrt((double)update->correction2);
    PLAIN_INDEPENDENT
    for (size_t i = begin; i < end; i++) {
        float g = grad[i] * factor;
        float m = beta1 * first[i] + rest1 * g;
        float v = beta2 * second[i] + rest2 * g * g;
        first[i] = m;
        second[i] = v;
        param[i] = keep * param[i] - step * m / (sqrtf(v) / root + epsilon);
    }
}

static size_t clamp(size_t value, size_t low, size_t high) {
    return value < low ? low : value > high ? high : value;
}

static void update_ranges(const struct ls_update *update) {
    for (int r = 0; r < update->n_ranges; r++) {
        const struct ls_update_range *range = &update->ranges[r];
        size_t begin = clamp(range->offset, update->begin, update->end);
        size_t end = clamp(range->offset + range->count, update->begin, update->end);
        (update->kind == LS_SGD ? sgd : adamw)(update, range, begin, end);
    }
}

static void move_average(const struct ls_average *work) {
    float *average = work->average, rest = work->rest;
    const float *values = work->values;
    PLAIN_INDEPENDENT
    for (size_t i = 0; i < work->n; i++) average[i] += rest * (values[i] - average[i]);
}

extern const struct ls_kernel LS_LEVEL(plain_kernel);

#define LS_TEXT_(name) #name
#define LS_TEXT(name)  LS_TEXT_(name)

const struct ls_plain LS_LEVEL(ls_plain) = {
    LS_TEXT(LS_PLAIN_LEVEL), &LS_LEVEL(plain_kernel), add, square_sum, update_ranges, move_average};
