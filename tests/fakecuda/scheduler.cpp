// Streams run only when a thread of the program waits for them or asks about them: that thread then makes
// steps, of any stream whose head may go on, in the order that LS_FAKE_SCHEDULE says:
//   seed:N    at random, and now and then some steps as soon as something is enqueued (the default: seed:1)
//   fifo      as enqueued
//   eager     as enqueued, each as soon as it can
//   starve:K  as enqueued, but the K-th stream, from 0 on, only when no other can go on
#include "fake.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace fake {

namespace {

enum class Order { seed, fifo, eager, starve };

struct Schedule {
    Order order = Order::seed;
    unsigned long number = 1;
};

Schedule read_schedule() {
    const std::string text = setting("LS_FAKE_SCHEDULE", "seed:1");
    const std::string kind = text.substr(0, text.find(':'));
    Schedule schedule;
    if (text.find(':') != std::string::npos)
        schedule.number = std::strtoul(text.c_str() + text.find(':') + 1, nullptr, 10);
    if (kind == "fifo")
        schedule.order = Order::fifo;
    else if (kind == "eager")
        schedule.order = Order::eager;
    else if (kind == "starve")
        schedule.order = Order::starve;
    else if (kind != "seed")
        mistake("LS_FAKE_SCHEDULE: %s is not seed:N, fifo, eager or starve:K", text.c_str());
    return schedule;
}

const Schedule &schedule() {
    static const Schedule read = read_schedule();
    return read;
}

bool can_go_on(const Stream &stream) {
    return !stream.busy && !stream.tasks.empty() && stream.tasks.front()->ready();
}

bool comes_before(const Stream &a, const Stream &b) {
    if (schedule().order == Order::starve) {
        const bool a_starves = (unsigned long)a.number == schedule().number;
        const bool b_starves = (unsigned long)b.number == schedule().number;
        if (a_starves != b_starves) return b_starves;
    }
    return a.tasks.front()->number < b.tasks.front()->number;
}

bool host_function_began;

Stream *choose() {
    Stream *chosen = nullptr;
    unsigned candidates = 0;
    for (const auto &stream : streams()) {
        if (!can_go_on(*stream)) continue;
        candidates++;
        const bool better = schedule().order == Order::seed ? random_number() % candidates == 0
                                                            : !chosen || comes_before(*stream, *chosen);
        if (better) chosen = stream.get();
    }
    return chosen;
}

void forget_destroyed() {
    auto &all = streams();
    for (size_t i = 0; i < all.size();)
        if (all[i]->destroyed && all[i]->idle())
            all.erase(all.begin() + (ptrdiff_t)i);
        else
            i++;
}

void drop_everything() { // the context is broken: nothing that was enqueued runs
    for (const auto &stream : streams()) stream->tasks.clear();
}

bool step() {
    Stream *stream = choose();
    if (!stream) return false;
    const bool last = stream->tasks.front()->step();
    if (last && !stream->tasks.empty()) stream->tasks.pop_front();
    if (context_error() != cudaSuccess) drop_everything();
    forget_destroyed();
    changed().notify_all();
    return true;
}

// A host function gets some time before others go on beside it, so that a schedule is mostly the same each
// time; much of it where a stream is starved, which would otherwise overtake one that talks to another rank.
void wait_for_host(Guard &guard) {
    const std::chrono::milliseconds time(schedule().order == Order::starve ? 300 : 2);
    const auto until = std::chrono::steady_clock::now() + time;
    const auto one_is_busy = [] {
        for (const auto &stream : streams())
            if (stream->busy) return true;
        return false;
    };
    while (one_is_busy() && changed().wait_until(guard, until) == std::cv_status::no_timeout) {
    }
}

bool wait_for_others(Guard &guard) { // false: there are none to wait for
    bool busy = false, outside = false;
    for (const auto &stream : streams()) {
        busy |= stream->busy;
        outside |= !stream->tasks.empty() && stream->tasks.front()->outside();
    }
    if (outside)
        changed().wait_for(guard, std::chrono::microseconds(200));
    else if (busy)
        changed().wait(guard);
    return outside || busy;
}

} // namespace

uint64_t random_number() { // splitmix64
    static uint64_t state = schedule().number;
    uint64_t x = state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void enqueue(Stream *stream, std::unique_ptr<Task> task) {
    static uint64_t number;
    task->number = number++;
    stream->tasks.push_back(std::move(task));
}

void run_some() {
    step();
}

void run_ahead() {
    int steps = 0;
    if (schedule().order == Order::eager)
        steps = -1;
    else if (schedule().order == Order::seed && random_number() % 8 == 0)
        steps = (int)(random_number() % 8);
    if (steps == 0 || context_error() != cudaSuccess) return;
    open_device_memory(true);
    while (steps-- != 0 && step()) {
    }
    open_device_memory(false);
}

cudaError_t run_until(Guard &guard, const std::function<bool()> &finished) {
    open_device_memory(true);
    while (context_error() == cudaSuccess && !finished()) {
        if (step()) {
            if (std::exchange(host_function_began, false)) wait_for_host(guard);
            continue;
        }
        if (wait_for_others(guard)) continue;
        mistake("a wait that can never end: no stream can go on");
        poison_context(cudaErrorUnknown);
    }
    open_device_memory(false);
    check_guards();
    return context_error();
}

void run_body(Stream *stream, const Body &body) {
    if (body.host) {
        run_on_host(stream, body.run);
        host_function_began = true;
        return;
    }
    const cudaError_t error = body.run();
    if (error != cudaSuccess) poison_context(error);
}

} // namespace fake
