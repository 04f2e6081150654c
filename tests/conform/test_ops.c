// Every op against PyTorch: outputs and gradients, by the plain kernels in f64 and f32 and by oneDNN's in
// f32.
#include "conform/difference.h"
#include "conform/reference.h"
#include "unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// In f64 the two differ by the order of their sums, of at most a few hundred products: some 1e-15.
static const double f64_tolerance = 1e-12;
// An f32 sum of n products is off by less than (n + 2) u times the sum of their magnitudes, u = 2^-24
// (Higham, "Accuracy and stability of numerical algorithms", 3.1). Here n is about 150 at most, and the sum
// of magnitudes is less than 5 times the largest result, one of many of random sign: 152 * 5 * u = 4.5e-5. A
// wrong formula is off by 1e-3 and more.
static const double f32_tolerance = 4.5e-5;

struct cases {
    struct ls_h5 *file;
    struct ls_arena arena;
    const char **names;
    int n;
};

static int open_cases(void **state) {
    static struct cases cases;
    *state = &cases;
    if (ls_h5_open(LOCKSTEP_REFERENCE, &cases.file) != LS_OK ||
        ls_reference_names(cases.file, &cases.arena, &cases.names, &cases.n) != LS_OK) {
        fprintf(stderr, "%s\n", ls_error_last()->text);
        return -1;
    }
    return 0;
}

static int close_cases(void **state) {
    struct cases *cases = *state;
    ls_h5_close(cases->file);
    ls_arena_free(&cases->arena);
    return 0;
}

// ---- a case
static void compare_outputs(const struct ls_reference *reference, double tolerance) {
    const struct ls_node *node = &reference->trial.trial.graph.nodes[0];
    for (int k = 0; k < node->n_out; k++) {
        char name[24];
        snprintf(name, sizeof name, "out%d", k);
        // What the op does in f32, or in integers, by its definition, is equal.
        const ls_dtype type = ls_info(&reference->trial.trial.graph, node->out[k])->dtype;
        const bool exact = node->op->id == LS_OP_INPUT || (type != LS_F32 && type != LS_F64);
        assert_ok(ls_reference_compare(reference, name, node->out[k], exact ? 0 : tolerance));
    }
}

static void compare_gradients(const struct ls_reference *reference, double tolerance) {
    const struct ls_case_trial *trial = &reference->trial;
    int compared = 0;
    for (int k = 0; k < reference->of.n_in; k++) {
        char name[24];
        snprintf(name, sizeof name, "gradient%d", k);
        if (ls_reference_has(reference, name) != (trial->alone.gradient[k] != LS_NONE))
            fail_msg("%s: %s is there in one of reference and graph alone", reference->name, name);
        if (trial->alone.gradient[k] == LS_NONE) continue;
        assert_ok(ls_reference_compare(reference, name, trial->alone.gradient[k], tolerance));
        compared++;
    }
    if (trial->alone.dy != LS_NONE && compared == 0) fail_msg("%s: no gradient to compare", reference->name);
}

static void check_case(const struct cases *cases, const char *name, ls_dtype type,
                       enum ls_cpu_kernels kernels, double tolerance, struct ls_reference *reference) {
    assert_ok(ls_reference_open(cases->file, name, type, reference));
    struct ls_trial *trial = &reference->trial.trial;
    ls_status status = ls_trial_run(trial, kernels, 0, trial->graph.n_nodes);
    if (status != LS_OK) fail_msg("%s: %s", name, ls_error_last()->text);
    compare_outputs(reference, tolerance);
    compare_gradients(reference, tolerance);
}

static void test_plain_f64(void **state) {
    const struct cases *cases = *state;
    for (int i = 0; i < cases->n; i++) {
        struct ls_reference reference;
        check_case(cases, cases->names[i], LS_F64, LS_CPU_PLAIN, f64_tolerance, &reference);
        ls_reference_close(&reference);
    }
    assert_true(cases->n > 30);
}

static void test_plain_f32(void **state) {
    const struct cases *cases = *state;
    for (int i = 0; i < cases->n; i++) {
        struct ls_reference reference;
        check_case(cases, cases->names[i], LS_F32, LS_CPU_PLAIN, f32_tolerance, &reference);
        ls_reference_close(&reference);
    }
}

static int count_onednn(const struct ls_trial *trial) {
    int n = 0;
    for (int i = 0; i < trial->graph.n_nodes; i++) {
        const struct ls_kernel *kernel;
        size_t workspace;
        assert_ok(ls_kernel_choose(LS_CPU_AUTO, &trial->graph, &trial->graph.nodes[i], &kernel, &workspace));
        n += kernel && strcmp(kernel->library, "plain") != 0;
    }
    return n;
}

// Where bf16 comes in, the device may refuse it with this choice of kernels; f32 is what is tested here.
static bool has_bf16(const struct cases *cases, const char *name) {
    struct ls_reference reference;
    assert_ok(ls_reference_open(cases->file, name, LS_F32, &reference));
    const struct ls_graph *graph = &reference.trial.trial.graph;
    bool found = false;
    for (int i = 0; i < graph->n_values; i++) found |= graph->values[i].dtype == LS_BF16;
    ls_reference_close(&reference);
    return found;
}

