// Matrix products and convolutions: the only functions of cuda/ that NVIDIA's libraries stand behind.
// cublas.c and cudnn.c adapt cuBLASLt and cuDNN, which are opened at run time; im2col.c takes the place of
// cuDNN where that is not there; tests/fakecuda has plain ones. All deterministic: the same bits for the same
// call on the same kind of device and library version.
#pragma once

#include "base/dtype.h"
#include "base/status.h"

#include <cuda_runtime.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ls_lib;      // handles; one a device
struct ls_lib_task; // a product or convolution made ready: descriptors and the chosen algorithm

// Versions of cuBLASLt and cuDNN, "" where one is not there; `missing` then says what was looked for. Needs
// no GPU.
void ls_lib_found(char cublas[32], char cudnn[32], char missing[256]);

// `tf32`: f32 inputs may be rounded to TF32. LS_INPUT where cuBLASLt is not there, named.
ls_status ls_lib_open(int gpu, bool tf32, struct ls_lib **lib);
void ls_lib_close(struct ls_lib *lib);
// What takes part in the device's fingerprint: "cuBLAS 13.0.2, cuDNN 9.12.0".
const char *ls_lib_versions(const struct ls_lib *lib);

// c [m,n] = a' [m,k] b' [k,n] (+ bias), row-major, where a' is a, or a [k,m] transposed; b' likewise.
// Accumulates in f32. With `batch`, so many products of matrices that lie one behind the other, without bias
// and relu.
struct ls_lib_product {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
    ls_dtype input, output; // of a and b; of c: f32, bf16, f16
    bool bias;              // f32 [n], added to every row
    bool relu;              // after the bias
    int64_t batch;          // 0: one
    float scale;            // of the sums, before the bias; 0: 1
};

enum ls_lib_direction { LS_LIB_FORWARD, LS_LIB_INPUT_GRAD, LS_LIB_WEIGHT_GRAD };

// x [n,h,w,c], w [o,kh,kw,c/groups], y [n,oh,ow,o], all NHWC. Forward: x, w (, bias f32 [o]) -> y (, relu).
// Input gradient: dy, w -> dx. Weight gradient: x, dy -> dw, always f32.
struct ls_lib_conv {
    enum ls_lib_direction direction;
    int64_t n, h, w, c, o, kh, kw, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;
    ls_dtype type; // of x, w, y and their gradients
    bool bias, relu;
};

// A task, or LS_INPUT where nothing deterministic can do it. The choice depends on the arguments, the device
// model and the library's version: never on timing.
ls_status ls_lib_product_make(struct ls_lib *lib, const struct ls_lib_product *product,
                              struct ls_lib_task **task);
ls_status ls_lib_conv_make(struct ls_lib *lib, const struct ls_lib_conv *conv, struct ls_lib_task **task);
size_t ls_lib_workspace(const struct ls_lib_task *task); // bytes of device memory, at a multiple of 256
// Which of the ways to do it was taken. The first one may fail on one machine alone, for want of a file or of
// memory; ranks that took different ones do not get the same bits.
int ls_lib_choice(const struct ls_lib_task *task);
void ls_lib_unmake(struct ls_lib_task *task);
// Enqueues. `a`, `b`: the inputs in the order above (x, w; dy, w; x, dy); bias NULL where the task has none.
ls_status ls_lib_run(struct ls_lib *lib, const struct ls_lib_task *task, const void *a, const void *b,
                     const void *bias, void *out, void *workspace, cudaStream_t stream);
