// Sums: n additions in f32, in whatever order of which no number goes through more than d, are off by less
// than d u times the sum of magnitudes, u = 2^-24 (Higham, "Accuracy and stability of numerical
// algorithms", 4.2). In the kernels a number goes through: as many additions as its thread makes (a few, for
// the shapes of these tests), then log2 of a block's threads, then f64. DEPTH is above that, with the
// roundings before and after.
#include "gpu/bounds.h"

#include "ops/groupnorm.h"
#include "ops/matmul.h"

#include <math.h>
#include <stdlib.h>

static const double u = 0x1p-24;
enum { DEPTH = 24 };

bool ls_is_exact(enum ls_op_id op) {
    switch (op) {
    case LS_OP_INPUT:
    case LS_OP_CAST:
    case LS_OP_BIAS:
    case LS_OP_RELU:
    case LS_OP_RELU_GRAD:
    case LS_OP_CLIP:
    case LS_OP_CLIP_GRAD:
    case LS_OP_SIGMOID_GRAD:
    case LS_OP_LEAKY_RELU:
    case LS_OP_LEAKY_RELU_GRAD:
    case LS_OP_TANH_GRAD:
    case LS_OP_HARD_SWISH:
    case LS_OP_HARD_SWISH_GRAD:
    case LS_OP_ADD:
    case LS_OP_MUL:
    case LS_OP_ADD_RELU:
    case LS_OP_DROPOUT:
    case LS_OP_MAX_POOL:
    case LS_OP_MAX_POOL_GRAD:
    case LS_OP_AVG_POOL:
    case LS_OP_AVG_POOL_GRAD:
    case LS_OP_GLOBAL_AVG_POOL_GRAD:
    case LS_OP_RANK_FLAGS:
    case LS_OP_TRANSPOSE:
    case LS_OP_CONCAT:
    case LS_OP_SLICE:
    case LS_OP_PAD:
    case LS_OP_REPEAT:
    case LS_OP_EMBEDDING:
    case LS_OP_EMBEDDING_GRAD: return true;
    default: return false;
    }
}

struct shape {
    int64_t n, c, pixels, rows; // pixels of an image; rows = n * pixels
};

static struct shape shape_of(const struct ls_trial *trial, ls_value value) {
    const struct ls_shape *s = &ls_info(&trial->graph, value)->shape;
    struct shape shape = {s->dim[0], s->rank > 1 ? s->dim[1] : 1, 1, 0};
    for (int i = 2; i < s->rank; i++) shape.pixels *= s->dim[i];
    shape.rows = shape.n * shape.pixels;
    return shape;
}

static double in(const struct ls_trial *trial, int k, int64_t i) {
    return ls_trial_get(trial, trial->graph.nodes[0].in[k], i);
}

static double out(const struct ls_trial *trial, int k, int64_t i) {
    return ls_trial_get(trial, trial->graph.nodes[0].out[k], i);
}

static double greatest(double a, double b) {
    return a > b ? a : b;
}

// ---- products and sums: the same op on magnitudes has the sums of magnitudes

static int64_t terms_of(const struct ls_trial *trial) {
    const struct ls_node *node = &trial->graph.nodes[0];
    struct shape first = shape_of(trial, node->in[0]), second = first;
    if (node->n_in > 1) second = shape_of(trial, node->in[1]);
    switch (node->op->id) {
    case LS_OP_CONV:
    case LS_OP_CONV_RELU:
    case LS_OP_LINEAR:
    case LS_OP_LINEAR_RELU: return second.c * second.pixels + 1; // inputs of a group times places
    case LS_OP_CONV_TRANSPOSE:
    case LS_OP_CONV_INPUT_GRAD:
    case LS_OP_LINEAR_INPUT_GRAD: return first.c * second.pixels;
    case LS_OP_CONV_WEIGHT_GRAD:
    case LS_OP_LINEAR_WEIGHT_GRAD: return second.rows;
    case LS_OP_MATMUL: return ls_products_of(&trial->graph, node).k + 1; // and the scale
    default: return DEPTH;
    }
}

