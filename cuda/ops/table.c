// The kernel of each op: one for all, which looks its op up in the table.
#include "cuda/ops/node.h"

#include <stdlib.h>

#define CUDA_ENTRY(op, name) [op] = &ls_cuda_##name##_op,
static const struct ls_cuda_op *const ops[LS_OPS] = {CUDA_OPS(CUDA_ENTRY)};
#undef CUDA_ENTRY

static bool is_stored(ls_dtype type) {
    return type == LS_F32 || type == LS_BF16 || type == LS_F16;
}

// `stored`: the type that 'x' stands for, LS_DTYPES until one was seen.
static bool type_fits(char letter, ls_dtype type, ls_dtype *stored) {
    switch (letter) {
    case 'x':
        if (*stored == LS_DTYPES) *stored = type;
        return is_stored(type) && type == *stored;
    case 'f': return is_stored(type);
    case 'w': return type == LS_F32;
    case 'i': return type == LS_I32;
    case 'r': return type == LS_U8 || type == LS_F32;
    case 'n': return type == LS_U8 || type == LS_I32;
    default: return false;
    }
}

static bool signature_fits(const char *signature, const struct ls_graph *graph, const struct ls_node *node) {
    const char *letter = signature;
    ls_dtype stored = LS_DTYPES;
    for (int i = 0; i < node->n_in; i++, letter++)
        if (*letter == ':' || !type_fits(*letter, ls_cuda_type(graph, node->in[i]), &stored)) return false;
    while (*letter != ':') letter++;
    letter++;
    for (int i = 0; i < node->n_out; i++, letter++)
        if (*letter == 0 || !type_fits(*letter, ls_cuda_type(graph, node->out[i]), &stored)) return false;
    return true;
}

static const struct ls_cuda_op *op_of(const struct ls_node *node) {
    return ops[node->op->id];
}

static bool supports(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                     size_t *workspace) {
    *workspace = 0;
    if (!signature_fits(op_of(node)->signature, graph, node)) return false;
    return !op_of(node)->fits || op_of(node)->fits(lib, graph, node, workspace);
}

static void unmake(void *memory) {
    struct ls_cuda_made *made = memory;
    if (!made) return;
    if (made->task) ls_lib_unmake(made->task);
    if (made->table) cudaFree(made->table);
    free(made);
}

static int choice(const void *memory) {
    const struct ls_cuda_made *made = memory;
    return made && made->task ? ls_lib_choice(made->task) : 0;
}

static ls_status make(struct ls_lib *lib, const struct ls_graph *graph, const struct ls_node *node,
                      void **made_out) {
    *made_out = NULL;
    if (!op_of(node)->make) return LS_OK;
    struct ls_cuda_made *made = calloc(1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "no memory for a kernel");
    ls_status status = op_of(node)->make(lib, graph, node, made);
    if (status == LS_OK)
        *made_out = made;
    else
        unmake(made);
    return status;
}

static ls_status run(const struct ls_cuda_call *call) {
    return op_of(call->node)->run(call);
}

const struct ls_cuda_kernel *ls_cuda_kernel(enum ls_op_id op) {
    static const struct ls_cuda_kernel kernel = {supports, make, unmake, choice, run};
    return ops[op] ? &kernel : NULL;
}
