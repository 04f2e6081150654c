// Passes over flat f32 buffers: the sum of two, the norm, the optimizers, moving averages.
#include "cpu/plain/plain.h"

#include <math.h>

static void add(float *to, const float *a, const float *b, size_t n) {
    PLAIN_INDEPENDENT
    for (size_t i = 0; i < n; i++) to[i] = a[i] + b[i];
}

// A sum of squares in f64, begun with zeroes: element i goes to sum i % PARTS; the sums are folded pairwise.
enum { PARTS = 16 };

struct parts {
    double sum[PARTS];
};

// Of pieces, each but the last has a multiple of PARTS elements.
static void add_squares(struct parts *parts, const float *data, size_t n) {
    double *sum = parts->sum;
    size_t i = 0;
    for (; i + PARTS <= n; i += PARTS)
        for (int j = 0; j < PARTS; j++) sum[j] += (double)data[i + (size_t)j] * (double)data[i + (size_t)j];
    for (int j = 0; i < n; i++, j++) sum[j] += (double)data[i] * (double)data[i];
}

static double fold(struct parts *parts) {
    for (int width = PARTS / 2; width > 0; width /= 2)
        for (int j = 0; j < width; j++) parts->sum[j] += parts->sum[j + width];
    return parts->sum[0];
}

static double square_sum(const float *data, size_t n) {
    struct parts parts = {0};
    add_squares(&parts, data, n);
    return fold(&parts);
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

// ---- LARS and LAMB, whose ratios come of a pass over blocks before

enum { PIECE = 32 * PARTS }; // elements that are looked at at once

static float rate_of(const struct ls_update *update, const struct ls_update_range *range) {
    return update->lr * range->lr_scale * update->ratios[range - update->ranges];
}

static void lars(const struct ls_update *update, const struct ls_update_range *range, size_t begin,
                 size_t end) {
    float *param = update->params, *velocity = update->slot[0];
    const float *grad = update->grads;
    float factor = update->decision->grad_factor, momentum = update->momentum;
    float rate = rate_of(update, range), decay = range->weight_decay;
    PLAIN_INDEPENDENT
    for (size_t i = begin; i < end; i++) {
        float v = momentum * velocity[i] + rate * (grad[i] * factor + decay * param[i]);
        velocity[i] = v;
        param[i] -= v;
    }
}

// LAMB's moments of elements [begin, begin + n).
static void move_moments(const struct ls_update *update, size_t begin, size_t n) {
    float *first = update->slot[0] + begin, *second = update->slot[1] + begin;
    const float *grad = update->grads + begin;
    float factor = update->decision->grad_factor;
    float beta1 = (float)update->beta1, rest1 = (float)(1 - update->beta1);
    float beta2 = (float)update->beta2, rest2 = (float)(1 - update->beta2);
    PLAIN_INDEPENDENT
    for (size_t i = 0; i < n; i++) {
        float g = grad[i] * factor;
        first[i] = beta1 * first[i] + rest1 * g;
        second[i] = beta2 * second[i] + rest2 * g * g;
    }
}

// LAMB's u of elements [begin, begin + n), from moments that have moved.
static void direction_of(const struct ls_update *update, const struct ls_update_range *range, size_t begin,
                         size_t n, float *direction) {
    const float *param = update->params + begin;
    const float *first = update->slot[0] + begin, *second = update->slot[1] + begin;
    float unbias = (float)(1 / update->correction1), root = (float)sqrt(update->correction2);
    float epsilon = update->epsilon, decay = range->weight_decay;
    PLAIN_INDEPENDENT
    for (size_t i = 0; i < n; i++)
        direction[i] = first[i] * unbias / (sqrtf(second[i]) / root + epsilon) + decay * param[i];
}

static void lamb(const struct ls_update *update, const struct ls_update_range *range, size_t begin,
                 size_t end) {
    float direction[PIECE], rate = rate_of(update, range);
    for (size_t at = begin; at < end; at += PIECE) {
        size_t n = end - at < PIECE ? end - at : PIECE;
        float *param = update->params + at;
        direction_of(update, range, at, n, direction);
        PLAIN_INDEPENDENT
        for (size_t i = 0; i < n; i++) param[i] -= rate * direction[i];
    }
}

// What the ratio of LARS is made of, beside the weights.
static void scaled_gradient(const struct ls_update *update, size_t begin, size_t n, float *scaled) {
    const float *grad = update->grads + begin;
    float factor = update->decision->grad_factor;
    PLAIN_INDEPENDENT
    for (size_t i = 0; i < n; i++) scaled[i] = grad[i] * factor;
}

static void norms_of_block(const struct ls_update *update, const struct ls_update_block *block,
                           double norms[2]) {
    struct parts weights = {0}, others = {0};
    float other[PIECE];
    for (size_t done = 0; done < block->count; done += PIECE) {
        size_t begin = block->offset + done, n = block->count - done < PIECE ? block->count - done : PIECE;
        if (update->kind == LS_LARS) {
            scaled_gradient(update, begin, n, other);
        } else {
            move_moments(update, begin, n);
            direction_of(update, &update->ranges[block->range], begin, n, other);
        }
        add_squares(&weights, update->params + begin, n);
        add_squares(&others, other, n);
    }
    norms[0] = fold(&weights);
    norms[1] = fold(&others);
}

static void update_norms(const struct ls_update *update, size_t begin, size_t end) {
    for (size_t b = begin; b < end; b++) norms_of_block(update, &update->blocks[b], update->norms[b]);
}

// ---- ranges

static size_t clamp(size_t value, size_t low, size_t high) {
    return value < low ? low : value > high ? high : value;
}

static void update_ranges(const struct ls_update *update) {
    static void (*const rules[])(const struct ls_update *update, const struct ls_update_range *range,
                                 size_t begin, size_t end) = {
        [LS_SGD] = sgd, [LS_ADAMW] = adamw, [LS_LARS] = lars, [LS_LAMB] = lamb};
    for (int r = 0; r < update->n_ranges; r++) {
        const struct ls_update_range *range = &update->ranges[r];
        size_t begin = clamp(range->offset, update->begin, update->end);
        size_t end = clamp(range->offset + range->count, update->begin, update->end);
        rules[update->kind](update, range, begin, end);
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

const struct ls_plain LS_LEVEL(ls_plain) = {LS_TEXT(LS_PLAIN_LEVEL),
                                            &LS_LEVEL(plain_kernel),
                                            add,
                                            square_sum,
                                            update_ranges,
                                            update_norms,
                                            move_average};
