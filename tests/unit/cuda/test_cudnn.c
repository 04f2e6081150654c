// What cuDNN offers for convolutions on GPUs that are described and not there: a deterministic plan for each,
// in every direction and type. Skipped where cuDNN is not; plans are made, not run.
#include "cuda/kernels/elementwise.h"
#include "cuda/lib/parts.h"
#include "unit/check.h"

#include <stdio.h>

// Only a plan that runs would call it.
ls_status ls_cuda_relu(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    (void)type, (void)x, (void)y, (void)n, (void)stream;
    return LS_FAIL(LS_SYSTEM, "no GPU");
}

// As cuDNN itself writes a device down.
#define DEVICE(name, version, processors, shared, threads, blocks, cache, memory)                            \
    "{\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"      \
    "\"smClockRateKHz\":1500000,\"memClockRateKHz\":2600000,\"warpSize\":32,\"maxSharedMemoryPerBlock\":"    \
    "49152,"                                                                                                 \
    "\"reservedSharedMemoryPerBlock\":1024,\"maxRegistersPerSM\":65536,\"pciDeviceId\":0,"                   \
    "\"maxThreadsPerBlock\":1024,\"isTccDriver\":0,\"supportCoopLaunch\":1,\"driverVer\":13000,"             \
    "\"cudaDeviceId\":0,"                                                                                    \
    "\"deviceName\":\"" name "\",\"deviceVer\":" version ",\"multiProcessorCount\":" processors              \
    ",\"maxSharedMemoryPerBlockOptin\":" shared ",\"maxThreadsPerSM\":" threads ",\"maxCtasPerSM\":" blocks  \
    ",\"l2CacheSize\":" cache ",\"totalGlobalMem\":" memory "}"

static const char *const gpus[] = {
    DEVICE("NVIDIA H100 80GB HBM3", "900", "132", "232448", "2048", "32", "52428800", "85000000000"),
    DEVICE("NVIDIA RTX A3000 Laptop GPU", "860", "32", "101376", "1536", "16", "3145728", "6200000000"),
};

static const struct ls_lib_conv convs[] = {
    // n, h, w, c, o, kh, kw, strides, pads, dilations, groups
    {0, 32, 224, 224, 3, 64, 7, 7, 2, 2, 3, 3, 1, 1, 1, LS_F32, false, false}, // resnet50
    {0, 32, 56, 56, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, LS_F32, false, false},
    {0, 32, 56, 56, 128, 128, 3, 3, 2, 2, 1, 1, 1, 1, 1, LS_F32, false, false},
    {0, 32, 56, 56, 256, 512, 1, 1, 2, 2, 0, 0, 1, 1, 1, LS_F32, false, false},
    {0, 32, 7, 7, 512, 512, 3, 3, 1, 1, 1, 1, 1, 1, 1, LS_F32, false, false},
    {0, 8, 28, 28, 1, 6, 5, 5, 1, 1, 2, 2, 1, 1, 1, LS_F32, false, false},     // lenet
    {0, 32, 56, 56, 96, 96, 3, 3, 1, 1, 1, 1, 1, 1, 96, LS_F32, false, false}, // depthwise
    {0, 32, 56, 56, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1, 8, LS_F32, false, false},  // groups
    {0, 32, 56, 56, 64, 64, 3, 3, 1, 1, 2, 2, 2, 2, 1, LS_F32, false, false},  // dilated
};

static void check(struct ls_cudnn_device *device, struct ls_lib_conv conv, bool tf32) {
    struct ls_lib_task *task = NULL;
    const ls_status status = ls_cudnn_conv_make(device, tf32, &conv, &task);
    if (status != LS_OK)
        fail_msg("%s%s, direction %d, %lldx%lld of %lld to %lld: %s", ls_dtype_name(conv.type),
                 tf32 ? " (tf32)" : "", conv.direction, (long long)conv.kh, (long long)conv.kw,
                 (long long)conv.c, (long long)conv.o, ls_error_last()->text);
    task->unmake(task);
}

// Of 16 bits, what follows a convolution, a bias or the copy of a weight gradient, is compiled when the plan
// is made, for which cuDNN needs a driver.
static void check_all(struct ls_cudnn_device *device, struct ls_lib_conv conv, ls_dtype type, bool tf32) {
    conv.type = type;
    for (int direction = 0; direction < (type == LS_F32 ? 3 : 2); direction++) {
        conv.direction = (enum ls_lib_direction)direction;
        check(device, conv, tf32);
    }
    conv.direction = LS_LIB_FORWARD, conv.bias = true;
    if (type == LS_F32) check(device, conv, tf32);
    conv.relu = true;
    if (type == LS_F32) check(device, conv, tf32);
}

static void test_plans(void **state) {
    (void)state;
    for (size_t g = 0; g < sizeof gpus / sizeof *gpus; g++) {
        struct ls_cudnn_device *device = NULL;
        if (ls_cudnn_open_described(gpus[g], &device) != LS_OK) fail_msg("%s", ls_error_last()->text);
        if (!device) skip();
        for (size_t i = 0; i < sizeof convs / sizeof *convs; i++) {
            check_all(device, convs[i], LS_F32, false);
            check_all(device, convs[i], LS_F32, true);
            check_all(device, convs[i], LS_BF16, false);
            check_all(device, convs[i], LS_F16, false);
        }
        ls_cudnn_close(device);
    }
}

// What it cannot do is LS_INPUT, for im2col to take over: with no driver, a weight gradient of 16 bits. A
// mistake of ours is not.
static void test_refusals(void **state) {
    struct ls_cudnn_device *device = NULL;
    struct ls_lib_task *task = NULL;
    struct ls_lib_conv conv = convs[1];
    (void)state;
    if (ls_cudnn_open_described(gpus[0], &device) != LS_OK) fail_msg("%s", ls_error_last()->text);
    if (!device) skip();
    conv.type = LS_BF16, conv.direction = LS_LIB_WEIGHT_GRAD;
    const ls_status status = ls_cudnn_conv_make(device, false, &conv, &task);
    if (status != LS_OK) assert_int_equal(status, LS_INPUT);
    if (status == LS_OK) task->unmake(task);
    task = NULL;
    conv = convs[1];
    conv.pad_h = -1; // no padding of ours
    assert_int_not_equal(ls_cudnn_conv_make(device, false, &conv, &task), LS_OK);
    assert_null(task);
    ls_cudnn_close(device);
    device = NULL;
    assert_int_equal(ls_cudnn_open_described("{}", &device), LS_SYSTEM);
    assert_null(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
