#include "train/checkpoint_parts.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(kind, member)                                                                                  \
    { "state/" #member, kind, offsetof(struct ls_checkpoint_state, member), false }
#define LAST(score, later)                                                                                   \
    { "state/last_" #score, LS_F64, offsetof(struct ls_checkpoint_state, last.score), later }
const struct ls_state_field ls_state_fields[] = {
    FIELD(LS_U64, step),
    FIELD(LS_U64, seed),
    FIELD(LS_F64, loss_scale),
    FIELD(LS_U64, skipped),
    FIELD(LS_U64, skipped_in_row),
    FIELD(LS_U64, samples),
    FIELD(LS_U64, batch),
    FIELD(LS_U64, lanes),
    FIELD(LS_U64, data_identity),
    FIELD(LS_U64, data_content),
    {"state/from_content", LS_U64, offsetof(struct ls_checkpoint_state, from_content), true},
    FIELD(LS_F64, best_score),
    FIELD(LS_U64, best_step),
    FIELD(LS_U64, evaluated_step),
    FIELD(LS_F64, last_loss),
    LAST(accuracy, false),
    LAST(top5, true),
    LAST(label_accuracy, true),
    LAST(f1, true),
    LAST(mae, true),
    LAST(mse, true),
};
const int ls_state_field_count = sizeof ls_state_fields / sizeof ls_state_fields[0];
_Static_assert(sizeof(struct ls_checkpoint_state) == 8 * sizeof ls_state_fields / sizeof ls_state_fields[0],
               "every field of the state has its line in the table");

const char *const ls_checkpoint_text_names[LS_CHECKPOINT_TEXTS] = {
    "recipe", "graph", "fingerprint", "lockstep_version", "class_names", "choices"};

ls_status ls_checkpoint_array_of(const char *group, const struct ls_item *item, float *buffer,
                                 struct ls_checkpoint_array *array) {
    *array = (struct ls_checkpoint_array){.rank = item->shape.rank, .count = item->count};
    int length = snprintf(array->name, sizeof array->name, "%s/%s", group, item->name);
    if (length < 0 || (size_t)length >= sizeof array->name || strchr(item->name, '/'))
        return LS_FAIL(LS_INPUT, "parameter '%s': expected a name of at most %d bytes without a slash",
                       item->name, LS_CHECKPOINT_NAME - 64);
    array->data = buffer ? buffer + item->offset : NULL;
    memcpy(array->dim, item->shape.dim, sizeof array->dim);
    if (item->shape.rank != 4) return LS_OK;
    // (out, in, h, w) in meaning; out, h, w, in in memory.
    array->axes = "OHWI";
    array->dim[1] = item->shape.dim[2];
    array->dim[2] = item->shape.dim[3];
    array->dim[3] = item->shape.dim[1];
    return LS_OK;
}

static ls_status each_item(const char *group, const struct ls_item *items, int n, float *buffer,
                           ls_status (*each)(void *context, const struct ls_checkpoint_array *array),
                           void *context) {
    struct ls_checkpoint_array array;
    for (int i = 0; i < n; i++) {
        LS_TRY(ls_checkpoint_array_of(group, &items[i], buffer, &array));
        LS_TRY(each(context, &array));
    }
    return LS_OK;
}

ls_status ls_checkpoint_each(const struct ls_checkpoint *checkpoint,
                             ls_status (*each)(void *context, const struct ls_checkpoint_array *array),
                             void *context) {
    const struct ls_layout *layout = checkpoint->layout;
    LS_TRY(each_item("model", layout->params, layout->n_params, checkpoint->params, each, context));
    LS_TRY(each_item("model", layout->states, layout->n_states, checkpoint->states, each, context));
    if (checkpoint->average) {
        LS_TRY(each_item("average", layout->params, layout->n_params, checkpoint->average, each, context));
        LS_TRY(each_item("average", layout->states, layout->n_states, checkpoint->average_states, each,
                         context));
    }
    for (int i = 0; i < LS_MAX_SLOTS; i++) {
        char group[64];
        if (!checkpoint->slot_names[i]) continue;
        snprintf(group, sizeof group, "optimizer/%s", checkpoint->slot_names[i]);
        LS_TRY(each_item(group, layout->params, layout->n_trained, checkpoint->slot[i], each, context));
    }
    return LS_OK;
}

uint64_t ls_params_hash(const struct ls_layout *layout, const float *params) {
    struct ls_hash *hash = ls_hash_open();
    for (int i = 0; i < layout->n_params; i++)
        ls_hash_add(hash, params + layout->params[i].offset, layout->params[i].count * sizeof *params);
    uint64_t value = ls_hash_value(hash);
    ls_hash_close(hash);
    return value;
}
