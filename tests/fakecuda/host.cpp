// Host functions run one at a time, on a thread of their own: those of different streams must not wait for
// each other, and none for a thread that waits for the device.
#include "fake.h"

#include <thread>

namespace fake {

namespace {

struct Job {
    Stream *stream;
    std::function<cudaError_t()> function;
};

// All that the lock guards. Never destroyed: the thread may outlive everything.
auto &jobs = *new std::deque<Job>;
auto &more = *new std::condition_variable;
std::thread *thread;
bool running, ends;

void run_jobs() {
    in_host_function = true;
    Guard guard(lock());
    for (;;) {
        more.wait(guard, [] { return ends || !jobs.empty(); });
        if (ends) return;
        const Job job = std::move(jobs.front());
        jobs.pop_front();
        running = true;
        guard.unlock();
        const cudaError_t error = job.function();
        guard.lock();
        running = false;
        job.stream->busy = false;
        if (error != cudaSuccess) poison_context(error);
        changed().notify_all();
    }
}

void end_thread() { // unless a function hangs
    {
        Guard guard(lock());
        ends = true;
        more.notify_all();
        if (running) return;
    }
    thread->join();
}

} // namespace

void run_on_host(Stream *stream, std::function<cudaError_t()> function) {
    if (!thread) {
        thread = new std::thread(run_jobs);
        at_exit(end_thread);
    }
    stream->busy = true;
    jobs.push_back({stream, std::move(function)});
    more.notify_all();
}

} // namespace fake
