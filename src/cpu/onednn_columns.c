#ifdef LOCKSTEP_HAVE_ONEDNN

#include "cpu/onednn_columns.h"

#include <stdint.h>
#include <string.h>

// SLAB: columns of one product. It packs them into memory that oneDNN allocates, which no plan counts: so,
// not much.
enum { PIECE_BYTES = 1 << 20, LEAST_ROWS = 128, TILE = 16, SLAB = 512 };

static int64_t row_length(const struct ls_onednn_conv *conv) {
    return conv->kernel_h * conv->kernel_w * conv->in;
}

static int64_t all_rows(const struct ls_onednn_conv *conv) {
    return conv->batch * conv->out_h * conv->out_w;
}

static int64_t rows_of_piece(const struct ls_onednn_conv *conv) {
    int64_t rows = PIECE_BYTES / ((int64_t)sizeof(float) * row_length(conv));
    if (rows < LEAST_ROWS) rows = LEAST_ROWS;
    return rows < all_rows(conv) ? rows : all_rows(conv);
}

static bool is_measured(const char *name) {
    return strcmp(name, "jit:avx2") == 0 || strcmp(name, "jit_1x1:avx2") == 0 || strstr(name, "gemm:jit");
}

// Writing a window costs as much as a few dozen of the products that it then takes part in, one for each
// output channel, and more where it is copied in short runs. The 1x1 primitives are worse only for large
// gradients.
bool ls_onednn_prefers_columns(const struct ls_onednn_conv *conv, const char *name) {
    if (conv->type != dnnl_f32 || conv->groups != 1 || !is_measured(name)) return false;
    if (conv->kind == LS_ONEDNN_CONV_INPUT_GRAD) return false;
    if (conv->kernel_h * conv->kernel_w > 1) return conv->kernel_w * conv->in >= 64 && conv->out >= 64;
    return conv->kind == LS_ONEDNN_CONV_WEIGHT_GRAD && conv->in >= 256 && conv->out >= 512;
}

bool ls_onednn_prefers_product(const struct ls_onednn_conv *conv, const char *name) {
    const bool pixels = conv->kernel_h * conv->kernel_w == 1 && conv->window.stride[0] == 1 &&
                        conv->window.stride[1] == 1 && conv->window.pad[0] == 0 && conv->window.pad[1] == 0;
    return pixels && conv->type == dnnl_f32 && conv->groups == 1 && conv->kind != LS_ONEDNN_CONV_FORWARD &&
           strcmp(name, "jit_1x1:avx512_core") == 0;
}

// A gradient's piece has dyᵀ behind the columns: the product is faster if its first matrix lies by rows.
size_t ls_onednn_columns_workspace(const struct ls_onednn_conv *conv) {
    if (conv->direct) return 0;
    int64_t width = row_length(conv) + (conv->kind == LS_ONEDNN_CONV_WEIGHT_GRAD ? conv->out : 0);
    return (size_t)(rows_of_piece(conv) * width) * sizeof(float);
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// to [columns, rows] = from [rows, columns]ᵀ, a tile at a time, as either side is far apart in memory.
static void transpose(float *restrict to, const float *restrict from, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row += TILE)
        for (int64_t column = 0; column < columns; column += TILE)
            for (int64_t k = column; k < smaller(column + TILE, columns); k++)
                for (int64_t i = row; i < smaller(row + TILE, rows); i++)
                    to[k * rows + i] = from[i * columns + k];
}

// One row of the window: the places inside x are copied, as one run where they touch, the others are zero.
static void copy_window_row(const struct ls_onednn_conv *conv, float *to, const float *x_row, int64_t left) {
    int64_t step = conv->window.dilation[1] + 1;
    int64_t first = left < 0 ? (-left + step - 1) / step : 0;
    int64_t end = left < conv->in_w ? (conv->in_w - left + step - 1) / step : 0;
    if (first > conv->kernel_w) first = conv->kernel_w;
    if (end > conv->kernel_w) end = conv->kernel_w;
    if (end < first) end = first;
    size_t pixel = (size_t)conv->in;
    memset(to, 0, (size_t)first * pixel * sizeof(float));
    if (step == 1) {
        if (end > first)
            memcpy(to + (size_t)first * pixel, x_row + (left + first) * conv->in,
                   (size_t)(end - first) * pixel * sizeof(float));
    } else {
        for (int64_t k = first; k < end; k++)
            memcpy(to + (size_t)k * pixel, x_row + (left + k * step) * conv->in, pixel * sizeof(float));
    }
    memset(to + (size_t)end * pixel, 0, (size_t)(conv->kernel_w - end) * pixel * sizeof(float));
}

