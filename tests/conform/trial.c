#include "conform/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, POISON = 0xff };

void ls_trial_open(struct ls_trial *trial) {
    memset(trial, 0, sizeof *trial);
    ls_graph_init(&trial->graph, LS_TRAIN);
    trial->control.seed = 7;
    trial->control.first_position = 1000;
    trial->control.loss_seed = 0.125f;
}

void ls_trial_close(struct ls_trial *trial) {
    for (int i = 0; i < trial->n_data; i++) free(trial->data[i]);
    free((void *)trial->data);
    ls_graph_free(&trial->graph);
}

int64_t ls_trial_count(const struct ls_trial *trial, ls_value value) {
    return ls_shape_count(&ls_info(&trial->graph, value)->shape);
}

static size_t bytes_of(const struct ls_trial *trial, ls_value value) {
    return (size_t)ls_trial_count(trial, value) * ls_dtype_bytes(ls_info(&trial->graph, value)->dtype);
}

static void *allocate(size_t bytes) {
    void *memory = aligned_alloc(LS_ALIGN, (bytes + GUARD + LS_ALIGN - 1) / LS_ALIGN * LS_ALIGN);
    if (!memory) abort();
    return memory;
}

void ls_trial_grow(struct ls_trial *trial) {
    int n = trial->graph.n_values;
    if (n == trial->n_data) return;
    void **data = realloc((void *)trial->data, (size_t)n * sizeof(void *));
    if (!data) abort();
    trial->data = data;
    for (ls_value value = trial->n_data; value < n; value++) {
        size_t bytes = bytes_of(trial, value);
        data[value] = allocate(bytes);
        memset(data[value], POISON, bytes + GUARD);
    }
    trial->n_data = n;
}

ls_value ls_trial_input(struct ls_trial *trial, const char *name, ls_dtype dtype, struct ls_shape shape) {
    return ls_graph_add_value(&trial->graph, LS_ACTIVATION, name, dtype, shape);
}

int ls_trial_node(struct ls_trial *trial, enum ls_op_id op, const ls_value *in, int n_in,
                  const union ls_attr *attrs, const double *list, int n_list) {
    char name[32];
    snprintf(name, sizeof name, "node%d", trial->graph.n_nodes);
    const struct ls_node *node =
        ls_graph_add_node_list(&trial->graph, ls_op_table[op], name, in, n_in, attrs, list, n_list);
    return node ? trial->graph.n_nodes - 1 : -1;
}

static bool guard_whole(const struct ls_trial *trial, ls_value value) {
    const unsigned char *guard = (const unsigned char *)trial->data[value] + bytes_of(trial, value);
    for (int i = 0; i < GUARD; i++)
        if (guard[i] != POISON) return false;
    return true;
}

// Is an element still as it was poisoned? Only float outputs tell: all bits set is no number that a kernel
// makes, while an integer may be any.
static int64_t find_unwritten(const struct ls_trial *trial, ls_value value) {
    ls_dtype dtype = ls_info(&trial->graph, value)->dtype;
    if (dtype != LS_F32 && dtype != LS_F64 && dtype != LS_BF16 && dtype != LS_F16) return -1;
    size_t size = ls_dtype_bytes(dtype);
    unsigned char poison[8];
    memset(poison, POISON, sizeof poison);
    for (int64_t i = 0; i < ls_trial_count(trial, value); i++)
        if (memcmp((const char *)trial->data[value] + (size_t)i * size, poison, size) == 0) return i;
    return -1;
}

static ls_status check_memory(const struct ls_trial *trial, const struct ls_node *node, void *const *before) {
    for (int k = 0; k < node->n_in; k++)
        if (memcmp(before[k], trial->data[node->in[k]], bytes_of(trial, node->in[k])) != 0)
            return LS_FAIL(LS_SYSTEM, "%s wrote into its input %d", node->op->name, k);
    for (int k = 0; k < node->n_out; k++) {
        if (!guard_whole(trial, node->out[k]))
            return LS_FAIL(LS_SYSTEM, "%s wrote behind its output %d", node->op->name, k);
        int64_t unwritten = find_unwritten(trial, node->out[k]);
        if (unwritten >= 0)
            return LS_FAIL(LS_SYSTEM, "%s left element %lld of output %d unwritten", node->op->name,
                           (long long)unwritten, k);
    }
    return LS_OK;
}

static ls_status run_node(struct ls_trial *trial, enum ls_cpu_kernels kernels, int i) {
    const struct ls_node *node = &trial->graph.nodes[i];
    struct ls_kernel_call call = {.graph = &trial->graph, .node = node, .control = &trial->control};
    void *before[LS_MAX_IN] = {0};
    for (int k = 0; k < node->n_out; k++) {
        call.out[k] = trial->data[node->out[k]];
        memset(call.out[k], POISON, bytes_of(trial, node->out[k]));
    }
    for (int k = 0; k < node->n_in; k++) {
        size_t bytes = bytes_of(trial, node->in[k]);
        call.in[k] = trial->data[node->in[k]];
        before[k] = allocate(bytes);
        memcpy(before[k], call.in[k], bytes);
    }
    ls_status status = LS_OK;
    if (node->op->flags & LS_OP_VIEW)
        memcpy(call.out[0], call.in[0], bytes_of(trial, node->in[0]));
    else
        status = ls_cpu_run_node(kernels, &call);
    if (status == LS_OK) status = check_memory(trial, node, before);
    for (int k = 0; k < node->n_in; k++) free(before[k]);
    return status;
}

ls_status ls_trial_run(struct ls_trial *trial, enum ls_cpu_kernels kernels, int begin, int end) {
    ls_trial_grow(trial);
    for (int i = begin; i < end; i++) LS_TRY(run_node(trial, kernels, i));
    return LS_OK;
}

double ls_number_at(ls_dtype type, const void *data, int64_t i) {
    switch (type) {
    case LS_F32: return (double)((const float *)data)[i];
    case LS_F64: return ((const double *)data)[i];
    case LS_BF16: return (double)ls_bf16_to_f32(((const ls_bf16 *)data)[i]);
    case LS_F16: return (double)ls_f16_to_f32(((const ls_f16 *)data)[i]);
    case LS_U8: return ((const uint8_t *)data)[i];
    case LS_I32: return ((const int32_t *)data)[i];
    default: abort();
    }
}

double ls_trial_get(const struct ls_trial *trial, ls_value value, int64_t i) {
    return ls_number_at(ls_info(&trial->graph, value)->dtype, trial->data[value], i);
}

void ls_trial_put(struct ls_trial *trial, ls_value value, int64_t i, double number) {
    ls_trial_grow(trial);
    void *data = trial->data[value];
    switch (ls_info(&trial->graph, value)->dtype) {
    case LS_F32: ((float *)data)[i] = (float)number; break;
    case LS_F64: ((double *)data)[i] = number; break;
    case LS_BF16: ((ls_bf16 *)data)[i] = ls_bf16_from_f32((float)number); break;
    case LS_F16: ((ls_f16 *)data)[i] = ls_f16_from_f32((float)number); break;
    case LS_U8: ((uint8_t *)data)[i] = (uint8_t)number; break;
    case LS_I32: ((int32_t *)data)[i] = (int32_t)number; break;
    default: abort();
    }
}
