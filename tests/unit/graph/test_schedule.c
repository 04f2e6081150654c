#include "pass_check.h"

#define INPUTS                                                                                               \
    "graph train\n"                                                                                          \
    "%0 = raw \"raw\" f32 2x3\n"                                                                             \
    "%1 = param \"w\" f32 3x3 constant(0)\n"                                                                 \
    "%2 = param \"b\" f32 3 constant(0)\n"
#define DX1 "%4 = linear_input_grad \"dx1\" (%0, %1) -> f32 2x3\n"
#define DX2 "%5 = linear_input_grad \"dx2\" (%4, %1) -> f32 2x3\n"
#define DX3 "%6 = linear_input_grad \"dx3\" (%5, %1) -> f32 2x3\n"
#define DW                                                                                                   \
    "%7 = linear_weight_grad \"dw\" (%0, %4) -> f32 3x3\n"                                                   \
    "  output %7 \"grad:w\" of %1\n"
#define DB                                                                                                   \
    "%8 = bias_grad \"db\" (%5) -> f32 3\n"                                                                  \
    "  output %8 \"grad:b\" of %2\n"
#define END "result %6\n"

static void gradients_move_up_to_what_they_read(void **state) {
    (void)state;
    expect(ls_pass_schedule, INPUTS DX1 DX2 DX3 DB DW END, INPUTS DX1 DW DX2 DB DX3 END);
    expect_unchanged(ls_pass_schedule, INPUTS DX1 DW DX2 DB DX3 END);
    expect_unchanged(ls_pass_schedule, INPUTS DX1 DW DX2 DB DX3 END);
}

static void gradients_with_the_same_source_keep_their_order(void **state) {
    (void)state;
#define DB1                                                                                                  \
    "%8 = bias_grad \"db\" (%4) -> f32 3\n"                                                                  \
    "  output %8 \"grad:b\" of %2\n"
    expect(ls_pass_schedule, INPUTS DX1 DX2 DX3 DB1 DW END, INPUTS DX1 DB1 DW DX2 DX3 END);
    expect(ls_pass_schedule, INPUTS DX1 DX2 DX3 DW DB1 END, INPUTS DX1 DW DB1 DX2 DX3 END);
}

static void what_nothing_needs_goes(void **state) {
    (void)state;
    expect(ls_pass_schedule, INPUTS DX1 DX2 DX3 DW, INPUTS DX1 DW);
    expect(ls_pass_schedule, INPUTS DX1 DX2 DX3 DB, INPUTS DX1 DX2 DB);
    expect(ls_pass_schedule, INPUTS DX1 DX2 DX3, INPUTS);
}

// batchnorm_grad makes gradients of parameters, but dx too, which takes memory from here on: it stays.
static void a_node_that_makes_an_activation_too_stays(void **state) {
    (void)state;
    expect_unchanged(
        ls_pass_schedule,
        "graph train\n"
        "%0 = raw \"raw\" f32 2x3x4x4\n"
        "%1 = param \"scale\" f32 3 constant(1)\n"
        "%2 = param \"shift\" f32 3 constant(0)\n"
        "%3, %4, %5 = batchnorm \"norm\" (%0, %1, %2) -> f32 2x3x4x4, f32 3, f32 3\n"
        "%6 = relu \"long\" (%3) -> f32 2x3x4x4\n"
        "%7 = relu \"way\" (%6) -> f32 2x3x4x4\n"
        "%8, %9, %10 = batchnorm_grad \"dnorm\" (%0, %3, %1, %4, %5) -> f32 2x3x4x4, f32 3, f32 3\n"
        "  output %9 \"grad:scale\" of %1\n"
        "  output %10 \"grad:shift\" of %2\n"
        "%11 = add \"sum\" (%7, %8) -> f32 2x3x4x4\n"
        "result %11\n");
}

// What reads nothing could run anywhere: it stays where it is, too.
static void a_node_without_inputs_stays(void **state) {
    (void)state;
    expect_unchanged(ls_pass_schedule,
                     INPUTS DX1 DW DX2 DB "%9, %10 = rank_flags \"flags\" () -> f32 scalar, f32 scalar\n"
                                          "  output %9 \"metric:stop\"\n"
                                          "  output %10 \"metric:fault\"\n" DX3 END);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_move_up_to_what_they_read),
        cmocka_unit_test(gradients_with_the_same_source_keep_their_order),
        cmocka_unit_test(what_nothing_needs_goes),
        cmocka_unit_test(a_node_that_makes_an_activation_too_stays),
        cmocka_unit_test(a_node_without_inputs_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
