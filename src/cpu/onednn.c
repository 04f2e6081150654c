#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static bool product_fits(const struct ls_graph *graph, const struct ls_node *node) {
    ls_dtype type = ls_info(graph, node->in[0])->dtype;
    bool weight_grad = node->op->id == LS_OP_CONV_WEIGHT_GRAD || node->op->id == LS_OP_LINEAR_WEIGHT_GRAD;
    return ls_onednn_type(type) != dnnl_data_type_undef && ls_info(graph, node->in[1])->dtype == type &&
           ls_info(graph, node->out[0])->dtype == (weight_grad ? LS_F32 : type) &&
           (node->n_in < 3 || ls_info(graph, node->in[2])->dtype == LS_F32);
}

static bool one_fits(const struct ls_graph *graph, const struct ls_node *node) {
    return ls_onednn_type(ls_info(graph, node->in[0])->dtype) != dnnl_data_type_undef;
}

// A family: do its types fit, and what is the node to oneDNN?
struct family {
    bool (*fits)(const struct ls_graph *graph, const struct ls_node *node);
    dnnl_status_t (*describe)(struct ls_onednn_task *task, const struct ls_graph *graph,
                              const struct ls_node *node);
};

static const struct family conv_family = {product_fits, ls_onednn_describe_conv};
static const struct family linear_family = {product_fits, ls_onednn_describe_linear};
static const struct family matmul_family = {product_fits, ls_onednn_describe_matmul};
static const struct family binary_family = {product_fits, ls_onednn_describe_binary};
static const struct family eltwise_family = {one_fits, ls_onednn_describe_eltwise};
static const struct family pool_family = {one_fits, ls_onednn_describe_pool};

static const struct family *const families[LS_OPS] = {
    [LS_OP_CONV] = &conv_family,
    [LS_OP_CONV_RELU] = &conv_family,
    [LS_OP_CONV_INPUT_GRAD] = &conv_family,
    [LS_OP_CONV_TRANSPOSE] = &conv_family,
    [LS_OP_CONV_WEIGHT_GRAD] = &conv_family,
    [LS_OP_LINEAR] = &linear_family,
    [LS_OP_LINEAR_RELU] = &linear_family,
    [LS_OP_LINEAR_INPUT_GRAD] = &linear_family,
    [LS_OP_LINEAR_WEIGHT_GRAD] = &linear_family,
    [LS_OP_MATMUL] = &matmul_family,
    [LS_OP_ADD] = &binary_family,
    [LS_OP_MUL] = &binary_family,
    [LS_OP_LEAKY_RELU] = &eltwise_family,
    [LS_OP_HARD_SWISH] = &eltwise_family,
    [LS_OP_AVG_POOL] = &pool_family,
    [LS_OP_AVG_POOL_GRAD] = &pool_family,
    [LS_OP_GLOBAL_AVG_POOL] = &pool_family,
    [LS_OP_MAX_POOL_GRAD] = &pool_family,
};

static dnnl_status_t describe_on_one_thread(struct ls_onednn_task *task, const struct ls_graph *graph,
                                            const struct ls_node *node) {
    if (!ls_onednn_engine()) return dnnl_runtime_error;
    const struct family *family = families[node->op->id];
    if (!family->fits(graph, node)) return dnnl_unimplemented;
    task->weight = node->n_in > 1 && ls_graph_is_weight(graph, node->in[1]);
    LS_DNNL_TRY(ls_dnnl_attr_make(&task->attr));
    LS_DNNL_TRY(family->describe(task, graph, node));
    if (!ls_onednn_is_fast(task->desc)) return dnnl_unimplemented;
    return ls_onednn_task_layout(task);
}

static dnnl_status_t describe(struct ls_onednn_task *task, const struct ls_graph *graph,
                              const struct ls_node *node) {
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    dnnl_status_t status = describe_on_one_thread(task, graph, node);
    omp_set_num_threads(threads);
    return status;
}

