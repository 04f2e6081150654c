// The models: sizes as published, names as torchvision's, and clear words where an image does not fit.
#include "unit/check.h"

#include <string.h>

#include "graph/op.h"
#include "ops/ops.h"
#include "zoo/zoo.h"

static const double mean[] = {0.485, 0.456, 0.406}, std[] = {0.229, 0.224, 0.225};

static struct ls_model_spec spec_of(const char *name, int64_t size, int64_t channels, int64_t classes) {
    return (struct ls_model_spec){
        .model = ls_zoo_find(name),
        .options.classes = classes,
        .lane_batch = 2,
        .height = size,
        .width = size,
        .channels = channels,
        .raw_type = LS_U8,
        .scale = 1 / 255.0,
        .mean = mean,
        .std = std,
        .n_normalize = channels == 3 ? 3 : 1,
    };
}

static int64_t parameters(const struct ls_graph *graph) {
    int64_t count = 0;
    for (ls_value value = 0; value < graph->n_values; value++)
        if (graph->values[value].kind == LS_PARAM) count += ls_shape_count(&graph->values[value].shape);
    return count;
}

// Counts of torchvision for the residual networks and vgg16 with 1,000 classes.
static void parameter_counts(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int64_t size, channels, classes, parameters;
    } counts[] = {
        {"mlp", 28, 1, 10, 784 * 256 + 256 + 256 * 256 + 256 + 2570},
        {"lenet", 28, 1, 10, 61706},
        {"cnn", 28, 1, 10, 103162},
        {"cnn1d", 64, 1, 10, 178026},
        {"cnn1d", 64, 3, 4, 177252 + 2 * 7 * 32},
        {"resnet8", 32, 3, 10, 78042},
        {"resnet18", 224, 3, 1000, 11689512},
        {"resnet34", 224, 3, 1000, 21797672},
        {"resnet50", 224, 3, 1000, 25557032},
        {"resnet101", 224, 3, 1000, 44549160},
        {"resnet152", 224, 3, 1000, 60192808},
        {"vgg16", 224, 3, 1000, 138357544},
        {"vgg16", 320, 1, 10, 138357544 - 990 * 4097 - 2 * 9 * 64}, // as many whatever the size
        {"vgg16", 32, 3, 10, 33638218},                             // … from 224 on; here one place of 49
        {"resnet18", 32, 3, 10, 11173962},                          // a 3x3 stem
        {"mobilenetv2", 224, 3, 1000, 3504872},
        {"mobilenetv2", 32, 3, 1000, 3504872},
        {"efficientnet_b0", 224, 3, 1000, 5288548},
        {"efficientnet_b0", 32, 3, 1000, 5288548},
        {"vit_s16", 224, 3, 1000, 22050664},
        {"vit_s16", 32, 1, 10, 22050664 - 2 * 256 * 384 - (197 - 5) * 384 - 990 * 385},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct ls_model_spec spec =
            spec_of(counts[i].name, counts[i].size, counts[i].channels, counts[i].classes);
        struct ls_graph train, eval;
        assert_int_equal(ls_zoo_build(&train, LS_TRAIN, &spec), LS_OK);
        assert_int_equal(ls_zoo_build(&eval, LS_EVAL, &spec), LS_OK);
        assert_int_equal(parameters(&train), counts[i].parameters);
        assert_int_equal(parameters(&eval), counts[i].parameters);
        ls_graph_free(&train);
        ls_graph_free(&eval);
    }
}

