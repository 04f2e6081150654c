// NCCL, as it is found at run time: its functions under their own names, in a table. load.c fills it from the
// library; the stand-in of the tests has a table of its own.
#pragma once

#include "comm/nccl/nccl.h"

#include <nccl.h>

enum { LS_NCCL_TEXT = LS_NCCL_MISSING };

#define LS_NCCL_FUNCTIONS(X)                                                                                 \
    X(ncclGetErrorString)                                                                                    \
    X(ncclGetLastError)                                                                                      \
    X(ncclGetUniqueId)                                                                                       \
    X(ncclCommInitRankConfig)                                                                                \
    X(ncclCommGetAsyncError)                                                                                 \
    X(ncclCommFinalize)                                                                                      \
    X(ncclCommDestroy)                                                                                       \
    X(ncclCommAbort)                                                                                         \
    X(ncclGroupStart)                                                                                        \
    X(ncclGroupEnd)                                                                                          \
    X(ncclSend)                                                                                              \
    X(ncclRecv)                                                                                              \
    X(ncclAllReduce)

struct ls_nccl {
    char version[32]; // "2.28.9", of the library that was found
#define X(function) __typeof__(function) *function;
    LS_NCCL_FUNCTIONS(X)
#undef X
};

// NULL where NCCL is not there; then `missing` says what was looked for, else it is empty. Opened once; not
// by several threads at a time.
const struct ls_nccl *ls_nccl_load(char missing[LS_NCCL_TEXT]);
