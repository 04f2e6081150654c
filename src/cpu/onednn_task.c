#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_task.h"

#include <omp.h>
#include <pthread.h>
#include <string.h>

static dnnl_engine_t engine;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void engine_open(void) {
    if (dnnl_engine_create(&engine, dnnl_cpu, 0) != dnnl_success) engine = NULL;
}

dnnl_engine_t ls_onednn_engine(void) {
    pthread_once(&engine_once, engine_open);
    return engine;
}

dnnl_data_type_t ls_onednn_type(ls_dtype type) {
    if (type == LS_F32) return dnnl_f32;
    if (type == LS_BF16) return dnnl_bf16;
    return dnnl_data_type_undef;
}

dnnl_status_t ls_onednn_operand_add(struct ls_onednn_task *task, int argument, bool output, int index,
                                    dnnl_data_type_t type, int rank, const dnnl_dims_t dims,
                                    dnnl_format_tag_t tag, dnnl_format_tag_t asked) {
    struct ls_onednn_operand *operand = &task->operands[task->n_operands++];
    operand->argument = argument;
    operand->output = output;
    operand->index = index;
    LS_DNNL_TRY(ls_dnnl_desc_make(&operand->lies, type, rank, dims, tag));
    return ls_dnnl_desc_make(&operand->asked, type, rank, dims, asked);
}

dnnl_status_t ls_onednn_operand_add_row(struct ls_onednn_task *task, int argument, bool output, int index,
                                        const struct ls_value_info *info) {
    const dnnl_dims_t dims = {ls_shape_count(&info->shape)};
    return ls_onednn_operand_add(task, argument, output, index, ls_onednn_type(info->dtype), 1, dims, dnnl_a,
                                 dnnl_a);
}

ls_dnnl_desc ls_onednn_asked(const struct ls_onednn_task *task, int argument) {
    for (int i = 0; i < task->n_operands; i++)
        if (task->operands[i].argument == argument) return task->operands[i].asked;
    return NULL;
}

const char *ls_onednn_implementation(dnnl_primitive_desc_t desc) {
    const char *name = NULL;
    dnnl_status_t status = dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, (void *)&name);
    return status == dnnl_success && name ? name : "ref";
}

bool ls_onednn_is_fast(dnnl_primitive_desc_t desc) {
    return !strstr(ls_onednn_implementation(desc), "ref");
}

static size_t aligned(size_t bytes) {
    return (bytes + LS_ALIGN - 1) / LS_ALIGN * LS_ALIGN;
}

static ls_dnnl_desc scratchpad_of(dnnl_primitive_desc_t desc) {
    return dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
}

static void grow(size_t *bytes, size_t wanted) {
    if (*bytes < wanted) *bytes = wanted;
}

// A reorder of a weight is run apart from the primitive, with no workspace.
static bool is_kept(const struct ls_onednn_task *task, const struct ls_onednn_operand *operand) {
    return task->weight && !operand->output && operand->index == 1 &&
           dnnl_memory_desc_get_size(scratchpad_of(operand->reorder)) == 0;
}

dnnl_status_t ls_onednn_task_layout(struct ls_onednn_task *task) {
    if (task->columns) {
        task->workspace = aligned(ls_onednn_columns_workspace(&task->conv));
        return dnnl_success;
    }
    size_t used = 0, scratch = dnnl_memory_desc_get_size(scratchpad_of(task->desc));
    for (int i = 0; i < task->n_operands; i++) {
        struct ls_onednn_operand *operand = &task->operands[i];
        ls_dnnl_desc wanted =
            dnnl_primitive_desc_query_md(task->desc, dnnl_query_exec_arg_md, operand->argument);
        if (dnnl_memory_desc_equal(operand->lies, wanted)) continue;
        ls_dnnl_desc from = operand->output ? wanted : operand->lies;
        ls_dnnl_desc to = operand->output ? operand->lies : wanted;
        LS_DNNL_TRY(dnnl_reorder_primitive_desc_create(&operand->reorder, from, ls_onednn_engine(), to,
                                                       ls_onednn_engine(), task->attr));
        const size_t bytes = aligned(dnnl_memory_desc_get_size(wanted));
        operand->kept = is_kept(task, operand);
        if (operand->kept) {
            task->kept = bytes;
            continue;
        }
        operand->offset = used;
        used += bytes;
        grow(&scratch, dnnl_memory_desc_get_size(scratchpad_of(operand->reorder)));
    }
    task->scratchpad_offset = used;
    task->workspace = used + aligned(scratch);
    return dnnl_success;
}