// Both graphs name the same parameters and states in the same order, with the same shapes and initial values.
static void training_and_evaluation_agree(void **state) {
    (void)state;
    for (int i = 0; ls_zoo_at(i); i++) {
        struct ls_model_spec spec = spec_of(ls_zoo_at(i)->name, 64, 3, 7);
        spec.options.dropout = 0.5;
        struct ls_graph train, eval;
        assert_int_equal(ls_zoo_build(&train, LS_TRAIN, &spec), LS_OK);
        assert_int_equal(ls_zoo_build(&eval, LS_EVAL, &spec), LS_OK);
        ls_value b = 0;
        for (ls_value a = 0; a < train.n_values; a++) {
            const struct ls_value_info *u = ls_info(&train, a);
            if (u->kind != LS_PARAM && u->kind != LS_STATE) continue;
            while (ls_info(&eval, b)->kind != LS_PARAM && ls_info(&eval, b)->kind != LS_STATE) b++;
            const struct ls_value_info *v = ls_info(&eval, b++);
            assert_string_equal(u->name, v->name);
            assert_true(ls_shape_equal(&u->shape, &v->shape));
            assert_true(u->init.kind == v->init.kind && u->init.value == v->init.value);
        }
        ls_graph_free(&train);
        ls_graph_free(&eval);
    }
}

static const struct ls_value_info *named(const struct ls_graph *graph, const char *name) {
    ls_value value = ls_graph_find(graph, name);
    if (value == LS_NONE) fail_msg("no value \"%s\"", name);
    return ls_info(graph, value);
}

static void names_of_torchvision(void **state) {
    (void)state;
    struct ls_model_spec spec = spec_of("resnet50", 224, 3, 1000);
    struct ls_graph graph;
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_true(ls_shape_equal(&named(&graph, "conv1.weight")->shape, &LS_SHAPE(64, 3, 7, 7)));
    assert_true(
        ls_shape_equal(&named(&graph, "layer1.0.downsample.0.weight")->shape, &LS_SHAPE(256, 64, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "layer1.0.downsample.1.running_var")->shape, &LS_SHAPE(256)));
    assert_true(ls_shape_equal(&named(&graph, "layer4.2.conv2.weight")->shape, &LS_SHAPE(512, 512, 3, 3)));
    assert_true(ls_shape_equal(&named(&graph, "fc.weight")->shape, &LS_SHAPE(1000, 2048)));
    assert_int_equal(ls_graph_find(&graph, "layer1.1.downsample.0.weight"), LS_NONE);
    // v1.5: the 3x3 convolution of a stage's first block has the stride
    for (int i = 0; i < graph.n_nodes; i++) {
        if (strcmp(graph.nodes[i].name, "layer2.0.conv1") == 0)
            assert_int_equal(graph.nodes[i].attr[LS_STRIDE_H].i, 1);
        if (strcmp(graph.nodes[i].name, "layer2.0.conv2") == 0)
            assert_int_equal(graph.nodes[i].attr[LS_STRIDE_H].i, 2);
    }
    assert_true(named(&graph, "layer1.0.bn3.weight")->init.value == 0);
    assert_true(named(&graph, "layer1.0.bn2.weight")->init.value == 1);
    assert_true(named(&graph, "layer1.0.downsample.1.weight")->init.value == 1);
    ls_graph_free(&graph);

    spec = spec_of("resnet18", 224, 3, 1000);
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_true(named(&graph, "layer1.0.bn2.weight")->init.value == 0);
    assert_true(named(&graph, "layer1.0.bn1.weight")->init.value == 1);
    assert_int_equal(ls_graph_find(&graph, "layer1.0.downsample.0.weight"), LS_NONE);
    assert_true(ls_graph_find(&graph, "layer2.0.downsample.0.weight") != LS_NONE);
    ls_graph_free(&graph);
}

