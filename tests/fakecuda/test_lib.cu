// Products and convolutions of the stand-in. Values are small integers: sums are exact, and every comparison
// is of bits.
#include "test.h"

extern "C" {
#include "base/dtype.h"
#include "cuda/lib/lib.h"
}

namespace {

struct ls_lib *lib;
cudaStream_t stream;

float rounded(float value, ls_dtype type) {
    if (type == LS_F32) return value;
    return type == LS_BF16 ? ls_bf16_to_f32(ls_bf16_from_f32(value)) : ls_f16_to_f32(ls_f16_from_f32(value));
}

float *new_integers(size_t n, unsigned seed) {
    float *pinned = new_pinned<float>(n);
    for (size_t i = 0; i < n; i++) pinned[i] = (float)((int)((i * 2654435761u + seed * 40503u) >> 7 & 7) - 3);
    return pinned;
}

void *to_device(const float *from, size_t n, ls_dtype type) {
    const size_t bytes = n * ls_dtype_bytes(type);
    char *staged = new_pinned<char>(bytes), *device = new_device<char>(bytes);
    for (size_t i = 0; i < n; i++)
        if (type == LS_F32)
            ((float *)staged)[i] = from[i];
        else
            ((uint16_t *)staged)[i] = type == LS_BF16 ? ls_bf16_from_f32(from[i]) : ls_f16_from_f32(from[i]);
    MUST(cudaMemcpyAsync(device, staged, bytes, cudaMemcpyDefault, stream));
    MUST(cudaStreamSynchronize(stream));
    MUST(cudaFreeHost(staged));
    return device;
}

// Runs the task on device memory of exactly the sizes it needs, with a workspace full of NaN.
float *run(struct ls_lib_task *task, const float *a, size_t n_a, const float *b, size_t n_b,
           const float *bias, size_t n_bias, size_t n_out, ls_dtype input, ls_dtype output) {
    void *a_device = to_device(a, n_a, input), *b_device = to_device(b, n_b, input);
    void *bias_device = bias ? to_device(bias, n_bias, LS_F32) : nullptr;
    const size_t bytes = n_out * ls_dtype_bytes(output), workspace_bytes = ls_lib_workspace(task);
    char *out = new_device<char>(bytes), *back = new_pinned<char>(bytes),
         *workspace = new_device<char>(workspace_bytes);
    EXPECT(workspace_bytes % 256 == 0);
    EXPECT(ls_lib_run(lib, task, a_device, b_device, bias_device, out, workspace, stream) == LS_OK);
    MUST(cudaMemcpyAsync(back, out, bytes, cudaMemcpyDefault, stream));
    MUST(cudaStreamSynchronize(stream));
    float *result = new float[n_out];
    for (size_t i = 0; i < n_out; i++)
        result[i] = output == LS_F32    ? ((float *)back)[i]
                    : output == LS_BF16 ? ls_bf16_to_f32(((ls_bf16 *)back)[i])
                                        : ls_f16_to_f32(((ls_f16 *)back)[i]);
    for (void *memory : {a_device, b_device, bias_device, (void *)out, (void *)workspace})
        MUST(cudaFree(memory));
    MUST(cudaFreeHost(back));
    ls_lib_unmake(task);
    return result;
}

void check_product(struct ls_lib_product p) {
    const size_t m = (size_t)p.m, n = (size_t)p.n, k = (size_t)p.k,
                 batch = p.batch == 0 ? 1 : (size_t)p.batch;
    float *a = new_integers(batch * m * k, 1), *b = new_integers(batch * k * n, 2),
          *bias = new_integers(n, 3);
    struct ls_lib_task *task;
    EXPECT(ls_lib_product_make(lib, &p, &task) == LS_OK);
    float *c = run(task, a, batch * m * k, b, batch * k * n, p.bias ? bias : nullptr, n, batch * m * n,
                   p.input, p.output);
    for (size_t g = 0; g < batch; g++)
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                const float *one_a = a + g * m * k, *one_b = b + g * k * n;
                float sum = 0;
                for (size_t q = 0; q < k; q++)
                    sum += (p.transpose_a ? one_a[q * m + i] : one_a[i * k + q]) *
                           (p.transpose_b ? one_b[j * k + q] : one_b[q * n + j]);
                if (p.scale != 0) sum *= p.scale;
                if (p.bias) sum += bias[j];
                EXPECT(c[(g * m + i) * n + j] == (p.relu && sum < 0 ? 0 : sum));
            }
    delete[] c;
    for (float *memory : {a, b, bias}) MUST(cudaFreeHost(memory));
}

