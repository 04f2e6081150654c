// How a kernel runs: block after block, in an order drawn by the schedule's seed. A fiber takes one thread of
// the block after another, and only where one must wait for others (a barrier, a warp function) does the next
// thread get a fiber of its own: a kernel that waits for nothing costs a function call a thread.
//
// Rules that are checked, each an error that the stream then has for good (cudaErrorLaunchFailure):
//   - all threads of a block come to the same barrier, in the same line; none has ended
//   - all lanes that a mask names come to the same warp function, in the same line, with the same mask; all
//   are there
//   - no shuffle reads a lane outside of its mask
#include "fake.h"
#include "fiber.h"

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <numeric>
#include <sys/mman.h>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

// From the linker (shared.ld): where __shared__ variables lie.
extern "C" __attribute__((visibility("hidden"))) uint64_t ls_fake_shared_begin[], ls_fake_shared_end[];

namespace fake {

namespace {

constexpr int MAX_THREADS = 1024, WARP = 32;
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t STACK = 256 << 10;
#else
constexpr size_t STACK = 64 << 10;
#endif

enum class State : unsigned char { fresh, ready, running, at_barrier, in_warp, ended };

struct Thread {
    State state;
    bool predicate; // at a barrier
    unsigned char lane, warp;
    uint3 index;
    Fiber *fiber; // where it waits
    Site site;    // what it waits in
    BlockOp block_op;
    WarpOp warp_op;
    unsigned mask;
    int argument, width;
    uint64_t value; // given; then the result
};

struct Warp {
    unsigned there, waiting, ended; // lanes; those in a warp function wait
};

// The block that runs.
Thread threads[MAX_THREADS];
Warp warps[MAX_THREADS / WARP];
int n_threads, n_fresh, n_ended, n_at_barrier;
bool backwards;         // the order in which threads begin and go on
int ready[MAX_THREADS]; // a ring
int ready_first, n_ready;
Thread *current;
int barrier_result;
const std::function<void()> *body;

auto &idle = *new std::vector<Fiber *>; // that wait for a thread to begin
Fiber *all_fibers;                      // MAX_THREADS + 1; a block uses as few as it can
int n_fibers;
Fiber home, *running; // what called run_block; the fiber that runs
char failure[512];
cudaError_t failure_error;

std::string place(const Site &site) {
    const char *slash = strrchr(site.file, '/');
    return std::string(slash ? slash + 1 : site.file) + ":" + std::to_string(site.line);
}

bool same_site(const Site &a, const Site &b) {
    return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

// ---- who runs next ----

void make_ready(Thread *thread) {
    thread->state = State::ready;
    ready[(ready_first + n_ready++) % MAX_THREADS] = (int)(thread - threads);
}

void run_as(Thread *thread) {
    current = thread;
    thread->state = State::running;
    threadIdx = thread->index;
}

Thread *next_fresh() {
    const int place = n_threads - n_fresh--;
    return &threads[backwards ? n_threads - 1 - place : place];
}

void switch_to(Fiber *fiber) {
    if (fiber == running) return;
    Fiber *from = running;
    running = fiber;
    fiber_switch(from, fiber);
}

void worker();

Fiber *worker_fiber() {
    if (!idle.empty()) {
        Fiber *fiber = idle.back();
        idle.pop_back();
        return fiber;
    }
    if (!all_fibers) all_fibers = new Fiber[MAX_THREADS + 1];
    Fiber *fiber = &all_fibers[n_fibers++];
    if (!fiber->stack) {
        void *stack =
            mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stack == MAP_FAILED) abort();
        // Tops at different distances from a page: else all of them would fight for the same lines of the
        // cache.
        const size_t shift = (size_t)(n_fibers % 61) * 64;
        fiber_make(fiber, (char *)stack, STACK - shift, worker);
    } else {
        fiber_make(fiber, fiber->stack, fiber->bytes, worker);
    }
    return fiber;
}

void release_barrier() {
    const Thread &first = threads[0];
    int count = 0;
    for (int i = 0; i < n_threads; i++) {
        const Thread &thread = threads[i];
        if (!same_site(thread.site, first.site) || thread.block_op != first.block_op)
            kernel_error("thread 0 waits at the barrier in %s, thread %d at the one in %s",
                         place(first.site).c_str(), i, place(thread.site).c_str());
        count += thread.predicate;
    }
    barrier_result = first.block_op == BlockOp::count ? count
                     : first.block_op == BlockOp::all ? count == n_threads
                                                      : count > 0;
    n_at_barrier = 0;
    for (int i = 0; i < n_threads; i++) make_ready(&threads[backwards ? n_threads - 1 - i : i]);
}

[[noreturn]] void diverged() {
    for (int i = 0; i < n_threads; i++)
        if (threads[i].state == State::in_warp)
            kernel_error("thread %d waits in the warp function in %s for lanes of mask %08x that do not come",
                         i, place(threads[i].site).c_str(), threads[i].mask);
    for (int i = 0; i < n_threads; i++)
        if (threads[i].state == State::at_barrier)
            kernel_error("%d of %d threads come to the barrier in %s; %d have ended", n_at_barrier, n_threads,
                         place(threads[i].site).c_str(), n_ended);
    abort(); // somebody must wait
}

// Leaves the fiber that runs, for a thread that can go on; comes back when the thread that waits there can.
void go_on() {
    if (n_ready == 0 && n_fresh == 0 && n_at_barrier == n_threads) release_barrier();
    if (n_ready > 0) {
        Thread *thread = &threads[ready[ready_first]];
        ready_first = (ready_first + 1) % MAX_THREADS;
        n_ready--;
        run_as(thread);
        switch_to(thread->fiber);
    } else if (n_fresh > 0) {
        switch_to(worker_fiber());
    } else if (n_ended == n_threads) {
        switch_to(&home);
    } else {
        diverged();
    }
}

void worker() {
    fiber_entered();
    for (;;) {
        while (n_fresh > 0) {
            run_as(next_fresh());
            (*body)();
            current->state = State::ended;
            warps[current->warp].ended |= 1u << current->lane;
            n_ended++;
        }
        idle.push_back(running);
        go_on();
    }
}

void wait_as(State state) {
    current->state = state;
    current->fiber = running;
    go_on();
}

// ---- warp functions ----

int source_lane(const Thread &thread, int lane) {
    const int first = lane & ~(thread.width - 1), last = first + thread.width - 1;
    switch (thread.warp_op) {
    case WarpOp::index: return first + (thread.argument & (thread.width - 1));
    case WarpOp::up: return lane - thread.argument < first ? lane : lane - thread.argument;
    case WarpOp::down: return lane + thread.argument > last ? lane : lane + thread.argument;
    case WarpOp::exclusive_or: return (lane ^ thread.argument) > last ? lane : lane ^ thread.argument;
    default: return lane;
    }
}

void check_lane(const Thread &thread, const Thread &first, int lane) {
    if (!same_site(thread.site, first.site) || thread.warp_op != first.warp_op || thread.mask != first.mask)
        kernel_error(
            "lanes of one mask meet in different warp functions: %s with mask %08x, %s with mask %08x",
            place(first.site).c_str(), first.mask, place(thread.site).c_str(), thread.mask);
    const int source = source_lane(thread, lane);
    if (source < 0 || source >= WARP || !(thread.mask >> source & 1))
        kernel_error("lane %d reads lane %d in %s, which mask %08x does not name", lane, source,
                     place(thread.site).c_str(), thread.mask);
}

void exchange_values(Thread *warp, unsigned mask) {
    uint64_t given[WARP], ballot = 0;
    const Thread &first = warp[__builtin_ctz(mask)];
    for (int lane = 0; lane < WARP; lane++) {
        if (!(mask >> lane & 1)) continue;
        check_lane(warp[lane], first, lane);
        given[lane] = warp[lane].value;
        ballot |= (given[lane] & 1) << lane;
    }
    for (int lane = 0; lane < WARP; lane++)
        if (mask >> lane & 1)
            warp[lane].value =
                first.warp_op == WarpOp::ballot ? ballot : given[source_lane(warp[lane], lane)];
}

// ---- a block ----

// ---- shared memory: all of it is poison when a block begins. A kernel writes little of it: where, is found
// out by looking through all of it after a kernel's first blocks, and now and then, and only that is poisoned
// again.

struct Written {
    uint64_t *begin = ls_fake_shared_end, *end = ls_fake_shared_begin;
    int looks = 0;
};

constexpr int FIRST_LOOKS = 8, LOOK_EVERY = 64;

// AddressSanitizer guards what lies between variables, too; here that does not matter.
__attribute__((no_sanitize("address"))) void look(Written *written) {
    for (uint64_t *at = ls_fake_shared_begin; at != ls_fake_shared_end; at++) {
        if (*at == ~(uint64_t)0) continue;
        written->begin = std::min(written->begin, at);
        written->end = std::max(written->end, at + 1);
    }
    written->looks++;
}

__attribute__((no_sanitize("address"))) void poison(uint64_t *begin, uint64_t *end) {
    for (volatile uint64_t *at = begin; at < end; at++) *at = ~(uint64_t)0;
}

void poison_shared(const void *kernel) { // after a block of the kernel
    static auto &written_by = *new std::map<const void *, Written>;
    Written &written = written_by[kernel];
    if (written.looks < FIRST_LOOKS || random_number() % LOOK_EVERY == 0) look(&written);
    poison(written.begin, written.end);
}

void poison_all_shared() { // once: it begins as zeros
    static bool done = false;
    if (!done) poison(ls_fake_shared_begin, ls_fake_shared_end);
    done = true;
}

void set_up_threads(dim3 block) {
    n_threads = 0;
    for (unsigned z = 0; z < block.z; z++)
        for (unsigned y = 0; y < block.y; y++)
            for (unsigned x = 0; x < block.x; x++) threads[n_threads++].index = {x, y, z};
    for (int i = 0; i < n_threads; i++) {
        threads[i].lane = (unsigned char)(i % WARP);
        threads[i].warp = (unsigned char)(i / WARP);
    }
}

bool run_block() { // false: `failure` says why
    for (int i = 0; i < n_threads; i++) threads[i].state = State::fresh;
    for (int first = 0; first < n_threads; first += WARP)
        warps[first / WARP] = {n_threads - first < WARP ? (1u << (n_threads - first)) - 1 : ~0u, 0, 0};
    n_fresh = n_threads;
    n_ended = n_at_barrier = n_ready = ready_first = 0;
    failure[0] = 0;
    failure_error = cudaErrorLaunchFailure;
    running = &home;
    go_on();
    return failure[0] == 0;
}

void abandon_block() { // threads that wait will never go on: their fibers begin anew
    idle.clear();
    n_fibers = 0;
}

// ---- a fault in a kernel: an error of CUDA, not the end of the process ----

struct sigaction old_fault[2];
const int fault_signals[2] = {SIGSEGV, SIGBUS};
bool in_kernel;
pthread_t kernel_thread;

void on_fault(int number, siginfo_t *info, void *context) {
    if (in_kernel && pthread_equal(pthread_self(), kernel_thread)) {
        failure_error = cudaErrorIllegalAddress;
        kernel_error("an illegal access to %s", describe(info->si_addr).c_str());
    }
    const struct sigaction &old = old_fault[number == SIGBUS];
    if (old.sa_flags & SA_SIGINFO)
        old.sa_sigaction(number, info, context);
    else if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN)
        old.sa_handler(number);
    else
        sigaction(number, &old, nullptr); // and it comes again
}

void catch_faults() {
#if !defined(__SANITIZE_ADDRESS__) // which tells more about it
    static bool caught = false;
    if (caught) return;
    caught = true;
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    for (int i = 0; i < 2; i++) sigaction(fault_signals[i], &action, &old_fault[i]);
#endif
}

// Goes through the numbers below n in a drawn order: by steps that are prime to n.
struct BlockOrder {
    uint64_t n, step, number;
    explicit BlockOrder(uint64_t n_) : n(n_), step(random_number() % n_), number(random_number() % n_) {
        while (std::gcd(step, n) != 1) step++;
    }
    uint64_t next() {
        number += step;
        if (number >= n) number -= n;
        return number;
    }
};

} // namespace

