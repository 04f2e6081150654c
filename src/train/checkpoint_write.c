// Writing a checkpoint: a temporary file in the same folder, synced, read back and verified, renamed.
#include "base/file.h"
#include "base/hash.h"
#include "train/checkpoint_parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct writing {
    struct ls_h5 *file;
    int64_t datasets;
};

// Counts the dataset and keeps its checksum.
static ls_status seal(struct writing *writing, const char *name, uint32_t crc) {
    writing->datasets++;
    return ls_h5_set_i64(writing->file, name, "crc32c", crc);
}

static ls_status write_state(struct writing *writing, const struct ls_checkpoint_state *state) {
    LS_TRY(ls_h5_make_group(writing->file, "state"));
    for (int i = 0; i < ls_state_field_count; i++) {
        const struct ls_state_field *field = &ls_state_fields[i];
        const char *value = (const char *)state + field->offset;
        LS_TRY(ls_h5_write(writing->file, field->name, field->type, 0, NULL, value));
        LS_TRY(seal(writing, field->name, ls_crc32c(0, value, 8)));
    }
    return LS_OK;
}

static ls_status write_texts(struct writing *writing, const struct ls_checkpoint *checkpoint) {
    const char *const texts[LS_CHECKPOINT_TEXTS] = {checkpoint->recipe,      checkpoint->model,
                                                    checkpoint->fingerprint, checkpoint->version,
                                                    checkpoint->class_names, checkpoint->choices};
    for (int i = 0; i < LS_CHECKPOINT_TEXTS; i++) {
        const char *text = texts[i] ? texts[i] : "";
        if (i >= LS_CHECKPOINT_NEEDED_TEXTS && !*text) continue;
        LS_TRY(ls_h5_write_strings(writing->file, ls_checkpoint_text_names[i], &text, 1));
        LS_TRY(seal(writing, ls_checkpoint_text_names[i], ls_crc32c(0, text, strlen(text))));
    }
    return LS_OK;
}

// In pieces: the lock of HDF5 is free between two, so that whoever reads samples through it waits for one
// only.
static ls_status write_pieces(struct writing *writing, const struct ls_checkpoint_array *array) {
    size_t row = array->dim[0] > 0 ? array->count / (size_t)array->dim[0] : 0;
    int64_t rows = row ? LS_CHECKPOINT_PIECE / (int64_t)(row * sizeof(float)) : 0;
    if (rows < 1) rows = 1;
    for (int64_t done = 0; done < array->dim[0]; done += rows) {
        int64_t n = array->dim[0] - done < rows ? array->dim[0] - done : rows;
        LS_TRY(
            ls_h5_write_rows(writing->file, array->name, done, n, LS_F32, array->data + (size_t)done * row));
    }
    return LS_OK;
}

static ls_status write_array(void *context, const struct ls_checkpoint_array *array) {
    struct writing *writing = context;
    if (array->rank == 0) {
        LS_TRY(ls_h5_write(writing->file, array->name, LS_F32, 0, NULL, array->data));
    } else {
        LS_TRY(ls_h5_make(writing->file, array->name, LS_F32, array->rank, array->dim));
        LS_TRY(write_pieces(writing, array));
    }
    if (array->axes) LS_TRY(ls_h5_set_text(writing->file, array->name, "axes", array->axes));
    return seal(writing, array->name, ls_crc32c(0, array->data, array->count * sizeof(float)));
}

static ls_status write_content(struct writing *writing, const struct ls_checkpoint *checkpoint) {
    LS_TRY(ls_h5_set_text(writing->file, "/", "format", LS_CHECKPOINT_FORMAT));
    LS_TRY(ls_h5_set_i64(writing->file, "/", "version", LS_CHECKPOINT_VERSION));
    LS_TRY(write_state(writing, &checkpoint->state));
    LS_TRY(write_texts(writing, checkpoint));
    LS_TRY(ls_h5_make_group(writing->file, "model"));
    if (checkpoint->average) LS_TRY(ls_h5_make_group(writing->file, "average"));
    LS_TRY(ls_h5_make_group(writing->file, "optimizer"));
    for (int i = 0; i < LS_MAX_SLOTS; i++) {
        char group[64];
        if (!checkpoint->slot_names[i]) continue;
        snprintf(group, sizeof group, "optimizer/%s", checkpoint->slot_names[i]);
        LS_TRY(ls_h5_make_group(writing->file, group));
    }
    LS_TRY(ls_checkpoint_each(checkpoint, write_array, writing));
    return ls_h5_set_i64(writing->file, "/", "datasets", writing->datasets);
}

static ls_status write_file(const char *path, const struct ls_checkpoint *checkpoint) {
    struct writing writing = {0};
    LS_TRY(ls_h5_create(path, &writing.file));
    ls_status status = write_content(&writing, checkpoint);
    if (status == LS_OK) return ls_h5_finish(writing.file);
    ls_h5_close(writing.file);
    return status;
}

// What was written is read back from where it lies, not from the system's memory of it, as far as that is up
// to us.
static ls_status read_back(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        close(fd);
    }
    if (ls_checkpoint_verify(path) == LS_OK) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "what was written does not read back: %s", ls_error_last()->text);
}

static ls_status write_and_commit(const char *temporary, const char *path,
                                  const struct ls_checkpoint *checkpoint) {
    ls_status status = write_file(temporary, checkpoint);
    if (status == LS_OK) status = read_back(temporary);
    if (status == LS_OK) return ls_file_commit(temporary, path);
    unlink(temporary);
    return status;
}

ls_status ls_checkpoint_write(const char *folder, const struct ls_checkpoint *checkpoint) {
    char *path = ls_checkpoint_path(folder, checkpoint->state.step, "");
    char *temporary = ls_checkpoint_path(folder, checkpoint->state.step, ".tmp");
    ls_status status = LS_SYSTEM;
    if (path && temporary)
        status = write_and_commit(temporary, path, checkpoint);
    else
        (void)LS_FAIL(LS_SYSTEM, "%s: out of memory", folder);
    if (status != LS_OK) ls_error_prefix("checkpoint of step %" PRIu64, checkpoint->state.step);
    free(path);
    free(temporary);
    return status;
}
