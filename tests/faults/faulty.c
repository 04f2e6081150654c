// What goes wrong, on purpose: linked into the program in place of functions of its own (ld --wrap), so that
// the program itself knows nothing of it. $LOCKSTEP_FAULT, words of the form key=value, says on which rank,
// at which step, where, and what:
//     rank=1 step=7 at=reduce do=stop
// at: join       the first collective call, in which the ranks meet
//     start      the first one after the recipe was read
//     forward    the first segment of a lane of the step (step counts those done)
//     convert    a conversion of the weights
//     reduce     the first bucket's all-reduce
//     evaluate   a collective call of an evaluation
//     checkpoint before a checkpoint's first byte; rename: once it is whole, before it gets its name
// do: kill, stop, term, usr1    a signal to itself
//     exit                      _exit(9)
//     sleep                     `ms` milliseconds, in every step from then on
//     nan                       a NaN in a lane's gradient (at=forward)
//     flip                      one wrong bit in every gradient from then on (at=forward): a device that
//                               computes wrongly; glitch: in one gradient only,
//                               or (at=convert) in one weight as kernels read it
//     weights                   one bit of a parameter (at=forward)
//     skip                      takes no part in the collective call (at=evaluate) or bucket (at=reduce)
//     size                      sends less than the others expect (at=reduce)
#include "base/pulse.h"
#include "comm/comm.h"
#include "comm/reduce.h"
#include "device/device.h"
#include "train/checkpoint.h"
#include "train/setup.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct fault {
    bool armed;
    uint64_t step;
    char at[16], what[16];
    long ms;
};

static struct fault fault;
static atomic_int fired;

__attribute__((constructor)) static void read_fault(void) {
    const char *words = getenv("LOCKSTEP_FAULT"), *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!words) return;
    int on_rank = 0;
    unsigned long long step = 0;
    char copy[256];
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
        if (sscanf(word, "rank=%d", &on_rank) == 1 || sscanf(word, "step=%llu", &step) == 1 ||
            sscanf(word, "at=%15s", fault.at) == 1 || sscanf(word, "do=%15s", fault.what) == 1 ||
            sscanf(word, "ms=%ld", &fault.ms) == 1)
            continue;
        fprintf(stderr, "LOCKSTEP_FAULT: what is \"%s\"?\n", word);
        exit(99);
    }
    fault.step = step;
    fault.armed = (rank ? atoi(rank) : 0) == on_rank;
}

static bool is(const char *what) {
    return strcmp(fault.what, what) == 0;
}

// Is it time? True once.
static bool strikes_in(uint64_t step, const char *at) {
    if (!fault.armed || strcmp(fault.at, at) != 0 || step < fault.step) return false;
    return atomic_fetch_add(&fired, 1) == 0;
}

static bool strikes(const char *at) {
    return strikes_in(ls_pulse_read().step, at);
}

static void signal_self(void) {
    if (is("kill")) raise(SIGKILL);
    if (is("stop")) raise(SIGSTOP);
    if (is("term")) kill(getpid(), SIGTERM);
    if (is("usr1")) kill(getpid(), SIGUSR1);
    if (is("exit")) _exit(9);
}

// ---- the device ----

static const struct ls_device_api *sound;
static struct ls_device_api faulty;

static ls_status nap(void *argument) {
    (void)argument;
    const struct timespec time = {fault.ms / 1000, fault.ms % 1000 * 1000000};
    nanosleep(&time, NULL);
    return LS_OK;
}

static ls_status harm(void *argument) {
    float *output = *(float **)argument;
    uint32_t bits;
    memcpy(&bits, output, sizeof bits);
    bits = is("nan") ? 0x7fc00000u : bits ^ 1u << 22;
    memcpy(output, &bits, sizeof bits);
    return LS_OK;
}

// Bucket 0 is whole after segment 0.
static void run(struct ls_queue *queue, struct ls_program *program, int segment, const struct ls_lane *lane) {
    const bool slow = fault.armed && is("sleep") && ls_pulse_read().step >= fault.step && segment == 0;
    const bool flips = fault.armed && is("flip") && ls_pulse_read().step >= fault.step && segment == 0;
    const bool now = segment == 0 && ls_pulse_read().phase == LS_TRAINING && strikes("forward");
    if (now) signal_self();
    if (slow) sound->call(queue, nap, NULL, 0);
    float *weights = (float *)lane->params;
    if (now && is("weights")) sound->call(queue, harm, &weights, sizeof weights);
    sound->run(queue, program, segment, lane);
    float *output = lane->output;
    if (flips || (now && (is("nan") || is("glitch")))) sound->call(queue, harm, &output, sizeof output);
}

