// What the files of this folder share: the task, the product that all else is made from, and who makes
// convolutions.
#pragma once

#include "cuda/lib/lib.h"

struct ls_cudnn_device;

struct ls_lib {
    bool tf32, windows; // windows: the GPU has what kernels/window.h needs
    int64_t columns;    // bytes that im2col writes out at a time, unless one sample takes more
    struct ls_cublas *cublas;
    struct ls_cudnn_device *cudnn; // NULL: no cuDNN
    char versions[96];
};

struct ls_lib_arguments { // of ls_lib_run
    const void *a, *b, *bias;
    void *out, *workspace;
    cudaStream_t stream;
};

// Each kind of task is a struct that begins with this one.
struct ls_lib_task {
    size_t workspace;
    int choice; // of ls_lib_choice; 0 where there is but one
    ls_status (*run)(struct ls_lib *lib, const struct ls_lib_task *task, const struct ls_lib_arguments *with);
    void (*unmake)(struct ls_lib_task *task);
};

// A product whose matrices may be parts of larger ones, as those of a group's channels are, and may be many.
struct ls_matrix_product {
    struct ls_lib_product of;
    int64_t row_a, row_b, row_c; // elements from one row, as it lies in memory, to the next; 0: dense
    int64_t batch;               // products; 0: one
    int64_t next_a, next_b, next_c, next_bias; // elements from one product to the next
    bool accumulate;                           // c += a' b'; f32 without bias and relu alone
    int64_t align;                             // bytes of which every matrix lies at a multiple; 0: LS_ALIGN
};

// ---- cublas.c ----
struct ls_cublas;
// LS_INPUT where cuBLASLt is not there, named.
ls_status ls_cublas_open(struct ls_cublas **cublas);
void ls_cublas_close(struct ls_cublas *cublas); // takes NULL
ls_status ls_matrix_make(struct ls_lib *lib, const struct ls_matrix_product *product,
                         struct ls_lib_task **task);

// ---- cudnn.c ----
// NULL where cuDNN is not there, or older than 9.
ls_status ls_cudnn_open(struct ls_cudnn_device **device);
// A device that is described alone (cuDNN's own JSON): convolutions can be made, not run. Needs no GPU; for
// tests.
ls_status ls_cudnn_open_described(const char *json, struct ls_cudnn_device **device);
void ls_cudnn_close(struct ls_cudnn_device *device); // takes NULL
// LS_INPUT where no engine will do.
ls_status ls_cudnn_conv_make(struct ls_cudnn_device *device, bool tf32, const struct ls_lib_conv *conv,
                             struct ls_lib_task **task);

// ---- im2col.c ----
ls_status ls_im2col_make(struct ls_lib *lib, const struct ls_lib_conv *conv, struct ls_lib_task **task);

// ---- of a convolution ----
static inline int64_t ls_conv_places(int64_t size, int64_t kernel, int64_t stride, int64_t pad,
                                     int64_t dilation) {
    return (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

static inline int64_t ls_conv_out_h(const struct ls_lib_conv *conv) {
    return ls_conv_places(conv->h, conv->kh, conv->stride_h, conv->pad_h, conv->dilation_h);
}

static inline int64_t ls_conv_out_w(const struct ls_lib_conv *conv) {
    return ls_conv_places(conv->w, conv->kw, conv->stride_w, conv->pad_w, conv->dilation_w);
}

// Workspaces follow one another at multiples of this.
static inline size_t ls_lib_aligned(size_t bytes) {
    return (bytes + 255) / 256 * 256;
}
