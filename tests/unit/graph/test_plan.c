// Whole plans of real models: places, layout, buckets, and how ranks hold lanes.
#include "plan_check.h"

#include "base/lanes.h"
#include "fake_device.h"
#include "graph/augment.h"
#include "graph/buckets.h"
#include "graph/layout.h"
#include "zoo/zoo.h"

static const char *const frozen_layers[] = {"conv1", "bn1", "layer1", "layer2"};

static struct ls_graph model_frozen(const char *name, enum ls_mode mode, int64_t batch, int64_t size,
                                    int64_t classes, int n_freeze) {
    static const double mean[] = {0.5}, std[] = {0.25};
    struct ls_model_spec spec = {.model = ls_zoo_find(name),
                                 .options = {.classes = classes, .width = 24, .depth = 2},
                                 .lane_batch = batch,
                                 .height = size,
                                 .width = size,
                                 .channels = 3,
                                 .raw_type = LS_U8,
                                 .augment = true,
                                 .scale = 1.0 / 255,
                                 .mean = mean,
                                 .std = std,
                                 .n_normalize = 1,
                                 .loss = LS_LOSS_CROSS_ENTROPY,
                                 .freeze = frozen_layers,
                                 .n_freeze = n_freeze};
    struct ls_graph graph;
    ls_graph_init(&graph, mode);
    assert_non_null(spec.model);
    assert_int_equal(ls_zoo_build(&graph, mode, &spec), LS_OK);
    return graph;
}

static struct ls_graph model(const char *name, enum ls_mode mode, int64_t batch, int64_t size,
                             int64_t classes) {
    return model_frozen(name, mode, batch, size, classes, 0);
}

static struct ls_plan *plan_frozen(const char *name, enum ls_mode mode, int64_t batch, int64_t size,
                                   const struct ls_plan_options *options, int n_freeze) {
    struct ls_graph graph = model_frozen(name, mode, batch, size, 10, n_freeze);
    struct ls_plan *plan = NULL;
    ls_status status = ls_plan_make(&graph, &fake_device, options, &plan);
    if (status) print_error("%s\n", ls_error_last()->text);
    assert_int_equal(status, LS_OK);
    assert_int_equal(graph.n_nodes, 0);
    assert_int_equal(graph.n_values, 0);
    return plan;
}

static struct ls_plan *plan_with(const char *name, enum ls_mode mode, int64_t batch, int64_t size,
                                 const struct ls_plan_options *options) {
    return plan_frozen(name, mode, batch, size, options, 0);
}

static const struct ls_plan_options f32 = {.precision = LS_F32, .bucket_bytes = 1 << 20};
static const struct ls_plan_options bf16 = {.precision = LS_BF16, .bucket_bytes = 1 << 20};

// ---- memory ----

static void every_model_keeps_its_values(void **state) {
    (void)state;
    for (int i = 0; ls_zoo_at(i); i++) {
        const struct ls_zoo_model *zoo = ls_zoo_at(i);
        for (int mode = LS_TRAIN; mode <= LS_EVAL; mode++) {
            for (int half = 0; half < 2; half++) {
                struct ls_plan *plan = plan_with(zoo->name, mode, 3, zoo->usual_size, half ? &bf16 : &f32);
                check_plan_memory(plan);
                assert_int_equal(plan->lane_batch, 3);
                assert_int_equal(plan->raw_bytes, 3 * 3 * zoo->usual_size * zoo->usual_size);
                assert_int_equal(plan->augment_bytes, 3 * LS_AUGMENT_WORDS * sizeof(int32_t));
                assert_int_equal(plan->target_bytes, 3 * 4);
                assert_int_equal(plan->weight_bytes, 3 * 4);
                assert_true(plan->flops > 0);
                assert_true(plan->activation_bytes <= plan->arena_bytes);
                ls_plan_free(plan);
            }
        }
    }
}

