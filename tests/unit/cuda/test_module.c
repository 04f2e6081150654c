// The CUDA module opens without a GPU, a driver, or any of NVIDIA's libraries, and says what it found.
#include "cuda/cuda.h"
#include "unit/check.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const struct ls_cuda_module *open_module(void) {
    void *library = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
    if (!library) fail_msg("%s", dlerror());
    const struct ls_cuda_module *(*entry)(void) = NULL;
    *(void **)&entry = dlsym(library, LS_CUDA_ENTRY);
    assert_non_null(entry);
    return entry();
}

static void test_entry(void **state) {
    (void)state;
    const struct ls_cuda_module *module = open_module();
    assert_int_equal(module->abi, LS_CUDA_ABI);
    assert_string_equal(module->name, "cuda");
}

static void test_gpus_or_the_reason(void **state) {
    (void)state;
    static struct ls_cuda_gpu gpus[LS_CUDA_MAX_GPUS];
    char why[256] = "not written";
    int n = -1;
    open_module()->gpus(gpus, &n, why);
    assert_in_range(n, 0, LS_CUDA_MAX_GPUS);
    if (n == 0) assert_true(strlen(why) > 10 && strcmp(why, "not written") != 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(gpus[i].index, i);
        assert_true(gpus[i].name[0] && gpus[i].memory > 0 && gpus[i].multiprocessors > 0);
        assert_int_equal(strlen(gpus[i].uuid), strlen("GPU-00000000-0000-0000-0000-000000000000"));
    }
    printf("%d GPUs%s%s\n", n, n == 0 ? ": " : "", why);
}

static void test_libraries(void **state) {
    (void)state;
    struct ls_cuda_libraries found;
    open_module()->libraries(&found);
    assert_true(found.runtime[0]);
    const char *names[] = {"cuBLASLt", "cuDNN", "NCCL"},
               *versions[] = {found.cublas, found.cudnn, found.nccl};
    for (int i = 0; i < 3; i++) // each is there, or named as missing
        assert_true((versions[i][0] != 0) != (strstr(found.missing, names[i]) != NULL));
    printf("runtime %s, driver %s, cuBLAS %s, cuDNN %s, NCCL %s; missing: %s\n", found.runtime, found.driver,
           found.cublas, found.cudnn, found.nccl, found.missing);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_gpus_or_the_reason),
        cmocka_unit_test(test_libraries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