static ls_status bounds_of_sums(struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &trial->graph.nodes[0];
    for (int k = 0; k < node->n_in; k++)
        for (int64_t i = 0; i < ls_trial_count(trial, node->in[k]); i++)
            ls_trial_put(trial, node->in[k], i, fabs(in(trial, k, i)));
    LS_TRY(ls_trial_run(trial, LS_CPU_PLAIN, 0, 1));
    // Twice: a Tensor Core may cut off what it adds instead of rounding it.
    for (int64_t i = 0; i < ls_trial_count(trial, node->out[0]); i++)
        bound[0][i] = 2 * (double)(terms_of(trial) + 2) * u * out(trial, 0, i);
    return LS_OK;
}

// ---- batch normalization. M: the greatest |x| of a channel; X: the greatest |x - mean|; v = var + epsilon.

// The mean of a few rows is rounded as numbers of size M are, and so is each step of the merging. A square of
// a distance is off by twice the distance times the mean's error.
static void bounds_of_batchnorm(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &trial->graph.nodes[0];
    struct shape x = shape_of(trial, node->in[0]);
    double epsilon = node->attr[LS_BATCHNORM_EPSILON].f;
    for (int64_t c = 0; c < x.c; c++) {
        double M = 0, X = 0, mean = out(trial, 1, c), var = out(trial, 2, c);
        for (int64_t r = 0; r < x.rows; r++) {
            M = greatest(M, fabs(in(trial, 0, r * x.c + c)));
            X = greatest(X, fabs(in(trial, 0, r * x.c + c) - mean));
        }
        double scale = fabs(in(trial, 1, c)), shift = fabs(in(trial, 2, c)), deviation = sqrt(var + epsilon);
        double of_mean = 16 * u * M, of_var = 16 * u * (var + M * sqrt(var)) + of_mean * of_mean;
        double of_factor = of_var / (2 * (var + epsilon)) + 4 * u; // relative
        bound[1][c] = of_mean;
        bound[2][c] = of_var;
        for (int64_t r = 0; r < x.rows; r++) {
            bound[0][r * x.c + c] = scale / deviation * (of_mean + u * X) +
                                    scale * X / deviation * (of_factor + 2 * u) + 2 * u * shift;
            if (node->n_in > 3) // one sum more
                bound[0][r * x.c + c] +=
                    u * (scale * X / deviation + shift + fabs(in(trial, 3, r * x.c + c)));
        }
    }
}

static void bounds_of_batchnorm_eval(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &trial->graph.nodes[0];
    struct shape x = shape_of(trial, node->in[0]);
    for (int64_t i = 0; i < x.rows * x.c; i++) {
        int64_t c = i % x.c;
        double deviation = sqrt(in(trial, 4, c) + node->attr[LS_BATCHNORM_EPSILON].f);
        double size = fabs(in(trial, 1, c)) / deviation * fabs(in(trial, 0, i) - in(trial, 3, c));
        bound[0][i] = 4 * u * (size + fabs(in(trial, 2, c)));
    }
}

// The factor is rounded from f64, and so is its product with dy.
static void bounds_of_batchnorm_eval_grad(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    for (int64_t i = 0; i < ls_trial_count(trial, trial->graph.nodes[0].out[0]); i++)
        bound[0][i] = 4 * u * fabs(out(trial, 0, i));
}

// Sums of what flows in, and of that times x - mean; then dx, which adds three terms of these sizes. Where
// two dy flow in, one sum more.
static void bounds_of_batchnorm_grad(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &trial->graph.nodes[0];
    struct shape x = shape_of(trial, node->in[0]);
    const bool sums = node->op->id == LS_OP_BATCHNORM_ADD_RELU_GRAD, two = node->n_in > 6;
    const bool shifts = !sums && node->op->id != LS_OP_BATCHNORM_GRAD;
    int dy = sums ? 2 : 1, scale = dy + 1, mean = scale + 1 + shifts, var = mean + 1;
    for (int64_t c = 0; c < x.c; c++) {
        double flow = 0, product = 0, most = 0, X = 0,
               v = in(trial, var, c) + node->attr[LS_BATCHNORM_EPSILON].f;
        for (int64_t i = c; i < x.rows * x.c; i += x.c) {
            double size = fabs(in(trial, dy, i)) + (two ? fabs(in(trial, 6, i)) : 0);
            if (sums && in(trial, 1, i) <= 0) size = 0;
            if (sums) bound[3][i] = u * size;
            double apart = fabs(in(trial, 0, i) - in(trial, mean, c));
            flow += size, product += size * apart;
            most = greatest(most, size), X = greatest(X, apart);
        }
        double rows = (double)x.rows, factor = fabs(in(trial, scale, c)) / sqrt(v);
        bound[1][c] = DEPTH * u * product / sqrt(v);
        bound[2][c] = DEPTH * u * flow;
        for (int64_t i = c; i < x.rows * x.c; i += x.c)
            bound[0][i] = (DEPTH + 8) * u * factor * (most + flow / rows + X * product / v / rows);
    }
}