// Every weight is converted once, a cast before what is made of it, and no two lie on each other.
static void check_conversions(const struct ls_plan *plan) {
    const struct ls_graph *graph = plan->graph;
    int *done = calloc((size_t)graph->n_nodes + 1, sizeof *done), n = 0;
    size_t before = 0, sum = 0;
    assert_non_null(done);
    for (int c = 0; c < plan->n_conversions; c++) {
        const int i = plan->conversions[c].node;
        const bool cast = i < plan->n_casts;
        const ls_value to = graph->nodes[i].out[0], from = graph->nodes[i].in[1];
        assert_true(plan->conversions[c].before >= before && plan->conversions[c].before <= sum + 255);
        before = plan->conversions[c].before;
        done[i]++;
        if (!cast && ls_info(graph, from)->kind != LS_PARAM) {
            assert_true(done[ls_info(graph, from)->producer]);
            if (lies_in_arena(plan, from)) assert_true(range_of(plan, from).end <= plan->arena_bytes);
        }
        const struct ls_place place = cast ? plan->places[to] : plan->converted[i];
        if (place.region == LS_REGION_ARENA) continue;
        assert_int_equal(place.region, LS_REGION_CONVERTED);
        assert_true(place.offset >= sum); // behind all before it
        sum = place.offset + (cast ? range_of(plan, to).end - range_of(plan, to).begin : plan->kept_bytes[i]);
    }
    assert_true(sum <= plan->converted_bytes && plan->converted_bytes <= sum + 255);
    for (int i = 0; i < graph->n_nodes; i++) {
        const bool once = i < plan->n_casts || plan->kept_bytes[i] > 0;
        assert_int_equal(done[i], once);
        n += once;
    }
    assert_int_equal(n, plan->n_conversions);
    free(done);
}

static void weights_are_converted_once(void **state) {
    (void)state;
    for (int how = 0; how < 16; how++) {
        const bool half = how & 1, keeps = how & 2, evaluates = how & 4, vit = how & 8;
        const enum ls_mode mode = evaluates ? LS_EVAL : LS_TRAIN;
        struct ls_graph graph = vit ? model("vit_s16", mode, 1, 224, 10) : model("resnet18", mode, 2, 32, 10);
        struct ls_plan *plan;
        assert_int_equal(
            ls_plan_make(&graph, keeps ? &keeping_device : &fake_device, half ? &bf16 : &f32, &plan), LS_OK);
        check_plan_memory(plan);
        check_conversions(plan);
        assert_int_equal(plan->n_casts > 0, half);
        assert_int_equal(plan->n_conversions > plan->n_casts, keeps);
        for (int i = 0; i < plan->n_casts && !vit; i++) { // a cast that kernels read stays
            const struct ls_node *cast = &plan->graph->nodes[i];
            const bool passes = plan->places[cast->out[0]].region == LS_REGION_ARENA;
            assert_int_equal(passes, keeps && strncmp(cast->name, "fc", 2) != 0);
        }
        ls_plan_free(plan);
    }
}

static void an_arena_is_hardly_larger_than_what_lives_in_it(void **state) {
    (void)state;
    const struct {
        const char *name;
        int64_t batch, size;
    } cases[] = {{"resnet50", 16, 224}, {"resnet18", 32, 32}, {"resnet50", 1, 224}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int half = 0; half < 2; half++) {
            struct ls_plan *plan =
                plan_with(cases[i].name, LS_TRAIN, cases[i].batch, cases[i].size, half ? &bf16 : &f32);
            size_t least = most_live_bytes(plan);
            print_message("%s batch %d %s: arena %.1f MiB, live %.1f MiB, ratio %.4f, activations %.1f MiB\n",
                          cases[i].name, (int)cases[i].batch, half ? "bf16" : "f32",
                          (double)plan->arena_bytes / 1048576, (double)least / 1048576,
                          (double)plan->arena_bytes / (double)least,
                          (double)plan->activation_bytes / 1048576);
            assert_true((double)plan->arena_bytes <= 1.05 * (double)least);
            ls_plan_free(plan);
        }
    }
}

static void bf16_needs_little_more_than_half(void **state) {
    (void)state;
    struct ls_plan *wide = plan_with("resnet50", LS_TRAIN, 16, 224, &f32);
    struct ls_plan *half = plan_with("resnet50", LS_TRAIN, 16, 224, &bf16);
    assert_true((double)half->activation_bytes < 0.65 * (double)wide->activation_bytes);
    ls_plan_free(wide);
    ls_plan_free(half);
}

static void a_plan_is_a_function_of_its_graph(void **state) {
    (void)state;
    struct ls_plan *a = plan_with("resnet18", LS_TRAIN, 4, 32, &f32);
    struct ls_plan *b = plan_with("resnet18", LS_TRAIN, 4, 32, &f32);
    assert_int_equal(a->graph->n_values, b->graph->n_values);
    assert_int_equal(a->arena_bytes, b->arena_bytes);
    assert_memory_equal(a->places, b->places, sizeof *a->places * (size_t)a->graph->n_values);
    for (int i = 0; i < a->layout->n_params; i++)
        assert_string_equal(a->layout->params[i].name, b->layout->params[i].name);
    ls_plan_free(a);
    ls_plan_free(b);
}

