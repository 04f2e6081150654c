// The builders: names, initial values, what decays, and what differs between training and evaluation.
#include "unit/check.h"

#include <math.h>
#include <string.h>

#include "ops/ops.h"

static ls_value image(struct ls_graph *graph, int64_t n, int64_t c, int64_t h, int64_t w) {
    static const double mean[] = {0.5}, std[] = {0.25};
    const struct ls_input_spec spec = {.batch = n,
                                       .channels = c,
                                       .height = h,
                                       .width = w,
                                       .raw_type = LS_U8,
                                       .scale = 1,
                                       .mean = mean,
                                       .std = std,
                                       .n_normalize = 1};
    return ls_input(graph, &spec);
}

static const struct ls_value_info *named(const struct ls_graph *graph, const char *name) {
    ls_value value = ls_graph_find(graph, name);
    if (value == LS_NONE) fail_msg("no value \"%s\"", name);
    return ls_info(graph, value);
}

static void weights_are_bounded_by_fan_in(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    graph.scope = "layer1.0.";
    ls_value x = image(&graph, 2, 4, 8, 8);
    x = ls_conv(
        &graph, x, "conv1",
        &(struct ls_conv_spec){.out = 6, .kernel = 3, .stride = 2, .pad = 1, .groups = 2, .bias = true});
    x = ls_linear(&graph, ls_flatten(&graph, x), "fc", 10);
    assert_int_equal(graph.status, LS_OK);
    assert_int_equal(ls_graph_verify(&graph), LS_OK);

    const struct ls_value_info *weight = named(&graph, "layer1.0.conv1.weight");
    assert_true(ls_shape_equal(&weight->shape, &LS_SHAPE(6, 2, 3, 3)));
    assert_int_equal(weight->init.kind, LS_INIT_UNIFORM);
    assert_true(weight->init.value == (float)sqrt(6.0 / 18));
    assert_true(weight->decays && weight->kind == LS_PARAM);
    assert_true(named(&graph, "layer1.0.conv1.bias")->init.value == (float)(1 / sqrt(18.0)));
    assert_false(named(&graph, "layer1.0.conv1.bias")->decays);
    assert_true(named(&graph, "layer1.0.fc.weight")->init.value == (float)(1 / sqrt(96.0)));
    assert_true(named(&graph, "layer1.0.fc.weight")->decays);
    assert_true(named(&graph, "layer1.0.fc.bias")->init.value == (float)(1 / sqrt(96.0)));
    assert_false(named(&graph, "layer1.0.fc.bias")->decays);
    assert_string_equal(graph.nodes[1].name, "layer1.0.conv1");
    ls_graph_free(&graph);
}

// Kernel, stride, padding and dilation hold of the width; the height is left as it is.
static void one_dimension(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    const struct ls_conv_spec spec = {
        .out = 6, .kernel = 3, .stride = 2, .pad = 2, .dilation = 2, .bias = true};
    ls_value y = ls_conv1d(&graph, image(&graph, 2, 4, 1, 20), "conv1", &spec);
    assert_true(ls_shape_equal(&ls_info(&graph, y)->shape, &LS_SHAPE(2, 6, 1, 10)));
    assert_true(ls_shape_equal(&named(&graph, "conv1.weight")->shape, &LS_SHAPE(6, 4, 1, 3)));
    assert_true(named(&graph, "conv1.weight")->init.value == (float)sqrt(6.0 / 12));
    y = ls_max_pool1d(&graph, y, 3, 2, 1);
    assert_true(ls_shape_equal(&ls_info(&graph, y)->shape, &LS_SHAPE(2, 6, 1, 5)));
    y = ls_avg_pool1d(&graph, y, 2, 1, 0, true);
    assert_true(ls_shape_equal(&ls_info(&graph, y)->shape, &LS_SHAPE(2, 6, 1, 4)));
    assert_int_equal(graph.status, LS_OK);
    assert_int_equal(ls_graph_verify(&graph), LS_OK);
    ls_graph_free(&graph);
}

