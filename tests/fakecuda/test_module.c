// The CUDA module on the stand-in, from outside: it opens, shows the GPUs that the settings ask for, and runs
// a queue. Each case is a process of its own, as the settings are read once.
#include "cuda/cuda.h"
#include "device/device.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static const struct ls_cuda_module *open_module(void) {
    void *library = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    EXPECT(library);
    const struct ls_cuda_module *(*entry)(void) = NULL;
    *(void **)&entry = dlsym(library, LS_CUDA_ENTRY);
    EXPECT(entry);
    return entry();
}

static void must_be_good(void (*body)(void), const char *setting, const char *value) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        setenv("LS_FAKE_EXIT", "99", 1);
        setenv(setting, value, 1);
        body();
        exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int count_gpus(const char *expected_why) {
    static struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS];
    char why[256];
    int n = -1;
    open_module()->gpus(gpus, &n, why);
    EXPECT(strstr(why, expected_why));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++) EXPECT(strcmp(gpus[i].uuid, gpus[j].uuid) != 0);
    return n;
}

static void three_gpus(void) {
    EXPECT(count_gpus("") == 3);
}

static void no_gpu(void) {
    EXPECT(count_gpus("no CUDA-capable device is detected") == 0);
}

static void no_driver(void) {
    EXPECT(count_gpus("there is no NVIDIA driver") == 0);
}

static void entry_and_libraries(void) {
    const struct ls_cuda_module *module = open_module();
    EXPECT(module->abi == LS_CUDA_ABI);
    EXPECT(strcmp(module->name, "cuda (stand-in)") == 0);
    struct ls_cuda_libraries found;
    module->libraries(&found);
    EXPECT(found.cublas[0] && found.cudnn[0] && found.nccl[0] && !found.missing[0]);
}

static void no_nccl(void) {
    struct ls_cuda_libraries found;
    open_module()->libraries(&found);
    EXPECT(!found.nccl[0] && strstr(found.missing, "NCCL"));
}

static struct ls_device *open_device(void) {
    struct ls_device *device = NULL;
    EXPECT(open_module()->open(&(struct ls_cuda_options){0}, &device) == LS_OK);
    return device;
}

static void work(struct ls_device *device, struct ls_queue *queue) {
    void *memory, *host;
    EXPECT(device->api->alloc(device, 1000, &memory) == LS_OK);
    EXPECT(device->api->alloc_host(device, 1000, &host) == LS_OK);
    memset(host, 7, 1000);
    device->api->copy(queue, host, memory, 1000);
    EXPECT(device->api->sync(queue) == LS_OK);
    for (int i = 0; i < 1000; i++) EXPECT(((char *)host)[i] == 0);
    device->api->free(device, memory);
    device->api->free_host(device, host);
}

static void a_device_leaves_nothing(void) {
    struct ls_device *device = open_device();
    struct ls_queue *queue;
    EXPECT(device->api->queue_open(device, "compute", &queue) == LS_OK);
    work(device, queue);
    device->api->queue_close(queue);
    device->api->close(device);
}

static void a_copy_fails(void) {
    struct ls_device *device = open_device();
    struct ls_queue *queue;
    void *memory, *host;
    EXPECT(device->api->queue_open(device, "compute", &queue) == LS_OK);
    EXPECT(device->api->alloc(device, 1000, &memory) == LS_OK);
    EXPECT(device->api->alloc_host(device, 1000, &host) == LS_OK);
    device->api->copy(queue, memory, host, 1000);
    EXPECT(device->api->sync(queue) != LS_OK && strstr(ls_error_last()->text, "unknown error"));
    EXPECT(device->api->sync(queue) != LS_OK); // for good
    device->api->free(device, memory);
    device->api->free_host(device, host);
    device->api->queue_close(queue);
    device->api->close(device);
}

static void test_module(void **state) {
    (void)state;
    must_be_good(three_gpus, "LS_FAKE_GPUS", "3");
    must_be_good(no_gpu, "LS_FAKE_GPUS", "0");
    must_be_good(no_driver, "LS_FAKE_NO_DRIVER", "1");
    must_be_good(entry_and_libraries, "LS_FAKE_GPUS", "1");
    must_be_good(no_nccl, "LS_FAKE_NCCL", "none");
    must_be_good(a_device_leaves_nothing, "LS_FAKE_PROTECT", "1");
    must_be_good(a_copy_fails, "LS_FAKE_FAIL", "cudaMemcpyAsync:1");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_module)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