static bool has_op(const struct ls_plan *plan, const char *name) {
    for (int i = 0; i < plan->graph->n_nodes; i++)
        if (strcmp(plan->graph->nodes[i].op->name, name) == 0) return true;
    return false;
}

static void a_plan_has_gone_through_every_pass(void **state) {
    (void)state;
    struct ls_plan *plan = plan_with("resnet18", LS_TRAIN, 4, 32, &bf16);
    assert_true(has_op(plan, "conv_weight_grad"));
    assert_true(has_op(plan, "cast"));
    assert_true(has_op(plan, "batchnorm_relu"));
    assert_true(has_op(plan, "batchnorm_relu_grad"));
    assert_true(has_op(plan, "batchnorm_add_relu"));
    assert_true(has_op(plan, "batchnorm_add_relu_grad"));
    assert_false(has_op(plan, "relu"));
    ls_plan_free(plan);
}

static struct ls_plan *plan_of_text(const char *text) {
    struct ls_graph graph;
    struct ls_plan *plan = NULL;
    ls_graph_init(&graph, LS_EVAL);
    if (ls_graph_parse(&graph, text, "text") || ls_plan_make(&graph, &fake_device, &f32, &plan)) {
        fail_msg("%s", ls_error_last()->text);
        return NULL;
    }
    check_plan_memory(plan);
    return plan;
}

static size_t place_of(const struct ls_plan *plan, const char *name) {
    ls_value value = ls_graph_find(plan->graph, name);
    assert_int_not_equal(value, LS_NONE);
    assert_int_equal(plan->places[value].region, LS_REGION_ARENA);
    return plan->places[value].offset;
}

static void a_chain_of_elementwise_ops_and_views_takes_one_buffer(void **state) {
    (void)state;
    struct ls_plan *plan = plan_of_text("graph eval\n"
                                        "%0 = raw \"raw\" u8 2x3x8x8\n"
                                        "%1 = input \"in\" (%0) [0, 1]\n"
                                        "%2 = clip \"low\" (%1) low=0 high=6\n"
                                        "%3 = relu \"mid\" (%2)\n"
                                        "%4 = flatten \"flat\" (%3)\n"
                                        "%5 = relu \"end\" (%4)\n"
                                        "result %5\n");
    assert_int_equal(plan->arena_bytes, 2 * 3 * 8 * 8 * 4);
    assert_int_equal(plan->activation_bytes, plan->arena_bytes);
    ls_plan_free(plan);
}

static void what_is_read_again_is_not_overwritten(void **state) {
    (void)state;
    struct ls_plan *plan = plan_of_text("graph eval\n"
                                        "%0 = raw \"raw\" u8 2x3x8x8\n"
                                        "%1 = input \"in\" (%0) [0, 1]\n"
                                        "%2 = relu \"first\" (%1)\n"
                                        "%3 = flatten \"view\" (%1)\n"
                                        "%4 = flatten \"flat\" (%2)\n"
                                        "%5 = add \"sum\" (%4, %3)\n"
                                        "result %5\n");
    assert_int_not_equal(place_of(plan, "in"), place_of(plan, "first"));
    assert_int_equal(place_of(plan, "in"), place_of(plan, "view"));
    assert_int_equal(place_of(plan, "first"), place_of(plan, "sum"));
    ls_plan_free(plan);
}

// A view of what was overwritten in place lies where that lies, and keeps it alive.
static void a_view_follows_its_value(void **state) {
    (void)state;
    struct ls_plan *plan = plan_of_text("graph eval\n"
                                        "%0 = raw \"raw\" u8 2x4x8x8\n"
                                        "%1 = param \"w\" f32 4x4x1x1 constant(0)\n"
                                        "%2 = input \"in\" (%0) [0, 1]\n"
                                        "%3 = conv \"conv\" (%2, %1)\n"
                                        "%4 = clip \"clip\" (%3) low=0 high=6\n"
                                        "%5 = flatten \"view\" (%4)\n"
                                        "%6 = conv \"other\" (%4, %1)\n"
                                        "%7 = conv \"more\" (%6, %1)\n"
                                        "%8 = flatten \"flat\" (%7)\n"
                                        "%9 = add \"sum\" (%8, %5)\n"
                                        "result %9\n");
    assert_int_equal(place_of(plan, "clip"), place_of(plan, "conv"));
    assert_int_equal(place_of(plan, "view"), place_of(plan, "conv"));
    assert_int_not_equal(place_of(plan, "conv"), place_of(plan, "in"));
    ls_plan_free(plan);
}