static void batchnorm_in_training(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    ls_batchnorm(&graph, image(&graph, 2, 4, 3, 5), "bn1", 0.25f);
    assert_int_equal(graph.status, LS_OK);
    assert_int_equal(ls_graph_verify(&graph), LS_OK);
    assert_true(named(&graph, "bn1.weight")->init.value == 0.25f && !named(&graph, "bn1.weight")->decays);
    assert_true(named(&graph, "bn1.bias")->init.value == 0 && !named(&graph, "bn1.bias")->decays);
    ls_value mean = ls_graph_find(&graph, "bn1.running_mean"), var = ls_graph_find(&graph, "bn1.running_var");
    assert_true(ls_info(&graph, mean)->kind == LS_STATE && ls_info(&graph, mean)->init.value == 0);
    assert_true(ls_info(&graph, var)->kind == LS_STATE && ls_info(&graph, var)->init.value == 1);

    const struct ls_value_info *of_mean = named(&graph, "stat:bn1.running_mean"),
                               *of_var = named(&graph, "stat:bn1.running_var");
    assert_true(of_mean->kind == LS_OUTPUT && of_mean->output_of == mean);
    assert_true(of_var->kind == LS_OUTPUT && of_var->output_of == var);
    assert_true(of_mean->momentum == 0.1f && of_mean->factor == 1);
    assert_true(of_var->momentum == 0.1f && of_var->factor == (float)(30.0 / 29));
    ls_graph_free(&graph);
}

static void batchnorm_in_evaluation(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_EVAL);
    ls_batchnorm(&graph, image(&graph, 1, 4, 1, 1), "bn1", 1); // one value is enough
    assert_int_equal(graph.status, LS_OK);
    assert_int_equal(graph.nodes[1].op->id, LS_OP_BATCHNORM_EVAL);
    assert_int_equal(graph.nodes[1].in[3], ls_graph_find(&graph, "bn1.running_mean"));
    assert_int_equal(graph.nodes[1].in[4], ls_graph_find(&graph, "bn1.running_var"));
    assert_int_equal(ls_graph_find(&graph, "stat:bn1.running_mean"), LS_NONE);
    ls_graph_free(&graph);
}

static void attention_of_a_vector(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    ls_value index = ls_graph_add_value(&graph, LS_INPUT_TARGET, "target", LS_I32, LS_SHAPE(2, 3));
    ls_value x = ls_embedding(&graph, index, "words", 10, 8);
    assert_true(ls_shape_equal(&ls_info(&graph, x)->shape, &LS_SHAPE(2, 3, 8)));
    assert_true(named(&graph, "words.weight")->init.value == (float)sqrt(3.0));
    x = ls_layernorm(&graph, x, "norm", 1e-6);
    assert_true(named(&graph, "norm.weight")->init.value == 1 && !named(&graph, "norm.weight")->decays);
    assert_true(named(&graph, "norm.bias")->init.value == 0);
    assert_true(graph.nodes[1].attr[LS_GROUPNORM_EPSILON].f == 1e-6);
    x = ls_softmax(&graph, ls_matmul(&graph, x, x, false, true, 0.5));
    assert_true(ls_shape_equal(&ls_info(&graph, x)->shape, &LS_SHAPE(2, 3, 3)));
    x = ls_groupnorm(&graph, ls_reshape(&graph, x, LS_SHAPE(2, 9)), "groups", 3, 1e-5);
    assert_true(ls_shape_equal(&named(&graph, "groups.weight")->shape, &LS_SHAPE(9)));
    assert_int_equal(graph.status, LS_OK);
    assert_int_equal(ls_graph_verify(&graph), LS_OK);
    ls_graph_free(&graph);
}

static void frozen_batchnorm(void **state) {
    (void)state;
    static const char *const all[] = {"bn1"}, *const scale[] = {"bn1.weight"};
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    graph.freeze = all, graph.n_freeze = 1;
    ls_batchnorm(&graph, image(&graph, 1, 4, 1, 1), "bn1", 1);
    assert_int_equal(graph.nodes[1].op->id, LS_OP_BATCHNORM_EVAL);
    assert_true(named(&graph, "bn1.weight")->frozen && named(&graph, "bn1.bias")->frozen);
    assert_true(named(&graph, "bn1.running_mean")->frozen && named(&graph, "bn1.running_var")->frozen);
    assert_int_equal(ls_graph_find(&graph, "stat:bn1.running_mean"), LS_NONE);
    ls_batchnorm(&graph, image(&graph, 3, 4, 2, 5), "bn10", 1); // another name
    assert_false(named(&graph, "bn10.bias")->frozen || named(&graph, "bn10.running_var")->frozen);
    ls_graph_free(&graph);

    ls_graph_init(&graph, LS_TRAIN); // a shift that is trained needs the lane's statistics
    graph.freeze = scale, graph.n_freeze = 1;
    ls_batchnorm(&graph, image(&graph, 3, 4, 2, 5), "bn1", 1);
    assert_int_equal(graph.nodes[1].op->id, LS_OP_BATCHNORM);
    assert_true(named(&graph, "bn1.weight")->frozen);
    assert_false(named(&graph, "bn1.bias")->frozen || named(&graph, "bn1.running_mean")->frozen);
    ls_graph_free(&graph);
}

