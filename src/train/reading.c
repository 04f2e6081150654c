#include "train/reading.h"

#include "train/augmentation.h"

struct ls_reader_spec ls_reader_spec_of(const struct ls_recipe *recipe, bool in_order,
                                        int64_t batch_samples) {
    return (struct ls_reader_spec){
        .in_order = in_order,
        .seed = recipe->seed,
        .augment = ls_augmentation_of(recipe),
        .batch_samples = batch_samples,
        .threads = (int)recipe->data.threads,
        .slots = (int)recipe->data.prefetch + 1,
    };
}

static ls_status alloc_host(void *device, size_t bytes, void **memory) {
    return ((struct ls_device *)device)->api->alloc_host(device, bytes, memory);
}

static void free_host(void *device, void *memory) {
    ((struct ls_device *)device)->api->free_host(device, memory);
}

void ls_reader_for_device(struct ls_reader_spec *spec, struct ls_device *device) {
    spec->alloc = alloc_host;
    spec->free = free_host;
    spec->context = device;
}
