// What cuBLASLt is asked for: by a cuBLASLt of this file, which does what its manual says of layouts,
// transposition, strides and epilogues, on the host. It offers an algorithm first that must be refused.
#include "cuda/kernels/elementwise.h"
#include "cuda/lib/libraries.h"
#include "cuda/lib/parts.h"
#include "unit/check.h"
#include "unit/cuda/product.h"

#include <stdlib.h>
#include <string.h>

struct operation {
    cublasComputeType_t compute;
    int32_t trans_a, trans_b, bias_type;
    cublasLtEpilogue_t epilogue;
    const float *bias;
    int64_t next_bias;
};

struct layout {
    cudaDataType_t type;
    int64_t rows, columns, ld, next;
    int32_t batch;
};

static int refused_runs; // of the algorithm that must be refused
static cublasComputeType_t last_compute;

static cublasStatus_t create(cublasLtHandle_t *handle) {
    *handle = (cublasLtHandle_t)&refused_runs;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t destroy(cublasLtHandle_t handle) {
    (void)handle;
    return CUBLAS_STATUS_SUCCESS;
}

static const char *status_name(cublasStatus_t status) {
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "CUBLAS_STATUS_ALLOC_FAILED";
}

static cublasStatus_t operation_create(cublasLtMatmulDesc_t *made, cublasComputeType_t compute,
                                       cudaDataType_t scale) {
    struct operation *operation = calloc(1, sizeof *operation);
    assert_int_equal(scale, CUDA_R_32F);
    operation->compute = compute;
    operation->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    operation->bias_type = -1;
    *made = (cublasLtMatmulDesc_t)operation;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t operation_destroy(cublasLtMatmulDesc_t made) {
    free(made);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t operation_set(cublasLtMatmulDesc_t made, cublasLtMatmulDescAttributes_t name,
                                    const void *value, size_t bytes) {
    struct operation *operation = (struct operation *)made;
    void *to = NULL;
    size_t size = 4;
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: to = &operation->trans_a; break;
    case CUBLASLT_MATMUL_DESC_TRANSB: to = &operation->trans_b; break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: to = &operation->epilogue; break;
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: to = &operation->bias_type; break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: to = &operation->bias, size = 8; break;
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: to = &operation->next_bias, size = 8; break;
    default: fail_msg("attribute %d of an operation", name);
    }
    assert_int_equal(bytes, size);
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t layout_create(cublasLtMatrixLayout_t *made, cudaDataType_t type, uint64_t rows,
                                    uint64_t columns, int64_t ld) {
    struct layout *layout = calloc(1, sizeof *layout);
    assert_true(ld >= (int64_t)rows);
    *layout = (struct layout){type, (int64_t)rows, (int64_t)columns, ld, 0, 1};
    *made = (cublasLtMatrixLayout_t)layout;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t layout_destroy(cublasLtMatrixLayout_t made) {
    free(made);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t layout_set(cublasLtMatrixLayout_t made, cublasLtMatrixLayoutAttribute_t name,
                                 const void *value, size_t bytes) {
    struct layout *layout = (struct layout *)made;
    const bool batch = name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
    assert_true(batch || name == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
    assert_int_equal(bytes, batch ? 4 : 8);
    memcpy(batch ? (void *)&layout->batch : (void *)&layout->next, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_create(cublasLtMatmulPreference_t *made) {
    *made = calloc(1, sizeof **made);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_destroy(cublasLtMatmulPreference_t made) {
    free(made);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t preference_set(cublasLtMatmulPreference_t made,
                                     cublasLtMatmulPreferenceAttributes_t name, const void *value,
                                     size_t bytes) {
    (void)made;
    if (name == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
        assert_int_equal(*(const uint32_t *)value, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
    assert_int_equal(bytes, name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4);
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t answer; // of the heuristic

// One that adds in place, one that wants more than there may be, and a good one.
static cublasStatus_t heuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int most,
                                cublasLtMatmulHeuristicResult_t *results, int *n) {
    static const uint32_t schemes[] = {CUBLASLT_REDUCTION_SCHEME_INPLACE, CUBLASLT_REDUCTION_SCHEME_NONE,
                                       CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE};
    (void)handle, (void)operation, (void)a, (void)b, (void)c, (void)d, (void)preference;
    assert_true(most >= 3);
    for (int i = 0; i < 3; i++) {
        results[i] = (cublasLtMatmulHeuristicResult_t){.state = CUBLAS_STATUS_SUCCESS, .workspaceSize = 512};
        results[i].algo.data[0] = schemes[i];
        if (i == 1) results[i].workspaceSize = (size_t)1 << 40;
    }
    *n = 3;
    return answer;
}

static cublasStatus_t algo_get(const cublasLtMatmulAlgo_t *algo, cublasLtMatmulAlgoConfigAttributes_t name,
                               void *value, size_t bytes, size_t *written) {
    assert_int_equal(name, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
    assert_int_equal(bytes, 4);
    memcpy(value, &algo->data[0], 4);
    *written = 4;
    return CUBLAS_STATUS_SUCCESS;
}

static float at(const void *matrix, const struct layout *l, int64_t product, int64_t row, int64_t column) {
    return get(matrix, product * l->next + row + column * l->ld, l->type == CUDA_R_32F ? LS_F32 : LS_BF16);
}

// d = alpha op(a) op(b) + beta c, columns first.
static cublasStatus_t multiply(cublasLtHandle_t handle, cublasLtMatmulDesc_t made, const void *alpha,
                               const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                               cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                               cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                               const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                               cudaStream_t stream) {
    const struct operation *o = (struct operation *)made;
    const struct layout *la = (struct layout *)a_layout, *lb = (struct layout *)b_layout,
                        *ld = (struct layout *)d_layout;
    const int64_t k = o->trans_a ? la->rows : la->columns;
    (void)handle, (void)stream;
    assert_ptr_equal(c_layout, d_layout);
    assert_int_equal(o->trans_a ? la->columns : la->rows, ld->rows);
    assert_int_equal(o->trans_b ? lb->rows : lb->columns, ld->columns);
    assert_int_equal(o->trans_b ? lb->columns : lb->rows, k);
    assert_true(la->batch == ld->batch && lb->batch == ld->batch);
    assert_int_equal(workspace_bytes, 512);
    memset(workspace, 0x7f, workspace_bytes);
    refused_runs += algo->data[0] != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    last_compute = o->compute;
    // A bias has the type of the output.
    if (o->epilogue == CUBLASLT_EPILOGUE_BIAS)
        assert_int_equal(o->bias_type, ld->type);
    else
        assert_int_equal(o->epilogue, CUBLASLT_EPILOGUE_DEFAULT);
    for (int64_t p = 0; p < ld->batch; p++)
        for (int64_t j = 0; j < ld->columns; j++)
            for (int64_t i = 0; i < ld->rows; i++) {
                float sum = 0;
                for (int64_t e = 0; e < k; e++)
                    sum += (o->trans_a ? at(a, la, p, e, i) : at(a, la, p, i, e)) *
                           (o->trans_b ? at(b, lb, p, j, e) : at(b, lb, p, e, j));
                sum *= *(const float *)alpha;
                if (*(const float *)beta != 0) sum += *(const float *)beta * at(c, ld, p, i, j);
                if (o->epilogue == CUBLASLT_EPILOGUE_BIAS) sum += o->bias[p * o->next_bias + i];
                put(d, p * ld->next + i + j * ld->ld, ld->type == CUDA_R_32F ? LS_F32 : LS_BF16, sum);
            }
    return CUBLAS_STATUS_SUCCESS;
}

const struct ls_cublaslt *ls_cublaslt_load(char missing[LS_MISSING_TEXT]) {
    static const struct ls_cublaslt functions = {.cublasLtGetStatusName = status_name,
                                                 .cublasLtCreate = create,
                                                 .cublasLtDestroy = destroy,
                                                 .cublasLtMatmul = multiply,
                                                 .cublasLtMatmulDescCreate = operation_create,
                                                 .cublasLtMatmulDescDestroy = operation_destroy,
                                                 .cublasLtMatmulDescSetAttribute = operation_set,
                                                 .cublasLtMatrixLayoutCreate = layout_create,
                                                 .cublasLtMatrixLayoutDestroy = layout_destroy,
                                                 .cublasLtMatrixLayoutSetAttribute = layout_set,
                                                 .cublasLtMatmulPreferenceCreate = preference_create,
                                                 .cublasLtMatmulPreferenceDestroy = preference_destroy,
                                                 .cublasLtMatmulPreferenceSetAttribute = preference_set,
                                                 .cublasLtMatmulAlgoGetHeuristic = heuristic,
                                                 .cublasLtMatmulAlgoConfigGetAttribute = algo_get};
    missing[0] = 0;
    return &functions;
}

// ---- the kernels that follow a product

ls_status ls_cuda_cast(ls_dtype from, const void *x, ls_dtype to, void *y, int64_t n, cudaStream_t stream) {
    (void)stream;
    for (int64_t i = 0; i < n; i++) put(y, i, to, get(x, i, from));
    return LS_OK;
}

ls_status ls_cuda_relu(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    (void)stream;
    for (int64_t i = 0; i < n; i++) put(y, i, type, get(x, i, type) < 0 ? 0 : get(x, i, type));
    return LS_OK;
}

// ---- cases

enum { MOST = 4096 };

static void fill(float *as_f32, ls_bf16 *as_bf16, unsigned seed) { // -1, 0, 1
    for (int i = 0; i < MOST; i++) {
        seed = seed * 1664525u + 1013904223u;
        as_f32[i] = (float)(seed >> 16 & 3u) - 1.0f;
        if (as_f32[i] > 1) as_f32[i] = 0;
        as_bf16[i] = ls_bf16_from_f32(as_f32[i]);
    }
}

static void check(struct ls_lib *lib, const struct ls_matrix_product *p) {
    static float a[MOST], b[MOST], bias[MOST], right[MOST], found[MOST];
    static ls_bf16 a16[MOST], b16[MOST], bias16[MOST];
    struct ls_lib_task *task = NULL;
    fill(a, a16, 1), fill(b, b16, 2), fill(bias, bias16, 3), fill(right, bias16, 4);
    if (!p->accumulate) memset(right, 0xff, sizeof right); // what is between the parts stays
    memcpy(found, right, sizeof found);
    const bool narrow = p->of.input == LS_BF16;
    const void *first = narrow ? (void *)a16 : a, *second = narrow ? (void *)b16 : b;
    define_product(p, first, second, bias, right);
    assert_int_equal(ls_matrix_make(lib, p, &task), LS_OK);
    void *workspace = malloc(task->workspace);
    assert_non_null(workspace);
    const struct ls_lib_arguments with = {first, second, bias, found, workspace, NULL};
    assert_int_equal(task->run(lib, task, &with), LS_OK);
    assert_memory_equal(found, right, sizeof found);
    task->unmake(task);
    free(workspace);
}

static void test_products(void **state) {
    struct ls_lib lib = {0};
    (void)state;
    assert_int_equal(ls_cublas_open(&lib.cublas), LS_OK);
    for (int bits = 0; bits < 64; bits++) {
        const bool narrow_out = bits & 4 && bits & 8;
        struct ls_matrix_product p = {.of = {.m = 5, .n = 7, .k = 9}};
        p.of.transpose_a = bits & 1, p.of.transpose_b = bits & 2;
        p.of.input = bits & 4 ? LS_BF16 : LS_F32, p.of.output = narrow_out ? LS_BF16 : LS_F32;
        p.of.bias = bits & 16, p.of.relu = bits & 32;
        check(&lib, &p);
    }
    ls_cublas_close(lib.cublas);
    assert_int_equal(refused_runs, 0);
}

// As im2col asks for: groups side by side in rows; parts that add to what is there.
static void test_parts(void **state) {
    struct ls_lib lib = {0};
    (void)state;
    assert_int_equal(ls_cublas_open(&lib.cublas), LS_OK);
    for (int type = 0; type < 2; type++) {
        const ls_dtype t = type ? LS_BF16 : LS_F32;
        struct ls_matrix_product forward = {
            .of = {.m = 6, .n = 4, .k = 10, .transpose_b = true, .input = t, .output = t},
            .row_a = 30,
            .row_b = 10,
            .row_c = 12,
            .batch = 3,
            .next_a = 10,
            .next_b = 40,
            .next_c = 4,
            .next_bias = 4,
            .align = 8};
        check(&lib, &forward);
        forward.of.bias = forward.of.relu = true;
        check(&lib, &forward);
        struct ls_matrix_product weights = {.of = {.m = 4, .n = 10, .k = 6, .transpose_a = true, .input = t},
                                            .row_a = 12,
                                            .row_b = 30,
                                            .row_c = 10,
                                            .batch = 3,
                                            .next_a = 4,
                                            .next_b = 10,
                                            .next_c = 40,
                                            .accumulate = true,
                                            .align = 8};
        check(&lib, &weights);
    }
    ls_cublas_close(lib.cublas);
}

// As a batch asks for: matrices one behind the other, of numbers that no power of two divides, and a scale.
static void test_batches(void **state) {
    struct ls_lib lib = {0};
    (void)state;
    assert_int_equal(ls_cublas_open(&lib.cublas), LS_OK);
    for (int bits = 0; bits < 8; bits++) {
        const ls_dtype t = bits & 4 ? LS_BF16 : LS_F32;
        struct ls_matrix_product p = {
            .of = {.m = 5, .n = 7, .k = 9, .input = t, .output = t, .scale = 0.125f},
            .batch = 3,
            .next_a = 45,
            .next_b = 63,
            .next_c = 35,
            .align = 2};
        p.of.transpose_a = bits & 1, p.of.transpose_b = bits & 2;
        check(&lib, &p);
    }
    ls_cublas_close(lib.cublas);
    assert_int_equal(refused_runs, 0);
}

// What it has nothing for is one thing, what it fails at another.
static void test_refusals(void **state) {
    const struct ls_matrix_product p = {.of = {.m = 2, .n = 3, .k = 4}};
    struct ls_lib lib = {0};
    struct ls_lib_task *task = NULL;
    (void)state;
    assert_int_equal(ls_cublas_open(&lib.cublas), LS_OK);
    answer = CUBLAS_STATUS_NOT_SUPPORTED;
    assert_int_equal(ls_matrix_make(&lib, &p, &task), LS_INPUT);
    assert_string_equal(ls_error_last()->text, "cuBLASLt has no deterministic algorithm for a product of "
                                               "[2, 4] and [4, 3], f32 to f32");
    answer = CUBLAS_STATUS_ALLOC_FAILED;
    assert_int_equal(ls_matrix_make(&lib, &p, &task), LS_SYSTEM);
    assert_string_equal(ls_error_last()->text,
                        "cuBLASLt: cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_ALLOC_FAILED");
    answer = CUBLAS_STATUS_SUCCESS;
    ls_cublas_close(lib.cublas);
}

static void test_tf32(void **state) {
    struct ls_matrix_product p = {.of = {.m = 2, .n = 2, .k = 2}};
    struct ls_lib lib = {0};
    (void)state;
    assert_int_equal(ls_cublas_open(&lib.cublas), LS_OK);
    check(&lib, &p);
    assert_int_equal(last_compute, CUBLAS_COMPUTE_32F);
    lib.tf32 = true;
    check(&lib, &p);
    assert_int_equal(last_compute, CUBLAS_COMPUTE_32F_FAST_TF32);
    p.of.input = LS_BF16;
    check(&lib, &p);
    assert_int_equal(last_compute, CUBLAS_COMPUTE_32F);
    ls_cublas_close(lib.cublas);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products), cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_batches), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_tf32)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