static void the_result_lives_to_the_end(void **state) {
    (void)state;
    struct ls_plan *plan = plan_of_text("graph eval\n"
                                        "%0 = raw \"raw\" u8 2x3x8x8\n"
                                        "%1 = target \"t\" i32 2\n"
                                        "%2 = weight \"weight\" f32 2\n"
                                        "%3 = input \"in\" (%0) [0, 1]\n"
                                        "%4 = flatten \"flat\" (%3)\n"
                                        "%5 = relu \"result\" (%4)\n"
                                        "%6 = softmax \"more\" (%5)\n"
                                        "%7 = softmax \"and_more\" (%6)\n"
                                        "%8, %9, %10 = cross_entropy \"loss\" (%7, %1, %2)\n"
                                        "  output %8 \"metric:loss\"\n"
                                        "result %5\n");
    ls_plan_free(plan);
}

static void nothing_at_all_is_a_plan(void **state) {
    (void)state;
    struct ls_plan *plan = plan_of_text("graph eval\n");
    assert_int_equal(plan->arena_bytes, 0);
    assert_int_equal(plan->n_segments, 1);
    assert_int_equal(plan->segment_end[0], 0);
    ls_plan_free(plan);
    ls_plan_free(NULL);
}

// ---- layout ----

static void check_items(const struct ls_item *items, int n, size_t floats) {
    size_t end = 0;
    for (int i = 0; i < n; i++) {
        assert_int_equal(items[i].offset % LS_ALIGN_FLOATS, 0);
        assert_true(items[i].offset >= end && items[i].offset < end + LS_ALIGN_FLOATS);
        assert_int_equal(items[i].count, ls_shape_count(&items[i].shape));
        end = items[i].offset + items[i].count;
    }
    assert_true(end <= floats && floats < end + LS_ALIGN_FLOATS);
}

// The number of nodes after which the gradient of parameter i is there.
static int finished(const struct ls_plan *plan, int i) {
    const struct ls_graph *graph = plan->graph;
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        if (info->kind == LS_OUTPUT && info->output_of != LS_NONE &&
            strcmp(ls_info(graph, info->output_of)->name, plan->layout->params[i].name) == 0)
            return info->producer + 1;
    }
    fail_msg("%s has no gradient", plan->layout->params[i].name);
    return 0;
}

static void parameters_lie_as_backward_finishes_them(void **state) {
    (void)state;
    struct ls_plan *plan = plan_with("resnet50", LS_TRAIN, 2, 64, &f32);
    const struct ls_layout *layout = plan->layout;
    check_items(layout->params, layout->n_params, layout->param_floats);
    check_items(layout->states, layout->n_states, layout->state_floats);
    assert_int_equal(layout->parameters, 25557032 - 990 * 2049); // of 1000 classes, here 10
    for (int i = 1; i < layout->n_params; i++) assert_true(finished(plan, i - 1) <= finished(plan, i));
    assert_int_equal(strncmp(layout->params[0].name, "fc.", 3), 0);
    assert_string_equal(layout->params[layout->n_params - 1].name, "conv1.weight");
    ls_plan_free(plan);
}

static void outputs_lie_where_the_layout_says(void **state) {
    (void)state;
    struct ls_plan *plan = plan_with("resnet18", LS_TRAIN, 2, 32, &f32);
    const struct ls_layout *layout = plan->layout;
    const struct ls_graph *graph = plan->graph;
    for (int i = 0; i < layout->n_params; i++)
        assert_int_equal(layout->params[i].output_offset, layout->params[i].offset);
    for (int i = 0; i < layout->n_states; i++) {
        const struct ls_item *item = &layout->states[i];
        assert_int_equal(item->output_offset, layout->param_floats + item->offset);
        assert_true(item->momentum > 0.099F && item->momentum < 0.101F);
        bool var = strstr(item->name, "running_var") != NULL;
        assert_true(var ? item->factor > 1 : item->factor == 1);
    }
    assert_int_equal(layout->metrics, layout->param_floats + layout->state_floats);
    assert_true(layout->output_floats >= layout->metrics + LS_METRICS);
    int outputs = 0;
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        if (info->kind != LS_OUTPUT) continue;
        assert_int_equal(plan->places[v].region, LS_REGION_OUTPUT);
        outputs++;
    }
    assert_int_equal(outputs, layout->n_params + layout->n_states + LS_METRICS);
    static const char *const metrics[] = {"metric:loss", "metric:score", "metric:weight", "metric:stop",
                                          "metric:fault"};
    for (int i = 0; i < LS_METRICS; i++) {
        ls_value v = ls_graph_find(graph, metrics[i]);
        assert_int_not_equal(v, LS_NONE);
        assert_int_equal(plan->places[v].offset, 4 * (layout->metrics + (size_t)i));
    }
    ls_plan_free(plan);
}

