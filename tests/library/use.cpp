// What a program in C++ does with the library: takes the folder of the data; ends with 0 and prints nothing
// where all is well.
#include <lockstep/data/dataset.h>
#include <lockstep/lockstep.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            std::printf("line %d: %s: %s\n", __LINE__, #condition, ls_error_last()->text);                   \
            std::exit(1);                                                                                    \
        }                                                                                                    \
    } while (0)

static ls_value dense(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return ls_linear(graph, ls_flatten(graph, x), "dense", options->classes);
}

static ls_value too_few(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return ls_linear(graph, ls_flatten(graph, x), "dense", options->classes - 1);
}

static ls_value none(struct ls_graph *, ls_value, const struct ls_zoo_options *) {
    return LS_NONE;
}

static struct ls_zoo_model model(const char *name, ls_value (*build)(struct ls_graph *, ls_value,
                                                                     const struct ls_zoo_options *)) {
    struct ls_zoo_model made = {};
    made.name = name;
    made.summary = "of a test";
    made.build = build;
    return made;
}

static bool says(ls_status status, ls_status wanted, const char *part) {
    return status == wanted && ls_error_last()->status == wanted && std::strstr(ls_error_last()->text, part);
}

static std::string recipe_of(const char *zoo, const std::string &data) {
    return std::string("model: {zoo: ") + zoo + ", classes: 4}\ndata: {train: '" + data +
           "/train-*.h5', test: '" + data +
           "/test-*.h5'}\ntrain: {steps: 3, batch: 16, lanes: 4}\ndevice: {kind: cpu, threads: 1}\n";
}

static struct ls_planning plan(const char *zoo, ls_status wanted, const char *part) {
    const std::string text = recipe_of(zoo, "nowhere");
    struct ls_planning_request request = {};
    struct ls_planning planning;
    request.recipe.text = text.c_str();
    request.ranks = 1;
    request.height = request.width = 8;
    request.channels = 3;
    const ls_status status = ls_planning_make(&request, &planning);
    EXPECT(wanted == LS_OK ? status == LS_OK && planning.made : says(status, wanted, part));
    return planning;
}

static void models() {
    static struct ls_zoo_model first = model("dense", dense);
    first.usual_dropout = "0.25";
    static const struct ls_zoo_model second = model("too-few", too_few), third = model("none", none);
    static const struct ls_zoo_model taken = model("resnet18", dense), again = model("dense", dense),
                                     bad = model("a b", dense), empty = model("empty", nullptr);
    EXPECT(ls_zoo_add(&first) == LS_OK && ls_zoo_add(&second) == LS_OK && ls_zoo_add(&third) == LS_OK);
    EXPECT(ls_zoo_add(&first) == LS_OK);
    EXPECT(says(ls_zoo_add(&taken), LS_INPUT, "another model has this name"));
    EXPECT(says(ls_zoo_add(&again), LS_INPUT, "another model has this name"));
    EXPECT(says(ls_zoo_add(&bad), LS_INPUT, "letters, digits"));
    EXPECT(says(ls_zoo_add(&empty), LS_INPUT, "no build function"));
    EXPECT(ls_zoo_find("dense") == &first && !ls_zoo_find("empty"));
    EXPECT(plan("dense", LS_OK, "").parameters == 8 * 8 * 3 * 4 + 4);
    plan("too-few", LS_INPUT, "the outputs are 4x3, expected 4x4");
    plan("none", LS_INPUT, "returned no value");
    plan("missing", LS_INPUT, "unknown model missing; known are mlp");
}

static void count_step(void *context, const struct ls_metrics_step *) {
    ++*static_cast<int *>(context);
}

