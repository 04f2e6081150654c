#include "pass_check.h"

static ls_status to_bf16(struct ls_graph *graph) {
    return ls_pass_precision(graph, LS_BF16);
}

static void activations_and_weights_narrow_and_the_rest_stays(void **state) {
    (void)state;
    expect(to_bf16,
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3x4x4\n"
           "%1 = param \"w\" f32 5x3x1x1 constant(0)\n"
           "%2 = param \"b\" f32 5 constant(0)\n"
           "%3 = state \"mean\" f32 5 constant(0)\n"
           "%4 = input \"in\" (%0) [0, 1] -> f32 2x3x4x4\n"
           "%5 = conv \"conv\" (%4, %1, %2) -> f32 2x5x4x4\n"
           "%6, %7, %8 = batchnorm \"norm\" (%5, %2, %2) -> f32 2x5x4x4, f32 5, f32 5\n"
           "  output %7 \"stat:mean\" of %3 momentum=0.5\n"
           "%9 = relu \"relu\" (%6) -> f32 2x5x4x4\n"
           "%10 = flatten \"flatten\" (%9) -> f32 2x80\n"
           "result %10\n",
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3x4x4\n"
           "%1 = param \"w\" f32 5x3x1x1 constant(0)\n"
           "%2 = param \"b\" f32 5 constant(0)\n"
           "%3 = state \"mean\" f32 5 constant(0)\n"
           "%4 = input \"in\" (%0) [0, 1] -> f32 2x3x4x4\n"
           "%11 = cast \"in.bf16\" (%4) to=bf16 -> bf16 2x3x4x4\n"
           "%12 = cast \"w.bf16\" (%1) to=bf16 -> bf16 5x3x1x1\n"
           "%5 = conv \"conv\" (%11, %12, %2) -> bf16 2x5x4x4\n"
           "%6, %7, %8 = batchnorm \"norm\" (%5, %2, %2) -> bf16 2x5x4x4, f32 5, f32 5\n"
           "  output %7 \"stat:mean\" of %3 momentum=0.5\n"
           "%9 = relu \"relu\" (%6) -> bf16 2x5x4x4\n"
           "%10 = flatten \"flatten\" (%9) -> bf16 2x80\n"
           "%13 = cast \"flatten.f32\" (%10) -> f32 2x80\n"
           "result %13\n");
}

// Forward, loss and backward of a linear layer: the weight is cast once, its gradient and the loss are f32.
static void each_value_is_cast_once(void **state) {
    (void)state;
    expect(to_bf16,
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x3 constant(0)\n"
           "%2 = param \"b\" f32 3 constant(0)\n"
           "%3 = target \"t\" i32 2\n"
           "%4 = weight \"weight\" f32 2\n"
           "%5 = seed \"seed\" f32 scalar\n"
           "%6 = linear \"one\" (%0, %1, %2) -> f32 2x3\n"
           "%7, %8, %9 = cross_entropy \"loss\" (%6, %3, %4) -> f32 scalar, f32 scalar, f32 scalar\n"
           "  output %7 \"metric:loss\"\n"
           "%10 = cross_entropy_grad \"d\" (%6, %3, %4, %5) -> f32 2x3\n"
           "%11 = linear_input_grad \"dx\" (%10, %1) -> f32 2x3\n"
           "%12 = linear_weight_grad \"dw\" (%0, %10) -> f32 3x3\n"
           "  output %12 \"grad:w\" of %1\n"
           "%13 = bias_grad \"db\" (%10) -> f32 3\n"
           "  output %13 \"grad:b\" of %2\n",
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x3 constant(0)\n"
           "%2 = param \"b\" f32 3 constant(0)\n"
           "%3 = target \"t\" i32 2\n"
           "%4 = weight \"weight\" f32 2\n"
           "%5 = seed \"seed\" f32 scalar\n"
           "%14 = cast \"raw.bf16\" (%0) to=bf16 -> bf16 2x3\n"
           "%15 = cast \"w.bf16\" (%1) to=bf16 -> bf16 3x3\n"
           "%6 = linear \"one\" (%14, %15, %2) -> bf16 2x3\n"
           "%16 = cast \"one.f32\" (%6) -> f32 2x3\n"
           "%7, %8, %9 = cross_entropy \"loss\" (%16, %3, %4) -> f32 scalar, f32 scalar, f32 scalar\n"
           "  output %7 \"metric:loss\"\n"
           "%10 = cross_entropy_grad \"d\" (%16, %3, %4, %5) -> f32 2x3\n"
           "%17 = cast \"d.bf16\" (%10) to=bf16 -> bf16 2x3\n"
           "%11 = linear_input_grad \"dx\" (%17, %15) -> bf16 2x3\n"
           "%12 = linear_weight_grad \"dw\" (%14, %17) -> f32 3x3\n"
           "  output %12 \"grad:w\" of %1\n"
           "%13 = bias_grad \"db\" (%17) -> f32 3\n"
           "  output %13 \"grad:b\" of %2\n");
}

// A weight that is used twice has two gradients; their sum, an output, is made in f32.
static void a_sum_of_gradients_stays_f32(void **state) {
    (void)state;
    expect(to_bf16,
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x3 constant(0)\n"
           "%2 = linear_weight_grad \"a\" (%0, %0) -> f32 3x3\n"
           "%3 = linear_weight_grad \"b\" (%0, %0) -> f32 3x3\n"
           "%4 = add \"sum\" (%2, %3) -> f32 3x3\n"
           "  output %4 \"grad:w\" of %1\n",
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x3 constant(0)\n"
           "%5 = cast \"raw.bf16\" (%0) to=bf16 -> bf16 2x3\n"
           "%2 = linear_weight_grad \"a\" (%5, %5) -> f32 3x3\n"
           "%3 = linear_weight_grad \"b\" (%5, %5) -> f32 3x3\n"
           "%4 = add \"sum\" (%2, %3) -> f32 3x3\n"
           "  output %4 \"grad:w\" of %1\n");
}