// torchvision counts the convolutions, relus and pools of `features` in one row.
static void names_and_places_of_vgg16(void **state) {
    (void)state;
    struct ls_model_spec spec = spec_of("vgg16", 224, 3, 1000);
    struct ls_graph graph;
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_true(ls_shape_equal(&named(&graph, "features.0.weight")->shape, &LS_SHAPE(64, 3, 3, 3)));
    assert_true(ls_shape_equal(&named(&graph, "features.10.weight")->shape, &LS_SHAPE(256, 128, 3, 3)));
    assert_true(ls_shape_equal(&named(&graph, "features.28.bias")->shape, &LS_SHAPE(512)));
    assert_true(ls_shape_equal(&named(&graph, "classifier.0.weight")->shape, &LS_SHAPE(4096, 25088)));
    assert_true(ls_shape_equal(&named(&graph, "classifier.6.weight")->shape, &LS_SHAPE(1000, 4096)));
    for (int i = 0; i < graph.n_nodes; i++) assert_int_not_equal(graph.nodes[i].op->id, LS_OP_AVG_POOL);
    ls_graph_free(&graph);

    spec.options.dropout = 0.5;
    spec.height = 448, spec.width = 300; // 14 and 9 places wide: windows of 2 at every second, of 3 at each
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    int dropouts = 0, pools = 0;
    for (int i = 0; i < graph.n_nodes; i++) {
        const struct ls_node *node = &graph.nodes[i];
        dropouts += node->op->id == LS_OP_DROPOUT;
        if (node->op->id != LS_OP_AVG_POOL) continue;
        pools++;
        assert_int_equal(node->attr[LS_KERNEL_H].i, 2);
        assert_int_equal(node->attr[LS_STRIDE_H].i, 2);
        assert_int_equal(node->attr[LS_KERNEL_W].i, 3);
        assert_int_equal(node->attr[LS_STRIDE_W].i, 1);
        assert_true(ls_shape_equal(&ls_info(&graph, node->out[0])->shape, &LS_SHAPE(2, 512, 7, 7)));
    }
    assert_int_equal(dropouts, 2);
    assert_int_equal(pools, 1);
    ls_graph_free(&graph);
}

static void stem_goes_by_the_smaller_side(void **state) {
    (void)state;
    static const struct {
        int64_t height, width, kernel;
    } sizes[] = {{64, 64, 7}, {63, 64, 3}, {64, 63, 3}, {32, 500, 3}, {224, 96, 7}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ls_model_spec spec = spec_of("resnet18", 64, 3, 10);
        spec.height = sizes[i].height, spec.width = sizes[i].width;
        struct ls_graph graph;
        assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
        assert_int_equal(named(&graph, "conv1.weight")->shape.dim[2], sizes[i].kernel);
        int pools = 0;
        for (int at = 0; at < graph.n_nodes; at++) pools += graph.nodes[at].op->id == LS_OP_MAX_POOL;
        assert_int_equal(pools, sizes[i].kernel == 7);
        ls_graph_free(&graph);
    }
}

// The image that the last pool sees: large ones are halved five times, small ones three times.
static void inverted_residuals_by_the_size_of_the_image(void **state) {
    (void)state;
    static const char *const models[] = {"mobilenetv2", "efficientnet_b0"};
    static const struct {
        int64_t height, width, last_height, last_width;
    } sizes[] = {{224, 224, 7, 7}, {96, 96, 3, 3}, {64, 64, 2, 2},
                 {63, 64, 8, 8},   {32, 32, 4, 4}, {1, 300, 1, 38}};
    for (size_t m = 0; m < 2; m++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct ls_model_spec spec = spec_of(models[m], 64, 3, 10);
            spec.height = sizes[i].height, spec.width = sizes[i].width;
            struct ls_graph graph;
            assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
            ls_value last = LS_NONE;
            for (int at = 0; at < graph.n_nodes; at++)
                if (graph.nodes[at].op->id == LS_OP_GLOBAL_AVG_POOL) last = graph.nodes[at].in[0];
            const struct ls_shape expected = LS_SHAPE(2, 1280, sizes[i].last_height, sizes[i].last_width);
            assert_true(ls_shape_equal(&ls_info(&graph, last)->shape, &expected));
            ls_graph_free(&graph);
        }
}

static int count_of(const struct ls_graph *graph, enum ls_op_id op) {
    int n = 0;
    for (int at = 0; at < graph->n_nodes; at++) n += graph->nodes[at].op->id == (int)op;
    return n;
}

