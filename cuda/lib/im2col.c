// Convolutions as products. Windows are written out as the rows of a matrix, for as many samples at a time as
// the workspace holds; with K = kh kw c / groups, in every group:
//
//     forward:          y [rows, o]       = columns [rows, K] w [o, K]'
//     input gradient:   columns [rows, K] = dy [rows, o] w [o, K];  dx = columns summed where they came from
//     weight gradient:  dw [o, K]        += dy [rows, o]' columns [rows, K], part after part
//
// Tensor Cores are fed 16 bytes at a time. Where K is no multiple of that, forward and in the weight
// gradient, all rows of K elements end in zeros up to one, w and dw in the workspace.
//
// Forward and for the weights' gradient, windows of few channels are not written out where a kernel takes
// them from where they lie.
#include "cuda/kernels/im2col.h"
#include "cuda/kernels/window.h"
#include "cuda/lib/parts.h"

#include <stdlib.h>

// A part of the batch: `n` samples and the product over their windows. Two at most differ: the last may be
// smaller, and the first of a weight gradient adds to nothing.
struct part {
    struct ls_columns columns;
    struct ls_lib_task *product;
};

enum { FULL, LAST, FIRST, PARTS };

struct im2col_task {
    struct ls_lib_task task;
    struct ls_lib_conv conv;
    int64_t samples; // of a full part
    struct part parts[PARTS];
    size_t columns_bytes, filters_bytes; // of the workspace, one behind the other, then the product's
};

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static ls_dtype column_type(const struct ls_lib_conv *conv) { // sums over windows are rounded at their end
    return conv->direction == LS_LIB_INPUT_GRAD ? LS_F32 : conv->type;
}

static int64_t filter_size(const struct ls_lib_conv *conv) { // K
    return conv->kh * conv->kw * (conv->c / conv->groups);
}

static int64_t row_size(const struct ls_lib_conv *conv) {
    const int64_t pack = 16 / (int64_t)ls_dtype_bytes(conv->type), k = filter_size(conv);
    return conv->direction == LS_LIB_INPUT_GRAD ? k : (k + pack - 1) / pack * pack;
}

static bool ends_in_zeros(const struct ls_lib_conv *conv) {
    return row_size(conv) > filter_size(conv);
}

static ls_dtype filter_type(const struct ls_lib_conv *conv) { // of w, or of dw
    return conv->direction == LS_LIB_WEIGHT_GRAD ? LS_F32 : conv->type;
}

static struct ls_columns columns_of(const struct ls_lib_conv *conv, int64_t samples) {
    return (struct ls_columns){.n = samples,
                               .h = conv->h,
                               .w = conv->w,
                               .c = conv->c,
                               .oh = ls_conv_out_h(conv),
                               .ow = ls_conv_out_w(conv),
                               .kh = conv->kh,
                               .kw = conv->kw,
                               .groups = conv->groups,
                               .stride_h = conv->stride_h,
                               .stride_w = conv->stride_w,
                               .pad_h = conv->pad_h,
                               .pad_w = conv->pad_w,
                               .dilation_h = conv->dilation_h,
                               .dilation_w = conv->dilation_w,
                               .row = row_size(conv)};
}

// What the starts of parts and of groups are multiples of, up to LS_ALIGN.
static int64_t alignment(const struct ls_lib_conv *conv, int64_t samples, int64_t k, int64_t o) {
    const int64_t bytes = (int64_t)ls_dtype_bytes(conv->type);
    int64_t starts = 64 | samples * ls_conv_out_h(conv) * ls_conv_out_w(conv) * conv->o * bytes;
    if (conv->groups > 1) starts |= k * bytes | o * bytes;
    return starts & -starts;
}