// ---- layer and group normalization. A number goes through MOST_IN_F32 additions in f32, then f64.

enum { MOST_IN_F32 = 32 };

struct moments {
    double mean, factor;       // 1 / sqrt(var + epsilon)
    double X;                  // the greatest |x - mean|
    double of_mean, of_factor; // what they may be off; of_factor: relative
};

// Number i of a group: where it lies.
static int64_t spot(const struct ls_groups *g, int64_t group, int64_t i) {
    const int64_t size = g->channels / g->groups;
    return group / g->groups * g->pixels * g->channels + i / size * g->channels + group % g->groups * size +
           i % size;
}

// A square of a distance is off by twice the distance times the mean's error.
static struct moments moments_of(const struct ls_trial *trial, const struct ls_groups *g, int64_t group) {
    const int64_t count = g->pixels * (g->channels / g->groups);
    struct moments m = {0};
    double M = 0, var = 0;
    for (int64_t i = 0; i < count; i++) {
        m.mean += in(trial, 0, spot(g, group, i)) / (double)count;
        M = greatest(M, fabs(in(trial, 0, spot(g, group, i))));
    }
    for (int64_t i = 0; i < count; i++) {
        const double apart = in(trial, 0, spot(g, group, i)) - m.mean;
        var += apart * apart / (double)count;
        m.X = greatest(m.X, fabs(apart));
    }
    m.of_mean = (MOST_IN_F32 + 2) * u * M;
    const double of_var = (MOST_IN_F32 + 6) * u * var + 2 * m.of_mean * sqrt(var) + m.of_mean * m.of_mean;
    m.of_factor = of_var / (2 * (var + g->epsilon)) + 2 * u;
    m.factor = 1 / sqrt(var + g->epsilon);
    return m;
}

static void bounds_of_groupnorm(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_groups g = ls_groups_of(&trial->graph, &trial->graph.nodes[0]);
    for (int64_t group = 0; group < g.samples * g.groups; group++) {
        const struct moments m = moments_of(trial, &g, group);
        for (int64_t i = 0; i < g.pixels * (g.channels / g.groups); i++) {
            const int64_t at = spot(&g, group, i);
            const double scale = fabs(in(trial, 1, at % g.channels)),
                         shift = fabs(in(trial, 2, at % g.channels));
            bound[0][at] = scale * m.factor * (m.of_mean + m.X * (m.of_factor + 6 * u)) + 2 * u * shift;
        }
    }
}

// dx is the factor times a sum of three terms, of which the averages are off as sums are, and by what the
// mean is off.
static void bounds_of_groupnorm_grad(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_groups g = ls_groups_of(&trial->graph, &trial->graph.nodes[0]);
    const int64_t count = g.pixels * (g.channels / g.groups);
    for (int64_t group = 0; group < g.samples * g.groups; group++) {
        const struct moments m = moments_of(trial, &g, group);
        double flow = 0, product = 0, most = 0;
        for (int64_t i = 0; i < count; i++) {
            const int64_t at = spot(&g, group, i), c = at % g.channels;
            const double dy = fabs(in(trial, 1, at)), size = dy * fabs(in(trial, 2, c));
            const double apart = fabs(in(trial, 0, at) - m.mean);
            flow += size / (double)count, product += size * apart / (double)count;
            most = greatest(most, size);
            bound[1][c] += dy * m.factor * (m.of_mean + apart * (m.of_factor + DEPTH * u));
            bound[2][c] += DEPTH * u * dy;
        }
        const double slope = product * m.factor * m.factor, terms = most + flow + m.X * slope;
        const double of_terms = 2 * (MOST_IN_F32 + 8) * u * terms + 3 * m.of_factor * terms +
                                m.of_mean * (slope + m.X * m.factor * m.factor * flow);
        for (int64_t i = 0; i < count; i++) bound[0][spot(&g, group, i)] = m.factor * of_terms;
    }
}