struct Sizes {
    int64_t oh, ow;
    size_t x, w, y;
    explicit Sizes(const struct ls_lib_conv &c)
        : oh((c.h + 2 * c.pad_h - c.dilation_h * (c.kh - 1) - 1) / c.stride_h + 1),
          ow((c.w + 2 * c.pad_w - c.dilation_w * (c.kw - 1) - 1) / c.stride_w + 1),
          x((size_t)(c.n * c.h * c.w * c.c)), w((size_t)(c.o * c.kh * c.kw * c.c / c.groups)),
          y((size_t)(c.n * oh * ow * c.o)) {}
};

float output_at(const struct ls_lib_conv &c, const float *x, const float *w, int64_t image, int64_t oh,
                int64_t ow, int64_t o) {
    const int64_t cg = c.c / c.groups, first = o / (c.o / c.groups) * cg;
    float sum = 0;
    for (int64_t kh = 0; kh < c.kh; kh++)
        for (int64_t kw = 0; kw < c.kw; kw++) {
            const int64_t ih = oh * c.stride_h - c.pad_h + kh * c.dilation_h;
            const int64_t iw = ow * c.stride_w - c.pad_w + kw * c.dilation_w;
            if (ih < 0 || ih >= c.h || iw < 0 || iw >= c.w) continue;
            for (int64_t i = 0; i < cg; i++)
                sum += x[((image * c.h + ih) * c.w + iw) * c.c + first + i] *
                       w[((o * c.kh + kh) * c.kw + kw) * cg + i];
        }
    return sum;
}

void check_forward(struct ls_lib_conv c, const float *x, const float *w, const float *bias) {
    const Sizes sizes(c);
    struct ls_lib_task *task;
    c.direction = LS_LIB_FORWARD;
    EXPECT(ls_lib_conv_make(lib, &c, &task) == LS_OK);
    float *y =
        run(task, x, sizes.x, w, sizes.w, c.bias ? bias : nullptr, (size_t)c.o, sizes.y, c.type, c.type);
    size_t at = 0;
    for (int64_t image = 0; image < c.n; image++)
        for (int64_t oh = 0; oh < sizes.oh; oh++)
            for (int64_t ow = 0; ow < sizes.ow; ow++)
                for (int64_t o = 0; o < c.o; o++, at++) {
                    const float sum = output_at(c, x, w, image, oh, ow, o) + (c.bias ? bias[o] : 0);
                    const float value = c.relu && sum < 0 ? 0 : sum;
                    EXPECT(y[at] == rounded(value, c.type));
                }
    delete[] y;
}

