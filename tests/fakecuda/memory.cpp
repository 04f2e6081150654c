// Memory of devices and pinned memory of the host. Each allocation is a mapping of its own, with a page that
// faults before and after it; what is left of its pages is filled with a pattern, which is checked. Fresh
// memory is NaN of every type. Freed memory faults, until its addresses are needed again.
#include "fake.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

namespace fake {

namespace {

constexpr size_t ALIGNMENT = 256;    // of what cudaMalloc returns
constexpr uint16_t PATTERN = 0xffb5; // a NaN as bf16, f16, f32 and f64
constexpr size_t FREED_KEPT = 512;

struct Allocation {
    char *pages; // readable ones; a page more on either side faults
    size_t pages_bytes;
    char *user;
    size_t bytes;
    int device; // -1: host
};

using Allocations = std::map<uintptr_t, Allocation>; // by the address of the first byte that is the user's

auto &live = *new Allocations;
auto &freed = *new std::deque<Allocation>;
size_t used[64];

size_t page_bytes() {
    static const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    return bytes;
}

size_t round_up(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

bool contains(const Allocation &allocation, const void *memory) {
    const char *address = (const char *)memory;
    return address >= allocation.user && address < allocation.user + allocation.bytes;
}

const Allocation *find(const void *memory) {
    auto after = live.upper_bound((uintptr_t)memory);
    if (after == live.begin()) return nullptr;
    const Allocation &allocation = std::prev(after)->second;
    return contains(allocation, memory) ? &allocation : nullptr;
}

const Allocation *find_freed(const void *memory) {
    for (const Allocation &allocation : freed)
        if (contains(allocation, memory)) return &allocation;
    return nullptr;
}

const char *kind_of(const Allocation &allocation) {
    return allocation.device < 0 ? "pinned" : "device";
}

void fill(char *begin, const char *end) {
    for (; begin + 1 < end; begin += 2) memcpy(begin, &PATTERN, 2);
}

// Where the pattern was overwritten; NULL: nowhere.
const char *overwritten(const char *begin, const char *end) {
    for (; begin + 1 < end; begin += 2)
        if (memcmp(begin, &PATTERN, 2) != 0) return begin;
    return nullptr;
}

const char *back_guard(const Allocation &allocation) { // an odd last byte stays out of it
    return allocation.user + round_up(allocation.bytes, 2);
}

void check(const Allocation &allocation) {
    const char *pages_end = allocation.pages + allocation.pages_bytes;
    const char *before = overwritten(allocation.pages, allocation.user);
    const char *after = overwritten(back_guard(allocation), pages_end);
    if (before)
        mistake("%zu bytes before %s memory of %zu bytes were overwritten",
                (size_t)(allocation.user - before), kind_of(allocation), allocation.bytes);
    if (after)
        mistake("byte %zu of %s memory of %zu bytes was written", (size_t)(after - allocation.user),
                kind_of(allocation), allocation.bytes);
    if (!before && !after) return;
    fill(allocation.pages, allocation.user); // said once
    fill((char *)back_guard(allocation), pages_end);
}

void unmap(const Allocation &allocation) {
    munmap(allocation.pages - page_bytes(), allocation.pages_bytes + 2 * page_bytes());
}

void report_leaks() {
    for (const auto &[address, allocation] : live)
        mistake("leak: %s memory of %zu bytes", kind_of(allocation), allocation.bytes);
}

cudaError_t allocate(void **memory, size_t bytes, int device) {
    static bool first = true;
    if (first) at_exit(report_leaks);
    first = false;
    *memory = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (device >= 0 && bytes > device_memory() - used[device]) return cudaErrorMemoryAllocation;
    Allocation allocation;
    allocation.pages_bytes = round_up(round_up(bytes, ALIGNMENT), page_bytes());
    char *mapping = (char *)mmap(nullptr, allocation.pages_bytes + 2 * page_bytes(), PROT_NONE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) return cudaErrorMemoryAllocation;
    allocation.pages = mapping + page_bytes();
    mprotect(allocation.pages, allocation.pages_bytes, PROT_READ | PROT_WRITE);
    allocation.user = allocation.pages + allocation.pages_bytes - round_up(bytes, ALIGNMENT);
    allocation.bytes = bytes;
    allocation.device = device;
    fill(allocation.pages, allocation.user);
    memset(allocation.user, 0xff, round_up(bytes, 2));
    fill((char *)back_guard(allocation), allocation.pages + allocation.pages_bytes);
    live.emplace((uintptr_t)allocation.user, allocation);
    if (device >= 0) used[device] += round_up(bytes, ALIGNMENT);
    *memory = allocation.user;
    return cudaSuccess;
}

cudaError_t release(void *memory, bool host) { // after a drain, which checks the guards
    const auto place = live.find((uintptr_t)memory);
    if (place == live.end() || (place->second.device < 0) != host) {
        mistake("%s memory is freed that is %s", host ? "pinned" : "device", describe(memory).c_str());
        return cudaErrorInvalidValue;
    }
    const Allocation allocation = place->second;
    live.erase(place);
    if (!host) used[allocation.device] -= round_up(allocation.bytes, ALIGNMENT);
    mmap(allocation.pages, allocation.pages_bytes, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    freed.push_back(allocation);
    if (freed.size() > FREED_KEPT) {
        unmap(freed.front());
        freed.pop_front();
    }
    return cudaSuccess;
}

// How the bytes are to be had: where all of them lie in one allocation, or in memory that is not ours.
enum class Where { device, pinned, pageable, wrong };

Where locate(const void *memory, size_t bytes, const char *what) {
    const Allocation *allocation = find(memory);
    if (!allocation) {
        const Allocation *late = find_freed(memory);
        if (late) mistake("%s: %zu bytes at %s", what, bytes, describe(memory).c_str());
        return late ? Where::wrong : Where::pageable;
    }
    if (bytes > allocation->bytes - (size_t)((const char *)memory - allocation->user)) {
        mistake("%s: %zu bytes at %s", what, bytes, describe(memory).c_str());
        return Where::wrong;
    }
    return allocation->device < 0 ? Where::pinned : Where::device;
}

bool is_kind(enum cudaMemcpyKind kind, Where to, Where from) {
    switch (kind) {
    case cudaMemcpyHostToHost: return to != Where::device && from != Where::device;
    case cudaMemcpyHostToDevice: return to == Where::device && from != Where::device;
    case cudaMemcpyDeviceToHost: return to != Where::device && from == Where::device;
    case cudaMemcpyDeviceToDevice: return to == Where::device && from == Where::device;
    case cudaMemcpyDefault: return true;
    }
    return false;
}

cudaError_t check_copy(const void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                       Where *to_where, Where *from_where) {
    *to_where = locate(to, bytes, "a copy writes");
    *from_where = locate(from, bytes, "a copy reads");
    if (*to_where == Where::wrong || *from_where == Where::wrong) return cudaErrorInvalidValue;
    return is_kind(kind, *to_where, *from_where) ? cudaSuccess : cudaErrorInvalidMemcpyDirection;
}

Body copy_body(void *to, const void *from, size_t bytes) {
    return {"copy", [=] {
                Where to_where, from_where; // it may have been freed since
                const cudaError_t error =
                    check_copy(to, from, bytes, cudaMemcpyDefault, &to_where, &from_where);
                if (error != cudaSuccess) return cudaErrorIllegalAddress;
                memmove(to, from, bytes);
                return cudaSuccess;
            }};
}

} // namespace

bool is_device_memory(const void *memory, size_t bytes, const char *what) {
    const Where where = locate(memory, bytes, what);
    if (where == Where::pinned || where == Where::pageable)
        mistake("%s: %s, not device memory", what, describe(memory).c_str());
    return where == Where::device;
}

std::string describe(const void *memory) {
    char text[160];
    const Allocation *allocation = find(memory), *late = allocation ? nullptr : find_freed(memory);
    if (allocation || late) {
        const Allocation &known = allocation ? *allocation : *late;
        snprintf(text, sizeof text, "byte %zu of %s memory of %zu bytes%s",
                 (size_t)((const char *)memory - known.user), kind_of(known), known.bytes,
                 late ? ", which was freed" : "");
    } else {
        snprintf(text, sizeof text, "%p, which is no memory of CUDA", memory);
    }
    return text;
}

void check_guards() {
    open_device_memory(true);
    for (const auto &[address, allocation] : live) check(allocation);
    open_device_memory(false);
}

void open_device_memory(bool open) {
    static const bool protect = setting_number("LS_FAKE_PROTECT", 0) != 0;
    static int openings = 0;
    if (!protect) return;
    openings += open ? 1 : -1;
    if (openings != (open ? 1 : 0)) return;
    for (const auto &[address, allocation] : live)
        if (allocation.device >= 0)
            mprotect(allocation.pages, allocation.pages_bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

} // namespace fake

using namespace fake;

cudaError_t cudaMemGetInfo(size_t *available, size_t *total) {
    return call("cudaMemGetInfo", [&](Guard &) {
        *total = device_memory();
        *available = *total - used[current_device()];
        return cudaSuccess;
    });
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
    return call("cudaMalloc", [&](Guard &) {
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        const cudaError_t error = allocate(memory, bytes, current_device());
        open_device_memory(true); // closes the new one
        open_device_memory(false);
        return error;
    });
}

// Waits for the device, as the real one does.
cudaError_t cudaFree(void *memory) {
    return call("cudaFree", [&](Guard &guard) {
        if (!memory) return cudaSuccess;
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        drain(guard);
        return release(memory, false);
    });
}

cudaError_t cudaMallocHost(void **memory, size_t bytes) {
    return call("cudaMallocHost", [&](Guard &) {
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        return allocate(memory, bytes, -1);
    });
}

cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) {
    return call("cudaHostAlloc", [&](Guard &) {
        if (flags & ~7u) return cudaErrorInvalidValue;
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        return allocate(memory, bytes, -1);
    });
}

cudaError_t cudaFreeHost(void *memory) {
    return call("cudaFreeHost", [&](Guard &guard) {
        if (!memory) return cudaSuccess;
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        drain(guard);
        return release(memory, true);
    });
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *memory) {
    return call("cudaPointerGetAttributes", [&](Guard &) {
        const Allocation *allocation = find(memory);
        *attributes = {};
        attributes->device = -1;
        if (!allocation) return cudaSuccess;
        attributes->type = allocation->device < 0 ? cudaMemoryTypeHost : cudaMemoryTypeDevice;
        attributes->device = allocation->device < 0 ? current_device() : allocation->device;
        attributes->devicePointer = (void *)memory;
        if (allocation->device < 0) attributes->hostPointer = (void *)memory;
        return cudaSuccess;
    });
}

// On the default stream, which waits for no stream that is created non-blocking: whoever needs that,
// synchronizes.
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
    return call("cudaMemcpy", [&](Guard &) {
        if (bytes == 0) return cudaSuccess;
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        Where to_where, from_where;
        const cudaError_t error = check_copy(to, from, bytes, kind, &to_where, &from_where);
        if (error != cudaSuccess) return error;
        open_device_memory(true);
        memmove(to, from, bytes);
        open_device_memory(false);
        return cudaSuccess;
    });
}

// Pageable memory is read when this is called; into pageable memory, it returns when the copy is made.
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream) {
    return call("cudaMemcpyAsync", [&](Guard &guard) {
        Stream *on = stream_of(stream);
        if (!on) return cudaErrorInvalidResourceHandle;
        if (bytes == 0) return cudaSuccess;
        Where to_where, from_where;
        cudaError_t error = check_copy(to, from, bytes, kind, &to_where, &from_where);
        if (error != cudaSuccess) return error;
        const bool pageable = to_where == Where::pageable || from_where == Where::pageable;
        if (pageable && on->capture) {
            mistake("a copy of pageable memory is captured");
            invalidate(on);
            return cudaErrorStreamCaptureUnsupported;
        }
        if (from_where != Where::pageable) {
            error = submit(stream, copy_body(to, from, bytes));
        } else {
            const auto staged =
                std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
            const auto run = [=] { return copy_body(to, staged->data(), bytes).run(); };
            error = submit(stream, {"copy", run});
        }
        if (error != cudaSuccess || to_where != Where::pageable) return error;
        return run_until(guard, [&] { return on->idle(); });
    });
}

cudaError_t cudaMemset(void *memory, int value, size_t bytes) {
    return call("cudaMemset", [&](Guard &) {
        if (bytes == 0) return cudaSuccess;
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        const Where where = locate(memory, bytes, "cudaMemset writes");
        if (where != Where::device && where != Where::pinned) return cudaErrorInvalidValue;
        open_device_memory(true);
        memset(memory, value, bytes);
        open_device_memory(false);
        return cudaSuccess;
    });
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream) {
    return call("cudaMemsetAsync", [&](Guard &) {
        if (!stream_of(stream)) return cudaErrorInvalidResourceHandle;
        if (bytes == 0) return cudaSuccess;
        const Where where = locate(memory, bytes, "cudaMemsetAsync writes");
        if (where != Where::device && where != Where::pinned) return cudaErrorInvalidValue;
        const auto run = [=] {
            if (locate(memory, bytes, "cudaMemsetAsync writes") == Where::wrong)
                return cudaErrorIllegalAddress;
            memset(memory, value, bytes);
            return cudaSuccess;
        };
        return submit(stream, {"memset", run});
    });
}