// ---- softmax and losses: exp(x - max) is off by u times the size of its argument, and by 2 units of its
// own; `range` is the greatest size of an argument. That of binary cross entropy is x itself.

static double range_of(const struct ls_trial *trial, int64_t n, int64_t classes) {
    bool from_zero = trial->graph.nodes[0].op->id == LS_OP_BINARY_CROSS_ENTROPY;
    double least = from_zero ? 0 : INFINITY, most = from_zero ? 0 : -INFINITY;
    for (int64_t c = 0; c < classes; c++) {
        least = -greatest(-least, -in(trial, 0, n * classes + c));
        most = greatest(most, in(trial, 0, n * classes + c));
    }
    return most - least;
}

// Numbers of a row: the last axis.
static int64_t each_of(const struct ls_trial *trial) {
    const struct ls_shape *x = &ls_info(&trial->graph, trial->graph.nodes[0].in[0])->shape;
    return x->dim[x->rank - 1];
}

static void bounds_of_softmax(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const int64_t each = each_of(trial), count = ls_trial_count(trial, trial->graph.nodes[0].in[0]);
    for (int64_t i = 0; i < count; i++)
        bound[0][i] = (range_of(trial, i / each, each) + DEPTH) * u * out(trial, 0, i) + 1e-45;
}

static void bounds_of_softmax_grad(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const int64_t each = each_of(trial), count = ls_trial_count(trial, trial->graph.nodes[0].in[0]);
    for (int64_t first = 0; first < count; first += each) {
        double inner = 0;
        for (int64_t i = first; i < first + each; i++) inner += fabs(in(trial, 0, i) * in(trial, 1, i));
        for (int64_t i = first; i < first + each; i++)
            bound[0][i] = DEPTH * u * fabs(in(trial, 0, i)) * (inner + fabs(in(trial, 1, i)));
    }
}

static bool is_of_predictions(const struct ls_node *node) {
    switch (node->op->id) {
    case LS_OP_MSE:
    case LS_OP_MSE_GRAD:
    case LS_OP_MAE:
    case LS_OP_MAE_GRAD:
    case LS_OP_HUBER:
    case LS_OP_HUBER_GRAD: return true;
    default: return false;
    }
}

// The loss of a sample is a few numbers of the size of its range, or is a mean of numbers that are off as
// little. The score and the weights of cross entropies are sums of the weights themselves.
static void bounds_of_loss(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &trial->graph.nodes[0];
    struct shape x = shape_of(trial, node->in[0]);
    double loss = 0, weights = out(trial, 2, 0);
    for (int64_t n = 0; n < x.n; n++) loss += fabs(in(trial, 2, n)) * (range_of(trial, n, x.c) + 2);
    bound[0][0] = DEPTH * u * (loss + fabs(out(trial, 0, 0)));
    bound[1][0] = (is_of_predictions(node) ? DEPTH : 1) * u * fabs(out(trial, 1, 0));
    bound[2][0] = u * fabs(weights);
}

static void bounds_of_loss_grad(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &trial->graph.nodes[0];
    struct shape x = shape_of(trial, node->in[0]);
    double seed = fabs(in(trial, 3, 0));
    for (int64_t i = 0; i < x.n * x.c; i++) {
        double size = seed * fabs(in(trial, 2, i / x.c));
        if (node->op->id == LS_OP_CROSS_ENTROPY_GRAD)
            bound[0][i] = size * (range_of(trial, i / x.c, x.c) + DEPTH) * u;
        else if (is_of_predictions(node))
            bound[0][i] = 8 * u * fabs(out(trial, 0, i));
        else
            bound[0][i] = size / (double)x.c * 16 * u; // of a difference of numbers up to 1
    }
}