static uint64_t train(const std::string &data, const std::string &out) {
    const std::string text = recipe_of("dense", data);
    struct ls_comm comm;
    struct ls_train_request request = {};
    struct ls_train_summary summary;
    int steps = 0;
    request.recipe.text = text.c_str();
    request.out = out.c_str();
    request.watch.step = count_step;
    request.watch.context = &steps;
    EXPECT(ls_comm_open(&comm) == LS_OK && comm.size == 1);
    EXPECT(ls_train(&comm, &request, &summary) == LS_OK);
    EXPECT(summary.complete && summary.step == 3 && steps == 3);
    EXPECT(says(ls_train(&comm, &request, &summary), LS_INPUT, "holds a run")); // the folder is taken
    const std::string nowhere = recipe_of("dense", "nowhere"); // said before data are looked for
    request.recipe.text = nowhere.c_str();
    request.out = nullptr;
    EXPECT(says(ls_train(&comm, &request, &summary), LS_INPUT, "a folder of its own"));
    ls_comm_end(&comm, LS_OK);
    return summary.complete ? summary.params_hash : 0;
}

static void stop_at_once(void *, const struct ls_metrics_step *) {
    ls_stop_ask();
}

// Stopped by the program itself, and resumed by it: the weights that it would have had.
static void stop(const std::string &data, const std::string &out, uint64_t params_hash) {
    const std::string text = recipe_of("dense", data);
    struct ls_comm comm;
    struct ls_train_request request = {};
    struct ls_train_summary summary;
    request.recipe.text = text.c_str();
    request.out = out.c_str();
    request.watch.step = stop_at_once;
    EXPECT(ls_comm_open(&comm) == LS_OK);
    EXPECT(ls_train(&comm, &request, &summary) == LS_PREEMPTED && ls_stop_wanted());
    ls_stop_forget();
    request.watch.step = nullptr;
    request.resume = true;
    EXPECT(ls_train(&comm, &request, &summary) == LS_OK && summary.complete);
    EXPECT(summary.step == 3 && summary.params_hash == params_hash);
    ls_comm_end(&comm, LS_OK);
}

static void resolve(const std::string &data) {
    const std::string text = recipe_of("dense", data);
    struct ls_recipe_source source = {};
    struct ls_text resolved = {};
    source.text = text.c_str();
    EXPECT(ls_recipe_resolve(&source, &resolved) == LS_OK);
    EXPECT(std::strstr(resolved.data, "zoo: dense\n") && std::strstr(resolved.data, "nan_limit: 10\n") &&
           std::strstr(resolved.data, "dropout: 0.25\n"));
    ls_text_free(&resolved);
    source.text = nullptr;
    EXPECT(says(ls_recipe_resolve(&source, &resolved), LS_INPUT, "expected one of them"));
}

static ls_status keep_piece(void *context, const struct ls_piece *piece) {
    auto *values = static_cast<std::vector<float> *>(context);
    values->insert(values->end(), piece->values, piece->values + piece->n_mine * 4);
    return LS_OK;
}

// Samples of a file, and the same ones from memory: the same bits.
static void apply(struct ls_comm *comm, struct ls_session_spec spec, struct ls_session *training) {
    std::vector<float> of_files;
    struct ls_sink sink = {};
    struct ls_evaluation evaluation;
    sink.take = keep_piece;
    sink.context = &of_files;
    EXPECT(ls_session_run(training, false, &sink, &evaluation) == LS_OK && of_files.size() == 300 * 4);
    struct ls_dataset_spec files = {};
    files.patterns = spec.patterns;
    files.n_patterns = spec.n_patterns;
    files.input = "images";
    files.target_optional = true;
    files.what = "data";
    files.axes = "auto";
    struct ls_dataset *dataset;
    EXPECT(ls_dataset_open(&files, &dataset) == LS_OK);
    std::vector<int64_t> indices(300);
    for (int i = 0; i < 300; i++) indices[i] = i;
    std::vector<unsigned char> samples(300 * ls_dataset_info(dataset)->sample_bytes);
    EXPECT(ls_dataset_read(dataset, indices.data(), 300, samples.data(), nullptr, nullptr, false) == LS_OK);
    ls_dataset_close(dataset);
    spec.without_data = true;
    struct ls_session *session;
    EXPECT(ls_session_open(comm, &spec, &session) == LS_OK);
    const struct ls_session_sample lies = ls_session_sample(session);
    EXPECT(lies.bytes && !lies.channels_first && lies.height == 16 && lies.width == 16 && lies.channels == 1);
    std::vector<float> of_memory(300 * 4, -1.0f);
    EXPECT(ls_session_apply(session, 7, samples.data(), of_memory.data()) == LS_OK && of_memory[7 * 4] == -1);
    EXPECT(ls_session_apply(session, 300, samples.data(), of_memory.data()) == LS_OK);
    EXPECT(of_memory == of_files);
    EXPECT(ls_session_apply(session, 0, nullptr, nullptr) == LS_OK);
    EXPECT(says(ls_session_run(session, false, nullptr, &evaluation), LS_INPUT, "without data"));
    ls_session_close(session);
}

