// A model that reads tokens: whole numbers that stand for words, from an HDF5 file. Each chooses a row of a
// table; the mean of a sample's rows says its class. Alone, or under mpirun with the same weights.
//
//   cc own_tokens.c -o own_tokens $(pkg-config --cflags --libs lockstep)
//   mpirun -n 2 ./own_tokens data.train=train.h5 data.test=test.h5 model.vocabulary=30000
//
// The files hold `tokens` [N, T], of any number type, and `labels` [N].
#include <lockstep/lockstep.h>

#include <stdio.h>

enum { WIDTH = 32 };

// x: i32 [N, T]. Its rows [N, T, WIDTH] lie in memory as an image does that is T high, 1 wide.
static ls_value build(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    if (graph->status) return LS_NONE;
    const struct ls_shape tokens = ls_info(graph, x)->shape;
    ls_value rows = ls_embedding(graph, x, "words", options->vocabulary, WIDTH);
    rows = ls_reshape(graph, rows, LS_SHAPE(tokens.dim[0], WIDTH, tokens.dim[1], 1));
    return ls_linear(graph, ls_flatten(graph, ls_global_avg_pool(graph, rows)), "head", options->classes);
}

static const char recipe[] = "model: {zoo: words, classes: 2, vocabulary: 1000}\n"
                             "data: {train: train.h5, test: test.h5, input: tokens}\n"
                             "train:\n"
                             "  epochs: 4\n"
                             "  batch: 64\n"
                             "  lanes: 8\n"
                             "  optimizer: {adamw: {}}\n"
                             "  schedule: {constant: {peak: 0.02}}\n";

static void tell(void *context, uint64_t step, double loss, const struct ls_scores *scores) {
    (void)context;
    printf("step %llu: test loss %.4f, accuracy %.4f\n", (unsigned long long)step, loss, scores->accuracy);
}

static ls_status train(struct ls_comm *comm, const struct ls_recipe_source *source) {
    const struct ls_train_request request = {
        .recipe = *source, .out = "runs/words", .resume = true, .watch = {.evaluation = tell}};
    struct ls_train_summary summary;
    LS_TRY(ls_train(comm, &request, &summary));
    if (comm->rank == 0)
        printf("trained: step=%llu params=%016llx\n", (unsigned long long)summary.step,
               (unsigned long long)summary.params_hash);
    return LS_OK;
}

int main(int argc, char **argv) {
    static const struct ls_zoo_model words = {.name = "words",
                                              .summary = "the mean of embedded words",
                                              .build = build,
                                              .samples = LS_SAMPLES_TOKENS};
    const struct ls_recipe_source source = {
        .text = recipe, .overrides = (const char *const *)(argv + 1), .n_overrides = argc - 1};
    struct ls_comm comm;
    ls_status status = ls_zoo_add(&words);
    if (status == LS_OK) status = ls_comm_open(&comm);
    if (status != LS_OK) {
        fprintf(stderr, "own_tokens: %s\n", ls_error_last()->text);
        return status;
    }
    status = train(&comm, &source);
    if (status != LS_OK && ls_comm_prints(&comm, status))
        fprintf(stderr, "own_tokens: %s\n", ls_error_last()->text);
    ls_comm_end(&comm, status); // the ranks end alike
    return status;
}
