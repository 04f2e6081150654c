// Values that only move: reshape, transpose, concat, slice, pad, repeat. The gradient of each is another of
// them; that of repeat, a sum.
#include "ops/move.h"

#include "ops/rule.h"

#include <inttypes.h>
#include <stdio.h>

#define MOST_PLACES ((int64_t)1 << 40) // more than any shape has
_Static_assert((int)LS_STEPS == (int)LS_MAX_RANK, "a step for each axis");

// ---- reshape ----

static ls_status reshape_infer(const struct ls_graph *graph, const struct ls_node *node,
                               struct ls_value_info *out) {
    LS_TRY(ls_expect_float(graph, node, 0, "x"));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    struct ls_shape shape = {.rank = 0};
    int64_t numbers = ls_shape_count(&x->shape), left = numbers;
    bool fits = true;
    char found[96], asked[96];
    for (int i = 0; i < LS_MAX_RANK && node->attr[LS_RESHAPE_DIM + i].i > 0; i++) {
        shape.dim[shape.rank++] = node->attr[LS_RESHAPE_DIM + i].i;
        fits = fits && left % shape.dim[i] == 0;
        left /= shape.dim[i];
    }
    for (int i = shape.rank; i < LS_MAX_RANK; i++)
        if (node->attr[LS_RESHAPE_DIM + i].i > 0)
            return LS_FAIL(LS_INPUT, "dim%d is %" PRId64 "; expected 0, as dim%d is", i,
                           node->attr[LS_RESHAPE_DIM + i].i, shape.rank);
    if (!fits || left != 1)
        return LS_FAIL(LS_INPUT, "x is %s, %" PRId64 " numbers, which do not fill %s",
                       ls_shape_text(found, &x->shape), numbers, ls_shape_text(asked, &shape));
    ls_set(&out[0], shape, x->dtype);
    return LS_OK;
}

static void set_dims(union ls_attr attr[LS_MAX_RANK], const struct ls_shape *shape) {
    for (int i = 0; i < LS_MAX_RANK; i++) attr[LS_RESHAPE_DIM + i].i = i < shape->rank ? shape->dim[i] : 0;
}

static ls_status reshape_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    union ls_attr attr[LS_MAX_RANK];
    set_dims(attr, &ls_info(gradient->graph, node.in[0])->shape);
    return ls_emit(gradient, at, LS_OP_RESHAPE, &dy, 1, attr, node.in);
}

// ---- transpose ----

static ls_status transpose_infer(const struct ls_graph *graph, const struct ls_node *node,
                                 struct ls_value_info *out) {
    LS_TRY(ls_expect_float(graph, node, 0, "x"));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    struct ls_shape shape = x->shape;
    bool taken[LS_MAX_RANK] = {0};
    for (int i = 0; i < LS_MAX_RANK; i++) {
        const int64_t axis = node->attr[LS_TRANSPOSE_AXIS + i].i;
        if (i < shape.rank ? axis >= shape.rank : axis != i)
            return LS_FAIL(LS_INPUT, "axis%d is %" PRId64 "; x has rank %d", i, axis, shape.rank);
        if (taken[axis]) return LS_FAIL(LS_INPUT, "axis%d is %" PRId64 ", as is one before it", i, axis);
        taken[axis] = true;
        if (i < shape.rank) shape.dim[i] = x->shape.dim[axis];
    }
    ls_set(&out[0], shape, x->dtype);
    return LS_OK;
}

static ls_status transpose_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    union ls_attr back[LS_MAX_RANK];
    for (int i = 0; i < LS_MAX_RANK; i++) back[LS_TRANSPOSE_AXIS + node.attr[LS_TRANSPOSE_AXIS + i].i].i = i;
    return ls_emit(gradient, at, LS_OP_TRANSPOSE, &dy, 1, back, node.in);
}

// Where axis j follows axis i in x as well, the two are one.
static bool stay_together(const struct ls_steps *steps, int i, int j) {
    return steps->step[i] == steps->step[j] * steps->size[j];
}

static struct ls_steps merged(const struct ls_steps *all, int rank) {
    struct ls_steps steps = {{1, 1, 1, 1, 1}, {0}};
    int first = LS_STEPS; // of the axes that are there
    for (int i = rank - 1; i >= 0; i--) {
        if (all->size[i] == 1) continue;
        steps.size[--first] = all->size[i];
        steps.step[first] = all->step[i];
        if (first + 1 == LS_STEPS || !stay_together(&steps, first, first + 1)) continue;
        steps.size[first + 1] *= steps.size[first];
        steps.size[first] = 1;
        steps.step[first++] = 0;
    }
    if (first == LS_STEPS) steps.step[LS_STEPS - 1] = 1; // a single number
    return steps;
}

