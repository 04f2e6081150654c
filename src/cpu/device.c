// The CPU device: memory, queues, and the work on flat buffers, each a task of a queue.
#define _GNU_SOURCE // MADV_HUGEPAGE
#include "cpu/internal.h"

#include "base/hash.h"
#include "base/text.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { SMALL_ALIGN = 4096, HUGE_PAGE = 2 << 20 };

static void cpu_close(struct ls_device *device) {
    if (!device) return;
    struct ls_cpu_device *cpu = ls_cpu_device_of(device);
    for (struct ls_queue *queue = cpu->queues; queue; queue = ls_queue_next(queue)) ls_queue_close(queue);
    while (cpu->queues) {
        struct ls_queue *queue = cpu->queues;
        cpu->queues = ls_queue_next(queue);
        ls_queue_free(queue);
    }
    pthread_mutex_destroy(&cpu->lock);
    free(cpu);
}

static ls_status cpu_alloc(struct ls_device *device, size_t bytes, void **memory) {
    (void)device;
    const size_t align = bytes >= HUGE_PAGE ? HUGE_PAGE : bytes >= SMALL_ALIGN ? SMALL_ALIGN : LS_ALIGN;
    if (posix_memalign(memory, align, bytes ? bytes : 1) != 0) {
        char text[32];
        *memory = NULL;
        return LS_FAIL(LS_SYSTEM, "no memory for a buffer of %s", ls_format_bytes(text, (double)bytes));
    }
    // Only a wish: without huge pages the same happens, slower. The end that does not fill one stays in small
    // pages, so that no more memory is taken than the plan says.
    if (align == HUGE_PAGE) (void)madvise(*memory, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    memset(*memory, 0, bytes);
    return LS_OK;
}

static void cpu_free(struct ls_device *device, void *memory) {
    (void)device;
    free(memory);
}

static ls_status cpu_reserve(struct ls_device *device, size_t bytes) {
    (void)device, (void)bytes;
    return LS_OK;
}

static void *cpu_native(struct ls_queue *queue) {
    (void)queue;
    return NULL;
}

static ls_status cpu_queue_open(struct ls_device *device, const char *name, struct ls_queue **queue) {
    struct ls_cpu_device *cpu = ls_cpu_device_of(device);
    LS_TRY(ls_queue_start(name, queue));
    pthread_mutex_lock(&cpu->lock);
    ls_queue_set_next(*queue, cpu->queues);
    cpu->queues = *queue;
    pthread_mutex_unlock(&cpu->lock);
    ls_queue_set_owner(*queue, cpu);
    return LS_OK;
}

static ls_status cpu_event_open(struct ls_device *device, bool awaited, struct ls_event **event) {
    (void)device, (void)awaited;
    return ls_event_make(event);
}

// ---- enqueued work ----

struct copy {
    void *to;
    const void *from;
    size_t bytes;
};

static ls_status copy_task(void *argument) {
    const struct copy *copy = argument;
    if (copy->bytes > 0) memcpy(copy->to, copy->from, copy->bytes);
    return LS_OK;
}

static void cpu_copy(struct ls_queue *queue, void *to, const void *from, size_t bytes) {
    ls_queue_enqueue(queue, copy_task, &(struct copy){to, from, bytes}, sizeof(struct copy));
}

static ls_status zero_task(void *argument) {
    const struct copy *zero = argument;
    if (zero->bytes > 0) memset(zero->to, 0, zero->bytes);
    return LS_OK;
}

static void cpu_zero(struct ls_queue *queue, void *memory, size_t bytes) {
    ls_queue_enqueue(queue, zero_task, &(struct copy){memory, NULL, bytes}, sizeof(struct copy));
}

struct add {
    const struct ls_plain *plain;
    float *to;
    const float *a, *b;
    size_t n;
};

static ls_status add_task(void *argument) {
    const struct add *add = argument;
    add->plain->add(add->to, add->a, add->b, add->n);
    return LS_OK;
}

static void cpu_add(struct ls_queue *queue, float *to, const float *a, const float *b, size_t n) {
    struct add add = {.plain = ls_queue_owner(queue)->plain, .a = a, .b = b, .n = n};
    add.to = to;
    ls_queue_enqueue(queue, add_task, &add, sizeof add);
}

struct call {
    ls_status (*function)(void *argument);
    _Alignas(16) unsigned char argument[LS_CALL_BYTES];
};

static ls_status call_task(void *argument) {
    struct call *call = argument;
    return call->function(call->argument);
}

static ls_status call_too_big(void *argument) {
    size_t bytes;
    memcpy(&bytes, argument, sizeof bytes);
    return LS_FAIL(LS_SYSTEM, "the argument of a call has %zu bytes, at most %d fit", bytes, LS_CALL_BYTES);
}

static void cpu_call(struct ls_queue *queue, ls_status (*function)(void *argument), const void *argument,
                     size_t bytes) {
    struct call call = {.function = function};
    if (bytes > LS_CALL_BYTES) {
        call.function = call_too_big;
        memcpy(call.argument, &bytes, sizeof bytes);
    } else if (bytes > 0) {
        memcpy(call.argument, argument, bytes);
    }
    ls_queue_enqueue(queue, call_task, &call, sizeof call);
}

struct square_sums {
    const struct ls_plain *plain;
    const float *data;
    size_t n, begin, end;
    double *sums;
};

static ls_status square_sums_task(void *argument) {
    const struct square_sums *work = argument;
    for (size_t block = work->begin; block < work->end; block++) {
        size_t first = block * LS_NORM_BLOCK, left = work->n > first ? work->n - first : 0;
        work->sums[block] = left == 0 ? 0
                                      : work->plain->square_sum(work->data + first,
                                                                left < LS_NORM_BLOCK ? left : LS_NORM_BLOCK);
    }
    return LS_OK;
}

static void cpu_square_sums(struct ls_queue *queue, const float *data, size_t n, size_t begin, size_t end,
                            double *sums) {
    struct square_sums work = {
        .plain = ls_queue_owner(queue)->plain, .data = data, .n = n, .begin = begin, .end = end};
    work.sums = sums;
    ls_queue_enqueue(queue, square_sums_task, &work, sizeof work);
}

struct fingerprint {
    const float *data;
    size_t n;
    uint64_t *mark;
};

static ls_status fingerprint_task(void *argument) {
    const struct fingerprint *work = argument;
    *work->mark = ls_hash_of(work->data, work->n * sizeof(float));
    return LS_OK;
}

static void cpu_fingerprint(struct ls_queue *queue, const float *data, size_t n, uint64_t *mark) {
    struct fingerprint work = {.data = data, .n = n};
    work.mark = mark;
    ls_queue_enqueue(queue, fingerprint_task, &work, sizeof work);
}

// Clips as PyTorch's clip_grad_norm_ does.
static ls_status decide_task(void *argument) {
    const struct ls_decide *work = argument;
    double sum = 0;
    for (size_t i = 0; i < work->blocks; i++) sum += work->block_sums[i];
    struct ls_decision *decision = work->decision;
    double norm = sqrt(sum) / (double)work->loss_scale, clip = 1;
    if (work->clip > 0) clip = fmin(1, (double)work->clip / (norm + 1e-6));
    decision->skip =
        !isfinite(norm) || !isfinite(work->metrics[LS_METRIC_LOSS]) || work->metrics[LS_METRIC_FAULT] > 0;
    decision->grad_norm = norm;
    decision->grad_factor = (float)(clip / (double)work->loss_scale);
    return LS_OK;
}

static void cpu_decide(struct ls_queue *queue, const struct ls_decide *decide) {
    ls_queue_enqueue(queue, decide_task, decide, sizeof *decide);
}

struct update {
    const struct ls_plain *plain;
    struct ls_update update;
};

static ls_status update_task(void *argument) {
    const struct update *work = argument;
    if (!work->update.decision->skip) work->plain->update(&work->update);
    return LS_OK;
}

static void cpu_update(struct ls_queue *queue, const struct ls_update *update) {
    struct update work = {ls_queue_owner(queue)->plain, *update};
    ls_queue_enqueue(queue, update_task, &work, sizeof work);
}

// The slice of the update is here one of blocks.
static ls_status update_norms_task(void *argument) {
    const struct update *work = argument;
    if (!work->update.decision->skip)
        work->plain->update_norms(&work->update, work->update.begin, work->update.end);
    return LS_OK;
}

static void cpu_update_norms(struct ls_queue *queue, const struct ls_update *update, size_t begin,
                             size_t end) {
    struct update work = {ls_queue_owner(queue)->plain, *update};
    work.update.begin = begin;
    work.update.end = end;
    ls_queue_enqueue(queue, update_norms_task, &work, sizeof work);
}

static double ratio_of(const struct ls_update *update, const struct ls_update_range *range) {
    double weights = 0, others = 0;
    for (int b = range->first_block; b < range->first_block + range->n_blocks; b++)
        weights += update->norms[b][0], others += update->norms[b][1];
    weights = sqrt(weights), others = sqrt(others);
    if (weights == 0 || others == 0) return 1;
    double ratio = weights / others;
    if (update->kind == LS_LARS)
        ratio = (double)update->trust * weights / (others + (double)range->weight_decay * weights);
    return ratio <= (double)FLT_MAX ? ratio : 1;
}

static ls_status update_ratios_task(void *argument) {
    const struct ls_update *update = argument;
    if (update->decision->skip) return LS_OK;
    for (int r = 0; r < update->n_ranges; r++)
        update->ratios[r] = (float)ratio_of(update, &update->ranges[r]);
    return LS_OK;
}

static void cpu_update_ratios(struct ls_queue *queue, const struct ls_update *update) {
    ls_queue_enqueue(queue, update_ratios_task, update, sizeof *update);
}

struct average {
    const struct ls_plain *plain;
    struct ls_average average;
};

static ls_status average_task(void *argument) {
    const struct average *work = argument;
    if (!work->average.decision->skip) work->plain->average(&work->average);
    return LS_OK;
}

static void cpu_average(struct ls_queue *queue, const struct ls_average *average) {
    struct average work = {ls_queue_owner(queue)->plain, *average};
    ls_queue_enqueue(queue, average_task, &work, sizeof work);
}

static ls_status update_states_task(void *argument) {
    const struct ls_update_states *work = argument;
    if (work->decision->skip) return LS_OK;
    for (int s = 0; s < work->n_states; s++) {
        const struct ls_update_state *entry = &work->table[s];
        float *state = work->states + entry->offset;
        const float *sum = work->output + entry->output_offset;
        for (size_t i = 0; i < entry->count; i++) {
            float mean = sum[i] / (float)work->lanes;
            state[i] = (1 - entry->momentum) * state[i] + entry->momentum * (entry->factor * mean);
        }
    }
    return LS_OK;
}

static void cpu_update_states(struct ls_queue *queue, const struct ls_update_states *update) {
    ls_queue_enqueue(queue, update_states_task, update, sizeof *update);
}

_Static_assert(sizeof(struct call) <= LS_TASK_BYTES, "a call fits into a task");
_Static_assert(sizeof(struct update) <= LS_TASK_BYTES, "an update fits into a task");

const struct ls_device_api ls_cpu_api = {
    .kind = "cpu",
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .reserve = cpu_reserve,
    .alloc_host = cpu_alloc,
    .free_host = cpu_free,
    .queue_open = cpu_queue_open,
    .queue_close = ls_queue_close,
    .native = cpu_native,
    .event_open = cpu_event_open,
    .event_close = ls_event_free,
    .record = ls_event_record,
    .wait = ls_event_wait,
    .sync = ls_queue_sync,
    .await = ls_event_await,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .add = cpu_add,
    .call = cpu_call,
    .square_sums = cpu_square_sums,
    .fingerprint = cpu_fingerprint,
    .decide = cpu_decide,
    .update_norms = cpu_update_norms,
    .update_ratios = cpu_update_ratios,
    .update = cpu_update,
    .update_states = cpu_update_states,
    .average = cpu_average,
    .node_workspace = ls_cpu_node_workspace,
    .node_kept = ls_cpu_node_kept,
    .load = ls_cpu_load,
    .unload = ls_cpu_unload,
    .convert = ls_cpu_convert,
    .run = ls_cpu_run,
    .profile = ls_cpu_profile,
};