// A gradient's number i is what the outputs, weighted by dy, change by when number i of the input changes
// by 1.
void check_gradient(struct ls_lib_conv c, enum ls_lib_direction direction, const float *x, const float *w,
                    const float *dy) {
    const Sizes sizes(c);
    struct ls_lib_task *task;
    c.direction = direction;
    c.bias = c.relu = false;
    EXPECT(ls_lib_conv_make(lib, &c, &task) == LS_OK);
    const bool of_x = direction == LS_LIB_INPUT_GRAD;
    const size_t n = of_x ? sizes.x : sizes.w;
    float *gradient = of_x ? run(task, dy, sizes.y, w, sizes.w, nullptr, 0, n, c.type, c.type)
                           : run(task, x, sizes.x, dy, sizes.y, nullptr, 0, n, c.type, LS_F32);
    float *one = new float[n]();
    for (size_t i = 0; i < n; i += 1 + n / 50) {
        one[i] = 1;
        float sum = 0;
        size_t at = 0;
        for (int64_t image = 0; image < c.n; image++)
            for (int64_t oh = 0; oh < sizes.oh; oh++)
                for (int64_t ow = 0; ow < sizes.ow; ow++)
                    for (int64_t o = 0; o < c.o; o++, at++)
                        sum += dy[at] * output_at(c, of_x ? one : x, of_x ? w : one, image, oh, ow, o);
        EXPECT(gradient[i] == rounded(sum, of_x ? c.type : LS_F32));
        one[i] = 0;
    }
    delete[] one;
    delete[] gradient;
}

void check_conv(const struct ls_lib_conv &c) {
    const Sizes sizes(c);
    float *x = new_integers(sizes.x, 4), *w = new_integers(sizes.w, 5), *dy = new_integers(sizes.y, 6);
    float *bias = new_integers((size_t)c.o, 7);
    check_forward(c, x, w, bias);
    check_gradient(c, LS_LIB_INPUT_GRAD, x, w, dy);
    check_gradient(c, LS_LIB_WEIGHT_GRAD, x, w, dy);
    for (float *memory : {x, w, dy, bias}) MUST(cudaFreeHost(memory));
}

void check_rounding() {
    float *a = new_pinned<float>(1), *b = new_pinned<float>(1);
    *a = 1 + 0x1p-11f, *b = 1;
    const struct ls_lib_product p = {1, 1, 1, false, false, LS_F32, LS_F32, false, false, 0, 0};
    for (bool tf32 : {false, true}) {
        struct ls_lib *own;
        struct ls_lib_task *task;
        EXPECT(ls_lib_open(0, tf32, &own) == LS_OK && ls_lib_product_make(own, &p, &task) == LS_OK);
        float *c = run(task, a, 1, b, 1, nullptr, 0, 1, LS_F32, LS_F32);
        EXPECT(*c == (tf32 ? 1 : *a));
        delete[] c;
        ls_lib_close(own);
    }
    MUST(cudaFreeHost(a));
    MUST(cudaFreeHost(b));
}

void run_all() {
    stream = new_stream();
    EXPECT(ls_lib_open(0, false, &lib) == LS_OK);
    for (int t = 0; t < 4; t++)
        for (const ls_dtype type : {LS_F32, LS_BF16, LS_F16})
            check_product({5, 7, 9, (t & 1) != 0, (t & 2) != 0, type, LS_F32, t == 1, t == 2, 0, 0});
    check_product({1, 1, 1, false, false, LS_F32, LS_F32, true, true, 0, 0});
    for (int t = 0; t < 4; t++)
        check_product({5, 7, 9, (t & 1) != 0, (t & 2) != 0, LS_BF16, LS_F32, false, false, 3, 0.125f});
    for (const ls_dtype type : {LS_F32, LS_BF16, LS_F16}) {
        check_conv({LS_LIB_FORWARD, 2, 6, 5, 3, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, type, true, true});
        check_conv({LS_LIB_FORWARD, 2, 7, 8, 4, 6, 3, 2, 2, 1, 1, 0, 1, 2, 2, type, true, false});
        check_conv({LS_LIB_FORWARD, 1, 5, 5, 4, 4, 3, 3, 1, 2, 2, 1, 2, 1, 4, type, false, false});
        check_conv({LS_LIB_FORWARD, 3, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, type, false, true});
    }
    check_rounding();
    ls_lib_close(lib);
    MUST(cudaStreamDestroy(stream));
}

void test_lib(void **) {
    must_be_good(run_all);
}

} // namespace

int main() {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lib)};
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