// exp is good to 2 units, 1 + e and the quotient to 1/2 each.
static void bounds_of_sigmoid(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    for (int64_t i = 0; i < ls_trial_count(trial, trial->graph.nodes[0].out[0]); i++)
        bound[0][i] = 8 * u * out(trial, 0, i) + 1e-45;
}

// expf, tanhf and erfcf are good to 4 units, and go with the size of their argument: that of the exponential
// in silu is exact, those in gelu (x^2, or u with its x^3) are rounded to a few units of 8 x^2 at most. A
// slope is a sum, of terms up to 1 and |x|. Results near the least normal number may have lost digits on
// their way.
static void bounds_of_activation(const struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    const struct ls_node *node = &trial->graph.nodes[0];
    const enum ls_op_id op = (enum ls_op_id)node->op->id;
    for (int64_t i = 0; i < ls_trial_count(trial, node->out[0]); i++) {
        double x = in(trial, 0, i), size = fabs(out(trial, 0, i)), units = 16;
        if (op == LS_OP_GELU || op == LS_OP_GELU_GRAD) units += 16 * x * x;
        if (op == LS_OP_SILU_GRAD || op == LS_OP_GELU_GRAD) {
            const double part = op == LS_OP_SILU_GRAD ? 1 / (1 + exp(-x)) : erfc(-x / sqrt(2)) / 2;
            const double tail = greatest(part, exp(-x * x / 2));
            size = fabs(in(trial, 1, i)) * tail * (1 + fabs(x));
        }
        bound[0][i] = units * u * size + 1e-37;
    }
}

ls_status ls_bounds_of(struct ls_trial *trial, double *const bound[LS_MAX_OUT]) {
    switch (trial->graph.nodes[0].op->id) {
    case LS_OP_BATCHNORM:
    case LS_OP_BATCHNORM_ADD_RELU:
    case LS_OP_BATCHNORM_RELU: bounds_of_batchnorm(trial, bound); return LS_OK;
    case LS_OP_BATCHNORM_EVAL:
    case LS_OP_BATCHNORM_EVAL_RELU: bounds_of_batchnorm_eval(trial, bound); return LS_OK;
    case LS_OP_BATCHNORM_EVAL_GRAD: bounds_of_batchnorm_eval_grad(trial, bound); return LS_OK;
    case LS_OP_BATCHNORM_GRAD:
    case LS_OP_BATCHNORM_ADD_RELU_GRAD:
    case LS_OP_BATCHNORM_RELU_GRAD: bounds_of_batchnorm_grad(trial, bound); return LS_OK;
    case LS_OP_LAYERNORM:
    case LS_OP_GROUPNORM: bounds_of_groupnorm(trial, bound); return LS_OK;
    case LS_OP_LAYERNORM_GRAD:
    case LS_OP_GROUPNORM_GRAD: bounds_of_groupnorm_grad(trial, bound); return LS_OK;
    case LS_OP_SOFTMAX: bounds_of_softmax(trial, bound); return LS_OK;
    case LS_OP_SOFTMAX_GRAD: bounds_of_softmax_grad(trial, bound); return LS_OK;
    case LS_OP_CROSS_ENTROPY:
    case LS_OP_BINARY_CROSS_ENTROPY:
    case LS_OP_MAE:
    case LS_OP_HUBER:
    case LS_OP_MSE: bounds_of_loss(trial, bound); return LS_OK;
    case LS_OP_CROSS_ENTROPY_GRAD:
    case LS_OP_BINARY_CROSS_ENTROPY_GRAD:
    case LS_OP_MAE_GRAD:
    case LS_OP_HUBER_GRAD:
    case LS_OP_MSE_GRAD: bounds_of_loss_grad(trial, bound); return LS_OK;
    case LS_OP_SIGMOID: bounds_of_sigmoid(trial, bound); return LS_OK;
    case LS_OP_TANH:
    case LS_OP_GELU:
    case LS_OP_GELU_GRAD:
    case LS_OP_SILU:
    case LS_OP_SILU_GRAD: bounds_of_activation(trial, bound); return LS_OK;
    default: return bounds_of_sums(trial, bound);
    }
}