// Frozen parameters lie behind the others, out of gradients, slots and buckets; what they need is less.
static void frozen_parameters_have_no_outputs(void **state) {
    (void)state;
    struct ls_plan *whole = plan_with("resnet18", LS_TRAIN, 2, 32, &f32);
    struct ls_plan *plan = plan_frozen("resnet18", LS_TRAIN, 2, 32, &f32, 4);
    const struct ls_layout *layout = plan->layout;
    check_plan_memory(plan);
    check_items(layout->params, layout->n_params, layout->param_floats);
    check_items(layout->params, layout->n_trained, layout->trained_floats);
    check_items(layout->states, layout->n_states, layout->state_floats);
    assert_int_equal(layout->n_params, whole->layout->n_params);
    assert_int_equal(layout->n_trained, whole->layout->n_params - (3 + 12 + 15));
    assert_int_equal(layout->n_followed, whole->layout->n_states - (2 + 8 + 10));
    assert_int_equal(layout->parameters, whole->layout->parameters);
    assert_true(layout->metrics < layout->param_floats + layout->state_floats);
    const struct ls_bucket *last = &plan->buckets[plan->n_buckets - 1];
    assert_int_equal(last->offset + last->count, layout->output_floats);
    for (int i = 0; i < layout->n_params; i++) {
        const struct ls_item *item = &layout->params[i];
        bool frozen = false;
        for (int k = 0; k < 4; k++) frozen |= ls_name_is_below(item->name, frozen_layers[k]);
        assert_int_equal(i >= layout->n_trained, frozen);
        assert_int_equal(item->output_offset, frozen ? 0 : item->offset);
    }
    for (int i = 0; i < layout->n_followed; i++)
        assert_int_equal(layout->states[i].output_offset, layout->trained_floats + layout->states[i].offset);
    assert_true(plan->flops < 0.75 * whole->flops);
    assert_true(plan->activation_bytes < whole->activation_bytes);

    struct ls_plan_options options = {.precision = LS_F32, .layout = layout};
    struct ls_plan *eval = plan_frozen("resnet18", LS_EVAL, 2, 32, &options, 4);
    ls_plan_free(eval);
    ls_plan_free(plan);
    ls_plan_free(whole);
}

static void evaluation_reads_what_training_writes(void **state) {
    (void)state;
    struct ls_plan *train = plan_with("resnet18", LS_TRAIN, 4, 32, &f32);
    struct ls_plan_options options = {.precision = LS_F32, .layout = train->layout};
    struct ls_plan *eval = plan_with("resnet18", LS_EVAL, 8, 32, &options);
    assert_ptr_equal(eval->layout, train->layout);
    assert_int_equal(eval->n_buckets, 0);
    assert_int_equal(eval->n_segments, 1);
    assert_int_equal(eval->segment_end[0], eval->graph->n_nodes);
    assert_int_not_equal(eval->result, LS_NONE);
    assert_int_equal(eval->places[eval->result].region, LS_REGION_ARENA);
    int read = 0;
    for (ls_value v = 0; v < eval->graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(eval->graph, v);
        if (info->kind != LS_PARAM && info->kind != LS_STATE) continue;
        ls_value same = ls_graph_find(train->graph, info->name);
        assert_int_not_equal(same, LS_NONE);
        assert_memory_equal(&eval->places[v], &train->places[same], sizeof(struct ls_place));
        read++;
    }
    assert_int_equal(read, train->layout->n_params + train->layout->n_states);
    ls_value loss = ls_graph_find(eval->graph, "metric:loss");
    assert_int_equal(eval->places[loss].offset, 4 * train->layout->metrics);
    ls_plan_free(eval);
    ls_plan_free(train);
}

