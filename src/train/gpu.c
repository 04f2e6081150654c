#define _GNU_SOURCE
#include "train/gpu.h"

#include "device/device.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- the module

static const char file_name[] = "liblockstep-cuda.so";

// In the folder of `beside`, as it is built, or in ../lib from there, as it is installed.
static bool find_near(const char *beside, char *path, size_t bytes) {
    static const char *const places[] = {"", "../lib/"};
    const char *slash = strrchr(beside, '/');
    for (int i = 0; slash && i < 2; i++) {
        const int n =
            snprintf(path, bytes, "%.*s%s%s", (int)(slash + 1 - beside), beside, places[i], file_name);
        if (n > 0 && (size_t)n < bytes && access(path, F_OK) == 0) return true;
    }
    return false;
}

// Where this very code is: a shared library's file, or the program's as it was started.
static const char *own_file(void) {
    static const char here;
    Dl_info info;
    return dladdr(&here, &info) && info.dli_fname ? info.dli_fname : "";
}

static bool find_file(char *path, size_t bytes) {
    char program[4096];
    const ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = 0;
    return find_near(program, path, bytes) || find_near(own_file(), path, bytes);
}

// The module takes our functions from what all of the process can see. A shared library that was opened for
// itself alone (a plug-in, a binding of another language) is shown to it here; of a program the call fails,
// which shows them anyway.
static void show_own_functions(void) {
    (void)dlopen(own_file(), RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL);
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
    show_own_functions();
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

static struct {
    pthread_mutex_t lock; // programs may ask from several threads
    bool looked;
    const struct ls_cuda_module *module;
    char why_no_module[8704];
    bool counted;
    struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS];
    int n_gpus;
    char why_no_gpu[256];
} found = {.lock = PTHREAD_MUTEX_INITIALIZER};

const struct ls_cuda_module *ls_gpu_module(const char **why) {
    pthread_mutex_lock(&found.lock);
    if (!found.looked) found.module = open_module(found.why_no_module, sizeof found.why_no_module);
    found.looked = true;
    pthread_mutex_unlock(&found.lock);
    *why = found.why_no_module;
    return found.module;
}

int ls_gpu_count(const struct ls_cuda_gpu **gpus, const char **why) {
    const struct ls_cuda_module *module = ls_gpu_module(why);
    *gpus = found.gpus;
    if (!module) return 0;
    pthread_mutex_lock(&found.lock);
    if (!found.counted) module->gpus(found.gpus, &found.n_gpus, found.why_no_gpu);
    found.counted = true;
    pthread_mutex_unlock(&found.lock);
    *why = found.why_no_gpu;
    return found.n_gpus;
}

// ---- this rank's GPU

static ls_status pick_by_id(const struct ls_recipe *recipe, const struct ls_cuda_gpu *gpus, int n,
                            int *index) {
    const char *id = recipe->device.id;
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
                   "%s: there %s %d GPU%s here; expected a number below %d, a UUID, or auto, found %s",
                   ls_recipe_place(recipe, "device.id"), n == 1 ? "is" : "are", n, n == 1 ? "" : "s", n, id);
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
    return LS_FAIL(LS_INPUT, "%s: %s needs compute capability %d.0; %s has %d.%d: use fp32",
                   ls_recipe_place(recipe, "train.precision"), bf16 ? "bf16" : "tf32", BF16_MAJOR, gpu->name,
                   gpu->major, gpu->minor);
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
        LS_TRY(pick_by_id(recipe, gpus, n, &index));
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
