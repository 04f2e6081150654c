// The stand-in's runtime, for those who add work to its streams: the parts of CUDA, NCCL, and the library of
// products and convolutions. Everything here is in the hands of one lock, which `call` takes.
#pragma once

#include <cuda_runtime.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#pragma GCC visibility push(hidden)

namespace fake {

using Guard = std::unique_lock<std::mutex>;

// ---- work ----
// What a task or a node of a graph does. A graph runs it many times.
struct Body {
    std::string name; // "kernel norm<float>", "copy"
    std::function<cudaError_t()> run;
    bool host = false; // a host function: runs on a thread of its own, and may not call CUDA
};

struct Stream;

// The work at the head of a stream goes on by steps, so that other streams' work comes in between.
struct Task {
    virtual ~Task() = default;
    virtual bool ready() { // may a step be made now? Never waits
        return true;
    }
    virtual bool outside() const { // does it wait for another process?
        return false;
    }
    virtual bool step() = 0; // one step; true where that was the last
    uint64_t number = 0;     // order of enqueueing
};

struct Capture; // graph.cpp

struct Stream {
    int number; // order of creation
    int device;
    bool blocking; // with regard to the legacy default stream
    bool destroyed = false;
    bool busy = false; // a host function of it runs
    std::deque<std::unique_ptr<Task>> tasks;
    std::shared_ptr<Capture> capture; // it is being captured
    bool idle() const {
        return tasks.empty() && !busy;
    }
};

// The last cudaEventRecord of an event: what waits, waits for this one, whatever is recorded later.
struct Record {
    bool done = false;
};

struct Event {
    int number;          // order of creation
    bool timing, sleeps; // sleeps: who waits for it does
    std::shared_ptr<Record> last;
    std::weak_ptr<Capture> capture; // its last record was captured, after those nodes
    std::vector<size_t> nodes;
};

// ---- scheduler.cpp ----
void enqueue(Stream *stream, std::unique_ptr<Task> task);
// Runs tasks, of any stream, until `finished` or an error that stays; that error.
cudaError_t run_until(Guard &guard, const std::function<bool()> &finished);
void run_some();  // one step, if there is one
void run_ahead(); // at the end of a call: what the schedule does not put off
void run_body(Stream *stream, const Body &body);
uint64_t random_number(); // of the schedule's seed

// ---- host.cpp ----
// The thread of host functions runs it; the stream is busy until then.
void run_on_host(Stream *stream, std::function<cudaError_t()> function);

// ---- streams.cpp ----
Stream *stream_of(cudaStream_t stream); // NULL: not one of ours, or the default stream
// Adds work to the stream, or to the graph that it is captured into.
cudaError_t submit(cudaStream_t stream, Body body);
cudaError_t drain(Guard &guard); // runs everything
std::vector<std::unique_ptr<Stream>> &streams();
void count_host_wait(bool sleeps); // or spins

// ---- graph.cpp ----
cudaError_t capture_body(Stream *stream, Body body);
cudaError_t capture_record(Stream *stream, Event *event);
cudaError_t capture_wait(Stream *stream, Event *event); // joins the event's capture
void invalidate(Stream *stream);
// cudaErrorStreamCaptureUnsupported where a capture that minds is going on; it is invalid then.
cudaError_t forbid_in_capture();

// ---- memory.cpp ----
// Is all of it device memory, in one allocation? If not, that is a mistake, in which `what` is named.
bool is_device_memory(const void *memory, size_t bytes, const char *what);
void check_guards();
void open_device_memory(bool open); // LS_FAKE_PROTECT: the host may not touch it while no kernel runs
std::string describe(const void *memory);

// ---- device.cpp ----
int device_count();
int current_device();
size_t device_memory();
cudaError_t driver_error(); // no driver, no device
bool waits_sleep();         // as the device's flags say

// ---- calls.cpp ----
// An error that stays: all later calls return it.
void poison_context(cudaError_t error);
cudaError_t context_error();
cudaError_t noted(cudaError_t error); // becomes the thread's last error
// The injected error of this call (LS_FAKE_FAIL), or what forbids every call.
cudaError_t admit(const char *name);
cudaError_t injected(const char *name);
const std::string *injection(const char *name); // the same, as text: NULL, or the error's name or ""
std::mutex &lock();
std::condition_variable &changed();
extern thread_local bool in_host_function;

// Every function of CUDA: its name is counted, and its body runs under the lock.
template <typename F> cudaError_t call(const char *name, F body) {
    Guard guard(lock());
    cudaError_t error = admit(name);
    if (error == cudaSuccess) {
        error = body(guard);
        run_ahead();
    }
    return noted(error);
}

// ---- report.cpp ----
// A mistake of the program: goes to stderr and to $LS_FAKE_REPORT, and shows in the exit status where
// LS_FAKE_EXIT is set.
void mistake(const char *format, ...) __attribute__((format(printf, 1, 2)));
void remark(const char *format, ...) __attribute__((format(printf, 1, 2))); // to $LS_FAKE_REPORT alone
void at_exit(void (*check)());
unsigned mistakes();

// ---- threads.cpp ----
// Runs all blocks of a kernel; cudaErrorLaunchFailure where it broke a rule, cudaErrorIllegalAddress after a
// fault.
cudaError_t run_kernel(const std::string &name, const void *kernel, dim3 grid, dim3 block,
                       const std::function<void()> &thread);

const char *setting(const char *name, const char *otherwise); // environment
long setting_number(const char *name, long otherwise);

} // namespace fake

#pragma GCC visibility pop
