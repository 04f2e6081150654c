// The table of plain ops of one level, and the kernel that stands before all of them.
#include "cpu/plain/plain.h"

#define PLAIN_ENTRY(op, name) [op] = &LS_LEVEL(plain_##name),
static const struct plain_op *const ops[LS_OPS] = {PLAIN_OPS(PLAIN_ENTRY)};
#undef PLAIN_ENTRY

static const ls_dtype dtype_of[PLAIN_TYPES] = {
    [PLAIN_F32] = LS_F32, [PLAIN_F64] = LS_F64, [PLAIN_BF16] = LS_BF16};

static bool is_float(ls_dtype type) {
    return type == LS_F32 || type == LS_F64 || type == LS_BF16;
}

static bool type_fits(char letter, ls_dtype type, ls_dtype stored) {
    switch (letter) {
    case 'x': return type == stored;
    case 'a': return type == (stored == LS_F64 ? LS_F64 : LS_F32);
    case 'f': return is_float(type);
    case 'w': return type == LS_F32 || type == LS_F64;
    case 'i': return type == LS_I32;
    case 'r': return type == LS_U8 || type == LS_F32;
    case 'n': return type == LS_U8 || type == LS_I32;
    default: return false;
    }
}

static bool signature_fits(const char *signature, const struct ls_graph *graph, const struct ls_node *node,
                           ls_dtype stored) {
    const char *letter = signature;
    for (int i = 0; i < node->n_in; i++, letter++)
        if (*letter == ':' || !type_fits(*letter, ls_info(graph, node->in[i])->dtype, stored)) return false;
    while (*letter != ':') letter++;
    letter++;
    for (int i = 0; i < node->n_out; i++, letter++)
        if (*letter == 0 || !type_fits(*letter, ls_info(graph, node->out[i])->dtype, stored)) return false;
    return true;
}

// PLAIN_TYPES where none fits.
static enum plain_type type_of(const struct ls_graph *graph, const struct ls_node *node) {
    const struct plain_op *op = ops[node->op->id];
    int type = 0;
    while (op && type < PLAIN_TYPES && !signature_fits(op->signature, graph, node, dtype_of[type])) type++;
    return op ? (enum plain_type)type : PLAIN_TYPES;
}

static bool supports(const struct ls_graph *graph, const struct ls_node *node, size_t *workspace) {
    if (type_of(graph, node) == PLAIN_TYPES) return false;
    const struct plain_op *op = ops[node->op->id];
    *workspace = op->workspace ? op->workspace(graph, node) : 0;
    return true;
}

static ls_status run(const struct ls_kernel_call *call) {
    return ops[call->node->op->id]->run[type_of(call->graph, call->node)](call);
}

const struct ls_kernel LS_LEVEL(plain_kernel) = {.library = "plain", .supports = supports, .run = run};