// Of each group: its columns, its filters, its outputs.
static struct ls_matrix_product product_of(const struct ls_lib_conv *conv, int64_t samples, bool accumulate) {
    const int64_t rows = samples * ls_conv_out_h(conv) * ls_conv_out_w(conv);
    const int64_t k = row_size(conv), o = conv->o / conv->groups;
    const int64_t columns_row = conv->groups * k;
    struct ls_matrix_product p = {
        .batch = conv->groups, .accumulate = accumulate, .align = alignment(conv, samples, k, o)};
    p.of.input = conv->type;
    switch (conv->direction) {
    case LS_LIB_FORWARD:
        p.of.m = rows, p.of.n = o, p.of.k = k, p.of.transpose_b = true, p.of.output = conv->type;
        p.of.bias = conv->bias, p.of.relu = conv->relu, p.next_bias = o;
        p.row_a = columns_row, p.next_a = k, p.row_b = k, p.next_b = o * k, p.row_c = conv->o, p.next_c = o;
        break;
    case LS_LIB_INPUT_GRAD:
        p.of.m = rows, p.of.n = k, p.of.k = o, p.of.output = LS_F32;
        p.row_a = conv->o, p.next_a = o, p.row_b = k, p.next_b = o * k, p.row_c = columns_row, p.next_c = k;
        break;
    case LS_LIB_WEIGHT_GRAD:
        p.of.m = o, p.of.n = k, p.of.k = rows, p.of.transpose_a = true, p.of.output = LS_F32;
        p.row_a = conv->o, p.next_a = o, p.row_b = columns_row, p.next_b = k, p.row_c = k, p.next_c = o * k;
        break;
    }
    return p;
}

static ls_status make_part(struct ls_lib *lib, const struct ls_lib_conv *conv, int64_t samples,
                           bool accumulate, struct part *part) {
    const struct ls_matrix_product product = product_of(conv, samples, accumulate);
    part->columns = columns_of(conv, samples);
    return ls_matrix_make(lib, &product, &part->product);
}

static ls_status make_parts(struct ls_lib *lib, struct im2col_task *made) {
    const struct ls_lib_conv *conv = &made->conv;
    const bool adds = conv->direction == LS_LIB_WEIGHT_GRAD;
    const int64_t last = conv->n % made->samples;
    if (adds) LS_TRY(make_part(lib, conv, made->samples, false, &made->parts[FIRST]));
    if (last > 0) LS_TRY(make_part(lib, conv, last, adds, &made->parts[LAST]));
    if (adds && conv->n < 2 * made->samples) return LS_OK; // no second part of full size
    return make_part(lib, conv, made->samples, adds, &made->parts[FULL]);
}

// ---- the task ----

static const char *at(const void *memory, int64_t elements, ls_dtype type) {
    return (const char *)memory + (size_t)elements * ls_dtype_bytes(type);
}

// Of `with`, what is w or dw has rows as the columns have them, and its workspace is the product's.
static ls_status run_part(struct ls_lib *lib, const struct im2col_task *made, const struct part *part,
                          int64_t sample, const struct ls_lib_arguments *with, void *columns) {
    const struct ls_lib_conv *conv = &made->conv;
    const int64_t x_at = sample * conv->h * conv->w * conv->c;
    const int64_t y_at = sample * ls_conv_out_h(conv) * ls_conv_out_w(conv) * conv->o;
    struct ls_lib_arguments product = *with;
    if (conv->direction == LS_LIB_INPUT_GRAD) {
        product.a = at(with->a, y_at, conv->type), product.out = columns;
        LS_TRY(part->product->run(lib, part->product, &product));
        return ls_cuda_col2im(conv->type, &part->columns, columns,
                              (char *)with->out + x_at * (int64_t)ls_dtype_bytes(conv->type), with->stream);
    }
    LS_TRY(ls_cuda_im2col(conv->type, &part->columns, at(with->a, x_at, conv->type), columns, with->stream));
    if (conv->direction == LS_LIB_FORWARD) {
        product.a = columns, product.out = (char *)with->out + y_at * (int64_t)ls_dtype_bytes(conv->type);
    } else {
        product.a = at(with->b, y_at, conv->type), product.b = columns;
    }
    return part->product->run(lib, part->product, &product);
}

static ls_status run_parts(struct ls_lib *lib, const struct im2col_task *made,
                           const struct ls_lib_arguments *with, void *columns) {
    for (int64_t sample = 0; sample < made->conv.n; sample += made->samples) {
        int which = made->conv.n - sample < made->samples ? LAST : FULL;
        if (sample == 0 && made->conv.direction == LS_LIB_WEIGHT_GRAD) which = FIRST;
        LS_TRY(run_part(lib, made, &made->parts[which], sample, with, columns));
    }
    return LS_OK;
}

