// How a recipe's data are read.
#pragma once

#include "data/reader.h"
#include "device/device.h"
#include "train/recipe.h"

#include "base/begin.h"

// Batches of `batch_samples`, from the first sample on, where `in_order`, else as an epoch has them, with the
// recipe's augmentation, threads and prefetch.
struct ls_reader_spec ls_reader_spec_of(const struct ls_recipe *recipe, bool in_order, int64_t batch_samples);
// Its batches lie where the device copies from at full speed.
void ls_reader_for_device(struct ls_reader_spec *spec, struct ls_device *device);

#include "base/end.h"