struct ls_steps ls_steps_of(const struct ls_graph *graph, const struct ls_node *node) {
    const struct ls_shape *x = &ls_in(graph, node, 0)->shape;
    int64_t step_of[LS_MAX_RANK] = {0}, step = 1; // of the axes of x
    struct ls_steps steps = {{0}, {0}};
    for (int place = x->rank - 1; place >= 0; place--) {
        const int axis = ls_axis_lying_at(x->rank, place);
        step_of[axis] = step;
        step *= x->dim[axis];
    }
    for (int place = 0; place < x->rank; place++) {
        const int64_t axis = node->attr[LS_TRANSPOSE_AXIS + ls_axis_lying_at(x->rank, place)].i;
        steps.size[place] = x->dim[axis];
        steps.step[place] = step_of[axis];
    }
    return merged(&steps, x->rank);
}

// ---- along an axis ----

static ls_status expect_axis(const struct ls_graph *graph, const struct ls_node *node) {
    const int rank = ls_in(graph, node, 0)->shape.rank;
    if (node->attr[LS_MOVE_AXIS].i < rank) return LS_OK;
    return LS_FAIL(LS_INPUT, "axis is %" PRId64 "; x has rank %d", node->attr[LS_MOVE_AXIS].i, rank);
}

static ls_status concat_infer(const struct ls_graph *graph, const struct ls_node *node,
                              struct ls_value_info *out) {
    LS_TRY(ls_expect_float(graph, node, 0, "input 0"));
    LS_TRY(expect_axis(graph, node));
    const struct ls_value_info *first = ls_in(graph, node, 0);
    const int64_t axis = node->attr[LS_MOVE_AXIS].i;
    struct ls_shape shape = first->shape;
    for (int k = 1; k < node->n_in; k++) {
        char what[16];
        snprintf(what, sizeof what, "input %d", k);
        LS_TRY(ls_expect_rank(graph, node, k, what, shape.rank));
        struct ls_shape expected = first->shape;
        expected.dim[axis] = ls_in(graph, node, k)->shape.dim[axis];
        LS_TRY(ls_expect_shape(graph, node, k, what, expected));
        LS_TRY(ls_expect_type(graph, node, k, what, first->dtype));
        shape.dim[axis] += expected.dim[axis];
    }
    ls_set(&out[0], shape, first->dtype);
    return LS_OK;
}

// Of slice and pad: x, but with the attribute's size along its axis.
static ls_status resized_infer(const struct ls_graph *graph, const struct ls_node *node,
                               struct ls_value_info *out) {
    LS_TRY(ls_expect_float(graph, node, 0, "x"));
    LS_TRY(expect_axis(graph, node));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    struct ls_shape shape = x->shape;
    shape.dim[node->attr[LS_MOVE_AXIS].i] = node->attr[LS_MOVE_SIZE].i;
    ls_set(&out[0], shape, x->dtype);
    return LS_OK;
}

static ls_status slice_infer(const struct ls_graph *graph, const struct ls_node *node,
                             struct ls_value_info *out) {
    LS_TRY(resized_infer(graph, node, out));
    const int64_t axis = node->attr[LS_MOVE_AXIS].i, begin = node->attr[LS_MOVE_BEGIN].i;
    const int64_t size = out[0].shape.dim[axis], places = ls_in(graph, node, 0)->shape.dim[axis];
    if (begin + size <= places) return LS_OK;
    return LS_FAIL(LS_INPUT, "%" PRId64 " places from %" PRId64 " on; x has %" PRId64 " along axis %" PRId64,
                   size, begin, places, axis);
}

static ls_status pad_infer(const struct ls_graph *graph, const struct ls_node *node,
                           struct ls_value_info *out) {
    LS_TRY(resized_infer(graph, node, out));
    const int64_t axis = node->attr[LS_MOVE_AXIS].i, begin = node->attr[LS_MOVE_BEGIN].i;
    const int64_t size = out[0].shape.dim[axis], places = ls_in(graph, node, 0)->shape.dim[axis];
    if (begin + places <= size) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "x has %" PRId64 " places along axis %" PRId64 ", which do not fit into %" PRId64
                   " from %" PRId64 " on",
                   places, axis, size, begin);
}

static ls_status concat_gradient(struct ls_gradient *gradient, int at) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    const int64_t axis = node.attr[LS_MOVE_AXIS].i;
    int64_t begin = 0;
    for (int k = 0; k < node.n_in; k++) {
        const int64_t size = ls_info(gradient->graph, node.in[k])->shape.dim[axis];
        const union ls_attr attr[] = {
            [LS_MOVE_AXIS].i = axis, [LS_MOVE_BEGIN].i = begin, [LS_MOVE_SIZE].i = size};
        LS_TRY(ls_emit(gradient, at, LS_OP_SLICE, &dy, 1, attr, &node.in[k]));
        begin += size;
    }
    return LS_OK;
}

