#define _GNU_SOURCE // sched_getaffinity
#include "cpu/processor.h"

#include "cpu/cpu.h"

#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

struct ls_processor ls_processor_read(void) {
    struct ls_processor found = {0};
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

void ls_processor_name(const struct ls_processor *processor, char *name, size_t size) {
    if (processor->name[0])
        snprintf(name, size, "%s", processor->name);
    else if (processor->implementer[0])
        snprintf(name, size, "ARM implementer %s part %s", processor->implementer, processor->part);
    else
        snprintf(name, size, "unknown processor");
}

void ls_cpu_model(char *name, size_t size) {
    const struct ls_processor processor = ls_processor_read();
    ls_processor_name(&processor, name, size);
}

void ls_caches_describe(char *text, size_t size) {
    const int level[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    long kilobytes[3];
    for (int i = 0; i < 3; i++) {
        const long bytes = sysconf(level[i]);
        kilobytes[i] = bytes > 0 ? bytes / 1024 : 0;
    }
    snprintf(text, size, "L1d %ldK, L2 %ldK, L3 %ldK", kilobytes[0], kilobytes[1], kilobytes[2]);
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

int ls_cpu_cores_online(void) {
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}