static void use_sessions(const std::string &run, const std::string &data) {
    const std::string checkpoint = run + "/checkpoints/step-00000003.h5", pattern = data + "/train-*.h5";
    const char *const patterns[] = {pattern.c_str()};
    struct ls_comm comm;
    struct ls_session *test, *training;
    struct ls_figures figures[2];
    struct ls_evaluation evaluation[2];
    EXPECT(ls_comm_open(&comm) == LS_OK);
    struct ls_session_spec spec = {};
    spec.checkpoint = checkpoint.c_str();
    EXPECT(ls_session_open(&comm, &spec, &test) == LS_OK);
    spec.patterns = patterns;
    spec.n_patterns = 1;
    EXPECT(ls_session_open(&comm, &spec, &training) == LS_OK);
    EXPECT(ls_session_samples(test) == 90 && ls_session_samples(training) == 300 &&
           ls_session_outputs(test) == 4);
    EXPECT(ls_session_evaluate(test, &figures[0], &evaluation[0]) == LS_OK && evaluation[0].samples == 90);
    EXPECT(ls_session_evaluate(training, &figures[1], &evaluation[1]) == LS_OK &&
           evaluation[1].samples == 300);
    EXPECT(ls_figures_accuracy(&figures[0]) > 0 && ls_figures_accuracy(&figures[1]) > 0);
    for (struct ls_figures &each : figures) ls_figures_close(&each);
    apply(&comm, spec, training);
    ls_session_close(test);
    ls_session_close(training);
    spec.checkpoint = "nowhere.h5";
    EXPECT(says(ls_session_open(&comm, &spec, &test), LS_INPUT, "nowhere.h5") && !test);
    ls_comm_end(&comm, LS_OK);
}

static ls_value embedded(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    if (graph->status) return LS_NONE;
    struct ls_shape rows = ls_info(graph, x)->shape;
    rows.dim[1] *= 8;
    x = ls_reshape(graph, ls_embedding(graph, x, "words", 50, 8), rows);
    return ls_linear(graph, x, "dense", options->classes);
}

static std::string recipe_of_tokens(const std::string &data, const char *line) {
    return "model: {zoo: embedded, classes: 4, vocabulary: 50}\ndata: {train: '" + data +
           "/tokens.h5', input: tokens}\ntrain: {steps: 2, batch: 8, lanes: 4}\ndevice: {kind: cpu}\n" + line;
}

static void refuse_tokens(const char *line, const char *part) {
    const std::string text = recipe_of_tokens("nowhere", "");
    struct ls_recipe_source source = {};
    struct ls_text resolved = {};
    source.text = text.c_str();
    source.overrides = &line;
    source.n_overrides = 1;
    EXPECT(says(ls_recipe_resolve(&source, &resolved), LS_INPUT, part));
}

