// What the stand-in's tests share. What it does depends on the environment and is seen from the outside, at
// the exit too: each case runs in a process of its own.
#pragma once

#include <cuda_runtime.h>

#include "fake_launch.h"

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern "C" {
#include <cmocka.h>
}

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        const cudaError_t must_error_ = (call);                                                              \
        if (must_error_ != cudaSuccess) {                                                                    \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(must_error_));    \
            _exit(100);                                                                                      \
        }                                                                                                    \
    } while (0)

#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                          \
            _exit(101);                                                                                      \
        }                                                                                                    \
    } while (0)

struct Outcome {
    int status; // 0: good; 99: the stand-in has something to report
    std::string report;
    bool says(const char *text) const {
        return report.find(text) != std::string::npos;
    }
};

// Runs `body` in a process with these settings, "NAME=value".
inline Outcome outcome_of(void (*body)(), const std::vector<const char *> &settings = {}) {
    char path[] = "/tmp/fakecuda test XXXXXX";
    close(mkstemp(path));
    fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        setenv("LS_FAKE_REPORT", path, 1);
        setenv("LS_FAKE_EXIT", "99", 1);
        for (int number : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL}) signal(number, SIG_DFL); // not cmocka's
        for (const char *setting : settings) putenv((char *)setting);
        body();
        exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    Outcome outcome = {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), ""};
    FILE *file = fopen(path, "r");
    char text[4096];
    for (size_t n; (n = fread(text, 1, sizeof text, file)) > 0;) outcome.report.append(text, n);
    fclose(file);
    unlink(path);
    return outcome;
}

inline void must_be_good(void (*body)(), const std::vector<const char *> &settings = {}) {
    const Outcome outcome = outcome_of(body, settings);
    if (outcome.status != 0) fail_msg("ended with %d: %s", outcome.status, outcome.report.c_str());
}

inline void must_report(const char *text, void (*body)(), const std::vector<const char *> &settings = {}) {
    const Outcome outcome = outcome_of(body, settings);
    if (outcome.status != 99 || !outcome.says(text))
        fail_msg("ended with %d, and does not say \"%s\": %s", outcome.status, text, outcome.report.c_str());
}

inline cudaStream_t new_stream() {
    cudaStream_t stream;
    MUST(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

inline cudaEvent_t new_event() {
    cudaEvent_t event;
    MUST(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

template <typename T> T *new_device(size_t n) {
    void *memory;
    MUST(cudaMalloc(&memory, n * sizeof(T)));
    return (T *)memory;
}

template <typename T> T *new_pinned(size_t n) {
    void *memory;
    MUST(cudaMallocHost(&memory, n * sizeof(T)));
    return (T *)memory;
}
