// From LS_LAUNCH to a task, and the same for work that the stand-in's libraries enqueue.
#include "enqueue.h"
#include "fake.h"
#include "fake_launch.h"

namespace fake {

namespace {

bool is_configuration(dim3 grid, dim3 block) {
    if (block.x < 1 || block.y < 1 || block.z < 1 || grid.x < 1 || grid.y < 1 || grid.z < 1) return false;
    if (block.x > 1024 || block.y > 1024 || block.z > 64) return false;
    if ((uint64_t)block.x * block.y * block.z > 1024) return false;
    return grid.x <= 0x7fffffffu && grid.y <= 0xffff && grid.z <= 0xffff;
}

} // namespace

void launch(const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared_bytes,
            cudaStream_t stream, std::function<void()> thread) {
    call("launch", [&](Guard &) {
        if (const cudaError_t error = injected((std::string("launch ") + name).c_str()); error != cudaSuccess)
            return error;
        if (!is_configuration(grid, block)) return cudaErrorInvalidConfiguration;
        if (shared_bytes > 48 << 10) return cudaErrorInvalidValue;
        const std::string text = name;
        const auto run = [text, kernel, grid, block, thread = std::move(thread)] {
            if (const cudaError_t error = injected("kernel"); error != cudaSuccess) return error;
            return run_kernel(text, kernel, grid, block, thread);
        };
        return submit(stream, {"kernel " + text, run});
    });
}

} // namespace fake

using namespace fake;

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *kernel) {
    return call("cudaFuncGetAttributes", [&](Guard &) {
        if (!kernel) return cudaErrorInvalidDeviceFunction;
        *attributes = {1024};
        return cudaSuccess;
    });
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value) {
    return call("cudaFuncSetAttribute", [&](Guard &) {
        if (!kernel || value < 0) return cudaErrorInvalidValue;
        const bool too_much = attribute == cudaFuncAttributeMaxDynamicSharedMemorySize && value > 96 << 10;
        return too_much ? cudaErrorInvalidValue : cudaSuccess;
    });
}

cudaError_t ls_fake_enqueue(cudaStream_t stream, const char *name, void (*run)(const void *argument),
                            const void *argument, size_t bytes) {
    return call(name, [&](Guard &) {
        const auto copy =
            std::make_shared<std::vector<char>>((const char *)argument, (const char *)argument + bytes);
        const auto task = [run, copy] {
            run(copy->data());
            return cudaSuccess;
        };
        return submit(stream, {name, task});
    });
}

cudaError_t ls_fake_injected(const char *name) {
    Guard guard(lock());
    return injected(name);
}