static void transposed_convolutions(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    const struct ls_conv_transpose_spec twice = {
        .out = 6, .kernel = 3, .stride = 2, .pad = 1, .output_pad = 1, .groups = 2, .bias = true};
    ls_value y = ls_conv_transpose(&graph, image(&graph, 3, 8, 5, 4), "up", &twice);
    assert_int_equal(graph.status, LS_OK);
    assert_true(ls_shape_equal(&ls_info(&graph, y)->shape, &LS_SHAPE(3, 6, 10, 8)));
    assert_true(ls_shape_equal(&named(&graph, "up.weight")->shape, &LS_SHAPE(8, 3, 3, 3)));
    assert_true(ls_shape_equal(&named(&graph, "up.bias")->shape, &LS_SHAPE(6)));
    assert_true(named(&graph, "up.weight")->decays && !named(&graph, "up.bias")->decays);
    // An output sums 4 channels of a group at (3 / 2)^2 places on average.
    assert_true(named(&graph, "up.weight")->init.value == (float)sqrt(6 / 9.0));
    ls_graph_free(&graph);

    ls_graph_init(&graph, LS_TRAIN); // an output more than the stride explains
    const struct ls_conv_transpose_spec far = {.out = 6, .kernel = 3, .stride = 2, .output_pad = 2};
    assert_int_equal(ls_conv_transpose(&graph, image(&graph, 3, 8, 5, 4), "up", &far), LS_NONE);
    assert_int_equal(graph.status, LS_INPUT);
    assert_non_null(
        strstr(ls_error_last()->text, "node \"up\" (conv_transpose): x is 3x8x5x4; expected 3x8x6x5"));
    ls_graph_free(&graph);

    ls_graph_init(&graph, LS_TRAIN);
    const struct ls_conv_transpose_spec uneven = {.out = 10, .kernel = 2, .stride = 2, .groups = 4};
    assert_int_equal(ls_conv_transpose(&graph, image(&graph, 3, 8, 5, 4), "up", &uneven), LS_NONE);
    assert_non_null(strstr(ls_error_last()->text, "10 channels out; expected a multiple of 4 groups"));
    ls_graph_free(&graph);
}

static void images_of_another_size(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    ls_value x = image(&graph, 2, 4, 3, 5), y = ls_upsample(&graph, x, 3, true);
    assert_true(ls_shape_equal(&ls_info(&graph, y)->shape, &LS_SHAPE(2, 4, 9, 15)));
    assert_int_equal(graph.nodes[graph.n_nodes - 1].attr[LS_RESIZE_BILINEAR].i, 1);
    assert_int_equal(ls_upsample(&graph, x, 1, false), x);
    assert_int_equal(ls_resize(&graph, x, 3, 5, true), x);
    y = ls_resize(&graph, x, 2, 5, false);
    assert_true(ls_shape_equal(&ls_info(&graph, y)->shape, &LS_SHAPE(2, 4, 2, 5)));
    y = ls_avg_pool_to(&graph, x, 2, 2); // windows of 2 at each row, of 3 at every second column
    assert_true(ls_shape_equal(&ls_info(&graph, y)->shape, &LS_SHAPE(2, 4, 2, 2)));
    const struct ls_node *pool = &graph.nodes[graph.n_nodes - 1];
    assert_int_equal(pool->attr[LS_KERNEL_H].i, 2);
    assert_int_equal(pool->attr[LS_KERNEL_W].i, 3);
    assert_int_equal(pool->attr[LS_STRIDE_W].i, 2);
    assert_int_equal(ls_upsample(&graph, x, 0, false), LS_NONE);
    assert_non_null(strstr(ls_error_last()->text, "height is 0"));
    ls_graph_free(&graph);

    ls_graph_init(&graph, LS_TRAIN);
    assert_int_equal(ls_avg_pool_to(&graph, image(&graph, 2, 4, 3, 5), 4, 5), LS_NONE);
    assert_non_null(strstr(ls_error_last()->text, "expected an image of at least 4x5"));
    ls_graph_free(&graph);

    ls_graph_init(&graph, LS_TRAIN);
    assert_int_equal(ls_avg_pool_to(&graph, image(&graph, 2, 4, 3, 5), 0, 5), LS_NONE);
    assert_non_null(strstr(ls_error_last()->text, "expected at least 1x1 places, found 0x5"));
    ls_graph_free(&graph);
}