static void inverted_residuals_are_named_as_torchvision_does(void **state) {
    (void)state;
    struct ls_graph graph;
    struct ls_model_spec spec = spec_of("mobilenetv2", 224, 3, 1000);
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_true(ls_shape_equal(&named(&graph, "features.0.0.weight")->shape, &LS_SHAPE(32, 3, 3, 3)));
    assert_true(ls_shape_equal(&named(&graph, "features.1.conv.0.0.weight")->shape, &LS_SHAPE(32, 1, 3, 3)));
    assert_true(ls_shape_equal(&named(&graph, "features.1.conv.1.weight")->shape, &LS_SHAPE(16, 32, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "features.1.conv.2.running_var")->shape, &LS_SHAPE(16)));
    assert_true(
        ls_shape_equal(&named(&graph, "features.17.conv.0.0.weight")->shape, &LS_SHAPE(960, 160, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "features.17.conv.1.1.weight")->shape, &LS_SHAPE(960)));
    assert_true(
        ls_shape_equal(&named(&graph, "features.17.conv.2.weight")->shape, &LS_SHAPE(320, 960, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "features.17.conv.3.bias")->shape, &LS_SHAPE(320)));
    assert_true(ls_shape_equal(&named(&graph, "features.18.0.weight")->shape, &LS_SHAPE(1280, 320, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "classifier.1.weight")->shape, &LS_SHAPE(1000, 1280)));
    assert_int_equal(count_of(&graph, LS_OP_ADD), 10);
    assert_int_equal(count_of(&graph, LS_OP_CLIP), 35);
    ls_graph_free(&graph);

    spec = spec_of("efficientnet_b0", 224, 3, 1000);
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_true(
        ls_shape_equal(&named(&graph, "features.1.0.block.0.0.weight")->shape, &LS_SHAPE(32, 1, 3, 3)));
    assert_true(
        ls_shape_equal(&named(&graph, "features.1.0.block.1.fc1.weight")->shape, &LS_SHAPE(8, 32, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "features.1.0.block.1.fc2.bias")->shape, &LS_SHAPE(32)));
    assert_true(
        ls_shape_equal(&named(&graph, "features.1.0.block.2.0.weight")->shape, &LS_SHAPE(16, 32, 1, 1)));
    assert_true(
        ls_shape_equal(&named(&graph, "features.6.3.block.1.0.weight")->shape, &LS_SHAPE(1152, 1, 5, 5)));
    assert_true(
        ls_shape_equal(&named(&graph, "features.6.3.block.2.fc1.weight")->shape, &LS_SHAPE(48, 1152, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "features.7.0.block.3.1.running_mean")->shape, &LS_SHAPE(320)));
    assert_true(ls_shape_equal(&named(&graph, "features.8.0.weight")->shape, &LS_SHAPE(1280, 320, 1, 1)));
    assert_true(ls_shape_equal(&named(&graph, "classifier.1.bias")->shape, &LS_SHAPE(1000)));
    assert_int_equal(count_of(&graph, LS_OP_ADD), 9);
    assert_int_equal(count_of(&graph, LS_OP_MUL), 16);
    assert_int_equal(count_of(&graph, LS_OP_SIGMOID), 16);
    ls_graph_free(&graph);
}

static void result_of_an_evaluation(void **state) {
    (void)state;
    struct ls_graph graph;
    struct ls_model_spec spec = spec_of("lenet", 28, 1, 10);
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_int_equal(graph.result, LS_NONE);
    ls_graph_free(&graph);

    assert_int_equal(ls_zoo_build(&graph, LS_EVAL, &spec), LS_OK);
    const struct ls_value_info *result = ls_info(&graph, graph.result);
    assert_int_equal(graph.nodes[result->producer].op->id, LS_OP_SOFTMAX);
    assert_true(ls_shape_equal(&result->shape, &LS_SHAPE(2, 10)));
    assert_int_equal(result->dtype, LS_F32);
    assert_true(ls_graph_find(&graph, "metric:loss") != LS_NONE);
    ls_graph_free(&graph);

    spec.loss = LS_LOSS_MSE;
    assert_int_equal(ls_zoo_build(&graph, LS_EVAL, &spec), LS_OK);
    result = ls_info(&graph, graph.result);
    assert_int_equal(graph.nodes[result->producer].op->id, LS_OP_LINEAR);
    ls_graph_free(&graph);
}

