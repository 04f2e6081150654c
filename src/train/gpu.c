#define _GNU_SOURCE
#include "train/gpu.h"

#include "device/device.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- the module

static const char file_name[] = "liblockstep-cuda.so";

// Beside the program, as it is built, or in ../lib, as it is installed.
static bool find_file(char *path, size_t bytes) {
    static const char *const places[] = {"", "../lib/"};
    char program[4096];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0) return false;
    program[length] = 0;
    char *slash = strrchr(program, '/');
    if (slash) slash[1] = 0;
    for (int i = 0; i < 2; i++) {
        const int n = snprintf(path, bytes, "%s%s%s", program, places[i], file_name);
        if (n > 0 && (size_t)n < bytes && access(path, F_OK) == 0) return true;
    }
    return false;
}

static const struct ls_cuda_module *open_module(char *why, size_t bytes) {
    char path[8192];
    const char *named = getenv("LOCKSTEP_CUDA_MODULE");
    if (named && named[0]) {
        snprintf(path, sizeof path, "%s", named);
    } else if (!find_file(path, sizeof path)) {
        snprintf(why, bytes, "the CUDA module (%s) is not installed", file_name);
        return NULL;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(why, bytes, "the CUDA module cannot be opened: %s", dlerror());
        return NULL;
    }
    const struct ls_cuda_module *(*entry)(void) = NULL;
    *(void **)&entry = dlsym(library, LS_CUDA_ENTRY);
    const struct ls_cuda_module *module = entry ? entry() : NULL;
    if (module && module->abi == LS_CUDA_ABI) return module;
    if (module)
        snprintf(why, bytes, "%s is of another version of Lockstep (%d, expected %d)", path, module->abi,
                 LS_CUDA_ABI);
    else
        snprintf(why, bytes, "%s is no CUDA module of Lockstep", path);
    return NULL; // stays loaded: what it has started cannot be undone
}

const struct ls_cuda_module *ls_gpu_module(const char **why) {
    static const struct ls_cuda_module *module;
    static char reason[8704];
    static bool looked;
    if (!looked) module = open_module(reason, sizeof reason);
    looked = true;
    *why = reason;
    return module;
}

int ls_gpu_count(const struct ls_cuda_gpu **found, const char **why) {
    static struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS];
    static char reason[256];
    static int n = -1;
    const struct ls_cuda_module *module = ls_gpu_module(why);
    *found = gpus;
    if (!module) return 0;
    if (n < 0) module->gpus(gpus, &n, reason);
    *why = reason;
    return n;
}

// ---- this rank's GPU

static ls_status pick_by_id(const char *id, const struct ls_cuda_gpu *gpus, int n, int *index) {
    char *end = NULL;
    const long number = strtol(id, &end, 10);
    const bool is_number = end != id && *end == 0;
    for (int i = 0; i < n; i++)
        // As CUDA_VISIBLE_DEVICES does, the beginning of a UUID is enough.
        if (is_number ? gpus[i].index == number : strncmp(gpus[i].uuid, id, strlen(id)) == 0) {
            *index = i;
            return LS_OK;
        }
    return LS_FAIL(LS_INPUT,
                   "device.id: %s: there %s %d GPU%s here; expected a number below %d, a UUID, or auto", id,
                   n == 1 ? "is" : "are", n, n == 1 ? "" : "s", n);
}

// Where a launcher shows each rank one GPU, that is the rank's; whether it is another's too, ls_device_agree
// sees.
static ls_status pick_by_rank(const struct ls_recipe *recipe, const struct ls_comm *comm, int n, int *index) {
    *index = n == 1 ? 0 : comm->local_rank;
    if (*index < n) return LS_OK;
    *index = comm->local_rank % n;
    if (recipe->device.share) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "%d ranks on %s, which has %d GPUs; start at most as many ranks a host as it has GPUs "
                   "(device.share=true lets ranks share one)",
                   comm->local_size, comm->host, n);
}

enum { BF16_MAJOR = 8 }; // of compute capability: bf16 and tf32 are computed from here on

static ls_status check_precision(const struct ls_recipe *recipe, const struct ls_cuda_gpu *gpu) {
    const bool bf16 = recipe->train.precision == LS_BF16;
    if (gpu->major >= BF16_MAJOR || (!bf16 && !recipe->train.tf32)) return LS_OK;
    return LS_FAIL(LS_INPUT, "train.precision: %s needs compute capability %d.0; %s has %d.%d: use fp32",
                   bf16 ? "bf16" : "tf32", BF16_MAJOR, gpu->name, gpu->major, gpu->minor);
}

ls_status ls_gpu_open(const struct ls_recipe *recipe, const struct ls_comm *comm, struct ls_device **device) {
    const struct ls_cuda_gpu *gpus;
    const char *why;
    int index = 0;
    const int n = ls_gpu_count(&gpus, &why);
    if (n == 0) return LS_FAIL(LS_INPUT, "no usable GPU: %s", why);
    const struct ls_cuda_module *module = ls_gpu_module(&why);
    if (!module->open) return LS_FAIL(LS_INPUT, "no usable GPU: the CUDA module has no device");
    if (strcmp(recipe->device.id, "auto") == 0)
        LS_TRY(pick_by_rank(recipe, comm, n, &index));
    else
        LS_TRY(pick_by_id(recipe->device.id, gpus, n, &index));
    LS_TRY(check_precision(recipe, &gpus[index]));
    const struct ls_cuda_options options = {
        .gpu = gpus[index].index,
        .memory = recipe->device.memory,
        .tf32 = recipe->train.tf32,
        .eager = !recipe->device.replay,
    };
    LS_TRY(module->open(&options, device));
    snprintf((*device)->uuid, sizeof(*device)->uuid, "%s", gpus[index].uuid);
    return LS_OK;
}
