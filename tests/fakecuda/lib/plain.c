// In the place of cuBLASLt and cuDNN: plain products and convolutions, each sum in one order. Inputs are
// widened to f32 in the workspace first, which is poisoned, as whatever was in it must not matter.
#include "lib/plain.h"

#include "base/dtype.h"
#include "cuda/lib/lib.h"
#include "enqueue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ls_lib {
    bool tf32;
};

struct ls_lib_task {
    bool is_conv, tf32;
    struct ls_lib_product product;
    struct ls_lib_conv conv;
    ls_dtype input, output;
    size_t n_a, n_b, n_out; // numbers
};

void ls_lib_found(char cublas[32], char cudnn[32], char missing[256]) {
    snprintf(cublas, 32, "stand-in");
    snprintf(cudnn, 32, "stand-in");
    missing[0] = 0;
}

ls_status ls_lib_open(int gpu, bool tf32, struct ls_lib **lib) {
    (void)gpu;
    *lib = malloc(sizeof **lib);
    if (!*lib) return LS_FAIL(LS_SYSTEM, "out of memory");
    (*lib)->tf32 = tf32;
    return LS_OK;
}

void ls_lib_close(struct ls_lib *lib) {
    free(lib);
}

const char *ls_lib_versions(const struct ls_lib *lib) {
    (void)lib;
    return "stand-in products and convolutions";
}

static bool is_stored(ls_dtype type) {
    return type == LS_F32 || type == LS_BF16 || type == LS_F16;
}

static ls_status make(const struct ls_lib *lib, struct ls_lib_task task, struct ls_lib_task **made) {
    if (!is_stored(task.input) || !is_stored(task.output))
        return LS_FAIL(LS_INPUT, "no product of %s in %s", ls_dtype_name(task.input),
                       ls_dtype_name(task.output));
    const cudaError_t error = ls_fake_injected(task.is_conv ? "make conv" : "make product");
    if (error != cudaSuccess)
        return LS_FAIL(LS_SYSTEM, "the stand-in makes no task: %s", cudaGetErrorString(error));
    *made = malloc(sizeof **made);
    if (!*made) return LS_FAIL(LS_SYSTEM, "out of memory");
    task.tf32 = lib->tf32 && task.input == LS_F32;
    **made = task;
    return LS_OK;
}

static int64_t batch_of(const struct ls_lib_product *product) {
    return product->batch == 0 ? 1 : product->batch;
}

ls_status ls_lib_product_make(struct ls_lib *lib, const struct ls_lib_product *product,
                              struct ls_lib_task **task) {
    const size_t batch = (size_t)batch_of(product);
    if (product->batch > 1 && (product->bias || product->relu))
        return LS_FAIL(LS_INPUT, "no batch of products with a bias or relu");
    return make(lib,
                (struct ls_lib_task){.product = *product,
                                     .input = product->input,
                                     .output = product->output,
                                     .n_a = batch * (size_t)(product->m * product->k),
                                     .n_b = batch * (size_t)(product->k * product->n),
                                     .n_out = batch * (size_t)(product->m * product->n)},
                task);
}

ls_status ls_lib_conv_make(struct ls_lib *lib, const struct ls_lib_conv *conv, struct ls_lib_task **task) {
    const size_t n_x = (size_t)(conv->n * conv->h * conv->w * conv->c);
    const size_t n_w = (size_t)(conv->o * conv->kh * conv->kw * (conv->c / conv->groups));
    const size_t n_y = (size_t)(conv->n * ls_plain_out_h(conv) * ls_plain_out_w(conv) * conv->o);
    struct ls_lib_task made = {.is_conv = true, .conv = *conv, .input = conv->type, .output = conv->type};
    made.n_a = conv->direction == LS_LIB_INPUT_GRAD ? n_y : n_x;
    made.n_b = conv->direction == LS_LIB_WEIGHT_GRAD ? n_y : n_w;
    switch (conv->direction) {
    case LS_LIB_FORWARD: made.n_out = n_y; break;
    case LS_LIB_INPUT_GRAD: made.n_out = n_x; break;
    case LS_LIB_WEIGHT_GRAD:
        made.n_out = n_w;
        made.output = LS_F32;
        break;
    }
    return make(lib, made, task);
}

