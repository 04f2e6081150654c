// LS_LAUNCH on the stand-in: the kernel becomes a task of the stream, with a copy of its arguments.
#pragma once

#include <cuda_runtime.h>

#include <functional>
#include <tuple>

namespace fake {

// Checks the configuration as CUDA does; an error is for cudaGetLastError.
__attribute__((visibility("hidden"))) void launch(const char *name, const void *kernel, dim3 grid, dim3 block,
                                                  size_t shared_bytes, cudaStream_t stream,
                                                  std::function<void()> thread);

template <typename... Parameters, typename... Arguments>
void launch_kernel(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
                   size_t shared_bytes, cudaStream_t stream, Arguments &&...arguments) {
    std::tuple<Parameters...> copies(static_cast<Arguments &&>(arguments)...);
    launch(name, (const void *)kernel, grid, block, shared_bytes, stream,
           [kernel, copies] { std::apply(kernel, copies); });
}

} // namespace fake

#define LS_LAUNCH(kernel, grid, block, stream, ...)                                                          \
    ::fake::launch_kernel(#kernel, (kernel), (grid), (block), 0, (stream), ##__VA_ARGS__)
