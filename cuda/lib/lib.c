// Which library does what: cuBLASLt the products and what is one, cuDNN the other convolutions, im2col where
// cuDNN cannot, or cannot well.
#include "cuda/lib/lib.h"
#include "cuda/lib/parts.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { COLUMNS = 256 << 20 };

static void write_versions(struct ls_lib *lib) {
    char cublas[32], cudnn[32], missing[256];
    ls_lib_found(cublas, cudnn, missing);
    snprintf(lib->versions, sizeof lib->versions, "cuBLAS %s, %s%s", cublas, lib->cudnn ? "cuDNN " : "im2col",
             lib->cudnn ? cudnn : "");
}

// cuDNN is there and fails, which im2col makes good, at a price that the user should know of.
static void go_without(const char *what) {
    ls_warn("%s, convolutions are slower: %s", what, ls_error_last()->text);
    ls_error_clear();
}

ls_status ls_lib_open(int gpu, bool tf32, struct ls_lib **lib) {
    cudaError_t error = cudaSetDevice(gpu);
    if (error != cudaSuccess) return LS_FAIL(LS_SYSTEM, "GPU %d: %s", gpu, cudaGetErrorString(error));
    struct ls_lib *made = calloc(1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "out of memory");
    int major = 0;
    error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu);
    made->tf32 = tf32;
    made->windows = error == cudaSuccess && major >= 8;
    made->columns = COLUMNS;
    const ls_status status = ls_cublas_open(&made->cublas);
    if (status != LS_OK) {
        ls_lib_close(made);
        return status;
    }
    if (ls_cudnn_open(&made->cudnn) != LS_OK) go_without("cuDNN is not used");
    write_versions(made);
    *lib = made;
    return LS_OK;
}

void ls_lib_close(struct ls_lib *lib) {
    if (!lib) return;
    ls_cudnn_close(lib->cudnn);
    ls_cublas_close(lib->cublas);
    free(lib);
}

const char *ls_lib_versions(const struct ls_lib *lib) {
    return lib->versions;
}

// Every matrix lies at a multiple of the largest power of two that divides the bytes of one of each kind, up
// to LS_ALIGN.
static void lay_batch_out(struct ls_matrix_product *p) {
    const struct ls_lib_product *of = &p->of;
    p->batch = of->batch;
    p->next_a = of->m * of->k, p->next_b = of->k * of->n, p->next_c = of->m * of->n;
    const int64_t in = (int64_t)ls_dtype_bytes(of->input), out = (int64_t)ls_dtype_bytes(of->output);
    const int64_t bytes = p->next_a * in | p->next_b * in | p->next_c * out | 64;
    p->align = bytes & -bytes;
}

ls_status ls_lib_product_make(struct ls_lib *lib, const struct ls_lib_product *product,
                              struct ls_lib_task **task) {
    struct ls_matrix_product dense = {.of = *product};
    if (product->batch > 1) lay_batch_out(&dense);
    return ls_matrix_make(lib, &dense, task);
}

// With windows of one place, one beside the other, a convolution is a product over channels: rows are places.
static bool is_product(const struct ls_lib_conv *conv) {
    return conv->kh == 1 && conv->kw == 1 && conv->stride_h == 1 && conv->stride_w == 1 && conv->pad_h == 0 &&
           conv->pad_w == 0 && conv->groups == 1;
}

static struct ls_lib_product product_of(const struct ls_lib_conv *conv) {
    const int64_t places = conv->n * conv->h * conv->w;
    struct ls_lib_product product = {.input = conv->type, .output = conv->type};
    switch (conv->direction) {
    case LS_LIB_FORWARD: // y [places, o] = x [places, c] w [o, c]'
        product.m = places, product.n = conv->o, product.k = conv->c;
        product.transpose_b = true, product.bias = conv->bias, product.relu = conv->relu;
        break;
    case LS_LIB_INPUT_GRAD: // dx [places, c] = dy [places, o] w [o, c]
        product.m = places, product.n = conv->c, product.k = conv->o;
        break;
    case LS_LIB_WEIGHT_GRAD: // dw [o, c] = dy [places, o]' x [places, c]
        product.m = conv->o, product.n = conv->c, product.k = places;
        product.transpose_a = true, product.output = LS_F32;
        break;
    }
    return product;
}

// The weight gradient's inputs are x and dy; as a product it is dy' x.
struct swapped {
    struct ls_lib_task task;
    struct ls_lib_task *product;
};

static ls_status run_swapped(struct ls_lib *lib, const struct ls_lib_task *task,
                             const struct ls_lib_arguments *with) {
    const struct swapped *swapped = (const struct swapped *)task;
    struct ls_lib_arguments other = *with;
    other.a = with->b, other.b = with->a;
    return swapped->product->run(lib, swapped->product, &other);
}

static void unmake_swapped(struct ls_lib_task *task) {
    struct swapped *swapped = (struct swapped *)task;
    ls_lib_unmake(swapped->product);
    free(swapped);
}

static ls_status swap_inputs(struct ls_lib_task *product, struct ls_lib_task **task) {
    struct swapped *swapped = malloc(sizeof *swapped);
    if (!swapped) {
        ls_lib_unmake(product);
        return LS_FAIL(LS_SYSTEM, "out of memory");
    }
    *swapped = (struct swapped){{product->workspace, product->choice, run_swapped, unmake_swapped}, product};
    *task = &swapped->task;
    return LS_OK;
}

// Where im2col is quicker than cuDNN: in exact f32, for which that has no good engines when channels lie side
// by side; and, of 16 bits, with channels that fill no pack of 16 bytes, which it fills up in a copy of x.
static bool is_better_as_columns(const struct ls_lib *lib, const struct ls_lib_conv *conv) {
    if (conv->type == LS_F32) return !lib->tf32;
    return conv->c % 8 != 0 && conv->groups == 1 && conv->direction != LS_LIB_INPUT_GRAD;
}

ls_status ls_lib_conv_make(struct ls_lib *lib, const struct ls_lib_conv *conv, struct ls_lib_task **task) {
    if (is_product(conv)) {
        const struct ls_lib_product product = product_of(conv);
        struct ls_lib_task *made = NULL;
        LS_TRY(ls_lib_product_make(lib, &product, &made));
        if (conv->direction == LS_LIB_WEIGHT_GRAD) return swap_inputs(made, task);
        *task = made;
        return LS_OK;
    }
    if (lib->cudnn && !is_better_as_columns(lib, conv)) {
        const ls_status status = ls_cudnn_conv_make(lib->cudnn, lib->tf32, conv, task);
        if (status == LS_OK) return LS_OK;
        if (status == LS_INPUT)
            ls_error_clear(); // it has nothing that will do
        else
            go_without("cuDNN fails to make a convolution");
    }
    return ls_im2col_make(lib, conv, task);
}

size_t ls_lib_workspace(const struct ls_lib_task *task) {
    return task->workspace;
}

int ls_lib_choice(const struct ls_lib_task *task) {
    return task->choice;
}

void ls_lib_unmake(struct ls_lib_task *task) {
    if (task) task->unmake(task);
}

ls_status ls_lib_run(struct ls_lib *lib, const struct ls_lib_task *task, const void *a, const void *b,
                     const void *bias, void *out, void *workspace, cudaStream_t stream) {
    const struct ls_lib_arguments with = {a, b, bias, out, workspace, stream};
    return task->run(lib, task, &with);
}