// Rows that are no samples would get each other's masks.
static void dropout_is_of_samples(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    const ls_value x = image(&graph, 2, 4, 3, 5);
    assert_true(ls_dropout(&graph, x, 0.5) != LS_NONE);
    assert_int_equal(ls_dropout(&graph, ls_reshape(&graph, x, LS_SHAPE(8, 15)), 0.5), LS_NONE);
    assert_non_null(
        strstr(ls_error_last()->text, "x has 8 places along axis 0; expected the 2 samples of a lane"));
    ls_graph_free(&graph);
}

static void dropout_sites_differ(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    ls_value x = image(&graph, 2, 4, 3, 5), y = ls_dropout(&graph, x, 0.5), z = ls_dropout(&graph, y, 0.25);
    assert_int_equal(ls_dropout(&graph, z, 0), z);
    assert_int_equal(graph.nodes[1].attr[LS_DROPOUT_SITE].i, 0);
    assert_int_equal(graph.nodes[2].attr[LS_DROPOUT_SITE].i, 1);
    ls_graph_free(&graph);

    ls_graph_init(&graph, LS_EVAL);
    x = image(&graph, 2, 4, 3, 5);
    assert_int_equal(ls_dropout(&graph, x, 0.5), x);
    ls_graph_free(&graph);
}

static void losses_make_their_inputs_and_metrics(void **state) {
    (void)state;
    for (int mode = LS_TRAIN; mode <= LS_EVAL; mode++) {
        struct ls_graph graph;
        ls_graph_init(&graph, (enum ls_mode)mode);
        assert_int_equal(
            ls_cross_entropy(&graph, ls_flatten(&graph, image(&graph, 2, 4, 1, 1)), 0.1, LS_NONE), LS_OK);
        assert_int_equal(ls_graph_verify(&graph), LS_OK);
        assert_int_equal(named(&graph, "target")->dtype, LS_I32);
        assert_int_equal(named(&graph, "weight")->kind, LS_INPUT_WEIGHT);
        assert_int_equal(named(&graph, "metric:loss")->kind, LS_OUTPUT);
        assert_int_equal(named(&graph, "metric:score")->kind, LS_OUTPUT);
        assert_int_equal(named(&graph, "metric:weight")->kind, LS_OUTPUT);
        assert_true((ls_graph_find(&graph, "seed") == LS_NONE) == (mode == LS_EVAL));
        assert_true((ls_graph_find(&graph, "metric:stop") == LS_NONE) == (mode == LS_EVAL));
        assert_true((ls_graph_find(&graph, "metric:fault") == LS_NONE) == (mode == LS_EVAL));
        ls_graph_free(&graph);

        for (int loss = 0; loss < 3; loss++) {
            ls_graph_init(&graph, (enum ls_mode)mode);
            ls_value x = ls_flatten(&graph, image(&graph, 2, 4, 1, 1));
            assert_int_equal(loss == 0   ? ls_mse(&graph, x)
                             : loss == 1 ? ls_mae(&graph, x)
                                         : ls_huber(&graph, x, 0.5),
                             LS_OK);
            assert_true(ls_shape_equal(&named(&graph, "target")->shape, &LS_SHAPE(2, 4)));
            assert_int_equal(named(&graph, "target")->dtype, LS_F32);
            if (loss == 2)
                assert_true(graph.nodes[named(&graph, "metric:loss")->producer].attr[LS_HUBER_DELTA].f ==
                            0.5);
            ls_graph_free(&graph);
        }
    }
}

static void activations_have_their_attributes(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    ls_value x = image(&graph, 2, 4, 3, 5);
    x = ls_leaky_relu(&graph, x, 0.25);
    x = ls_gelu(&graph, ls_gelu(&graph, x, true), false);
    x = ls_hard_swish(&graph, ls_silu(&graph, ls_tanh(&graph, x)));
    assert_int_equal(graph.status, LS_OK);
    static const enum ls_op_id expected[] = {LS_OP_INPUT, LS_OP_LEAKY_RELU, LS_OP_GELU,      LS_OP_GELU,
                                             LS_OP_TANH,  LS_OP_SILU,       LS_OP_HARD_SWISH};
    for (int i = 0; i < 7; i++) assert_int_equal(graph.nodes[i].op->id, expected[i]);
    assert_true(graph.nodes[1].attr[LS_LEAKY_RELU_SLOPE].f == 0.25);
    assert_int_equal(graph.nodes[2].attr[LS_GELU_TANH].i, 1);
    assert_int_equal(graph.nodes[3].attr[LS_GELU_TANH].i, 0);
    assert_true(ls_shape_equal(&ls_info(&graph, x)->shape, &LS_SHAPE(2, 4, 3, 5)));
    ls_graph_free(&graph);
}