static dnnl_status_t make_operand(struct ls_onednn_operand *operand, dnnl_primitive_desc_t desc) {
    LS_DNNL_TRY(dnnl_memory_create(&operand->outside, operand->lies, ls_onednn_engine(), DNNL_MEMORY_NONE));
    operand->inside = operand->outside;
    if (!operand->reorder) return dnnl_success;
    ls_dnnl_desc wanted = dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, operand->argument);
    operand->inside = NULL;
    LS_DNNL_TRY(dnnl_memory_create(&operand->inside, wanted, ls_onednn_engine(), DNNL_MEMORY_NONE));
    return dnnl_primitive_create(&operand->move, operand->reorder);
}

// The scratchpad's descriptor may differ between the primitive and the reorders; a flat one of the larger
// size serves all.
static dnnl_status_t make_scratchpad(struct ls_onednn_task *task) {
    ls_dnnl_desc flat = NULL;
    dnnl_dims_t bytes = {(dnnl_dim_t)(task->workspace - task->scratchpad_offset)};
    LS_DNNL_TRY(ls_dnnl_desc_make(&flat, dnnl_u8, 1, bytes, dnnl_a));
    dnnl_status_t status = dnnl_memory_create(&task->scratchpad, flat, ls_onednn_engine(), DNNL_MEMORY_NONE);
    ls_dnnl_desc_free(flat);
    return status;
}

static dnnl_status_t make_on_one_thread(struct ls_onednn_task *task) {
    LS_DNNL_TRY(dnnl_stream_create(&task->stream, ls_onednn_engine(), dnnl_stream_default_flags));
    LS_DNNL_TRY(dnnl_primitive_create(&task->primitive, task->desc));
    for (int i = 0; i < task->n_operands; i++) LS_DNNL_TRY(make_operand(&task->operands[i], task->desc));
    return make_scratchpad(task);
}

dnnl_status_t ls_onednn_task_make(struct ls_onednn_task *task) {
    int threads = omp_get_max_threads();
    if (task->columns) return dnnl_success;
    omp_set_num_threads(1);
    dnnl_status_t status = make_on_one_thread(task);
    omp_set_num_threads(threads);
    return status;
}

// The plan gives a node the same memory from lane to lane, so that this seldom has anything to do.
static dnnl_status_t point(dnnl_memory_t memory, void *at) {
    void *now = NULL;
    LS_DNNL_TRY(dnnl_memory_get_data_handle(memory, &now));
    return now == at ? dnnl_success : dnnl_memory_set_data_handle(memory, at);
}

static dnnl_status_t point_all(struct ls_onednn_task *task, const struct ls_kernel_call *call) {
    char *workspace = call->workspace;
    for (int i = 0; i < task->n_operands; i++) {
        struct ls_onednn_operand *operand = &task->operands[i];
        void *at = operand->output ? call->out[operand->index] : (void *)call->in[operand->index];
        LS_DNNL_TRY(point(operand->outside, at));
        if (operand->reorder)
            LS_DNNL_TRY(point(operand->inside, operand->kept ? call->kept : workspace + operand->offset));
    }
    return workspace ? point(task->scratchpad, workspace + task->scratchpad_offset) : dnnl_success;
}

static dnnl_status_t move(const struct ls_onednn_task *task, bool outputs) {
    for (int i = 0; i < task->n_operands; i++) {
        const struct ls_onednn_operand *operand = &task->operands[i];
        if (!operand->reorder || operand->kept || operand->output != outputs) continue;
        dnnl_exec_arg_t args[] = {
            {DNNL_ARG_FROM, outputs ? operand->inside : operand->outside},
            {DNNL_ARG_TO, outputs ? operand->outside : operand->inside},
            {DNNL_ARG_SCRATCHPAD, task->scratchpad},
        };
        LS_DNNL_TRY(dnnl_primitive_execute(operand->move, task->stream, 3, args));
    }
    return dnnl_success;
}