static void evaluation_alone_makes_its_own_layout(void **state) {
    (void)state;
    struct ls_plan *eval = plan_with("resnet18", LS_EVAL, 2, 32, &f32);
    struct ls_plan *train = plan_with("resnet18", LS_TRAIN, 2, 32, &f32);
    check_items(eval->layout->params, eval->layout->n_params, eval->layout->param_floats);
    assert_int_equal(eval->layout->parameters, train->layout->parameters);
    assert_int_equal(eval->layout->n_states, train->layout->n_states);
    assert_string_equal(eval->layout->params[0].name, "conv1.weight");
    ls_plan_free(eval);
    ls_plan_free(train);
}

static void expect_failure(struct ls_graph graph, const struct ls_device *device,
                           const struct ls_plan_options *options, const char *says) {
    struct ls_plan *plan = (struct ls_plan *)&graph;
    assert_int_equal(ls_plan_make(&graph, device, options, &plan), LS_INPUT);
    assert_null(plan);
    assert_int_equal(graph.n_nodes, 0);
    if (!strstr(ls_error_last()->text, says)) fail_msg("\"%s\" lacks \"%s\"", ls_error_last()->text, says);
}

static void a_layout_of_another_model_is_refused(void **state) {
    (void)state;
    struct ls_plan *train = plan_with("resnet18", LS_TRAIN, 4, 32, &f32);
    struct ls_plan_options options = {.precision = LS_F32, .layout = train->layout};
    expect_failure(model("resnet18", LS_EVAL, 4, 32, 11), &fake_device, &options,
                   "fc.weight has shape 11x512");
    expect_failure(model("resnet34", LS_EVAL, 4, 32, 10), &fake_device, &options, "layer1.2.conv1.weight");
    expect_failure(model("lenet", LS_EVAL, 4, 32, 10), &fake_device, &options, "conv1.");
    struct ls_plan *large = plan_with("resnet34", LS_TRAIN, 4, 32, &f32);
    options.layout = large->layout;
    expect_failure(model("resnet18", LS_TRAIN, 4, 32, 10), &fake_device, &options,
                   "weight is in the given layout");
    struct ls_layout more = *train->layout; // one statistic more than the graph has
    more.states = calloc((size_t)more.n_states + 1, sizeof *more.states);
    memcpy(more.states, train->layout->states, sizeof *more.states * (size_t)more.n_states);
    more.states[more.n_states++] = (struct ls_item){.name = "ghost", .count = 1};
    options.layout = &more;
    expect_failure(model("resnet18", LS_TRAIN, 4, 32, 10), &fake_device, &options,
                   "ghost is in the given layout");
    free(more.states);
    ls_plan_free(large);
    ls_plan_free(train);
}

static void what_cannot_run_is_refused(void **state) {
    (void)state;
    expect_failure(model("lenet", LS_TRAIN, 2, 32, 10), &poor_device, &f32, "linear_weight_grad");
    expect_failure(model("lenet", LS_EVAL, 2, 32, 10), &poor_device, &f32, "no kernel for softmax");
    struct ls_plan_options narrow = {.precision = LS_U8};
    expect_failure(model("lenet", LS_TRAIN, 2, 32, 10), &fake_device, &narrow, "precision u8");
}

static void unused_parameters_are_refused(void **state) {
    (void)state;
    struct ls_graph graph = model("lenet", LS_TRAIN, 2, 32, 10);
    ls_graph_add_param(&graph, "spare", LS_SHAPE(3, 5), (struct ls_init){0}, true);
    expect_failure(graph, &fake_device, &f32, "parameter \"spare\"");
}

static void names_are_distinct(void **state) {
    (void)state;
    struct ls_graph graph = model("lenet", LS_EVAL, 2, 32, 10);
    ls_graph_add_param(&graph, "conv1.weight", LS_SHAPE(3, 5), (struct ls_init){0}, true);
    struct ls_plan *plan = NULL;
    assert_int_equal(ls_plan_make(&graph, &fake_device, &f32, &plan), LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, "conv1.weight"));
}

