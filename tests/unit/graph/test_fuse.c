#include "pass_check.h"

static void an_op_takes_its_relu(void **state) {
    (void)state;
    expect(ls_pass_fuse,
           "graph eval\n"
           "%0 = raw \"raw\" f32 2x3x4x4\n"
           "%1 = param \"w\" f32 3x3x1x1 constant(0)\n"
           "%2 = param \"b\" f32 3 constant(0)\n"
           "%3 = param \"v\" f32 5x48 constant(0)\n"
           "%4 = conv \"conv\" (%0, %1, %2) -> f32 2x3x4x4\n"
           "%5 = relu \"relu1\" (%4) -> f32 2x3x4x4\n"
           "%6 = batchnorm_eval \"norm\" (%5, %2, %2, %2, %2) epsilon=0.5 -> f32 2x3x4x4\n"
           "%7 = relu \"relu2\" (%6) -> f32 2x3x4x4\n"
           "%8 = add \"add\" (%5, %7) -> f32 2x3x4x4\n"
           "%9 = relu \"relu3\" (%8) -> f32 2x3x4x4\n"
           "%10 = flatten \"flatten\" (%9) -> f32 2x48\n"
           "%11 = linear \"linear\" (%10, %3) -> f32 2x5\n"
           "%12 = relu \"relu4\" (%11) -> f32 2x5\n"
           "result %12\n",
           "graph eval\n"
           "%0 = raw \"raw\" f32 2x3x4x4\n"
           "%1 = param \"w\" f32 3x3x1x1 constant(0)\n"
           "%2 = param \"b\" f32 3 constant(0)\n"
           "%3 = param \"v\" f32 5x48 constant(0)\n"
           "%5 = conv_relu \"conv\" (%0, %1, %2) -> f32 2x3x4x4\n"
           "%7 = batchnorm_eval_relu \"norm\" (%5, %2, %2, %2, %2) epsilon=0.5 -> f32 2x3x4x4\n"
           "%9 = add_relu \"add\" (%5, %7) -> f32 2x3x4x4\n"
           "%10 = flatten \"flatten\" (%9) -> f32 2x48\n"
           "%12 = linear_relu \"linear\" (%10, %3) -> f32 2x5\n"
           "result %12\n");
}

#define NORM_INPUTS                                                                                          \
    "graph train\n"                                                                                          \
    "%0 = raw \"raw\" f32 2x3x4x4\n"                                                                         \
    "%1 = param \"scale\" f32 3 constant(1)\n"                                                               \
    "%2 = param \"shift\" f32 3 constant(0)\n"                                                               \
    "%3 = state \"mean\" f32 3 constant(0)\n"                                                                \
    "%4 = weight \"dy\" f32 2x3x4x4\n"
#define NORM_OUTPUTS "  output %6 \"stat:mean\" of %3 momentum=0.5\n"
#define NORM_GRADIENTS                                                                                       \
    "  output %11 \"grad:scale\" of %1\n"                                                                    \
    "  output %12 \"grad:shift\" of %2\n"