static dnnl_status_t convert_on_one_thread(struct ls_onednn_task *task, const struct ls_kernel_call *call) {
    for (int i = 0; i < task->n_operands; i++) {
        const struct ls_onednn_operand *operand = &task->operands[i];
        if (!operand->kept) continue;
        LS_DNNL_TRY(point(operand->outside, (void *)call->in[operand->index]));
        LS_DNNL_TRY(point(operand->inside, call->kept));
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, operand->outside}, {DNNL_ARG_TO, operand->inside}};
        LS_DNNL_TRY(dnnl_primitive_execute(operand->move, task->stream, 2, args));
    }
    return dnnl_stream_wait(task->stream);
}

dnnl_status_t ls_onednn_task_convert(struct ls_onednn_task *task, const struct ls_kernel_call *call) {
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    dnnl_status_t status = convert_on_one_thread(task, call);
    omp_set_num_threads(threads);
    return status;
}

static dnnl_status_t run_on_one_thread(struct ls_onednn_task *task, const struct ls_kernel_call *call) {
    LS_DNNL_TRY(point_all(task, call));
    LS_DNNL_TRY(move(task, false));
    dnnl_exec_arg_t args[LS_ONEDNN_OPERANDS + 1] = {{DNNL_ARG_SCRATCHPAD, task->scratchpad}};
    for (int i = 0; i < task->n_operands; i++) {
        args[i + 1].arg = task->operands[i].argument;
        args[i + 1].memory = task->operands[i].inside;
    }
    LS_DNNL_TRY(dnnl_primitive_execute(task->primitive, task->stream, task->n_operands + 1, args));
    LS_DNNL_TRY(move(task, true));
    return dnnl_stream_wait(task->stream);
}

static void relu_f32(float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = x[i] <= 0 ? 0 : x[i];
}

// Negative, and not above infinity once the sign is gone, where NaN is.
static void relu_bf16(ls_bf16 *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] & 0x8000u) && (x[i] & 0x7fffu) <= 0x7f80u ? 0 : x[i];
}

dnnl_status_t ls_onednn_task_run(struct ls_onednn_task *task, const struct ls_kernel_call *call) {
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    dnnl_status_t status =
        task->columns ? ls_onednn_columns_run(&task->conv, call) : run_on_one_thread(task, call);
    omp_set_num_threads(threads);
    if (status != dnnl_success || !task->relu) return status;
    const struct ls_value_info *y = ls_info(call->graph, call->node->out[0]);
    if (y->dtype == LS_F32)
        relu_f32(call->out[0], ls_shape_count(&y->shape));
    else
        relu_bf16(call->out[0], ls_shape_count(&y->shape));
    return dnnl_success;
}

static void clear_operand(struct ls_onednn_operand *operand) {
    if (operand->inside && operand->inside != operand->outside) dnnl_memory_destroy(operand->inside);
    if (operand->outside) dnnl_memory_destroy(operand->outside);
    if (operand->move) dnnl_primitive_destroy(operand->move);
    if (operand->reorder) dnnl_primitive_desc_destroy(operand->reorder);
    ls_dnnl_desc_free(operand->lies);
    ls_dnnl_desc_free(operand->asked);
}

void ls_onednn_task_clear(struct ls_onednn_task *task) {
    for (int i = 0; i < task->n_operands; i++) clear_operand(&task->operands[i]);
    if (task->scratchpad) dnnl_memory_destroy(task->scratchpad);
    if (task->primitive) dnnl_primitive_destroy(task->primitive);
    if (task->stream) dnnl_stream_destroy(task->stream);
    if (task->desc) dnnl_primitive_desc_destroy(task->desc);
    if (task->hint) dnnl_primitive_desc_destroy(task->hint);
    if (task->attr) dnnl_primitive_attr_destroy(task->attr);
    memset(task, 0, sizeof *task);
}

#endif