static ls_status run_im2col(struct ls_lib *lib, const struct ls_lib_task *task,
                            const struct ls_lib_arguments *with) {
    const struct im2col_task *made = (const struct im2col_task *)task;
    const struct ls_lib_conv *conv = &made->conv;
    const int64_t k = filter_size(conv), row = row_size(conv);
    char *const columns = with->workspace, *const filters = columns + made->columns_bytes;
    struct ls_lib_arguments inner = *with;
    inner.workspace = filters + made->filters_bytes;
    if (!ends_in_zeros(conv)) return run_parts(lib, made, &inner, columns);
    if (conv->direction == LS_LIB_FORWARD) {
        inner.b = filters;
        LS_TRY(ls_cuda_copy_rows(conv->type, conv->o, with->b, k, filters, row, with->stream));
        return run_parts(lib, made, &inner, columns);
    }
    inner.out = filters;
    LS_TRY(run_parts(lib, made, &inner, columns));
    return ls_cuda_copy_rows(LS_F32, conv->o, filters, row, with->out, k, with->stream);
}

// ---- windows where they lie ----

static ls_status run_windows(struct ls_lib *lib, const struct ls_lib_task *task,
                             const struct ls_lib_arguments *with) {
    const struct ls_lib_conv *conv = &((const struct im2col_task *)task)->conv;
    const struct ls_columns all = columns_of(conv, conv->n);
    (void)lib;
    if (conv->direction == LS_LIB_FORWARD)
        return ls_cuda_window(conv->type, &all, conv->o, with->a, with->b, with->out, with->stream);
    return ls_cuda_window_grad(conv->type, &all, conv->o, with->a, with->b, with->out, with->workspace,
                               with->stream);
}

// Is the task made so? Not where it does not fit.
static bool takes_windows(const struct ls_lib *lib, struct im2col_task *made) {
    const struct ls_lib_conv *conv = &made->conv;
    const struct ls_columns all = columns_of(conv, conv->n);
    if (!lib->windows || conv->bias || conv->relu) return false;
    if (conv->direction == LS_LIB_INPUT_GRAD) return false;
    const bool weights = conv->direction == LS_LIB_WEIGHT_GRAD;
    if (weights ? !ls_cuda_window_grad_fits(conv->type, &all, conv->o)
                : !ls_cuda_window_fits(conv->type, &all, conv->o))
        return false;
    made->task.run = run_windows;
    if (weights) made->task.workspace = ls_lib_aligned(ls_cuda_window_grad_workspace(&all, conv->o));
    return true;
}

static void unmake_im2col(struct ls_lib_task *task) {
    struct im2col_task *made = (struct im2col_task *)task;
    for (int i = 0; i < PARTS; i++) ls_lib_unmake(made->parts[i].product);
    free(made);
}

// The kernels count the numbers of an image in 32 bits.
static bool is_too_large(const struct ls_lib_conv *conv) {
    return (conv->h + 2 * conv->pad_h) * (conv->w + 2 * conv->pad_w) > INT32_MAX / conv->c;
}

static void lay_out(struct ls_lib *lib, struct im2col_task *made) {
    const struct ls_lib_conv *conv = &made->conv;
    const int64_t one = ls_conv_out_h(conv) * ls_conv_out_w(conv) * conv->groups * row_size(conv) *
                        (int64_t)ls_dtype_bytes(column_type(conv));
    const int64_t fit = lib->columns / one;
    made->samples = smaller(fit > 0 ? fit : 1, conv->n);
    made->columns_bytes = ls_lib_aligned((size_t)(made->samples * one));
    if (ends_in_zeros(conv))
        made->filters_bytes =
            ls_lib_aligned((size_t)(conv->o * row_size(conv)) * ls_dtype_bytes(filter_type(conv)));
}

ls_status ls_im2col_make(struct ls_lib *lib, const struct ls_lib_conv *conv, struct ls_lib_task **task) {
    if (is_too_large(conv)) return LS_FAIL(LS_INPUT, "a convolution of images of 2^31 numbers or more");
    struct im2col_task *made = calloc(1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "out of memory");
    made->task = (struct ls_lib_task){.run = run_im2col, .unmake = unmake_im2col};
    made->conv = *conv;
    if (takes_windows(lib, made)) {
        *task = &made->task;
        return LS_OK;
    }
    lay_out(lib, made);
    const ls_status status = make_parts(lib, made);
    if (status != LS_OK) {
        unmake_im2col(&made->task);
        return status;
    }
    for (int i = 0; i < PARTS; i++) {
        const size_t own = made->parts[i].product ? made->parts[i].product->workspace : 0;
        if (own > made->task.workspace) made->task.workspace = own;
    }
    made->task.workspace += made->columns_bytes + made->filters_bytes;
    *task = &made->task;
    return LS_OK;
}
