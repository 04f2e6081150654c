// Matrix products by cuBLASLt. It counts columns first, we count rows first: what we call a [m, k] lies in
// memory as what it calls a' [k, m]. So it is asked for c' = b' a', with our b as its first matrix.
#include "cuda/kernels/elementwise.h"
#include "cuda/lib/libraries.h"
#include "cuda/lib/parts.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    WORKSPACE = 32 << 20, // what NVIDIA advises for its largest GPUs
    ALIGN = 64,           // LS_ALIGN
    CHOICES = 16,
};

struct ls_cublas {
    const struct ls_cublaslt *api;
    cublasLtHandle_t handle;
};

struct matrix_task {
    struct ls_lib_task task;
    const struct ls_cublaslt *api;
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, c;
    cublasLtMatmulAlgo_t algorithm;
    size_t own_workspace; // the library's
    float alpha, beta;
    bool bias;
    ls_dtype type;   // of the output
    bool relu, wide; // what is left to do: relu; c is f32 in the workspace, to be rounded
    int64_t elements;
};

static ls_status check(const struct ls_cublaslt *api, cublasStatus_t code, const char *what) {
    if (code == CUBLAS_STATUS_SUCCESS) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "cuBLASLt: %s: %s", what, api->cublasLtGetStatusName(code));
}

#define LT(api, function, ...) check((api), (api)->function(__VA_ARGS__), #function)

ls_status ls_cublas_open(struct ls_cublas **cublas) {
    char missing[LS_MISSING_TEXT];
    const struct ls_cublaslt *api = ls_cublaslt_load(missing);
    if (!api) return LS_FAIL(LS_INPUT, "the CUDA device needs %s, which is not there", missing);
    struct ls_cublas *made = calloc(1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "out of memory");
    made->api = api;
    const ls_status status = LT(api, cublasLtCreate, &made->handle);
    if (status != LS_OK)
        free(made);
    else
        *cublas = made;
    return status;
}

void ls_cublas_close(struct ls_cublas *cublas) {
    if (!cublas) return;
    (void)cublas->api->cublasLtDestroy(cublas->handle);
    free(cublas);
}

static cudaDataType_t type_of(ls_dtype type) {
    return type == LS_BF16 ? CUDA_R_16BF : type == LS_F16 ? CUDA_R_16F : CUDA_R_32F;
}

// ---- the operation ----

// A matrix of ours, [rows, columns] as it lies in memory.
static ls_status lay_out(const struct ls_cublaslt *api, ls_dtype type, int64_t rows, int64_t columns,
                         int64_t row, int64_t batch, int64_t next, cublasLtMatrixLayout_t *layout) {
    const int32_t products = batch == 0 ? 1 : (int32_t)batch;
    LS_TRY(LT(api, cublasLtMatrixLayoutCreate, layout, type_of(type), (uint64_t)columns, (uint64_t)rows,
              row == 0 ? columns : row));
    LS_TRY(LT(api, cublasLtMatrixLayoutSetAttribute, *layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &products,
              sizeof products));
    return LT(api, cublasLtMatrixLayoutSetAttribute, *layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
              &next, sizeof next);
}

static ls_status lay_out_all(struct matrix_task *made, const struct ls_matrix_product *p) {
    const struct ls_lib_product *of = &p->of;
    const int64_t a_rows = of->transpose_a ? of->k : of->m, a_columns = of->transpose_a ? of->m : of->k;
    const int64_t b_rows = of->transpose_b ? of->n : of->k, b_columns = of->transpose_b ? of->k : of->n;
    LS_TRY(lay_out(made->api, of->input, a_rows, a_columns, p->row_a, p->batch, p->next_a, &made->a));
    LS_TRY(lay_out(made->api, of->input, b_rows, b_columns, p->row_b, p->batch, p->next_b, &made->b));
    return lay_out(made->api, made->wide ? LS_F32 : of->output, of->m, of->n, p->row_c, p->batch, p->next_c,
                   &made->c);
}

static ls_status set(const struct matrix_task *made, cublasLtMatmulDescAttributes_t attribute,
                     const void *value, size_t bytes) {
    return LT(made->api, cublasLtMatmulDescSetAttribute, made->product, attribute, value, bytes);
}

