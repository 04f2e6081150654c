// Opening the CPU device, and what it says of itself.
#define _GNU_SOURCE // sched_getaffinity
#include "cpu/internal.h"

#include <ctype.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

// The text behind "key … :" of a line of /proc/cpuinfo, or NULL.
static char *cpuinfo_value(char *line, const char *key) {
    if (strncmp(line, key, strlen(key)) != 0) return NULL;
    char *value = strchr(line, ':');
    if (!value) return NULL;
    value++;
    while (isspace((unsigned char)*value)) value++;
    value[strcspn(value, "\n")] = 0;
    return value;
}

void ls_cpu_model(char *name, size_t size) {
    snprintf(name, size, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) return;
    char line[512], implementer[64] = "", part[64] = "";
    bool found = false;
    while (!found && fgets(line, sizeof line, file)) {
        char *value;
        if ((value = cpuinfo_value(line, "model name"))) {
            snprintf(name, size, "%s", value);
            found = true;
        } else if ((value = cpuinfo_value(line, "CPU implementer"))) {
            snprintf(implementer, sizeof implementer, "%s", value);
        } else if ((value = cpuinfo_value(line, "CPU part"))) {
            snprintf(part, sizeof part, "%s", value);
        }
    }
    fclose(file);
    if (!found && implementer[0]) snprintf(name, size, "ARM implementer %s part %s", implementer, part);
}

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

int ls_cpu_cores(void) {
    // Grows until it holds as many cores as the kernel knows.
    for (int most = CPU_SETSIZE; most <= 1 << 20; most *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        if (!set) break;
        size_t bytes = CPU_ALLOC_SIZE((size_t)most);
        int cores = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        CPU_FREE(set);
        if (cores > 0) return cores;
    }
    return 1;
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

static void describe(struct ls_cpu_device *cpu, int threads) {
    char model[80];
    ls_cpu_model(model, sizeof model);
    snprintf(cpu->base.name, sizeof cpu->base.name, "%s, %d thread%s", model, threads,
             threads == 1 ? "" : "s");
    // exp and log are libm's, whose variants depend on the processor and its version.
#ifdef __GLIBC__
    const char *libm = gnu_get_libc_version();
#else
    const char *libm = "?";
#endif
    const char *isa = library_isa(cpu->choice);
    snprintf(cpu->base.fingerprint, sizeof cpu->base.fingerprint, "cpu %s; %s; %s%s%s; libm %s", model,
             cpu->plain->level, library_of(cpu->choice), isa[0] ? " " : "", isa, libm);
}

ls_status ls_cpu_open(const struct ls_cpu_options *options, struct ls_device **device) {
    if (options->threads < 1)
        return LS_FAIL(LS_INPUT, "device.threads: expected at least 1, found %d", options->threads);
    if (options->kernels == LS_CPU_ONEDNN && !ls_cpu_library())
        return LS_FAIL(LS_INPUT,
                       "device.kernels: oneDNN was not built into this lockstep: use auto or plain");
    // oneDNN's products pack their operands into memory that they allocate and free each time. From a
    // thread's heap that leaves ever other holes, tens of megabytes beyond the plan; mapped by themselves
    // they leave none.
    (void)mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    struct ls_cpu_device *cpu = calloc(1, sizeof *cpu);
    if (!cpu) return LS_FAIL(LS_SYSTEM, "no memory for a device");
    cpu->base.api = &ls_cpu_api;
    cpu->base.compute_queues = options->threads;
    cpu->choice = options->kernels;
    cpu->plain = ls_plain();
    pthread_mutex_init(&cpu->lock, NULL);
    describe(cpu, options->threads);
    *device = &cpu->base;
    return LS_OK;
}