void kernel_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(failure, sizeof failure, format, arguments);
    va_end(arguments);
    switch_to(&home);
    abort(); // nobody comes back here
}

int block_barrier(BlockOp op, bool predicate, Site site) {
    current->block_op = op;
    current->predicate = predicate;
    current->site = site;
    n_at_barrier++;
    wait_as(State::at_barrier);
    return barrier_result;
}

uint64_t warp_exchange(WarpOp op, unsigned mask, uint64_t value, int argument, int width, Site site) {
    Thread *me = current;
    const int lane = me->lane;
    Thread *warp = me - lane;
    if (!(mask >> lane & 1))
        kernel_error("lane %d calls a warp function in %s whose mask %08x does not name it", lane,
                     place(site).c_str(), mask);
    if (width < 1 || width > WARP || (width & (width - 1)) != 0)
        kernel_error("a width of %d in %s: not a power of two up to 32", width, place(site).c_str());
    me->warp_op = op;
    me->mask = mask;
    me->value = value;
    me->argument = argument;
    me->width = width;
    me->site = site;
    me->state = State::in_warp;
    Warp &here = warps[me->warp];
    const unsigned missing = mask & ~here.waiting & ~(1u << lane);
    if (missing & (here.ended | ~here.there)) {
        const int other = __builtin_ctz(missing & (here.ended | ~here.there));
        kernel_error("mask %08x in %s names lane %d, which %s", mask, place(site).c_str(), other,
                     here.there >> other & 1 ? "has ended" : "is not in the block");
    }
    if (missing) {
        here.waiting |= 1u << lane;
        wait_as(State::in_warp);
        return me->value;
    }
    here.waiting &= ~mask;
    exchange_values(warp, mask);
    for (int other = 0; other < WARP; other++)
        if ((mask >> other & 1) && other != lane) make_ready(&warp[other]);
    me->state = State::running;
    return me->value;
}