// Its RELU epilogue is left alone: nothing says that it keeps NaN, as ours does.
static ls_status set_epilogue(struct matrix_task *made, const struct ls_matrix_product *p) {
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const int32_t type = CUDA_R_32F;
    const void *somewhere = (const void *)(uintptr_t)ALIGN; // the choice of the algorithm reads its alignment
    LS_TRY(set(made, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    LS_TRY(set(made, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type));
    LS_TRY(set(made, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, &p->next_bias, sizeof p->next_bias));
    return set(made, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &somewhere, sizeof somewhere);
}

static ls_status describe(struct matrix_task *made, const struct ls_matrix_product *p, bool tf32) {
    const bool round_inputs = tf32 && p->of.input == LS_F32;
    const cublasComputeType_t compute = round_inputs ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    const int32_t first = p->of.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const int32_t second = p->of.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    LS_TRY(LT(made->api, cublasLtMatmulDescCreate, &made->product, compute, CUDA_R_32F));
    LS_TRY(set(made, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
    LS_TRY(set(made, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
    if (p->of.bias) LS_TRY(set_epilogue(made, p));
    return lay_out_all(made, p);
}

// ---- the algorithm ----

// A sum over k that is split must be added up in one order, in f32: in the workspace, in a step of its own.
// What adds into the output in place rounds between the parts.
static ls_status prefer(const struct ls_cublaslt *api, int64_t align, cublasLtMatmulPreference_t preference) {
    const uint64_t workspace = WORKSPACE;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE,
                   alignment = align == 0 ? ALIGN : (uint32_t)align;
    LS_TRY(LT(api, cublasLtMatmulPreferenceSetAttribute, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
              &workspace, sizeof workspace));
    LS_TRY(LT(api, cublasLtMatmulPreferenceSetAttribute, preference,
              CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes));
    static const cublasLtMatmulPreferenceAttributes_t matrices[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (int i = 0; i < 4; i++)
        LS_TRY(LT(api, cublasLtMatmulPreferenceSetAttribute, preference, matrices[i], &alignment,
                  sizeof alignment));
    return LS_OK;
}

static bool will_do(const struct ls_cublaslt *api, const cublasLtMatmulHeuristicResult_t *choice) {
    uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_MASK;
    size_t written = 0;
    if (choice->state != CUBLAS_STATUS_SUCCESS || choice->workspaceSize > WORKSPACE) return false;
    if (api->cublasLtMatmulAlgoConfigGetAttribute(&choice->algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME,
                                                  &scheme, sizeof scheme, &written) != CUBLAS_STATUS_SUCCESS)
        return false;
    return scheme == CUBLASLT_REDUCTION_SCHEME_NONE || scheme == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
}

static ls_status choose(const struct ls_cublas *cublas, struct matrix_task *made,
                        const struct ls_matrix_product *p) {
    const struct ls_lib_product *of = &p->of;
    const struct ls_cublaslt *api = cublas->api;
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t choices[CHOICES];
    int n = 0;
    LS_TRY(LT(api, cublasLtMatmulPreferenceCreate, &preference));
    ls_status status = prefer(api, p->align, preference);
    cublasStatus_t answer = CUBLAS_STATUS_SUCCESS;
    if (status == LS_OK)
        answer = api->cublasLtMatmulAlgoGetHeuristic(cublas->handle, made->product, made->b, made->a, made->c,
                                                     made->c, preference, CHOICES, choices, &n);
    if (answer == CUBLAS_STATUS_NOT_SUPPORTED)
        n = 0; // and that is all it says
    else if (status == LS_OK)
        status = check(api, answer, "cublasLtMatmulAlgoGetHeuristic");
    (void)api->cublasLtMatmulPreferenceDestroy(preference);
    LS_TRY(status);
    for (int i = 0; i < n; i++) { // quickest first, as the library expects
        if (!will_do(api, &choices[i])) continue;
        made->algorithm = choices[i].algo;
        made->own_workspace = choices[i].workspaceSize;
        return LS_OK;
    }
    return LS_FAIL(LS_INPUT,
                   "cuBLASLt has no deterministic algorithm for a product of [%" PRId64 ", %" PRId64
                   "] and [%" PRId64 ", %" PRId64 "], %s to %s",
                   of->m, of->k, of->k, of->n, ls_dtype_name(of->input), ls_dtype_name(of->output));
}

// ---- the task ----

static ls_status run_matrix(struct ls_lib *lib, const struct ls_lib_task *task,
                            const struct ls_lib_arguments *with) {
    const struct matrix_task *made = (const struct matrix_task *)task;
    void *c = made->wide ? with->workspace : with->out;
    void *own = (char *)with->workspace + (task->workspace - made->own_workspace);
    if (made->bias) LS_TRY(set(made, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &with->bias, sizeof with->bias));
    LS_TRY(LT(made->api, cublasLtMatmul, lib->cublas->handle, made->product, &made->alpha, with->b, made->b,
              with->a, made->a, &made->beta, c, made->c, c, made->c, &made->algorithm,
              made->own_workspace ? own : NULL, made->own_workspace, with->stream));
    if (made->wide) LS_TRY(ls_cuda_cast(LS_F32, c, made->type, with->out, made->elements, with->stream));
    if (made->relu) LS_TRY(ls_cuda_relu(made->type, with->out, with->out, made->elements, with->stream));
    return LS_OK;
}

static void unmake_matrix(struct ls_lib_task *task) {
    struct matrix_task *made = (struct matrix_task *)task;
    if (made->product) (void)made->api->cublasLtMatmulDescDestroy(made->product);
    if (made->a) (void)made->api->cublasLtMatrixLayoutDestroy(made->a);
    if (made->b) (void)made->api->cublasLtMatrixLayoutDestroy(made->b);
    if (made->c) (void)made->api->cublasLtMatrixLayoutDestroy(made->c);
    free(made);
}

// A bias beside an output of 16 bits would have to be of 16 bits itself; ours is f32, and the sum is rounded
// once. Then, and for relu, the products of a batch must lie side by side in the rows of one matrix.
ls_status ls_matrix_make(struct ls_lib *lib, const struct ls_matrix_product *p, struct ls_lib_task **task) {
    struct matrix_task *made = calloc(1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "out of memory");
    *made = (struct matrix_task){.task = {.run = run_matrix, .unmake = unmake_matrix},
                                 .api = lib->cublas->api,
                                 .alpha = p->of.scale == 0 ? 1.0f : p->of.scale,
                                 .beta = p->accumulate ? 1.0f : 0.0f,
                                 .bias = p->of.bias,
                                 .type = p->of.output,
                                 .relu = p->of.relu,
                                 .wide = p->of.bias && p->of.output != LS_F32,
                                 .elements = p->of.m * (p->row_c == 0 ? p->of.n : p->row_c)};
    ls_status status = describe(made, p, lib->tf32);
    if (status == LS_OK) status = choose(lib->cublas, made, p);
    if (status != LS_OK) {
        unmake_matrix(&made->task);
        return status;
    }
    made->task.workspace =
        (made->wide ? ls_lib_aligned((size_t)made->elements * sizeof(float)) : 0) + made->own_workspace;
    *task = &made->task;
    return LS_OK;
}
