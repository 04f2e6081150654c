// A node as oneDNN runs it: one primitive, and a reorder for each operand that the primitive wants laid out
// in another way than the plan has it.
//
//   workspace:  | operand as the primitive wants it | … | scratchpad, shared by reorders and primitive |
//
// A weight as the primitive wants it is not there: it is kept from lane to lane.
//
// A task is described (primitive descriptors and sizes alone, enough for `supports`), then made (primitives
// and memory objects). Descriptors, primitives and runs all see one thread, whatever the calling thread is
// set to: oneDNN picks blockings, and with them the order of sums, by the number of threads.
#pragma once

#include "cpu/onednn_columns.h"

enum { LS_ONEDNN_OPERANDS = 4 };

struct ls_onednn_operand {
    int argument;                  // DNNL_ARG_…
    bool output;                   // node->out, not node->in
    int index;                     // … of it
    ls_dnnl_desc lies, asked;      // in the plan's memory; as the primitive was asked for. Owned
    dnnl_primitive_desc_t reorder; // NULL where the primitive takes it as it lies
    size_t offset;                 // in the workspace, of what the primitive reads or writes, after a reorder
    bool kept;                     // … or it is kept
    // of a made task:
    dnnl_primitive_t move;
    dnnl_memory_t outside, inside; // the plan's memory; the primitive's: the same object without a reorder
};

struct ls_onednn_task {
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t hint, desc; // hint: of the forward one, for backward ones
    struct ls_onednn_operand operands[LS_ONEDNN_OPERANDS];
    int n_operands;
    bool weight;  // in[1] is one
    bool relu;    // of output 0, afterwards: oneDNN's own turns NaN into 0
    bool columns; // … or no primitive at all: `conv` by columns, with workspace for those
    struct ls_onednn_conv conv;
    size_t scratchpad_offset, workspace, kept;
    // of a made task:
    dnnl_primitive_t primitive;
    dnnl_memory_t scratchpad;
    dnnl_stream_t stream;
};

dnnl_engine_t ls_onednn_engine(void); // of the process, made at the first call; NULL where it can't be made
// The element type, or dnnl_data_type_undef where oneDNN is not used for it.
dnnl_data_type_t ls_onednn_type(ls_dtype type);

// ---- describing: a task starts zeroed; ls_onednn_task_clear whether or not it went well
// An operand that lies as `tag` says and is asked for as `asked` (dnnl_format_tag_any: as the primitive
// likes).
dnnl_status_t ls_onednn_operand_add(struct ls_onednn_task *task, int argument, bool output, int index,
                                    dnnl_data_type_t type, int rank, const dnnl_dims_t dims,
                                    dnnl_format_tag_t tag, dnnl_format_tag_t asked);
// Numbers that lie one behind the other, whatever their axes.
dnnl_status_t ls_onednn_operand_add_row(struct ls_onednn_task *task, int argument, bool output, int index,
                                        const struct ls_value_info *info);
ls_dnnl_desc ls_onednn_asked(const struct ls_onednn_task *task, int argument); // NULL where it has none
const char *ls_onednn_implementation(dnnl_primitive_desc_t desc); // oneDNN's name of it: "jit:avx2"
// Is the implementation one that oneDNN means to be fast? Its reference ones are not wanted.
bool ls_onednn_is_fast(dnnl_primitive_desc_t desc);
// Plans reorders and workspace once operands and `desc` are there.
dnnl_status_t ls_onednn_task_layout(struct ls_onednn_task *task);

// ---- describers, of one family of ops each; dnnl_unimplemented for what is left to the plain kernels
dnnl_status_t ls_onednn_describe_conv(struct ls_onednn_task *task, const struct ls_graph *graph,
                                      const struct ls_node *node);
// … of a convolution apart from a graph: operands and descriptor. The task has its attr.
dnnl_status_t ls_onednn_describe_conv_of(struct ls_onednn_task *task, const struct ls_onednn_conv *conv);
dnnl_status_t ls_onednn_describe_linear(struct ls_onednn_task *task, const struct ls_graph *graph,
                                        const struct ls_node *node);
dnnl_status_t ls_onednn_describe_matmul(struct ls_onednn_task *task, const struct ls_graph *graph,
                                        const struct ls_node *node);
dnnl_status_t ls_onednn_describe_binary(struct ls_onednn_task *task, const struct ls_graph *graph,
                                        const struct ls_node *node);
dnnl_status_t ls_onednn_describe_eltwise(struct ls_onednn_task *task, const struct ls_graph *graph,
                                         const struct ls_node *node);
dnnl_status_t ls_onednn_describe_pool(struct ls_onednn_task *task, const struct ls_graph *graph,
                                      const struct ls_node *node);

dnnl_status_t ls_onednn_task_make(struct ls_onednn_task *task); // of a described task
dnnl_status_t ls_onednn_task_convert(struct ls_onednn_task *task, const struct ls_kernel_call *call);
dnnl_status_t ls_onednn_task_run(struct ls_onednn_task *task, const struct ls_kernel_call *call);
void ls_onednn_task_clear(struct ls_onednn_task *task);

#define LS_DNNL_TRY(expression)                                                                              \
    do {                                                                                                     \
        dnnl_status_t ls_dnnl_status_ = (expression);                                                        \
        if (ls_dnnl_status_ != dnnl_success) return ls_dnnl_status_;                                         \
    } while (0)