// Slice and pad are each other's gradient: with the same begin, and the size of x.
static ls_status undo(struct ls_gradient *gradient, int at, enum ls_op_id op) {
    const struct ls_node node = gradient->graph->nodes[at];
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    const int64_t axis = node.attr[LS_MOVE_AXIS].i;
    const union ls_attr attr[] = {
        [LS_MOVE_AXIS].i = axis,
        [LS_MOVE_BEGIN].i = node.attr[LS_MOVE_BEGIN].i,
        [LS_MOVE_SIZE].i = ls_info(gradient->graph, node.in[0])->shape.dim[axis],
    };
    return ls_emit(gradient, at, op, &dy, 1, attr, node.in);
}

static ls_status slice_gradient(struct ls_gradient *gradient, int at) {
    return undo(gradient, at, LS_OP_PAD);
}

static ls_status pad_gradient(struct ls_gradient *gradient, int at) {
    return undo(gradient, at, LS_OP_SLICE);
}

static struct ls_runs repeated(const struct ls_shape *x, int64_t times) {
    const int64_t count = ls_shape_count(x);
    return (struct ls_runs){.times = times, .count = count, .y_step = count, .x_count = count, .x_step = 0};
}

struct ls_runs ls_runs_of(const struct ls_graph *graph, const struct ls_node *node, int input) {
    const struct ls_shape *x = &ls_in(graph, node, input)->shape, *y = &ls_info(graph, node->out[0])->shape;
    if (node->op->id == LS_OP_REPEAT) return repeated(x, y->dim[0]);
    const int64_t along = node->attr[LS_MOVE_AXIS].i;
    int place = 0;
    int64_t times = 1, inside = 1, begin = node->attr[LS_MOVE_BEGIN].i;
    for (; ls_axis_lying_at(x->rank, place) != along; place++)
        times *= x->dim[ls_axis_lying_at(x->rank, place)];
    for (place++; place < x->rank; place++) inside *= x->dim[ls_axis_lying_at(x->rank, place)];

    struct ls_runs runs = {.times = times,
                           .count = y->dim[along] * inside,
                           .y_step = y->dim[along] * inside,
                           .x_count = x->dim[along] * inside,
                           .x_step = x->dim[along] * inside};
    switch (node->op->id) {
    case LS_OP_SLICE: runs.x_first = begin * inside; break;
    case LS_OP_PAD: runs.x_first = -begin * inside; break;
    default: // concat
        for (int k = 0; k < input; k++) runs.y_first += ls_in(graph, node, k)->shape.dim[along] * inside;
        runs.count = runs.x_count;
        break;
    }
    return runs;
}

// ---- repeat ----

static ls_status repeat_infer(const struct ls_graph *graph, const struct ls_node *node,
                              struct ls_value_info *out) {
    LS_TRY(ls_expect_float(graph, node, 0, "x"));
    const struct ls_value_info *x = ls_in(graph, node, 0);
    struct ls_shape shape = x->shape;
    char text[96];
    if (shape.rank == 0 || shape.dim[0] != 1)
        return LS_FAIL(LS_INPUT, "x is %s; expected one place along axis 0", ls_shape_text(text, &shape));
    shape.dim[0] = node->attr[LS_REPEAT_TIMES].i;
    ls_set(&out[0], shape, x->dtype);
    return LS_OK;
}

// The sum over what was repeated is that of a bias.
static ls_status repeat_gradient(struct ls_gradient *gradient, int at) {
    struct ls_graph *graph = gradient->graph;
    const struct ls_node node = graph->nodes[at];
    const struct ls_shape x = ls_info(graph, node.in[0])->shape;
    ls_value dy = ls_gradient_out(gradient, &node, 0);
    dy = ls_reshape(graph, dy, LS_SHAPE(node.attr[LS_REPEAT_TIMES].i, ls_shape_count(&x)));
    dy = ls_build(graph, LS_OP_BIAS_GRAD, NULL, &dy, 1, NULL);
    dy = ls_reshape(graph, dy, x);
    return dy == LS_NONE ? graph->status : ls_gradient_flow(gradient, node.in[0], dy);
}

// ---- the ops ----

static double nothing(const struct ls_graph *graph, const struct ls_node *node) {
    (void)graph, (void)node;
    return 0;
}

#define DIM(name)        LS_INT(name, 0, 0, MOST_PLACES)
#define AXIS(name, axis) LS_INT(name, axis, 0, LS_MAX_RANK - 1)
static const struct ls_attr_info reshape_attrs[] = {DIM("dim0"), DIM("dim1"), DIM("dim2"), DIM("dim3"),
                                                    DIM("dim4")};