static void dropout_stands_before_the_last_layer(void **state) {
    (void)state;
    for (int i = 0; ls_zoo_at(i); i++) {
        struct ls_model_spec spec = spec_of(ls_zoo_at(i)->name, 64, 3, 7);
        spec.options.dropout = 0.25;
        struct ls_graph graph;
        assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
        int last = 0;
        for (int at = 0; at < graph.n_nodes; at++)
            if (graph.nodes[at].op->id == LS_OP_LINEAR) last = at;
        const struct ls_node *before = &graph.nodes[ls_info(&graph, graph.nodes[last].in[0])->producer];
        assert_int_equal(before->op->id, LS_OP_DROPOUT);
        assert_true(before->attr[LS_DROPOUT_RATE].f == 0.25);
        ls_graph_free(&graph);
    }
}

static void width_and_depth_of_an_mlp(void **state) {
    (void)state;
    struct ls_model_spec spec = spec_of("mlp", 4, 1, 3);
    spec.options.width = 5, spec.options.depth = 3;
    struct ls_graph graph;
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_int_equal(parameters(&graph), 16 * 5 + 5 + 2 * (25 + 5) + 15 + 3);
    assert_true(ls_graph_find(&graph, "fc3.weight") != LS_NONE);
    assert_int_equal(ls_graph_find(&graph, "fc4.weight"), LS_NONE);
    ls_graph_free(&graph);
}

static void patches_and_blocks_of_a_vit(void **state) {
    (void)state;
    struct ls_model_spec spec = spec_of("vit_s16", 64, 3, 7);
    spec.height = 32;
    spec.options.blocks = 2;
    struct ls_graph graph;
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_true(ls_shape_equal(&named(&graph, "pos_embed")->shape, &LS_SHAPE(1, 1 + 2 * 4, 384)));
    assert_true(ls_shape_equal(&named(&graph, "patch_embed.proj.weight")->shape, &LS_SHAPE(384, 3, 16, 16)));
    assert_true(ls_shape_equal(&named(&graph, "blocks.1.mlp.fc1.weight")->shape, &LS_SHAPE(1536, 384)));
    assert_true(named(&graph, "blocks.0.attn.q.weight")->decays);
    assert_false(named(&graph, "pos_embed")->decays || named(&graph, "cls_token")->decays ||
                 named(&graph, "blocks.0.norm1.weight")->decays);
    assert_int_equal(ls_graph_find(&graph, "blocks.2.norm1.weight"), LS_NONE);
    for (int i = 0; i < graph.n_nodes; i++)
        if (graph.nodes[i].op->id == LS_OP_SOFTMAX)
            assert_true(
                ls_shape_equal(&ls_info(&graph, graph.nodes[i].out[0])->shape, &LS_SHAPE(2 * 6, 9, 9)));
    ls_graph_free(&graph);
}

// Of a signal, the length is halved five times on its way; the height stays 1.
static void cnn1d_runs_along_a_signal(void **state) {
    (void)state;
    struct ls_model_spec spec = spec_of("cnn1d", 100, 2, 3);
    spec.height = 1;
    struct ls_graph graph;
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, &spec), LS_OK);
    assert_true(ls_shape_equal(&named(&graph, "conv1.weight")->shape, &LS_SHAPE(32, 2, 1, 7)));
    assert_true(ls_shape_equal(&named(&graph, "layer3.conv2.weight")->shape, &LS_SHAPE(128, 128, 1, 5)));
    int pools = 0;
    for (int i = 0; i < graph.n_nodes; i++) {
        const struct ls_node *node = &graph.nodes[i];
        if (node->op->id != LS_OP_GLOBAL_AVG_POOL) continue;
        pools++;
        assert_true(ls_shape_equal(&ls_info(&graph, node->in[0])->shape, &LS_SHAPE(2, 128, 1, 7)));
    }
    assert_int_equal(pools, 1);
    ls_graph_free(&graph);
}

static void refused(const struct ls_model_spec *spec, const char *part) {
    struct ls_graph graph;
    assert_int_equal(ls_zoo_build(&graph, LS_TRAIN, spec), LS_INPUT);
    if (!strstr(ls_error_last()->text, part)) fail_msg("'%s' does not say '%s'", ls_error_last()->text, part);
    assert_int_equal(graph.n_values, 0);
}

