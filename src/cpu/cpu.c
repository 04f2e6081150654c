// Opening the CPU device, and what it says of itself.
#define _GNU_SOURCE // sched_getaffinity
#include "cpu/internal.h"

#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

// What the first processor of /proc/cpuinfo says of itself; "" for what it does not say.
struct processor {
    char name[64], family[16], model[16], stepping[16];        // x86
    char implementer[16], part[16], variant[16], revision[16]; // ARM
};

// The text behind "key … :" of a line of /proc/cpuinfo, or NULL.
static const char *cpuinfo_value(char *line, const char *key) {
    if (strncmp(line, key, strlen(key)) != 0) return NULL;
    char *value = line + strlen(key);
    while (isspace((unsigned char)*value)) value++;
    if (*value++ != ':') return NULL; // another key that begins alike
    while (isspace((unsigned char)*value)) value++;
    value[strcspn(value, "\n")] = 0;
    return value;
}

static struct processor read_processor(void) {
    struct processor found = {0};
    const struct {
        const char *key;
        char *value;
        size_t size;
    } entries[] = {
        {"model name", found.name, sizeof found.name},
        {"cpu family", found.family, sizeof found.family},
        {"model", found.model, sizeof found.model},
        {"stepping", found.stepping, sizeof found.stepping},
        {"CPU implementer", found.implementer, sizeof found.implementer},
        {"CPU part", found.part, sizeof found.part},
        {"CPU variant", found.variant, sizeof found.variant},
        {"CPU revision", found.revision, sizeof found.revision},
    };
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file) return found;
    char line[512];
    while (fgets(line, sizeof line, file) && line[0] != '\n') { // an empty line ends a processor
        for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
            const char *value = cpuinfo_value(line, entries[i].key);
            if (value) snprintf(entries[i].value, entries[i].size, "%s", value);
        }
    }
    fclose(file);
    return found;
}

static void name_processor(const struct processor *processor, char *name, size_t size) {
    if (processor->name[0])
        snprintf(name, size, "%s", processor->name);
    else if (processor->implementer[0])
        snprintf(name, size, "ARM implementer %s part %s", processor->implementer, processor->part);
    else
        snprintf(name, size, "unknown processor");
}

void ls_cpu_model(char *name, size_t size) {
    const struct processor processor = read_processor();
    name_processor(&processor, name, size);
}

// "L1d 32K, L2 512K, L3 32768K", as the C library was told by the processor; 0K where it was not. Libraries
// cut their work to the caches, and so choose the order of sums.
static void describe_caches(char *text, size_t size) {
    const int level[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    long kilobytes[3];
    for (int i = 0; i < 3; i++) {
        const long bytes = sysconf(level[i]);
        kilobytes[i] = bytes > 0 ? bytes / 1024 : 0;
    }
    snprintf(text, size, "L1d %ldK, L2 %ldK, L3 %ldK", kilobytes[0], kilobytes[1], kilobytes[2]);
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

// Those that only some processors have: ", Winograd, pairs".
static void own_kernels(const struct ls_cpu_device *cpu, char *text, size_t size) {
    const bool wanted = cpu->choice == LS_CPU_AUTO;
    snprintf(text, size, "%s%s", wanted && ls_winograd_kernel(LS_OP_CONV, cpu->plain) ? ", Winograd" : "",
             wanted && ls_pairs_kernel(LS_OP_CONV_WEIGHT_GRAD) ? ", pairs" : "");
}

// Everything that may give other bits. Never cut: two devices with equal beginnings would pass for one.
static ls_status describe(struct ls_cpu_device *cpu, int threads) {
    const struct processor processor = read_processor();
    char name[80], steps[80], caches[96];
    name_processor(&processor, name, sizeof name);
    snprintf(cpu->base.name, sizeof cpu->base.name, "%s, %d thread%s", name, threads,
             threads == 1 ? "" : "s");
    if (processor.implementer[0])
        snprintf(steps, sizeof steps, "variant %s revision %s", processor.variant, processor.revision);
    else
        snprintf(steps, sizeof steps, "family %s model %s stepping %s", processor.family, processor.model,
                 processor.stepping);
    describe_caches(caches, sizeof caches);
    // exp and log are libm's, whose variants depend on the processor and its version.
#ifdef __GLIBC__
    const char *libm = gnu_get_libc_version();
#else
    const char *libm = "?";
#endif
    const char *isa = library_isa(cpu->choice);
    char own[24];
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