// Conformance tests run in f64: the flat buffers are as wide.
static void f64_plans_are_twice_as_wide(void **state) {
    (void)state;
    static const char text[] = "graph eval\n"
                               "%0 = raw \"raw\" f64 2x5\n"
                               "%1 = param \"w\" f64 3x5 constant(0)\n"
                               "%2 = param \"b\" f64 3 constant(0)\n"
                               "%3 = linear \"y\" (%0, %1, %2)\n"
                               "result %3\n";
    struct ls_plan_options f64 = {.precision = LS_F64};
    struct ls_graph graph;
    struct ls_plan *plan = NULL;
    ls_graph_init(&graph, LS_EVAL);
    assert_int_equal(ls_graph_parse(&graph, text, "text"), LS_OK);
    assert_int_equal(ls_plan_make(&graph, &fake_device, &f64, &plan), LS_OK);
    check_plan_memory(plan);
    assert_int_equal(plan->layout->params[1].offset, LS_ALIGN_FLOATS);
    assert_int_equal(plan->places[ls_graph_find(plan->graph, "b")].offset, 8 * LS_ALIGN_FLOATS);
    assert_int_equal(plan->raw_bytes, 2 * 5 * 8);
    ls_plan_free(plan);

    assert_int_equal(ls_graph_parse(&graph, text, "text"), LS_OK);
    assert_int_equal(ls_plan_make(&graph, &fake_device, &f32, &plan), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, "w is f64"));
}

// ---- buckets ----

static void check_buckets(const struct ls_plan *plan, size_t bucket_bytes) {
    const struct ls_layout *layout = plan->layout;
    assert_true(plan->n_buckets >= 1);
    assert_int_equal(plan->n_segments, plan->n_buckets);
    size_t end = 0;
    for (int b = 0; b < plan->n_buckets; b++) {
        assert_int_equal(plan->buckets[b].offset, end);
        end += plan->buckets[b].count;
        assert_true(plan->segment_end[b] > (b ? plan->segment_end[b - 1] : 0));
        bool last = b + 1 == plan->n_buckets;
        // Large at first, at most half of what is left, and never so small that messages cost more than
        // bytes.
        const size_t bytes = plan->buckets[b].count * 4,
                     left = (plan->layout->output_floats - plan->buckets[b].offset) * 4;
        const size_t least = bucket_bytes / 16, half = left / 2 < bucket_bytes ? left / 2 : bucket_bytes;
        if (!last) assert_true(bytes + 4 >= (half > least ? half : least));
    }
    assert_int_equal(end, layout->output_floats);
    assert_int_equal(plan->segment_end[plan->n_segments - 1], plan->graph->n_nodes);
    for (int i = 0, b = 0; i < layout->n_params; i++) {
        while (layout->params[i].offset >= plan->buckets[b].offset + plan->buckets[b].count) b++;
        size_t bucket_end = plan->buckets[b].offset + plan->buckets[b].count;
        assert_true(layout->params[i].offset + layout->params[i].count <= bucket_end);
        assert_true(finished(plan, i) <= plan->segment_end[b]);
    }
}

static void buckets_cover_the_output(void **state) {
    (void)state;
    size_t sizes[] = {0, 1, 100000, 1 << 20, 8 << 20, (size_t)1 << 40};
    int most = 1 << 30;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct ls_plan_options options = {.precision = LS_F32, .bucket_bytes = sizes[i]};
        struct ls_plan *plan = plan_with("resnet18", LS_TRAIN, 2, 32, &options);
        check_buckets(plan, sizes[i]);
        assert_true(plan->n_buckets <= most);
        most = plan->n_buckets;
        if (sizes[i] == 1 << 20) assert_true(plan->n_buckets > 4);
        ls_plan_free(plan);
    }
    assert_int_equal(most, 1);
}

// A layout in another order than backward's: a bucket is finished when its last gradient is.
static void buckets_wait_for_the_last_gradient(void **state) {
    (void)state;
    struct ls_plan *eval = plan_with("resnet18", LS_EVAL, 2, 32, &f32);
    struct ls_plan_options options = {.precision = LS_F32, .bucket_bytes = 1, .layout = eval->layout};
    struct ls_plan *train = plan_with("resnet18", LS_TRAIN, 2, 32, &options);
    assert_ptr_equal(train->layout, eval->layout);
    check_buckets(train, 1);
    ls_plan_free(train);
    ls_plan_free(eval);
}

// What travels when nothing is left to compute is little.
static void the_last_bucket_is_small(void **state) {
    (void)state;
    struct ls_plan_options options = {.precision = LS_F32, .bucket_bytes = 16 << 20};
    struct ls_plan *plan = plan_with("resnet18", LS_TRAIN, 2, 32, &options);
    const struct ls_bucket *last = &plan->buckets[plan->n_buckets - 1];
    assert_true(plan->n_buckets >= 4);
    assert_true(last->count * 20 < plan->layout->output_floats);
    ls_plan_free(plan);
}

