// What `lockstep doctor` says of GPUs: of the host of rank 0.
#include "base/text.h"
#include "cli/doctor.h"
#include "train/gpu.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BF16_MAJOR = 8 };

static int warn(const char *format, ...) LS_PRINTF(1, 2);
static int warn(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    printf("  warning: ");
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    return 1;
}

static const char *or_none(const char *version) {
    return version[0] ? version : "none";
}

// It goes into the fingerprint of a run.
static int print_override(void) {
    const char *tf32 = getenv("NVIDIA_TF32_OVERRIDE");
    return tf32 ? warn("NVIDIA_TF32_OVERRIDE=%.8s is set, which cuBLAS and cuDNN heed before train.precision",
                       tf32)
                : 0;
}

static int print_libraries(const struct ls_cuda_module *module, int n_gpus) {
    struct ls_cuda_libraries found;
    int warnings = 0;
    module->libraries(&found);
    printf("CUDA: runtime %s, driver %s, cuBLAS %s, cuDNN %s, NCCL %s\n", or_none(found.runtime),
           or_none(found.driver), or_none(found.cublas), or_none(found.cudnn), or_none(found.nccl));
    if (n_gpus == 0) return 0;
    if (found.missing[0]) printf("  looked for: %s\n", found.missing);
    if (!found.cublas[0]) warnings += warn("without cuBLAS no GPU can be used");
    if (!found.cudnn[0])
        warnings += warn("without cuDNN convolutions are products of unfolded images: slower");
    if (!found.nccl[0] && n_gpus > 1)
        warnings += warn("without NCCL gradients travel over MPI, through host memory: slower");
    return warnings + print_override();
}

// More than this part of a GPU's memory in use before anything began: somebody else computes there.
static const double in_use = 0.1;

static int print_gpu(const struct ls_cuda_module *module, const struct ls_cuda_gpu *gpu) {
    char memory[32], there[32];
    const int64_t available = module->memory_free(gpu->index);
    int warnings = 0;
    printf("GPU %d: %s, compute capability %d.%d, %d multiprocessors, %s memory, %s free, PCI %s, %s\n",
           gpu->index, gpu->name, gpu->major, gpu->minor, gpu->multiprocessors,
           ls_format_bytes(memory, (double)gpu->memory), ls_format_bytes(there, (double)available), gpu->bus,
           gpu->uuid);
    if (gpu->major < BF16_MAJOR)
        warnings +=
            warn("GPU %d computes neither bf16 nor tf32 (compute capability 8.0): train.precision=fp32",
                 gpu->index);
    if (available == 0)
        warnings += warn("GPU %d cannot be opened: another process may hold it alone", gpu->index);
    else if ((double)available < (1 - in_use) * (double)gpu->memory)
        warnings += warn("of GPU %d's memory only %s are free: is another process on it?", gpu->index, there);
    return warnings;
}

// A row for each GPU, as far as they fit a line.
static int print_links(const struct ls_cuda_module *module, const struct ls_cuda_gpu *gpus, int n) {
    int through_host = 0;
    printf("links between GPUs:\n     ");
    for (int b = 0; b < n; b++) printf(" %6d", gpus[b].index);
    for (int a = 0; a < n; a++) {
        printf("\n  %3d", gpus[a].index);
        for (int b = 0; b < n; b++) {
            const char *link = a == b ? "-" : module->link(gpus[a].index, gpus[b].index);
            printf(" %6s", link);
            through_host += strcmp(link, "host") == 0;
        }
    }
    printf("\n");
    if (through_host == 0) return 0;
    return warn("some GPUs reach each other through host memory alone: all-reduces will be slow");
}

int ls_doctor_print_gpus(int local_ranks) {
    const struct ls_cuda_gpu *gpus;
    const char *why;
    const struct ls_cuda_module *module = ls_gpu_module(&why);
    const int n = ls_gpu_count(&gpus, &why);
    int warnings = 0;
    if (module) warnings += print_libraries(module, n);
    if (!module || n == 0) {
        printf("GPU: none usable: %s\n", why);
        return warnings;
    }
    for (int i = 0; i < n; i++) warnings += print_gpu(module, &gpus[i]);
    if (n > 1) warnings += print_links(module, gpus, n);
    // Where each rank is shown one GPU, that is its own.
    if (local_ranks > n && n > 1)
        warnings +=
            warn("%d ranks for %d GPUs: some would share one, which device.share allows", local_ranks, n);
    return warnings;
}

void ls_doctor_gpu_fact(char fact[128]) {
    const struct ls_cuda_gpu *gpus;
    const char *why;
    struct ls_cuda_libraries found;
    const int n = ls_gpu_count(&gpus, &why);
    snprintf(fact, 128, "none");
    if (n == 0) return;
    ls_gpu_module(&why)->libraries(&found);
    snprintf(fact, 128, "%d %.70s, driver %s", n, gpus[0].name, found.driver);
}