// The gradient of a part of a parameter, and of one that is only moved.
static void a_moved_gradient_stays_f32(void **state) {
    (void)state;
    expect(to_bf16,
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x2 constant(0)\n"
           "%2 = param \"v\" f32 2x4 constant(0)\n"
           "%3 = transpose \"move\" (%0) axis0=1 axis1=0 -> f32 3x2\n"
           "  output %3 \"grad:w\" of %1\n"
           "%4 = pad \"part\" (%0) axis=1 begin=1 size=4 -> f32 2x4\n"
           "  output %4 \"grad:v\" of %2\n"
           "%5 = slice \"other\" (%0) axis=1 -> f32 2x1\n",
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x2 constant(0)\n"
           "%2 = param \"v\" f32 2x4 constant(0)\n"
           "%3 = transpose \"move\" (%0) axis0=1 axis1=0 -> f32 3x2\n"
           "  output %3 \"grad:w\" of %1\n"
           "%4 = pad \"part\" (%0) axis=1 begin=1 size=4 -> f32 2x4\n"
           "  output %4 \"grad:v\" of %2\n"
           "%6 = cast \"raw.bf16\" (%0) to=bf16 -> bf16 2x3\n"
           "%5 = slice \"other\" (%6) axis=1 -> bf16 2x1\n");
}

// Probabilities of labels: a sigmoid is as exact as the loss beside it.
static void an_elementwise_result_stays_f32(void **state) {
    (void)state;
    expect(to_bf16,
           "graph eval\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x3 constant(0)\n"
           "%2 = linear \"one\" (%0, %1) -> f32 2x3\n"
           "%3 = sigmoid \"gate\" (%2) -> f32 2x3\n"
           "%4 = linear \"two\" (%3, %1) -> f32 2x3\n"
           "%5 = sigmoid \"result\" (%4) -> f32 2x3\n"
           "result %5\n",
           "graph eval\n"
           "%0 = raw \"raw\" f32 2x3\n"
           "%1 = param \"w\" f32 3x3 constant(0)\n"
           "%6 = cast \"raw.bf16\" (%0) to=bf16 -> bf16 2x3\n"
           "%7 = cast \"w.bf16\" (%1) to=bf16 -> bf16 3x3\n"
           "%2 = linear \"one\" (%6, %7) -> bf16 2x3\n"
           "%3 = sigmoid \"gate\" (%2) -> bf16 2x3\n"
           "%4 = linear \"two\" (%3, %7) -> bf16 2x3\n"
           "%8 = cast \"two.f32\" (%4) -> f32 2x3\n"
           "%5 = sigmoid \"result\" (%8) -> f32 2x3\n"
           "result %5\n");
}

static void indices_keep_their_type(void **state) {
    (void)state;
    expect(to_bf16,
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3x4x4\n"
           "%1, %2 = max_pool \"pool\" (%0) stride_h=2 stride_w=2 kernel_h=2 kernel_w=2 -> "
           "f32 2x3x2x2, u8 2x3x2x2\n"
           "%3 = max_pool_grad \"back\" (%1, %2) stride_h=2 stride_w=2 kernel_h=2 kernel_w=2 size_h=4 "
           "size_w=4 -> f32 2x3x4x4\n",
           "graph train\n"
           "%0 = raw \"raw\" f32 2x3x4x4\n"
           "%4 = cast \"raw.bf16\" (%0) to=bf16 -> bf16 2x3x4x4\n"
           "%1, %2 = max_pool \"pool\" (%4) stride_h=2 stride_w=2 kernel_h=2 kernel_w=2 -> "
           "bf16 2x3x2x2, u8 2x3x2x2\n"
           "%3 = max_pool_grad \"back\" (%1, %2) stride_h=2 stride_w=2 kernel_h=2 kernel_w=2 size_h=4 "
           "size_w=4 -> bf16 2x3x4x4\n");
}

static void a_second_run_changes_nothing(void **state) {
    (void)state;
    struct ls_graph graph = graph_of("graph eval\n"
                                     "%0 = raw \"raw\" f32 2x3\n"
                                     "%1 = param \"w\" f32 3x3 constant(0)\n"
                                     "%2 = linear \"one\" (%0, %1) -> f32 2x3\n"
                                     "%3 = linear \"two\" (%2, %1) -> f32 2x3\n"
                                     "result %3\n");
    struct ls_text once = {0};
    run_pass(&graph, to_bf16);
    ls_graph_text(&graph, &once);
    run_pass(&graph, to_bf16);
    expect_text(&graph, once.data);
    ls_text_free(&once);
    ls_graph_free(&graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_and_weights_narrow_and_the_rest_stays),
        cmocka_unit_test(each_value_is_cast_once),
        cmocka_unit_test(a_sum_of_gradients_stays_f32),
        cmocka_unit_test(a_moved_gradient_stays_f32),
        cmocka_unit_test(an_elementwise_result_stays_f32),
        cmocka_unit_test(indices_keep_their_type),
        cmocka_unit_test(a_second_run_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
