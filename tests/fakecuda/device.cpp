// The GPUs that there seem to be: LS_FAKE_GPUS of them, each with LS_FAKE_MEMORY bytes.
#include "fake.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fake {

namespace {
thread_local int device = 0;
unsigned device_flags = cudaDeviceScheduleAuto;

bool is_device(int number) {
    return number >= 0 && number < device_count();
}

} // namespace

int device_count() {
    return (int)setting_number("LS_FAKE_GPUS", 1);
}

int current_device() {
    return device;
}

size_t device_memory() {
    const char *text = setting("LS_FAKE_MEMORY", "2G");
    char *unit;
    const unsigned long long number = strtoull(text, &unit, 10);
    switch (*unit) {
    case 'K': return number << 10;
    case 'M': return number << 20;
    case 'G': return number << 30;
    default: return number;
    }
}

bool waits_sleep() {
    return device_flags == cudaDeviceScheduleBlockingSync;
}

cudaError_t driver_error() {
    if (setting_number("LS_FAKE_NO_DRIVER", 0)) return cudaErrorInsufficientDriver;
    return device_count() <= 0 ? cudaErrorNoDevice : cudaSuccess;
}

} // namespace fake

using namespace fake;

cudaError_t cudaRuntimeGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

// As the real one: no driver is version 0, and no error.
cudaError_t cudaDriverGetVersion(int *version) {
    *version = setting_number("LS_FAKE_NO_DRIVER", 0) ? 0 : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 0;
    return call("cudaGetDeviceCount", [&](Guard &) {
        *count = device_count();
        return cudaSuccess;
    });
}

cudaError_t cudaGetDevice(int *number) {
    return call("cudaGetDevice", [&](Guard &) {
        *number = device;
        return cudaSuccess;
    });
}

cudaError_t cudaSetDevice(int number) {
    return call("cudaSetDevice", [&](Guard &) {
        if (!is_device(number)) return cudaErrorInvalidDevice;
        device = number;
        return cudaSuccess;
    });
}

// For all devices.
cudaError_t cudaSetDeviceFlags(unsigned flags) {
    return call("cudaSetDeviceFlags", [&](Guard &) {
        if (flags != cudaDeviceScheduleAuto && flags != cudaDeviceScheduleSpin &&
            flags != cudaDeviceScheduleYield && flags != cudaDeviceScheduleBlockingSync)
            return cudaErrorInvalidValue;
        device_flags = flags;
        return cudaSuccess;
    });
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int number) {
    return call("cudaGetDeviceProperties", [&](Guard &) {
        if (!is_device(number)) return cudaErrorInvalidDevice;
        *properties = {};
        snprintf(properties->name, sizeof properties->name, "%s", setting("LS_FAKE_NAME", "Stand-in GPU"));
        memcpy(properties->uuid.bytes, "lockstep fake\0\0", sizeof properties->uuid.bytes);
        properties->uuid.bytes[13] = (char)setting_number("LS_FAKE_HOST", 0); // hosts differ in their UUIDs
        properties->uuid.bytes[15] = (char)number;
        properties->totalGlobalMem = device_memory();
        properties->sharedMemPerBlock = 48 << 10;
        properties->warpSize = 32;
        properties->maxThreadsPerBlock = 1024;
        properties->major = 8;
        properties->multiProcessorCount = 4;
        properties->pciBusID = number + 1;
        properties->l2CacheSize = 4 << 20;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int number) {
    return call("cudaDeviceGetAttribute", [&](Guard &) {
        if (!is_device(number)) return cudaErrorInvalidDevice;
        switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = 48 << 10; break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrClockRate: *value = 1000000; break;
        case cudaDevAttrMultiProcessorCount: *value = 4; break;
        case cudaDevAttrIntegrated: *value = 0; break;
        case cudaDevAttrComputeMode: *value = 0; break;
        case cudaDevAttrPciBusId: *value = number + 1; break;
        case cudaDevAttrPciDeviceId: *value = 0; break;
        case cudaDevAttrPciDomainId: *value = 0; break;
        case cudaDevAttrL2CacheSize: *value = 4 << 20; break;
        case cudaDevAttrUnifiedAddressing: *value = 1; break;
        case cudaDevAttrComputeCapabilityMajor: *value = 8; break;
        case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
        default: return cudaErrorInvalidValue;
        }
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int bytes, int number) {
    return call("cudaDeviceGetPCIBusId", [&](Guard &) {
        if (!is_device(number)) return cudaErrorInvalidDevice;
        const int length = snprintf(text, bytes, "0000:%02x:00.0", number + 1);
        return length < bytes ? cudaSuccess : cudaErrorInvalidValue;
    });
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int number, int peer) {
    return call("cudaDeviceCanAccessPeer", [&](Guard &) {
        if (!is_device(number) || !is_device(peer)) return cudaErrorInvalidDevice;
        *can = number != peer;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
    return call("cudaDeviceEnablePeerAccess", [&](Guard &) {
        if (flags != 0) return cudaErrorInvalidValue;
        return is_device(peer) && peer != device ? cudaSuccess : cudaErrorInvalidDevice;
    });
}

cudaError_t cudaDeviceGetP2PAttribute(int *value, enum cudaDeviceP2PAttr attribute, int number, int peer) {
    return call("cudaDeviceGetP2PAttribute", [&](Guard &) {
        if (!is_device(number) || !is_device(peer) || number == peer) return cudaErrorInvalidDevice;
        *value = attribute != cudaDevP2PAttrPerformanceRank;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    return call("cudaDeviceGetStreamPriorityRange", [&](Guard &) {
        *least = 0;
        *greatest = -5;
        return cudaSuccess;
    });
}

cudaError_t cudaDeviceSynchronize() {
    return call("cudaDeviceSynchronize", [](Guard &guard) {
        if (const cudaError_t error = forbid_in_capture(); error != cudaSuccess) return error;
        count_host_wait(waits_sleep());
        return drain(guard);
    });
}