static void batchnorm_and_its_gradient_take_the_relu(void **state) {
    (void)state;
    expect(ls_pass_fuse,
           NORM_INPUTS
           "%5, %6, %7 = batchnorm \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
           "%8 = relu \"relu\" (%5) -> f32 2x3x4x4\n"
           "%9 = relu_grad \"g\" (%8, %4) -> f32 2x3x4x4\n"
           "%10, %11, %12 = batchnorm_grad \"dnorm\" (%0, %9, %1, %6, %7) -> "
           "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS,
           NORM_INPUTS
           "%8, %6, %7 = batchnorm_relu \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
           "%10, %11, %12 = batchnorm_relu_grad \"dnorm\" (%0, %4, %1, %2, %6, %7) -> "
           "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS);
}

static void batchnorm_and_its_gradient_take_a_clip_from_0(void **state) {
    (void)state;
    expect(
        ls_pass_fuse,
        NORM_INPUTS
        "%5, %6, %7 = batchnorm \"norm\" (%0, %1, %2) epsilon=0.5 -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
        "%8 = clip \"relu6\" (%5) -> f32 2x3x4x4\n"
        "%9 = clip_grad \"g\" (%8, %4) -> f32 2x3x4x4\n"
        "%10, %11, %12 = batchnorm_grad \"dnorm\" (%0, %9, %1, %6, %7) epsilon=0.5 -> "
        "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS,
        NORM_INPUTS
        "%8, %6, %7 = batchnorm_relu \"norm\" (%0, %1, %2) epsilon=0.5 most=6 -> f32 2x3x4x4, f32 3, f32 "
        "3\n" NORM_OUTPUTS
        "%10, %11, %12 = batchnorm_relu_grad \"dnorm\" (%0, %4, %1, %2, %6, %7) epsilon=0.5 most=6 -> "
        "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS);
}

static void a_clip_from_elsewhere_or_behind_something_else_stays(void **state) {
    (void)state;
    expect_unchanged(ls_pass_fuse, "graph eval\n"
                                   "%0 = raw \"raw\" f32 2x3\n"
                                   "%1 = param \"b\" f32 3 constant(0)\n"
                                   "%2 = batchnorm_eval \"norm\" (%0, %1, %1, %1, %1) -> f32 2x3\n"
                                   "%3 = clip \"clip\" (%2) low=-1 -> f32 2x3\n"
                                   "%4 = add \"add\" (%3, %3) -> f32 2x3\n"
                                   "%5 = clip \"relu6\" (%4) -> f32 2x3\n"
                                   "%6 = batchnorm_eval \"norm2\" (%5, %1, %1, %1, %1) -> f32 2x3\n"
                                   "%7 = clip \"nothing\" (%6) high=0 -> f32 2x3\n"
                                   "result %7\n");
}

// What relu let through is computed again from the normalization before it: of another relu, it can't be.
static void a_gradient_of_another_relu_stays(void **state) {
    (void)state;
    expect_unchanged(
        ls_pass_fuse,
        NORM_INPUTS "%5, %6, %7 = batchnorm \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
                    "%9 = relu_grad \"g\" (%4, %5) -> f32 2x3x4x4\n"
                    "%10, %11, %12 = batchnorm_grad \"dnorm\" (%0, %9, %1, %6, %7) -> "
                    "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS);
}

// The end of a residual block: the gradient of what was added is read by another normalization.
static void batchnorm_and_its_gradient_take_sum_and_relu(void **state) {
    (void)state;
    expect(ls_pass_fuse,
           NORM_INPUTS
           "%5, %6, %7 = batchnorm \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
           "%8 = add \"sum\" (%5, %4) -> f32 2x3x4x4\n"
           "%9 = relu \"relu\" (%8) -> f32 2x3x4x4\n"
           "%13 = add \"dsum\" (%4, %9) -> f32 2x3x4x4\n"
           "%14 = relu_grad \"g\" (%9, %13) -> f32 2x3x4x4\n"
           "%15 = add \"other\" (%14, %4) -> f32 2x3x4x4\n"
           "%10, %11, %12 = batchnorm_grad \"dnorm\" (%0, %14, %1, %6, %7) -> "
           "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS "%16 = add \"last\" (%10, %15) -> f32 2x3x4x4\n",
           NORM_INPUTS
           "%9, %6, %7 = batchnorm_add_relu \"norm\" (%0, %1, %2, %4) -> f32 2x3x4x4, f32 3, f32 "
           "3\n" NORM_OUTPUTS
           "%10, %11, %12, %14 = batchnorm_add_relu_grad \"dnorm\" (%0, %9, %4, %1, %6, %7, %9) -> "
           "f32 2x3x4x4, f32 3, f32 3, f32 2x3x4x4\n" NORM_GRADIENTS
           "%15 = add \"other\" (%14, %4) -> f32 2x3x4x4\n"
           "%16 = add \"last\" (%10, %15) -> f32 2x3x4x4\n");
}

static void a_sum_that_spreads_stays_behind_its_batchnorm(void **state) {
    (void)state;
    expect(
        ls_pass_fuse,
        NORM_INPUTS "%9 = param \"gate\" f32 2x3x1x1 constant(0)\n"
                    "%5, %6, %7 = batchnorm \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
                    "%8 = add \"sum\" (%5, %9) -> f32 2x3x4x4\n"
                    "%10 = relu \"relu\" (%8) -> f32 2x3x4x4\n"
                    "%11 = add \"last\" (%10, %10) -> f32 2x3x4x4\n",
        NORM_INPUTS "%9 = param \"gate\" f32 2x3x1x1 constant(0)\n"
                    "%5, %6, %7 = batchnorm \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
                    "%10 = add_relu \"sum\" (%5, %9) -> f32 2x3x4x4\n"
                    "%11 = add \"last\" (%10, %10) -> f32 2x3x4x4\n");
}

static void a_gradient_of_relu_with_other_readers_stays(void **state) {
    (void)state;
    expect(ls_pass_fuse,
           NORM_INPUTS
           "%5, %6, %7 = batchnorm \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
           "%8 = relu \"relu\" (%5) -> f32 2x3x4x4\n"
           "%9 = relu_grad \"g\" (%8, %4) -> f32 2x3x4x4\n"
           "%10, %11, %12 = batchnorm_grad \"dnorm\" (%0, %9, %1, %6, %7) -> "
           "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS "%13 = add \"sum\" (%10, %9) -> f32 2x3x4x4\n",
           NORM_INPUTS
           "%8, %6, %7 = batchnorm_relu \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n" NORM_OUTPUTS
           "%9 = relu_grad \"g\" (%8, %4) -> f32 2x3x4x4\n"
           "%10, %11, %12 = batchnorm_grad \"dnorm\" (%0, %9, %1, %6, %7) -> "
           "f32 2x3x4x4, f32 3, f32 3\n" NORM_GRADIENTS "%13 = add \"sum\" (%10, %9) -> f32 2x3x4x4\n");
}

static void what_others_read_stays(void **state) {
    (void)state;
    expect_unchanged(ls_pass_fuse, "graph eval\n"
                                   "%0 = raw \"raw\" f32 2x3\n"
                                   "%1 = add \"add\" (%0, %0) -> f32 2x3\n"
                                   "%2 = relu \"relu\" (%1) -> f32 2x3\n"
                                   "%3 = add \"sum\" (%1, %2) -> f32 2x3\n"
                                   "result %3\n");
    expect_unchanged(ls_pass_fuse, "graph eval\n"
                                   "%0 = raw \"raw\" f32 2x3\n"
                                   "%1 = add \"add\" (%0, %0) -> f32 2x3\n"
                                   "%2 = relu \"relu\" (%1) -> f32 2x3\n"
                                   "result %1\n");
    expect_unchanged(ls_pass_fuse, "graph eval\n"
                                   "%0 = raw \"raw\" f32 2x3\n"
                                   "%1 = add \"add\" (%0, %0) -> f32 2x3\n"
                                   "  output %1 \"metric:loss\"\n"
                                   "%2 = relu \"relu\" (%1) -> f32 2x3\n"
                                   "result %2\n");
}

static void a_relu_of_something_else_stays(void **state) {
    (void)state;
    expect(ls_pass_fuse,
           "graph eval\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = relu \"first\" (%0) -> f32 2x3\n"
           "%2 = softmax \"soft\" (%1) -> f32 2x3\n"
           "%3 = relu \"second\" (%2) -> f32 2x3\n"
           "%4 = add \"add\" (%3, %3) -> f32 2x3\n"
           "%5 = relu \"third\" (%4) -> f32 2x3\n"
           "%6 = relu \"fourth\" (%5) -> f32 2x3\n"
           "result %6\n",
           "graph eval\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = relu \"first\" (%0) -> f32 2x3\n"
           "%2 = softmax \"soft\" (%1) -> f32 2x3\n"
           "%3 = relu \"second\" (%2) -> f32 2x3\n"
           "%5 = add_relu \"add\" (%3, %3) -> f32 2x3\n"
           "%6 = relu \"fourth\" (%5) -> f32 2x3\n"
           "result %6\n");
}

static void an_empty_graph_stays_empty(void **state) {
    (void)state;
    expect_unchanged(ls_pass_fuse, "graph train\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_op_takes_its_relu),
        cmocka_unit_test(batchnorm_and_its_gradient_take_the_relu),
        cmocka_unit_test(batchnorm_and_its_gradient_take_a_clip_from_0),
        cmocka_unit_test(a_clip_from_elsewhere_or_behind_something_else_stays),
        cmocka_unit_test(a_gradient_of_another_relu_stays),
        cmocka_unit_test(batchnorm_and_its_gradient_take_sum_and_relu),
        cmocka_unit_test(a_sum_that_spreads_stays_behind_its_batchnorm),
        cmocka_unit_test(a_gradient_of_relu_with_other_readers_stays),
        cmocka_unit_test(what_others_read_stays),
        cmocka_unit_test(a_relu_of_something_else_stays),
        cmocka_unit_test(an_empty_graph_stays_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