static void convert(struct ls_queue *queue, struct ls_program *program, int part, int parts,
                    const struct ls_lane *lane) {
    sound->convert(queue, program, part, parts, lane);
    float *converted = lane->converted;
    if (ls_pulse_read().phase == LS_TRAINING && strikes("convert"))
        sound->call(queue, harm, &converted, sizeof converted);
}

ls_status __real_ls_device_choose(const struct ls_recipe *recipe, const struct ls_comm *comm, bool say,
                                  struct ls_device **device);
ls_status __wrap_ls_device_choose(const struct ls_recipe *recipe, const struct ls_comm *comm, bool say,
                                  struct ls_device **device);

ls_status __wrap_ls_device_choose(const struct ls_recipe *recipe, const struct ls_comm *comm, bool say,
                                  struct ls_device **device) {
    ls_status status = __real_ls_device_choose(recipe, comm, say, device);
    if (status != LS_OK) return status;
    sound = (*device)->api;
    faulty = *sound;
    faulty.run = run;
    faulty.convert = convert;
    (*device)->api = &faulty;
    return LS_OK;
}

// ---- collective calls ----

static atomic_bool recipe_read;

void __real_ls_comm_set_timeout(struct ls_comm *comm, double seconds);
void __wrap_ls_comm_set_timeout(struct ls_comm *comm, double seconds);

void __wrap_ls_comm_set_timeout(struct ls_comm *comm, double seconds) {
    __real_ls_comm_set_timeout(comm, seconds);
    recipe_read = true;
}

void __real_ls_pulse_enter(const char *call, uint64_t bytes);
void __wrap_ls_pulse_enter(const char *call, uint64_t bytes);

void __wrap_ls_pulse_enter(const char *call, uint64_t bytes) {
    __real_ls_pulse_enter(call, bytes);
    const enum ls_phase phase = ls_pulse_read().phase;
    const bool skips = is("skip") || is("size");
    if (strikes("join")) signal_self();
    if (phase == LS_STARTING && recipe_read && strikes("start")) signal_self();
    if (phase == LS_EVALUATING && !skips && strikes("evaluate")) signal_self();
}

void __real_ls_pulse_enter_of_step(uint64_t step, const char *call, uint64_t bytes);
void __wrap_ls_pulse_enter_of_step(uint64_t step, const char *call, uint64_t bytes);

void __wrap_ls_pulse_enter_of_step(uint64_t step, const char *call, uint64_t bytes) {
    __real_ls_pulse_enter_of_step(step, call, bytes);
    const bool skips = is("skip") || is("size");
    if (strstr(call, "bucket 0") && !skips && strikes_in(step, "reduce")) signal_self();
}

ls_status __real_ls_comm_sum_u64(struct ls_comm *comm, uint64_t *values, int n);
ls_status __wrap_ls_comm_sum_u64(struct ls_comm *comm, uint64_t *values, int n);

ls_status __wrap_ls_comm_sum_u64(struct ls_comm *comm, uint64_t *values, int n) {
    if (ls_pulse_read().phase == LS_EVALUATING && is("skip") && strikes("evaluate")) return LS_OK;
    return __real_ls_comm_sum_u64(comm, values, n);
}

void __real_ls_reduce(struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue);
void __wrap_ls_reduce(struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue);

void __wrap_ls_reduce(struct ls_reducer *reducer, float *const *buffers, size_t offset, size_t count,
                      struct ls_queue *queue) {
    if (is("skip") && strikes("reduce")) return;
    if (is("size") && strikes("reduce")) count -= 64;
    __real_ls_reduce(reducer, buffers, offset, count, queue);
}

// ---- checkpoints ----

ls_status __real_ls_checkpoint_write(const char *folder, const struct ls_checkpoint *checkpoint);
ls_status __wrap_ls_checkpoint_write(const char *folder, const struct ls_checkpoint *checkpoint);

ls_status __wrap_ls_checkpoint_write(const char *folder, const struct ls_checkpoint *checkpoint) {
    if (strikes("checkpoint")) signal_self();
    return __real_ls_checkpoint_write(folder, checkpoint);
}

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int __wrap_rename(const char *from, const char *to) {
    if (strstr(to, "/step-") && strikes("rename")) signal_self();
    return __real_rename(from, to);
}
