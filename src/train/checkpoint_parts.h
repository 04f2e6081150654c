// What a checkpoint looks like, for the files that write, read and keep them.
//
// clang-format off
//   step-00000500.h5
//   ├── /               format "lockstep checkpoint", version 1, datasets: how many follow
//   ├── state/          one value each, u64 or f64: step, seed, loss_scale, …
//   ├── recipe          UTF-8 [1], as are the next three: the resolved recipe, YAML
//   ├── graph           of the training plan
//   ├── fingerprint     device, kernel library
//   ├── lockstep_version
//   ├── class_names     the same, a name a line; may be missing
//   ├── choices         what libraries chose for the model's operations; may be missing
//   ├── model/          f32: parameters in the layout's order, then running statistics
//   │   ├── conv1.weight        [O, H, W, I]; axes "OHWI"
//   │   ├── fc.bias             [O]
//   │   └── bn1.running_mean    [C]
//   ├── average/        where moving averages are kept: as model, name by name
//   └── optimizer/
//       └── momentum/   as the parameters, but for frozen ones
//           └── conv1.weight
// clang-format on
//
// Every dataset has the attribute crc32c: the CRC32C of its bytes as they lie in the file (of a text: without
// the padding). Nothing tells how many ranks wrote it.
#pragma once

#include "base/dtype.h"
#include "graph/plan.h"
#include "h5/h5.h"
#include "train/checkpoint.h"

enum { LS_CHECKPOINT_VERSION = 1, LS_CHECKPOINT_NAME = 512, LS_CHECKPOINT_PIECE = 4 << 20 };

// The fields of struct ls_checkpoint_state: eight bytes each.
struct ls_state_field {
    const char *name; // "state/step"
    ls_dtype type;    // LS_U64 or LS_F64
    size_t offset;
    bool later; // older files do not have it: it is 0, or NAN
};
extern const struct ls_state_field ls_state_fields[];
extern const int ls_state_field_count;

// The texts of a checkpoint and of a header, in one order.
enum { LS_CHECKPOINT_TEXTS = 6, LS_CHECKPOINT_NEEDED_TEXTS = 4 }; // the others may be missing
extern const char *const ls_checkpoint_text_names[LS_CHECKPOINT_TEXTS];

// An array as the file has it: a slice of a flat buffer.
struct ls_checkpoint_array {
    char name[LS_CHECKPOINT_NAME]; // "model/conv1.weight"
    const char *axes;              // "OHWI", or NULL where the dimensions lie as they read
    int rank;
    int64_t dim[LS_MAX_RANK];
    float *data;
    size_t count;
};
ls_status ls_checkpoint_array_of(const char *group, const struct ls_item *item, float *buffer,
                                 struct ls_checkpoint_array *array);
// Calls `each` for every array of the checkpoint, in the order in which they lie in the file.
ls_status ls_checkpoint_each(const struct ls_checkpoint *checkpoint,
                             ls_status (*each)(void *context, const struct ls_checkpoint_array *array),
                             void *context);

// "folder/step-00000500.h5", malloc'd; NULL where there is no memory.
char *ls_checkpoint_path(const char *folder, uint64_t step, const char *suffix);