static void the_first_bucket_is_finished_early(void **state) {
    (void)state;
    struct ls_plan_options options = {.precision = LS_F32, .bucket_bytes = 4 << 20};
    struct ls_plan *plan = plan_with("resnet50", LS_TRAIN, 2, 64, &options);
    int backward = plan->graph->n_nodes; // from the first gradient on
    for (int i = 0; i < plan->layout->n_params; i++)
        if (finished(plan, i) < backward) backward = finished(plan, i);
    int length = plan->graph->n_nodes - backward;
    assert_true(plan->segment_end[0] - backward < length / 8);
    ls_plan_free(plan);
}

// A plan cut by hand: node 1 reads the gradient that node 0 made, and its bucket is finished by node 0.
static void reading_from_a_finished_bucket_is_an_error(void **state) {
    (void)state;
    struct ls_plan *plan = plan_with("lenet", LS_TRAIN, 2, 32, &f32);
    struct ls_graph *graph = (struct ls_graph *)plan->graph;
    struct ls_node *last = &graph->nodes[graph->n_nodes - 1];
    ls_value early = LS_NONE;
    for (ls_value v = 0; v < graph->n_values; v++) {
        const struct ls_value_info *info = ls_info(graph, v);
        bool gradient = info->kind == LS_OUTPUT && info->output_of != LS_NONE;
        if (gradient && (early == LS_NONE || info->producer < ls_info(graph, early)->producer)) early = v;
    }
    last->in[0] = early;
    plan->n_buckets = plan->n_segments = 0;
    assert_int_equal(ls_plan_make_buckets(plan, 1, 4), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, last->name));
    plan->n_buckets = plan->n_segments = 0;
    assert_int_equal(ls_plan_make_buckets(plan, SIZE_MAX / 2, 4), LS_OK); // one bucket: nothing is early
    ls_plan_free(plan);
}

// ---- lanes ----

static void ranks_share_the_lanes_out(void **state) {
    (void)state;
    for (int lanes = 1; lanes <= 65; lanes++) {
        for (int ranks = 1; ranks <= lanes; ranks++) {
            int end = 0;
            for (int rank = 0; rank < ranks; rank++) {
                struct ls_lane_range range = ls_lanes_of(rank, ranks, lanes);
                assert_int_equal(range.begin, end);
                assert_true(range.end > range.begin);
                assert_true(range.end - range.begin <= lanes / ranks + 1);
                end = range.end;
            }
            assert_int_equal(end, lanes);
        }
    }
    struct ls_lane_range big = ls_lanes_of(65535, 65536, 65536);
    assert_int_equal(big.begin, 65535);
    assert_int_equal(big.end, 65536);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_model_keeps_its_values),
        cmocka_unit_test(weights_are_converted_once),
        cmocka_unit_test(an_arena_is_hardly_larger_than_what_lives_in_it),
        cmocka_unit_test(bf16_needs_little_more_than_half),
        cmocka_unit_test(a_plan_is_a_function_of_its_graph),
        cmocka_unit_test(a_plan_has_gone_through_every_pass),
        cmocka_unit_test(a_chain_of_elementwise_ops_and_views_takes_one_buffer),
        cmocka_unit_test(what_is_read_again_is_not_overwritten),
        cmocka_unit_test(a_view_follows_its_value),
        cmocka_unit_test(the_result_lives_to_the_end),
        cmocka_unit_test(nothing_at_all_is_a_plan),
        cmocka_unit_test(parameters_lie_as_backward_finishes_them),
        cmocka_unit_test(outputs_lie_where_the_layout_says),
        cmocka_unit_test(frozen_parameters_have_no_outputs),
        cmocka_unit_test(evaluation_reads_what_training_writes),
        cmocka_unit_test(evaluation_alone_makes_its_own_layout),
        cmocka_unit_test(a_layout_of_another_model_is_refused),
        cmocka_unit_test(what_cannot_run_is_refused),
        cmocka_unit_test(unused_parameters_are_refused),
        cmocka_unit_test(names_are_distinct),
        cmocka_unit_test(f64_plans_are_twice_as_wide),
        cmocka_unit_test(buckets_cover_the_output),
        cmocka_unit_test(buckets_wait_for_the_last_gradient),
        cmocka_unit_test(the_last_bucket_is_small),
        cmocka_unit_test(the_first_bucket_is_finished_early),
        cmocka_unit_test(reading_from_a_finished_bucket_is_an_error),
        cmocka_unit_test(ranks_share_the_lanes_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