static void test_onednn_f32(void **state) {
    const struct cases *cases = *state;
    if (!ls_cpu_library()) skip();
    int kernels = 0;
    for (int i = 0; i < cases->n; i++) {
        struct ls_reference reference;
        if (has_bf16(cases, cases->names[i])) continue;
        check_case(cases, cases->names[i], LS_F32, LS_CPU_AUTO, f32_tolerance, &reference);
        kernels += count_onednn(&reference.trial.trial);
        ls_reference_close(&reference);
    }
    assert_true(kernels > 10);
}

// ---- running statistics: what the device makes of a batch's, as the builder says, after one step of one
// lane
struct statistic {
    const char *before, *after; // in the file
    int out;                    // of the batchnorm node
};

static const struct ls_value_info *statistic_info(const struct ls_graph *graph, int out) {
    const struct ls_node *node = &graph->nodes[0];
    assert_int_equal(node->op->id, LS_OP_BATCHNORM);
    return ls_info(graph, node->out[out]);
}

static void update_statistic(struct ls_device *device, const struct ls_value_info *info, int64_t channels,
                             float *state, const float *found) {
    const struct ls_update_state item = {
        .count = (size_t)channels, .momentum = info->momentum, .factor = info->factor};
    const struct ls_decision decision = {0};
    const struct ls_update_states update = {&item, 1, state, found, 1, &decision};
    struct ls_queue *queue;
    assert_ok(device->api->queue_open(device, "statistics", &queue));
    device->api->update_states(queue, &update);
    assert_ok(device->api->sync(queue));
    device->api->queue_close(queue);
}

static void check_statistic(struct ls_device *device, const struct ls_reference *reference,
                            const struct ls_graph *built, const struct statistic *statistic) {
    enum { MOST = 16 };
    const struct ls_trial *trial = &reference->trial.trial;
    const ls_value found = trial->graph.nodes[0].out[statistic->out];
    const int64_t channels = ls_trial_count(trial, found);
    double *before = NULL, *after = NULL;
    float state[MOST], batch[MOST];
    assert_true(channels <= MOST);
    assert_ok(ls_reference_read(reference, statistic->before, channels, &before));
    assert_ok(ls_reference_read(reference, statistic->after, channels, &after));
    for (int64_t c = 0; c < channels; c++)
        state[c] = (float)before[c], batch[c] = (float)ls_trial_get(trial, found, c);
    update_statistic(device, statistic_info(built, statistic->out), channels, state, batch);
    for (int64_t c = 0; c < channels; c++)
        if (!((double)state[c] - after[c] <= 1e-6 && after[c] - (double)state[c] <= 1e-6))
            fail_msg("%s, %s, channel %d: expected %.9g, found %.9g", reference->name, statistic->after,
                     (int)c, after[c], (double)state[c]);
    free(before);
    free(after);
}

static void test_running_statistics(void **state) {
    static const struct statistic statistics[] = {{"mean_before", "mean_after", 1},
                                                  {"var_before", "var_after", 2}};
    const struct cases *cases = *state;
    const struct ls_cpu_options options = {1, LS_CPU_PLAIN};
    struct ls_device *device;
    int checked = 0;
    assert_ok(ls_cpu_open(&options, &device));
    for (int i = 0; i < cases->n; i++) {
        struct ls_reference reference;
        check_case(cases, cases->names[i], LS_F32, LS_CPU_PLAIN, f32_tolerance, &reference);
        if (ls_reference_has(&reference, "mean_before")) {
            struct ls_graph built;
            ls_graph_init(&built, LS_TRAIN);
            ls_batchnorm(&built,
                         ls_graph_add_value(&built, LS_ACTIVATION, "x", LS_F32, reference.of.in[0].shape),
                         "bn", 1);
            assert_ok(built.status);
            for (int k = 0; k < 2; k++)
                check_statistic(device, &reference, &built, &statistics[k]), checked++;
            ls_graph_free(&built);
        }
        ls_reference_close(&reference);
    }
    device->api->close(device);
    assert_true(checked >= 4);
}

// ---- no op without a case
static void mark(const struct ls_trial *trial, bool *seen) {
    for (int i = 0; i < trial->graph.n_nodes; i++) seen[trial->graph.nodes[i].op->id] = true;
}

static void test_every_op_has_a_case(void **state) {
    const struct cases *cases = *state;
    bool seen[LS_OPS] = {0};
    for (int i = 0; i < cases->n; i++) {
        struct ls_reference reference;
        assert_ok(ls_reference_open(cases->file, cases->names[i], LS_F64, &reference));
        mark(&reference.trial.trial, seen);
        ls_reference_close(&reference);
    }
    for (int i = 0; i < ls_case_count; i++) {
        if (!ls_op_table[ls_cases[i].op]->gradient) continue; // differences say nothing of it
        struct ls_case_trial trial;
        assert_ok(ls_case_open(&ls_cases[i], LS_F64, &trial));
        mark(&trial.trial, seen);
        ls_case_close(&trial);
    }
    for (int op = 0; op < ls_op_count; op++)
        if (!seen[op])
            fail_msg("%s: neither differences nor PyTorch check it; see tests/conform/README.md",
                     ls_op_table[op]->name);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_f64),           cmocka_unit_test(test_plain_f32),
        cmocka_unit_test(test_onednn_f32),          cmocka_unit_test(test_running_statistics),
        cmocka_unit_test(test_every_op_has_a_case),
    };
    return cmocka_run_group_tests(tests, open_cases, close_cases);
}