static void copy_window(const struct ls_onednn_conv *conv, float *to, const float *x, int64_t row) {
    int64_t column = row % conv->out_w, line = row / conv->out_w % conv->out_h;
    const float *image = x + row / conv->out_w / conv->out_h * conv->in_h * conv->in_w * conv->in;
    int64_t left = column * conv->window.stride[1] - conv->window.pad[1];
    int64_t top = line * conv->window.stride[0] - conv->window.pad[0];
    int64_t length = conv->kernel_w * conv->in;
    for (int64_t k = 0; k < conv->kernel_h; k++, to += length) {
        int64_t h = top + k * (conv->window.dilation[0] + 1);
        if (h < 0 || h >= conv->in_h)
            memset(to, 0, (size_t)length * sizeof(float));
        else
            copy_window_row(conv, to, image + h * conv->in_w * conv->in, left);
    }
}

static void add_bias(float *restrict y, const float *restrict bias, int64_t rows, int64_t n) {
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < n; k++) y[i * n + k] += bias[k];
}

// dw [out, length] (+)= dy [out, rows] columns [rows, length]
static dnnl_status_t multiply_slabs(const struct ls_onednn_conv *conv, int64_t rows, const float *dy,
                                    const float *columns, bool add, float *dw) {
    int64_t length = row_length(conv);
    for (int64_t at = 0; at < length; at += SLAB) {
        dnnl_status_t status = dnnl_sgemm('N', 'N', conv->out, smaller(SLAB, length - at), rows, 1, dy, rows,
                                          columns + at, length, add, dw + at, length);
        if (status != dnnl_success) return status;
    }
    return dnnl_success;
}

// `rows` pixels of y from `begin` on.
static dnnl_status_t run_piece(const struct ls_onednn_conv *conv, const struct ls_kernel_call *call,
                               int64_t begin, int64_t rows) {
    float *columns = call->workspace;
    int64_t length = row_length(conv), out = conv->out;
    for (int64_t i = 0; i < rows; i++) copy_window(conv, columns + i * length, call->in[0], begin + i);
    if (conv->kind == LS_ONEDNN_CONV_WEIGHT_GRAD) {
        float *dy = columns + rows * length;
        transpose(dy, (const float *)call->in[1] + begin * out, rows, out);
        return multiply_slabs(conv, rows, dy, columns, begin > 0, call->out[0]);
    }
    float *y = (float *)call->out[0] + begin * out;
    dnnl_status_t status =
        dnnl_sgemm('N', 'T', rows, out, length, 1, columns, length, call->in[1], length, 0, y, out);
    if (conv->bias) add_bias(y, call->in[2], rows, out);
    return status;
}

// dx [rows, in] = dy [rows, out] · weights; or dw [out, in] = dyᵀ · x [rows, in]
static dnnl_status_t multiply_pixels(const struct ls_onednn_conv *conv, const struct ls_kernel_call *call) {
    const int64_t rows = all_rows(conv), in = conv->in, out = conv->out;
    if (conv->kind == LS_ONEDNN_CONV_INPUT_GRAD)
        return dnnl_sgemm('N', 'N', rows, in, out, 1, call->in[0], out, call->in[1], in, 0, call->out[0], in);
    return dnnl_sgemm('T', 'N', out, in, rows, 1, call->in[1], out, call->in[0], in, 0, call->out[0], in);
}

dnnl_status_t ls_onednn_columns_run(const struct ls_onednn_conv *conv, const struct ls_kernel_call *call) {
    if (conv->direct) return multiply_pixels(conv, call);
    int64_t all = all_rows(conv), piece = rows_of_piece(conv);
    for (int64_t begin = 0; begin < all; begin += piece) {
        int64_t rows = all - begin < piece ? all - begin : piece;
        dnnl_status_t status = run_piece(conv, call, begin, rows);
        if (status != dnnl_success) return status;
    }
    return dnnl_success;
}

#endif