static const struct ls_attr_info transpose_attrs[] = {AXIS("axis0", 0), AXIS("axis1", 1), AXIS("axis2", 2),
                                                      AXIS("axis3", 3), AXIS("axis4", 4)};
static const struct ls_attr_info move_attrs[] = {AXIS("axis", 0), LS_INT("begin", 0, 0, MOST_PLACES),
                                                 LS_INT("size", 1, 1, MOST_PLACES)};
static const struct ls_attr_info repeat_attrs[] = {LS_INT("times", 1, 1, MOST_PLACES)};
static const struct ls_attr_info concat_attrs[] = {AXIS("axis", 0), LS_UNUSED("begin", 0),
                                                   LS_UNUSED("size", 1)};

const struct ls_op ls_reshape_op = {
    .id = LS_OP_RESHAPE,
    .name = "reshape",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF | LS_OP_VIEW,
    .n_attrs = LS_MAX_RANK,
    .attrs = reshape_attrs,
    .infer = reshape_infer,
    .gradient = reshape_gradient,
};

const struct ls_op ls_transpose_op = {
    .id = LS_OP_TRANSPOSE,
    .name = "transpose",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = LS_MAX_RANK,
    .attrs = transpose_attrs,
    .infer = transpose_infer,
    .gradient = transpose_gradient,
    .flops = nothing,
};

const struct ls_op ls_concat_op = {
    .id = LS_OP_CONCAT,
    .name = "concat",
    .min_in = 2,
    .max_in = LS_MAX_IN,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 3,
    .attrs = concat_attrs,
    .infer = concat_infer,
    .gradient = concat_gradient,
    .flops = nothing,
};

const struct ls_op ls_slice_op = {
    .id = LS_OP_SLICE,
    .name = "slice",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 3,
    .attrs = move_attrs,
    .infer = slice_infer,
    .gradient = slice_gradient,
    .flops = nothing,
};

const struct ls_op ls_pad_op = {
    .id = LS_OP_PAD,
    .name = "pad",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 3,
    .attrs = move_attrs,
    .infer = pad_infer,
    .gradient = pad_gradient,
    .flops = nothing,
};

const struct ls_op ls_repeat_op = {
    .id = LS_OP_REPEAT,
    .name = "repeat",
    .min_in = 1,
    .max_in = 1,
    .n_out = 1,
    .flags = LS_OP_HALF,
    .n_attrs = 1,
    .attrs = repeat_attrs,
    .infer = repeat_infer,
    .gradient = repeat_gradient,
    .flops = nothing,
};

// ---- builders ----

ls_value ls_reshape(struct ls_graph *graph, ls_value x, struct ls_shape shape) {
    union ls_attr attr[LS_MAX_RANK];
    set_dims(attr, &shape);
    return ls_build(graph, LS_OP_RESHAPE, NULL, &x, 1, attr);
}

ls_value ls_transpose(struct ls_graph *graph, ls_value x, const int *axes) {
    if (!ls_builder_ready(graph, x, "transpose")) return LS_NONE;
    union ls_attr attr[LS_MAX_RANK];
    for (int i = 0; i < LS_MAX_RANK; i++)
        attr[LS_TRANSPOSE_AXIS + i].i = i < ls_info(graph, x)->shape.rank ? axes[i] : i;
    return ls_build(graph, LS_OP_TRANSPOSE, NULL, &x, 1, attr);
}

static ls_value build_along(struct ls_graph *graph, enum ls_op_id op, const ls_value *in, int n_in, int axis,
                            int64_t begin, int64_t size) {
    const union ls_attr attr[] = {
        [LS_MOVE_AXIS].i = axis, [LS_MOVE_BEGIN].i = begin, [LS_MOVE_SIZE].i = size};
    return ls_build(graph, op, NULL, in, n_in, attr);
}

ls_value ls_concat(struct ls_graph *graph, const ls_value *parts, int n, int axis) {
    return build_along(graph, LS_OP_CONCAT, parts, n, axis, 0, 1);
}

ls_value ls_slice(struct ls_graph *graph, ls_value x, int axis, int64_t begin, int64_t size) {
    return build_along(graph, LS_OP_SLICE, &x, 1, axis, begin, size);
}

ls_value ls_pad(struct ls_graph *graph, ls_value x, int axis, int64_t begin, int64_t size) {
    return build_along(graph, LS_OP_PAD, &x, 1, axis, begin, size);
}

ls_value ls_repeat(struct ls_graph *graph, ls_value x, int64_t times) {
    const union ls_attr attr[] = {[LS_REPEAT_TIMES].i = times};
    return ls_build(graph, LS_OP_REPEAT, NULL, &x, 1, attr);
}
