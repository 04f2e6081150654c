// LeNet-5 (LeCun, Bottou, Bengio, Haffner 1998), with relu and max pooling.
#include "zoo/models.h"

ls_value ls_build_lenet(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    x = ls_conv(graph, x, "conv1",
                &(struct ls_conv_spec){.out = 6, .kernel = 5, .stride = 1, .pad = 2, .bias = true});
    x = ls_max_pool(graph, ls_relu(graph, x), 2, 2, 0);
    x = ls_conv(graph, x, "conv2", &(struct ls_conv_spec){.out = 16, .kernel = 5, .stride = 1, .bias = true});
    x = ls_max_pool(graph, ls_relu(graph, x), 2, 2, 0);
    x = ls_flatten(graph, x);
    x = ls_relu(graph, ls_linear(graph, x, "fc1", 120));
    x = ls_relu(graph, ls_linear(graph, x, "fc2", 84));
    return ls_classify(graph, x, "fc3", options);
}