cudaError_t run_kernel(const std::string &name, const void *kernel, dim3 grid, dim3 block,
                       const std::function<void()> &thread) {
    catch_faults();
    poison_all_shared();
    kernel_thread = pthread_self();
    body = &thread;
    gridDim = grid;
    blockDim = block;
    set_up_threads(block);
    fiber_adopt(&home);
    BlockOrder order((uint64_t)grid.x * grid.y * grid.z);
    in_kernel = true;
    bool good = true;
    for (uint64_t i = 0; i < order.n && good; i++) {
        const uint64_t number = order.next();
        blockIdx = {(unsigned)(number % grid.x), (unsigned)(number / grid.x % grid.y),
                    (unsigned)(number / grid.x / grid.y)};
        backwards = random_number() & 1;
        good = run_block();
        poison_shared(kernel);
    }
    in_kernel = false;
    for (int i = 0; i < n_fibers && good; i++)
        if (fiber_overflowed(&all_fibers[i])) {
            snprintf(failure, sizeof failure, "a thread used more than its stack of %zu bytes",
                     all_fibers[i].bytes);
            good = false;
        }
    if (good) return cudaSuccess;
    mistake("kernel %s, block (%u,%u,%u), thread (%u,%u,%u): %s", name.c_str(), blockIdx.x, blockIdx.y,
            blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, failure);
    abandon_block();
    return failure_error;
}

} // namespace fake