static void refusals(void **state) {
    (void)state;
    struct ls_model_spec spec = spec_of("lenet", 11, 1, 10);
    refused(&spec,
            "model lenet on samples of 11x11x1 (height, width, channels): node \"max_pool6\" (max_pool): a "
            "window of height 2 (dilation 1) does not fit into height 1 with padding 0");
    spec = spec_of("lenet", 7, 1, 10);
    refused(&spec, "node \"conv2\" (conv): a window of height 5 (dilation 1) does not fit into height 3");
    spec = spec_of("cnn", 7, 1, 10);
    refused(&spec, "model cnn on samples of 7x7x1");
    spec = spec_of("lenet", 28, 1, 0);
    refused(&spec, "classes is 0; expected at least 1");
    spec = spec_of("lenet", 28, 1, 10);
    spec.options.dropout = 1;
    refused(&spec, "dropout is 1; expected at least 0 and less than 1");
    spec = spec_of("mlp", 28, 1, 10);
    spec.options.depth = -1;
    refused(&spec, "depth is -1");
    spec.options.depth = 1, spec.options.width = -2;
    refused(&spec, "width is -2");
    spec = spec_of("mlp", 28, 2, 10);
    spec.n_normalize = 3;
    refused(&spec,
            "node \"input\" (input): a list of 6 numbers (means, then standard deviations); expected 2 or 4");
    spec = spec_of("mlp", 28, 3, 10);
    spec.n_normalize = 0;
    refused(&spec, "a list of 0 numbers");
    spec = spec_of("mlp", 28, 1, 10);
    spec.raw_type = LS_I64;
    refused(&spec, "raw samples are i64; expected u8 or f32");
    spec = spec_of("resnet8", 1, 1, 10);
    spec.lane_batch = 1;
    refused(&spec, "node \"bn1\" (batchnorm): x is 1x16x1x1: the batch statistics of one value");
    spec = spec_of("cnn1d", 1, 3, 10);
    refused(&spec,
            "model cnn1d on samples of 1x1x3 (height, width, channels): a signal is one point long: where "
            "samples are [N, L], [N, L, C] or [N, C, L], data.axes says so (NLC or NCL)");
    spec = spec_of("vit_s16", 32, 3, 10);
    spec.width = 40;
    refused(
        &spec,
        "model vit_s16 on samples of 32x40x3 (height, width, channels): pictures of 32x40 cannot be cut into "
        "patches of 16x16: height and width must be multiples of 16");
    spec.width = 32, spec.options.blocks = -1;
    refused(&spec, "blocks is -1");
    spec = spec_of("vgg16", 31, 3, 10);
    refused(&spec, "model vgg16 on samples of 31x31x3 (height, width, channels): node \"max_pool");
    spec = spec_of("mlp", 28, 1, 10);
    spec.lane_batch = 0;
    refused(&spec, "value \"raw\": shape 0x1x28x28: every dimension must be at least 1");
}

static void table(void **state) {
    (void)state;
    assert_null(ls_zoo_find("resnet"));
    assert_null(ls_zoo_at(-1));
    int n = 0;
    for (; ls_zoo_at(n); n++) assert_ptr_equal(ls_zoo_find(ls_zoo_at(n)->name), ls_zoo_at(n));
    assert_int_equal(n, 14);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts),
        cmocka_unit_test(training_and_evaluation_agree),
        cmocka_unit_test(names_of_torchvision),
        cmocka_unit_test(names_and_places_of_vgg16),
        cmocka_unit_test(stem_goes_by_the_smaller_side),
        cmocka_unit_test(inverted_residuals_by_the_size_of_the_image),
        cmocka_unit_test(inverted_residuals_are_named_as_torchvision_does),
        cmocka_unit_test(result_of_an_evaluation),
        cmocka_unit_test(dropout_stands_before_the_last_layer),
        cmocka_unit_test(width_and_depth_of_an_mlp),
        cmocka_unit_test(patches_and_blocks_of_a_vit),
        cmocka_unit_test(cnn1d_runs_along_a_signal),
        cmocka_unit_test(refusals),
        cmocka_unit_test(table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
