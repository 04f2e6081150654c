// What device.c, program.c and cpu.c share.
#pragma once

#include "cpu/kernel.h"
#include "cpu/plain/plain.h"
#include "cpu/queue.h"

#include <pthread.h>

struct ls_cpu_device {
    struct ls_device base; // first: a struct ls_device of this kind is one of these
    enum ls_cpu_kernels choice;
    const struct ls_plain *plain;
    pthread_mutex_t lock;
    struct ls_queue *queues; // all ever opened: freed when the device closes
};

static inline struct ls_cpu_device *ls_cpu_device_of(const struct ls_device *device) {
    return (struct ls_cpu_device *)device;
}

extern const struct ls_device_api ls_cpu_api; // device.c

// program.c
ls_status ls_cpu_node_workspace(const struct ls_device *device, const struct ls_graph *graph,
                                const struct ls_node *node, size_t *workspace);
size_t ls_cpu_node_kept(const struct ls_device *device, const struct ls_graph *graph,
                        const struct ls_node *node);
ls_status ls_cpu_load(struct ls_device *device, const struct ls_plan *plan, struct ls_queue *const *queues,
                      int n_queues, struct ls_program **program);
void ls_cpu_unload(struct ls_program *program);
void ls_cpu_convert(struct ls_queue *queue, struct ls_program *program, int part, int parts,
                    const struct ls_lane *lane);
void ls_cpu_run(struct ls_queue *queue, struct ls_program *program, int segment, const struct ls_lane *lane);
void ls_cpu_profile(struct ls_program *program, double *seconds);