static bool supports(const struct ls_graph *graph, const struct ls_node *node, size_t *workspace) {
    struct ls_onednn_task task = {0};
    bool well = describe(&task, graph, node) == dnnl_success;
    if (well) *workspace = task.workspace;
    ls_onednn_task_clear(&task);
    return well;
}

static size_t kept(const struct ls_graph *graph, const struct ls_node *node) {
    struct ls_onednn_task task = {0};
    const size_t bytes = describe(&task, graph, node) == dnnl_success ? task.kept : 0;
    ls_onednn_task_clear(&task);
    return bytes;
}

static void unmake(void *made) {
    if (!made) return;
    ls_onednn_task_clear(made);
    free(made);
}

static ls_status make(const struct ls_graph *graph, const struct ls_node *node, void **made) {
    struct ls_onednn_task *task = calloc(1, sizeof *task);
    if (!task) return LS_FAIL(LS_SYSTEM, "%s: out of memory", node->name);
    dnnl_status_t status = describe(task, graph, node);
    if (status == dnnl_success) status = ls_onednn_task_make(task);
    if (status != dnnl_success) {
        unmake(task);
        return LS_FAIL(LS_SYSTEM, "%s: oneDNN can't make %s (status %d)", node->name, node->op->name,
                       (int)status);
    }
    *made = task;
    return LS_OK;
}

static ls_status check(const struct ls_kernel_call *call, dnnl_status_t status) {
    if (status == dnnl_success) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s: oneDNN can't run %s (status %d)", call->node->name, call->node->op->name,
                   (int)status);
}

static ls_status convert(const struct ls_kernel_call *call) {
    return check(call, ls_onednn_task_convert(call->made, call));
}

static ls_status run(const struct ls_kernel_call *call) {
    return check(call, ls_onednn_task_run(call->made, call));
}

const struct ls_kernel *ls_onednn_kernel(enum ls_op_id op) {
    static const struct ls_kernel kernel = {"onednn", supports, make, unmake, kept, convert, run};
    return families[op] ? &kernel : NULL;
}

static char library[48], isa_name[32];
static bool has_bf16;
static pthread_once_t facts_once = PTHREAD_ONCE_INIT;

static bool trains_bf16(int kind) {
    struct ls_onednn_conv conv = {.kind = kind,
                                  .type = dnnl_bf16,
                                  .groups = 1,
                                  .batch = 2,
                                  .in = 64,
                                  .in_h = 14,
                                  .in_w = 14,
                                  .out = 64,
                                  .out_h = 14,
                                  .out_w = 14,
                                  .kernel_h = 3,
                                  .kernel_w = 3,
                                  .window = {.stride = {1, 1}, .pad = {1, 1}}};
    struct ls_onednn_task task = {0};
    bool well = ls_onednn_engine() && ls_dnnl_attr_make(&task.attr) == dnnl_success &&
                ls_onednn_describe_conv_of(&task, &conv) == dnnl_success && ls_onednn_is_fast(task.desc);
    ls_onednn_task_clear(&task);
    return well;
}

static void gather_facts(void) {
    const dnnl_version_t *version = dnnl_version();
    snprintf(library, sizeof library, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    if (ls_dnnl_isa_name(isa))
        snprintf(isa_name, sizeof isa_name, "%s", ls_dnnl_isa_name(isa));
    else // newer than this code, or without a name: the number tells it from others
        snprintf(isa_name, sizeof isa_name, "isa %#x", (unsigned)isa);
    has_bf16 = trains_bf16(LS_ONEDNN_CONV_FORWARD) && trains_bf16(LS_ONEDNN_CONV_INPUT_GRAD) &&
               trains_bf16(LS_ONEDNN_CONV_WEIGHT_GRAD);
}

const char *ls_onednn_library(void) {
    pthread_once(&facts_once, gather_facts);
    return library;
}

bool ls_onednn_has_bf16(void) {
    pthread_once(&facts_once, gather_facts);
    return has_bf16;
}

const char *ls_onednn_isa(void) {
    pthread_once(&facts_once, gather_facts);
    return isa_name;
}

#endif
