// What all functions have in common: one lock, errors that stay, injected errors, the thread's last error.
#include "fake.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>

namespace fake {

thread_local bool in_host_function = false;

namespace {

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t context = cudaSuccess;

struct Injection {
    std::string name;
    unsigned long when; // the how manieth call, from 1 on
    std::string error;  // "": what the function fails with most
};

cudaError_t error_named(const std::string &text) {
#define LS_FAKE_ERROR(name, value, words)                                                                    \
    if (text == #name || text == #value) return name;
    LS_FAKE_ERRORS(LS_FAKE_ERROR)
#undef LS_FAKE_ERROR
    mistake("LS_FAKE_FAIL: no error is called %s", text.c_str());
    return cudaErrorUnknown;
}

// LS_FAKE_FAIL=name:n[:error],…
std::vector<Injection> read_injections() {
    std::vector<Injection> injections;
    std::istringstream list(setting("LS_FAKE_FAIL", ""));
    for (std::string item; std::getline(list, item, ',');) {
        std::istringstream parts(item);
        std::string name, when, error;
        std::getline(parts, name, ':');
        std::getline(parts, when, ':');
        std::getline(parts, error, ':');
        if (!error.empty() && name.rfind("nccl", 0) != 0) error_named(error); // says so if it is none
        injections.push_back({name, when.empty() ? 1 : std::strtoul(when.c_str(), nullptr, 10), error});
    }
    return injections;
}

bool stays(cudaError_t error) {
    return error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure ||
           error == cudaErrorECCUncorrectable;
}

} // namespace

std::mutex &lock() {
    static auto *mutex = new std::mutex; // outlives everything
    return *mutex;
}

std::condition_variable &changed() {
    static auto *condition = new std::condition_variable;
    return *condition;
}

const std::string *injection(const char *name) {
    static const std::vector<Injection> injections = read_injections();
    if (injections.empty()) return nullptr;
    static std::map<std::string, unsigned long> calls;
    const unsigned long count = ++calls[name];
    for (const Injection &injection : injections)
        if (injection.name == name && injection.when == count) return &injection.error;
    return nullptr;
}

cudaError_t injected(const char *name) {
    const std::string *text = injection(name);
    if (!text) return cudaSuccess;
    const std::string call = name;
    const bool allocates = call == "cudaMalloc" || call == "cudaMallocHost" || call == "cudaHostAlloc";
    const cudaError_t error = !text->empty() ? error_named(*text)
                              : allocates    ? cudaErrorMemoryAllocation
                                             : cudaErrorUnknown;
    if (stays(error)) poison_context(error);
    return error;
}

cudaError_t admit(const char *name) {
    if (in_host_function) {
        mistake("%s is called in a host function of a stream", name);
        return cudaErrorNotPermitted;
    }
    if (const cudaError_t error = driver_error(); error != cudaSuccess) return error;
    if (const cudaError_t error = injected(name); error != cudaSuccess) return error;
    return context;
}

void poison_context(cudaError_t error) {
    if (context == cudaSuccess) context = error;
    changed().notify_all();
}

cudaError_t context_error() {
    return context;
}

cudaError_t noted(cudaError_t error) {
    if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
    return error;
}

} // namespace fake

using namespace fake;

cudaError_t cudaGetLastError() {
    const cudaError_t error = cudaPeekAtLastError();
    last_error = cudaSuccess;
    return error;
}

cudaError_t cudaPeekAtLastError() {
    Guard guard(lock());
    return context != cudaSuccess ? context : last_error;
}

const char *cudaGetErrorName(cudaError_t error) {
    switch (error) {
#define LS_FAKE_ERROR(name, value, words)                                                                    \
    case name: return #name;
        LS_FAKE_ERRORS(LS_FAKE_ERROR)
#undef LS_FAKE_ERROR
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
    switch (error) {
#define LS_FAKE_ERROR(name, value, words)                                                                    \
    case name: return words;
        LS_FAKE_ERRORS(LS_FAKE_ERROR)
#undef LS_FAKE_ERROR
    }
    return "unrecognized error code";
}
