// Opening the CPU device, and what it says of itself.
#include "cpu/internal.h"
#include "cpu/processor.h"

#include <stdio.h>
#include <stdlib.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

const char *ls_cpu_library(void) {
#ifdef LOCKSTEP_HAVE_ONEDNN
    return ls_onednn_library();
#else
    return NULL;
#endif
}

bool ls_cpu_has_bf16(void) {
#ifdef LOCKSTEP_HAVE_ONEDNN
    return ls_onednn_has_bf16();
#else
    return false;
#endif
}

static const char *library_of(enum ls_cpu_kernels choice) {
    return choice == LS_CPU_PLAIN || !ls_cpu_library() ? "plain kernels" : ls_cpu_library();
}

static const char *library_isa(enum ls_cpu_kernels choice) {
#ifdef LOCKSTEP_HAVE_ONEDNN
    if (choice != LS_CPU_PLAIN) return ls_onednn_isa();
#endif
    (void)choice;
    return "";
}

// Those that only some processors have: ", Winograd, pairs, norms".
static void own_kernels(const struct ls_cpu_device *cpu, char *text, size_t size) {
    const bool wanted = cpu->choice == LS_CPU_AUTO;
    snprintf(text, size, "%s%s%s", wanted && ls_winograd_kernel(LS_OP_CONV, cpu->plain) ? ", Winograd" : "",
             wanted && ls_pairs_kernel(LS_OP_CONV_WEIGHT_GRAD) ? ", pairs" : "",
             wanted && ls_batchnorm_kernel(LS_OP_BATCHNORM) ? ", norms" : "");
}

// Everything that may give other bits. Never cut: two devices with equal beginnings would pass for one.
static ls_status describe(struct ls_cpu_device *cpu, int threads) {
    const struct ls_processor processor = ls_processor_read();
    char name[80], steps[80], caches[96];
    ls_processor_name(&processor, name, sizeof name);
    snprintf(cpu->base.name, sizeof cpu->base.name, "%s, %d thread%s", name, threads,
             threads == 1 ? "" : "s");
    if (processor.implementer[0])
        snprintf(steps, sizeof steps, "variant %s revision %s", processor.variant, processor.revision);
    else
        snprintf(steps, sizeof steps, "family %s model %s stepping %s", processor.family, processor.model,
                 processor.stepping);
    ls_caches_describe(caches, sizeof caches);
    // exp and log are libm's, whose variants depend on the processor and its version.
#ifdef __GLIBC__
    const char *libm = gnu_get_libc_version();
#else
    const char *libm = "?";
#endif
    const char *isa = library_isa(cpu->choice);
    char own[32];
    own_kernels(cpu, own, sizeof own);
    const int length =
        snprintf(cpu->base.fingerprint, sizeof cpu->base.fingerprint,
                 "cpu %s, %s; %s; arithmetic %d, %s%s; %s%s%s; libm %s", name, steps, caches, LS_ARITHMETIC,
                 cpu->plain->level, own, library_of(cpu->choice), isa[0] ? " " : "", isa, libm);
    if (length < 0 || (size_t)length >= sizeof cpu->base.fingerprint)
        return LS_FAIL(LS_SYSTEM, "the description of the processor has %d bytes, at most %zu fit", length,
                       sizeof cpu->base.fingerprint - 1);
    return LS_OK;
}

ls_status ls_cpu_open(const struct ls_cpu_options *options, struct ls_device **device) {
    if (options->threads < 1)
        return LS_FAIL(LS_INPUT, "device.threads: expected at least 1, found %d", options->threads);
    if (options->kernels == LS_CPU_ONEDNN && !ls_cpu_library())
        return LS_FAIL(LS_INPUT,
                       "device.kernels: oneDNN was not built into this lockstep: use auto or plain");
    struct ls_cpu_device *cpu = calloc(1, sizeof *cpu);
    if (!cpu) return LS_FAIL(LS_SYSTEM, "no memory for a device");
    cpu->base.api = &ls_cpu_api;
    cpu->base.compute_queues = options->threads;
    cpu->base.host_memory = true;
    cpu->choice = options->kernels;
    cpu->plain = ls_plain();
    ls_status status = describe(cpu, options->threads);
    if (status != LS_OK) {
        free(cpu);
        return status;
    }
    pthread_mutex_init(&cpu->lock, NULL);
    *device = &cpu->base;
    return LS_OK;
}