// LS_FAKE_CHOICE: the rank where the library could not do what it did elsewhere; or all of them.
int ls_lib_choice(const struct ls_lib_task *task) {
    const char *setting = getenv("LS_FAKE_CHOICE"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    (void)task;
    return setting && (strcmp(setting, "all") == 0 || (rank && strcmp(setting, rank) == 0));
}

size_t ls_lib_workspace(const struct ls_lib_task *task) {
    const size_t n_scratch = task->n_b > task->n_out ? task->n_b : task->n_out;
    return ((task->n_a + task->n_b + task->n_out + n_scratch) * sizeof(float) + 255) / 256 * 256;
}

void ls_lib_unmake(struct ls_lib_task *task) {
    free(task);
}

static float as_tf32(float value) { // 10 bits of fraction, to nearest even
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void widen(float *to, const void *from, size_t n, ls_dtype type, bool tf32) {
    const uint16_t *halves = from;
    const float *floats = from;
    if (type == LS_BF16)
        for (size_t i = 0; i < n; i++) to[i] = ls_bf16_to_f32(halves[i]);
    else if (type == LS_F16)
        for (size_t i = 0; i < n; i++) to[i] = ls_f16_to_f32(halves[i]);
    else
        for (size_t i = 0; i < n; i++) to[i] = tf32 ? as_tf32(floats[i]) : floats[i];
}

static void narrow(void *to, const float *from, size_t n, ls_dtype type) {
    uint16_t *halves = to;
    if (type == LS_BF16)
        for (size_t i = 0; i < n; i++) halves[i] = ls_bf16_from_f32(from[i]);
    else if (type == LS_F16)
        for (size_t i = 0; i < n; i++) halves[i] = ls_f16_from_f32(from[i]);
    else
        memcpy(to, from, n * sizeof *from);
}

static void finish(float *out, size_t rows, size_t columns, const float *bias, bool relu) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            const float value = bias ? out[i * columns + j] + bias[j] : out[i * columns + j];
            out[i * columns + j] = relu && value < 0 ? 0 : value;
        }
}

struct run {
    struct ls_lib_task task;
    const void *a, *b, *bias;
    void *out, *workspace;
};

static void run_task(const void *argument) {
    const struct run *run = argument;
    const struct ls_lib_task *task = &run->task;
    float *a = run->workspace, *b = a + task->n_a, *out = b + task->n_b, *scratch = out + task->n_out;
    memset(run->workspace, 0xff, ls_lib_workspace(task));
    widen(a, run->a, task->n_a, task->input, task->tf32);
    widen(b, run->b, task->n_b, task->input, task->tf32);
    if (task->is_conv) {
        ls_plain_conv(&task->conv, a, b, out, scratch);
        if (task->conv.direction == LS_LIB_FORWARD)
            finish(out, task->n_out / (size_t)task->conv.o, (size_t)task->conv.o, run->bias, task->conv.relu);
    } else {
        const struct ls_lib_product *p = &task->product;
        for (int64_t i = 0; i < batch_of(p); i++)
            ls_plain_product(p, a + i * p->m * p->k, b + i * p->k * p->n, out + i * p->m * p->n, scratch);
        for (size_t i = 0; p->scale != 0 && i < task->n_out; i++) out[i] *= p->scale;
        finish(out, task->n_out / (size_t)p->n, (size_t)p->n, run->bias, p->relu);
    }
    narrow(run->out, out, task->n_out, task->output);
}

ls_status ls_lib_run(struct ls_lib *lib, const struct ls_lib_task *task, const void *a, const void *b,
                     const void *bias, void *out, void *workspace, cudaStream_t stream) {
    (void)lib;
    const bool wants_bias = task->is_conv ? task->conv.bias : task->product.bias;
    if (wants_bias != (bias != NULL))
        return LS_FAIL(LS_SYSTEM, "a bias is missing, or is none of the task's");
    if ((uintptr_t)workspace % 256 != 0 || !workspace)
        return LS_FAIL(LS_SYSTEM, "a workspace at a multiple of 256 bytes");
    const struct run run = {*task, a, b, bias, out, workspace};
    const cudaError_t error =
        ls_fake_enqueue(stream, task->is_conv ? "conv" : "product", run_task, &run, sizeof run);
    return error == cudaSuccess ? LS_OK : LS_FAIL(LS_SYSTEM, "%s", cudaGetErrorString(error));
}
