// Which kernel runs a node, and running one alone.
#include "cpu/floats.h"
#include "cpu/internal.h"
#include "cpu/processor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct ls_kernel *ls_plain_kernel(enum ls_op_id op) {
    return ls_op_table[op]->flags & LS_OP_VIEW ? NULL : ls_plain()->kernel;
}

#ifdef LOCKSTEP_HAVE_ONEDNN
static bool has_type(const struct ls_graph *graph, const struct ls_node *node, ls_dtype type) {
    for (int i = 0; i < node->n_in; i++)
        if (ls_info(graph, node->in[i])->dtype == type) return true;
    for (int i = 0; i < node->n_out; i++)
        if (ls_info(graph, node->out[i])->dtype == type) return true;
    return false;
}
#endif

static const struct ls_kernel *find_onednn(enum ls_cpu_kernels choice, const struct ls_graph *graph,
                                           const struct ls_node *node, size_t *workspace) {
#ifdef LOCKSTEP_HAVE_ONEDNN
    if (choice == LS_CPU_PLAIN) return NULL;
    const struct ls_kernel *kernel = ls_onednn_kernel((enum ls_op_id)node->op->id);
    return kernel && kernel->supports(graph, node, workspace) ? kernel : NULL;
#else
    (void)choice, (void)graph, (void)node, (void)workspace;
    return NULL;
#endif
}

static const struct ls_kernel *find_own(enum ls_cpu_kernels choice, const struct ls_graph *graph,
                                        const struct ls_node *node, size_t *workspace) {
    if (choice != LS_CPU_AUTO) return NULL;
    const enum ls_op_id op = (enum ls_op_id)node->op->id;
    enum { KERNELS = 3 };
    const struct ls_kernel *const kernels[KERNELS] = {ls_winograd_kernel(op, ls_plain()), ls_pairs_kernel(op),
                                                      ls_batchnorm_kernel(op)};
    for (int i = 0; i < KERNELS; i++)
        if (kernels[i] && kernels[i]->supports(graph, node, workspace)) return kernels[i];
    return NULL;
}

static ls_status check_bf16(enum ls_cpu_kernels choice, const struct ls_graph *graph,
                            const struct ls_node *node) {
#ifdef LOCKSTEP_HAVE_ONEDNN
    if (choice == LS_CPU_PLAIN || !has_type(graph, node, LS_BF16) || ls_onednn_has_bf16()) return LS_OK;
    char name[96];
    ls_cpu_model(name, sizeof name);
    return LS_FAIL(LS_INPUT,
                   "%s: this processor (%s) has no bf16 instructions (AVX-512 or newer): use "
                   "train.precision=fp32, or device.kernels=plain, which is slow",
                   node->name, name);
#else
    (void)choice, (void)graph, (void)node;
    return LS_OK;
#endif
}

static ls_status no_kernel(const struct ls_graph *graph, const struct ls_node *node) {
    char types[256];
    size_t length = 0;
    for (int i = 0; i < node->n_in + node->n_out; i++) {
        ls_value value = i < node->n_in ? node->in[i] : node->out[i - node->n_in];
        const char *before = i == 0 ? "" : i == node->n_in ? " -> " : ", ";
        const char *name = ls_dtype_name(ls_info(graph, value)->dtype);
        length += (size_t)snprintf(types + length, sizeof types - length, "%s%s", before, name);
    }
    return LS_FAIL(LS_INPUT, "%s: the CPU has no kernel for %s of %s", node->name, node->op->name, types);
}

ls_status ls_kernel_choose(enum ls_cpu_kernels choice, const struct ls_graph *graph,
                           const struct ls_node *node, const struct ls_kernel **kernel, size_t *workspace) {
    *workspace = 0;
    *kernel = NULL;
    if (node->op->flags & LS_OP_VIEW) return LS_OK;
    LS_TRY(check_bf16(choice, graph, node));
    *kernel = find_own(choice, graph, node, workspace);
    if (!*kernel) *kernel = find_onednn(choice, graph, node, workspace);
    if (*kernel) return LS_OK;
    *kernel = ls_plain()->kernel;
    return (*kernel)->supports(graph, node, workspace) ? LS_OK : no_kernel(graph, node);
}

static ls_status take_memory(size_t bytes, void **memory) {
    const size_t rounded = (bytes + LS_ALIGN - 1) / LS_ALIGN * LS_ALIGN;
    if (rounded == 0) return LS_OK;
    *memory = aligned_alloc(LS_ALIGN, rounded);
    if (!*memory) return LS_FAIL(LS_SYSTEM, "no memory for the %zu bytes of a kernel", bytes);
    memset(*memory, 0xff, rounded); // all ones: a NaN in every type
    return LS_OK;
}

static ls_status run_alone(const struct ls_kernel *kernel, struct ls_kernel_call *call, size_t workspace) {
    ls_status status = LS_OK;
    call->made = call->workspace = call->kept = NULL;
    LS_TRY_GOTO(done, take_memory(workspace, &call->workspace));
    LS_TRY_GOTO(done, take_memory(ls_kernel_kept(kernel, call->graph, call->node), &call->kept));
    if (kernel->make) LS_TRY_GOTO(done, kernel->make(call->graph, call->node, &call->made));
    if (call->kept) LS_TRY_GOTO(done, kernel->convert(call));
    LS_TRY_GOTO(done, kernel->run(call));
done:
    ls_kernel_unmake(kernel, call->made);
    free(call->kept);
    free(call->workspace);
    return status;
}

ls_status ls_cpu_run_node(enum ls_cpu_kernels choice, const struct ls_kernel_call *call) {
    const struct ls_kernel *kernel;
    size_t workspace;
    LS_TRY(ls_kernel_choose(choice, call->graph, call->node, &kernel, &workspace));
    if (!kernel) return LS_OK;
    struct ls_kernel_call own = *call;
    ls_float_mode before = ls_float_mode_flush();
    ls_status status = run_alone(kernel, &own, workspace);
    ls_float_mode_put(before);
    return status;
}
