// Trains a model of every op that goes element by element, for test_library.py: a line with the weights'
// hash.
#include <lockstep/lockstep.h>

#include <stdio.h>

static ls_value norm(struct ls_graph *graph, ls_value x, const char *conv, const char *name) {
    const struct ls_conv_spec spec = {.out = 8, .kernel = 3, .stride = 1, .pad = 1};
    return ls_batchnorm(graph, ls_conv(graph, x, conv, &spec), name, 1);
}

// A parameter of one number a channel, spread over samples and pixels.
static ls_value channels(struct ls_graph *graph, const char *name) {
    return ls_graph_add_param(graph, name, LS_SHAPE(1, 8, 1, 1), (struct ls_init){LS_INIT_UNIFORM, 0.5F},
                              false);
}

static ls_value build(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    x = ls_leaky_relu(graph, norm(graph, x, "conv1", "norm1"), 0.1);
    ls_value y = ls_add(graph, ls_tanh(graph, x), channels(graph, "shift"));
    y = ls_mul(graph, ls_hard_swish(graph, norm(graph, y, "conv2", "norm2")), channels(graph, "scale"));
    y = ls_relu(graph, ls_add(graph, norm(graph, y, "conv3", "norm3"), channels(graph, "other")));
    ls_value gate = ls_sigmoid(graph, ls_global_avg_pool(graph, ls_gelu(graph, y, false)));
    y = ls_clip(graph, ls_mul(graph, gate, ls_gelu(graph, ls_silu(graph, y), true)), 0, 6);
    return ls_linear(graph, ls_flatten(graph, ls_max_pool(graph, ls_add(graph, x, y), 4, 4, 0)), "head",
                     options->classes);
}

int main(int argc, char **argv) {
    static const struct ls_zoo_model own = {
        .name = "pointwise", .summary = "every op by element", .build = build};
    const struct ls_train_request request = {
        .recipe = {.text = "model: {zoo: pointwise, classes: 4}\n"
                           "data: {train: none}\n"
                           "train: {steps: 5, lanes: 4, schedule: {constant: {peak: 0.05}}}\n",
                   .overrides = (const char *const *)(argv + 1),
                   .n_overrides = argc - 1},
        .out = "run"};
    struct ls_comm comm;
    struct ls_train_summary summary;
    ls_status status = ls_zoo_add(&own);
    if (status == LS_OK) status = ls_comm_open(&comm);
    if (status != LS_OK) return status;
    status = ls_train(&comm, &request, &summary);
    if (status == LS_OK && comm.rank == 0)
        printf("loss=%.9g params=%016llx\n", summary.loss, (unsigned long long)summary.params_hash);
    if (status != LS_OK && ls_comm_prints(&comm, status)) fprintf(stderr, "%s\n", ls_error_last()->text);
    ls_comm_end(&comm, status);
    return status;
}
