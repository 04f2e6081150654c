// A model of your own, built from ops, trained by Lockstep and held against its test set: alone, or under
// mpirun with the same weights.
//
//   cc own_model.c -o own_model $(pkg-config --cflags --libs lockstep)
//   mpirun -n 2 ./own_model 'data.train=shards/train-*.h5' 'data.test=shards/test-*.h5'
#include <lockstep/lockstep.h>

#include <stdio.h>

// x: f32 [N, C, H, W], normalized. Two convolutions around a shortcut, then one value a class.
static ls_value build(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    const struct ls_conv_spec spec = {.out = 16, .kernel = 3, .stride = 1, .pad = 1};
    x = ls_relu(graph, ls_batchnorm(graph, ls_conv(graph, x, "stem", &spec), "norm1", 1));
    ls_value y = ls_relu(graph, ls_batchnorm(graph, ls_conv(graph, x, "conv", &spec), "norm2", 1));
    x = ls_max_pool(graph, ls_add(graph, x, y), 4, 4, 0);
    x = ls_dropout(graph, ls_flatten(graph, x), options->dropout);
    return ls_linear(graph, x, "head", options->classes);
}

// What the command line says comes behind it, as overrides.
static const char recipe[] = "model: {zoo: own, classes: 10, dropout: 0.1}\n"
                             "data:\n"
                             "  train: train-*.h5\n"
                             "  test: test-*.h5\n"
                             "  augment: {crop_pad: 2}\n"
                             "train:\n"
                             "  epochs: 2\n"
                             "  batch: 128\n"
                             "  lanes: 8\n"
                             "  optimizer: {sgd: {momentum: 0.9}}\n"
                             "  schedule: {cosine: {peak: 0.05}}\n";

static void tell_step(void *context, const struct ls_metrics_step *step) {
    (void)context;
    if (step->step % 100 == 0) printf("step %llu: loss %.4f\n", (unsigned long long)step->step, step->loss);
}

static ls_status train(struct ls_comm *comm, const struct ls_recipe_source *source, const char *folder,
                       struct ls_train_summary *summary) {
    const struct ls_train_request request = {
        .recipe = *source, .out = folder, .resume = true, .watch = {.step = tell_step}};
    LS_TRY(ls_train(comm, &request, summary));
    if (comm->rank == 0)
        printf("trained: step=%llu params=%016llx\n", (unsigned long long)summary->step,
               (unsigned long long)summary->params_hash);
    return LS_OK;
}

static ls_status evaluate(struct ls_comm *comm, const char *folder, uint64_t step) {
    char path[4096];
    struct ls_session *session;
    struct ls_figures figures;
    struct ls_evaluation evaluation;
    snprintf(path, sizeof path, "%s/checkpoints/step-%08llu.h5", folder, (unsigned long long)step);
    const struct ls_session_spec spec = {.checkpoint = path};
    LS_TRY(ls_session_open(comm, &spec, &session));
    const ls_status status = ls_session_evaluate(session, &figures, &evaluation);
    if (status == LS_OK && comm->rank == 0)
        printf("evaluated: samples=%lld loss=%.4f accuracy=%.4f\n", (long long)evaluation.samples,
               evaluation.loss, ls_figures_accuracy(&figures));
    ls_figures_close(&figures);
    ls_session_close(session);
    return status;
}

int main(int argc, char **argv) {
    static const struct ls_zoo_model own = {
        .name = "own", .summary = "two convolutions around a shortcut", .build = build};
    static const char folder[] = "runs/own";
    const struct ls_recipe_source source = {
        .text = recipe, .overrides = (const char *const *)(argv + 1), .n_overrides = argc - 1};
    struct ls_comm comm;
    struct ls_train_summary summary;
    ls_status status = ls_zoo_add(&own);
    if (status == LS_OK) status = ls_comm_open(&comm);
    if (status != LS_OK) {
        fprintf(stderr, "own_model: %s\n", ls_error_last()->text);
        return status;
    }
    status = train(&comm, &source, folder, &summary);
    if (status == LS_OK) status = evaluate(&comm, folder, summary.step);
    if (status != LS_OK && ls_comm_prints(&comm, status))
        fprintf(stderr, "own_model: %s\n", ls_error_last()->text);
    ls_comm_end(&comm, status); // the ranks end alike
    return status;
}
