// cuBLASLt and cuDNN, as they are found at run time: functions under their own names, in a table each.
#pragma once

#include <cublasLt.h>
#include <stddef.h>
#ifdef LOCKSTEP_HAVE_CUDNN
#include <cudnn.h>
#endif

#define LS_CUBLASLT_FUNCTIONS(X)                                                                             \
    X(cublasLtGetStatusName)                                                                                 \
    X(cublasLtGetVersion)                                                                                    \
    X(cublasLtCreate)                                                                                        \
    X(cublasLtDestroy)                                                                                       \
    X(cublasLtMatmul)                                                                                        \
    X(cublasLtMatmulDescCreate)                                                                              \
    X(cublasLtMatmulDescDestroy)                                                                             \
    X(cublasLtMatmulDescSetAttribute)                                                                        \
    X(cublasLtMatrixLayoutCreate)                                                                            \
    X(cublasLtMatrixLayoutDestroy)                                                                           \
    X(cublasLtMatrixLayoutSetAttribute)                                                                      \
    X(cublasLtMatmulPreferenceCreate)                                                                        \
    X(cublasLtMatmulPreferenceDestroy)                                                                       \
    X(cublasLtMatmulPreferenceSetAttribute)                                                                  \
    X(cublasLtMatmulAlgoGetHeuristic)                                                                        \
    X(cublasLtMatmulAlgoConfigGetAttribute)

#define LS_CUDNN_FUNCTIONS(X)                                                                                \
    X(cudnnGetErrorString)                                                                                   \
    X(cudnnGetVersion)                                                                                       \
    X(cudnnCreate)                                                                                           \
    X(cudnnDestroy)                                                                                          \
    X(cudnnSetStream)                                                                                        \
    X(cudnnBackendCreateDescriptor)                                                                          \
    X(cudnnBackendDestroyDescriptor)                                                                         \
    X(cudnnBackendSetAttribute)                                                                              \
    X(cudnnBackendGetAttribute)                                                                              \
    X(cudnnBackendFinalize)                                                                                  \
    X(cudnnBackendExecute)

#define X(function) __typeof__(function) *function;
struct ls_cublaslt {
    char version[32]; // "13.0.2"
    LS_CUBLASLT_FUNCTIONS(X)
};
#ifdef LOCKSTEP_HAVE_CUDNN
struct ls_cudnn {
    char version[32]; // "9.12.0"
    LS_CUDNN_FUNCTIONS(X)
};
#endif
#undef X

enum { LS_MISSING_TEXT = 96 };

// NULL where the library is not there; then `missing` says what was looked for, else it is empty. Opened
// once; not by several threads at a time.
const struct ls_cublaslt *ls_cublaslt_load(char missing[LS_MISSING_TEXT]);
struct ls_cudnn;
const struct ls_cudnn *ls_cudnn_load(char missing[LS_MISSING_TEXT]);
