// The CPU device: a queue is a thread; kernels are oneDNN's, or ours.
#pragma once

#include "device/device.h"

#include "base/begin.h"

enum ls_cpu_kernels {
    LS_CPU_AUTO,   // what is fastest: some of ours, else oneDNN's where it was built in, else plain ones
    LS_CPU_PLAIN,  // the plain reference kernels: no library, any type, slow
    LS_CPU_ONEDNN, // oneDNN's, plain where it has none; an error where it was not built in
};

struct ls_cpu_options {
    int threads; // lanes side by side; at least 1
    enum ls_cpu_kernels kernels;
};

ls_status ls_cpu_open(const struct ls_cpu_options *options, struct ls_device **device);
// "oneDNN 2.6.3", or NULL where it was not built in.
const char *ls_cpu_library(void);
// Does this processor have the instructions that the library wants for bf16?
bool ls_cpu_has_bf16(void);
// Cores that this process may use (its affinity mask).
int ls_cpu_cores(void);
// Cores of the machine that are online.
int ls_cpu_cores_online(void);

#include "base/end.h"
