// Prints the buckets of resnet50's training plan for a lane of 128 samples of 224x224: a line a bucket,
// floats and the share of a step's arithmetic that is done when backward has finished it. No memory is taken
// for it, and nothing is computed.
#include "comm/comm.h"
#include "graph/op.h"
#include "train/setup.h"

#include <stdio.h>

int main(void) {
    static const char recipe_text[] =
        "model: {zoo: resnet50, classes: 1000}\ndata: {train: none}\n"
        "train: {steps: 1, batch: 128, lanes: 1}\ndevice: {kind: cpu, kernels: plain}\n";
    struct ls_recipe recipe;
    struct ls_comm comm = {.size = 1, .local_size = 1};
    struct ls_device *device;
    struct ls_model model;
    const struct ls_sample_shape sample = {.height = 224,
                                           .width = 224,
                                           .channels = 3,
                                           .type = LS_U8,
                                           .target_is_class = true,
                                           .target_values = 1};
    if (ls_recipe_parse(recipe_text, "simulate", ".", NULL, 0, &recipe) != LS_OK ||
        ls_device_choose(&recipe, &comm, false, &device) != LS_OK ||
        ls_model_make(&recipe, &sample, device, &model) != LS_OK) {
        fprintf(stderr, "%s\n", ls_error_last()->text);
        return 1;
    }
    const struct ls_plan *plan = model.train;
    double all = 0, done = 0;
    for (int i = 0; i < plan->graph->n_nodes; i++) all += ls_node_flops(plan->graph, &plan->graph->nodes[i]);
    for (int s = 0, i = 0; s < plan->n_segments; s++) {
        for (; i < plan->segment_end[s]; i++) done += ls_node_flops(plan->graph, &plan->graph->nodes[i]);
        printf("%zu %.9f\n", plan->buckets[s].count, done / all);
    }
    return 0;
}
