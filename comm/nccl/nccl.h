// The transport over NCCL, for devices whose queues are CUDA streams.
#pragma once

#include "comm/transport.h"

// Collective. The calling thread's current GPU is the one that `device` drives. LS_INPUT on all ranks where
// one has no NCCL, LS_COMM where they do not find each other. An error comes out of the queue, at the end of
// the slice that it struck. One at a time, closed before `comm` and `device` are. The environment variable
// LOCKSTEP_NCCL_SHARE_GPU=1, on all ranks, lets several of one host use one GPU, through sockets: slow, and
// for tests.
ls_status ls_transport_open_nccl(struct ls_comm *comm, struct ls_device *device,
                                 struct ls_transport **transport);

enum { LS_NCCL_MISSING = 96 };
// The library's version, or "" where it is not there; then `missing` says what was looked for, else it is
// empty.
const char *ls_nccl_version(char missing[LS_NCCL_MISSING]);