// The first error stays; what follows does nothing, whatever it is given.
static void builders_stop_at_the_first_error(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    ls_value x = image(&graph, 1, 3, 4, 4);
    graph.scope = "stage.";
    ls_value y = ls_max_pool(&graph, x, 5, 1, 0);
    assert_int_equal(y, LS_NONE);
    int nodes = graph.n_nodes, values = graph.n_values;
    y = ls_conv(&graph, y, "conv", &(struct ls_conv_spec){.out = 1, .kernel = 1, .stride = 1});
    y = ls_batchnorm(&graph, y, "bn", 1);
    y = ls_clip(&graph, ls_relu(&graph, y), 0, 1);
    y = ls_add(&graph, ls_avg_pool(&graph, y, 1, 1, 0, true), x);
    y = ls_flatten(&graph, ls_global_avg_pool(&graph, ls_dropout(&graph, y, 0.5)));
    y = ls_softmax(&graph, ls_linear(&graph, y, "fc", 3));
    y = ls_transpose(&graph, ls_reshape(&graph, y, LS_SHAPE(3, 1)), (int[]){1, 0});
    y = ls_pad(&graph, ls_slice(&graph, y, 1, 0, 1), 1, 0, 3);
    y = ls_concat(&graph, (ls_value[]){y, ls_repeat(&graph, y, 2)}, 2, 0);
    y = ls_matmul(&graph, y, y, true, false, 1);
    y = ls_groupnorm(&graph, ls_layernorm(&graph, y, "ln", 1e-5), "gn", 1, 1e-5);
    y = ls_embedding(&graph, y, "table", 5, 3);
    assert_int_equal(y, LS_NONE);
    assert_int_equal(ls_cross_entropy(&graph, y, 0, LS_NONE), LS_INPUT);
    assert_int_equal(ls_mse(&graph, y), LS_INPUT);
    assert_int_equal(graph.n_nodes, nodes);
    assert_int_equal(graph.n_values, values);
    assert_non_null(
        strstr(ls_error_last()->text, "node \"stage.max_pool1\" (max_pool): a window of height 5"));
    ls_graph_free(&graph);
}

static void an_input_that_is_no_value(void **state) {
    (void)state;
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    assert_int_equal(ls_relu(&graph, LS_NONE), LS_NONE);
    assert_non_null(strstr(ls_error_last()->text, "node \"relu\": its input -1 is no value of the graph"));
    ls_graph_free(&graph);
}

static void sizes_that_builders_refuse(void **state) {
    (void)state;
    static const struct ls_conv_spec specs[] = {
        {.out = 0, .kernel = 1, .stride = 1},
        {.out = 1, .kernel = 0, .stride = 1},
        {.out = 1, .kernel = 1, .stride = 0},
        {.out = 1, .kernel = 1, .stride = 1, .pad = -1},
        {.out = 1, .kernel = 1, .stride = 1, .groups = -1},
        {.out = 1, .kernel = 1, .stride = 1, .groups = 7},
        {.out = 1, .kernel = 1, .stride = 1, .dilation = -1},
    };
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct ls_graph graph;
        ls_graph_init(&graph, LS_TRAIN);
        assert_int_equal(ls_conv(&graph, image(&graph, 2, 3, 4, 4), "conv", &specs[i]), LS_NONE);
        assert_int_equal(graph.status, LS_INPUT);
        assert_non_null(strstr(ls_error_last()->text, "conv"));
        ls_graph_free(&graph);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_bounded_by_fan_in),
        cmocka_unit_test(one_dimension),
        cmocka_unit_test(batchnorm_in_training),
        cmocka_unit_test(batchnorm_in_evaluation),
        cmocka_unit_test(attention_of_a_vector),
        cmocka_unit_test(frozen_batchnorm),
        cmocka_unit_test(transposed_convolutions),
        cmocka_unit_test(images_of_another_size),
        cmocka_unit_test(dropout_is_of_samples),
        cmocka_unit_test(dropout_sites_differ),
        cmocka_unit_test(losses_make_their_inputs_and_metrics),
        cmocka_unit_test(activations_have_their_attributes),
        cmocka_unit_test(builders_stop_at_the_first_error),
        cmocka_unit_test(an_input_that_is_no_value),
        cmocka_unit_test(sizes_that_builders_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