// What the model says of tokens in memory, and of those in the file that they are from.
static void apply_tokens(struct ls_comm *comm, const std::string &checkpoint, const std::string &file) {
    const char *const patterns[] = {file.c_str()};
    std::vector<float> of_files;
    struct ls_session *session;
    struct ls_session_spec spec = {};
    struct ls_sink sink = {};
    struct ls_evaluation evaluation;
    sink.take = keep_piece;
    sink.context = &of_files;
    spec.checkpoint = checkpoint.c_str();
    spec.patterns = patterns;
    spec.n_patterns = 1;
    EXPECT(ls_session_open(comm, &spec, &session) == LS_OK);
    EXPECT(ls_session_run(session, false, &sink, &evaluation) == LS_OK && of_files.size() == 40 * 4);
    ls_session_close(session);
    spec.patterns = nullptr;
    spec.without_data = true;
    EXPECT(ls_session_open(comm, &spec, &session) == LS_OK);
    const struct ls_session_sample lies = ls_session_sample(session);
    EXPECT(lies.tokens == 50 && lies.channels == 6 && !lies.bytes);
    std::vector<int32_t> tokens(40 * 6);
    for (int i = 0; i < 40 * 6; i++) tokens[i] = i * 7 % 50; // as the test has written them
    std::vector<float> of_memory(40 * 4);
    EXPECT(ls_session_apply(session, 40, tokens.data(), of_memory.data()) == LS_OK && of_memory == of_files);
    tokens[3 * 6 + 2] = 50;
    EXPECT(says(ls_session_apply(session, 40, tokens.data(), of_memory.data()), LS_INPUT,
                "sample 3 is not of tokens: value 2 of 6 is 50, expected 0 to 49"));
    tokens[3 * 6 + 2] = -1;
    EXPECT(says(ls_session_apply(session, 40, tokens.data(), of_memory.data()), LS_INPUT, "is -1, expected"));
    ls_session_close(session);
}

static void use_tokens(const std::string &data) {
    static struct ls_zoo_model own = model("embedded", embedded);
    own.samples = LS_SAMPLES_TOKENS;
    EXPECT(ls_zoo_add(&own) == LS_OK);
    refuse_tokens("data.scale=1", "data.scale=1: the model reads tokens, which come to it as they are");
    refuse_tokens("data.normalize={mean: [0], std: [2]}", "the model reads tokens");
    refuse_tokens("data.augment.flip=true", "the model reads tokens");
    refuse_tokens("data.augment.mixup=0.2", "the model reads tokens");
    refuse_tokens("data.axes=NLC", "the model reads tokens");
    refuse_tokens("model.vocabulary=0", "model embedded reads tokens: say how many there are");
    refuse_tokens("model.zoo=dense", "model.vocabulary: model dense reads no tokens");

    const std::string text = recipe_of_tokens(data, "");
    const char *wider = "model.vocabulary=51";
    struct ls_comm comm;
    struct ls_train_request request = {};
    struct ls_train_summary summary;
    request.recipe.text = text.c_str();
    request.out = "use-tokens";
    EXPECT(ls_comm_open(&comm) == LS_OK);
    request.recipe.overrides = &wider;
    request.recipe.n_overrides = 1;
    EXPECT(
        says(ls_train(&comm, &request, &summary), LS_INPUT,
             "model embedded on samples of 6 tokens: node \"words\": the table has 50 rows, expected one for "
             "each of model.vocabulary: 51"));
    request.recipe.n_overrides = 0;
    EXPECT(ls_train(&comm, &request, &summary) == LS_OK && summary.step == 2);
    apply_tokens(&comm, "use-tokens/checkpoints/step-00000002.h5", data + "/tokens.h5");
    ls_comm_end(&comm, LS_OK);
}

int main(int, char **words) {
    const std::string data = words[1];
    EXPECT(ls_abi() == LS_ABI);
    models();
    uint64_t hash[3];
    hash[0] = train(data, "use-0");
    std::thread one([&] { hash[1] = train(data, "use-1"); }), two([&] { hash[2] = train(data, "use-2"); });
    one.join();
    two.join();
    EXPECT(hash[0] != 0 && hash[0] == hash[1] && hash[1] == hash[2]);
    stop(data, "use-3", hash[0]);
    resolve(data);
    use_sessions("use-0", data);
    use_tokens(data);
    return 0;
}
