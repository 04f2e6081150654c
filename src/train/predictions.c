#define _GNU_SOURCE // fallocate
#include "train/predictions.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/pulse.h"
#include "h5/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1, PIECE_BYTES = 8 << 20 };

// The datasets that have a row for each sample.
enum column { VALUES, CLASSES, CONFIDENCE, CRC, COLUMNS };

struct ls_predictions {
    char *path, *partial;
    const char *where; // of the two, the one that is open
    int fd;
    bool whole, made; // made: by us, just now
    int64_t samples, outputs, top;
    int64_t offset[COLUMNS], row_bytes[COLUMNS]; // 0 bytes: there is no such dataset
    uint32_t *crcs;                              // of the rows under way
    int64_t room;
};

// ---- making a file

static const char *const names[] = {"probabilities", "class", "confidence", "crc32c"};
static const char predictions_name[] = "predictions"; // of regression

static ls_status write_files(struct ls_h5 *file, const struct ls_dataset *dataset) {
    const int64_t n = ls_dataset_info(dataset)->n_files;
    const char **paths = calloc((size_t)n, sizeof *paths);
    int64_t *samples = calloc((size_t)n, sizeof *samples);
    if (!paths || !samples) {
        free(paths);
        free(samples);
        return LS_FAIL(LS_SYSTEM, "out of memory for %" PRId64 " file names", n);
    }
    for (int i = 0; i < (int)n; i++) paths[i] = ls_dataset_file(dataset, i, &samples[i]);
    ls_status status = ls_h5_write_strings(file, "files", paths, (int)n);
    if (status == LS_OK) status = ls_h5_write(file, "file_samples", LS_I64, 1, &n, samples);
    free(paths);
    free(samples);
    return status;
}

static ls_status make_datasets(struct ls_h5 *file, const struct ls_predictions_about *about) {
    const int64_t values[2] = {about->samples, about->outputs}, ranked[2] = {about->samples, about->top};
    LS_TRY(ls_h5_set_text(file, "/", "format", LS_PREDICTIONS_FORMAT));
    LS_TRY(ls_h5_set_i64(file, "/", "version", VERSION));
    LS_TRY(ls_h5_set_text(file, "/", "identity", about->identity));
    LS_TRY(ls_h5_set_text(file, "/", "checkpoint", about->checkpoint));
    LS_TRY(ls_h5_make(file, about->kind == LS_VALUES ? predictions_name : names[VALUES], LS_F32, 2, values));
    if (about->kind == LS_CLASSES) {
        // With --top 1 a class is a number, not a list of one.
        const int rank = about->top == 1 ? 1 : 2;
        LS_TRY(ls_h5_set_f64(file, "/", "min_confidence", &about->min_confidence, 1));
        LS_TRY(ls_h5_make(file, "class", LS_I32, rank, ranked));
        LS_TRY(ls_h5_make(file, "confidence", LS_F32, rank, ranked));
    }
    LS_TRY(ls_h5_make(file, "crc32c", LS_U32, 1, values));
    if (about->class_names)
        LS_TRY(ls_h5_write_strings(file, "class_names", about->class_names, (int)about->outputs));
    return write_files(file, about->dataset);
}

static ls_status make_file(const char *path, const struct ls_predictions_about *about) {
    struct ls_h5 *file;
    LS_TRY(ls_h5_create(path, &file));
    ls_status status = make_datasets(file, about);
    if (status == LS_OK) return ls_h5_finish(file);
    ls_h5_close(file);
    return status;
}

// A disk that is too small says so before anything is computed, where the file system can tell.
static ls_status reserve(const struct ls_predictions *predictions) {
    struct stat info;
    if (fstat(predictions->fd, &info) == 0 && fallocate(predictions->fd, 0, 0, info.st_size) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG))
        return LS_FAIL(LS_SYSTEM, "%s: cannot reserve its %lld bytes: %s", predictions->where,
                       (long long)info.st_size, strerror(errno));
    return LS_OK;
}

// ---- finding the rows of a file

static ls_status locate(struct ls_predictions *predictions, struct ls_h5 *file) {
    const bool classes = ls_h5_exists(file, names[CLASSES]);
    for (enum column column = VALUES; column < COLUMNS; column++) {
        struct ls_h5_dataset found;
        const char *name = names[column];
        if (column == VALUES && !ls_h5_exists(file, name)) name = predictions_name;
        if (!classes && (column == CLASSES || column == CONFIDENCE)) continue;
        LS_TRY(ls_h5_describe(file, name, &found));
        const ls_dtype type = column == CLASSES ? LS_I32 : column == CRC ? LS_U32 : LS_F32;
        const int64_t columns = found.rank == 2 ? found.dim[1] : 1;
        if (column == VALUES) predictions->samples = found.dim[0], predictions->outputs = columns;
        if (column == CLASSES) predictions->top = columns;
        if (found.rank < 1 || found.rank > 2 || found.type != type || found.storage != LS_H5_CONTIGUOUS ||
            found.swapped || found.dim[0] != predictions->samples)
            return LS_FAIL(LS_INPUT, "%s: dataset '%s' is not what predict writes", predictions->where, name);
        predictions->offset[column] = found.offset;
        predictions->row_bytes[column] = columns * (int64_t)ls_dtype_bytes(type);
    }
    return LS_OK;
}

static ls_status check_format(struct ls_h5 *file, char *identity, size_t bytes) {
    char format[64] = "";
    bool found;
    int64_t version = 0;
    LS_TRY(ls_h5_attr_text(file, "/", "format", format, sizeof format, &found));
    LS_TRY(ls_h5_attr_i64(file, "/", "version", &version, &found));
    if (strcmp(format, LS_PREDICTIONS_FORMAT) != 0 || version != VERSION)
        return LS_FAIL(LS_INPUT, "%s: is not a file that predict wrote: expected format '%s', version %d",
                       ls_h5_path(file), LS_PREDICTIONS_FORMAT, VERSION);
    return ls_h5_attr_text(file, "/", "identity", identity, bytes, &found);
}

ls_status ls_predictions_may_replace(const char *path) {
    struct ls_h5 *file;
    char identity[64];
    if (!ls_file_exists(path)) return LS_OK;
    ls_status status = ls_h5_open(path, &file);
    if (status == LS_OK) {
        status = check_format(file, identity, sizeof identity);
        ls_h5_close(file);
    }
    if (status != LS_INPUT) return status;
    return LS_FAIL(LS_INPUT,
                   "%s: is there, and is no file that predict wrote: remove it, or write to another", path);
}

// Reads what the file says of itself.
static ls_status look_into(struct ls_predictions *predictions, char *identity, size_t bytes) {
    struct ls_h5 *file;
    LS_TRY(ls_h5_open(predictions->where, &file));
    ls_status status = check_format(file, identity, bytes);
    if (status == LS_OK) status = locate(predictions, file);
    ls_h5_close(file);
    return status;
}

// ---- opening and closing

static void close_file(struct ls_predictions *predictions) {
    if (predictions->fd >= 0) close(predictions->fd);
    free(predictions->path);
    free(predictions->partial);
    free(predictions->crcs);
    free(predictions);
}

static ls_status open_at(struct ls_predictions *predictions, const char *where, int flags) {
    predictions->where = where;
    predictions->fd = open(where, flags | O_CLOEXEC, 0666);
    if (predictions->fd < 0)
        return LS_FAIL(errno == ENOSPC || errno == EIO ? LS_SYSTEM : LS_INPUT, "%s: cannot open: %s", where,
                       strerror(errno));
    if (flags != O_RDONLY && ls_file_lock(predictions->fd) == EAGAIN)
        return LS_FAIL(LS_INPUT, "%s: another process is at work on it", where);
    return LS_OK;
}

static ls_status begin(struct ls_predictions *predictions, const struct ls_predictions_about *about) {
    char identity[64];
    if (predictions->fd < 0) {
        const bool left = ls_file_exists(predictions->partial);
        LS_TRY(open_at(predictions, predictions->partial, O_RDWR | O_CREAT));
        if (left)
            ls_note("%s: what an earlier run has left there is written over; --resume would go on with it",
                    predictions->where);
    }
    predictions->made = true;
    LS_TRY(make_file(predictions->where, about));
    LS_TRY(look_into(predictions, identity, sizeof identity));
    return reserve(predictions);
}

static ls_status go_on(struct ls_predictions *predictions, const struct ls_predictions_about *about) {
    char identity[64] = "";
    const bool partial = ls_file_exists(predictions->partial);
    if (!partial && !ls_file_exists(predictions->path)) return begin(predictions, about);
    predictions->whole = !partial;
    LS_TRY(open_at(predictions, partial ? predictions->partial : predictions->path,
                   partial ? O_RDWR : O_RDONLY));
    const ls_status status = look_into(predictions, identity, sizeof identity);
    if (status != LS_OK && partial) { // killed before there was anything in it
        ls_error_clear();
        return begin(predictions, about);
    }
    LS_TRY(status);
    if (strcmp(identity, about->identity) != 0)
        return LS_FAIL(LS_INPUT,
                       "%s: cannot go on: it is of another checkpoint, other data, options or device; remove "
                       "it, or leave --resume out",
                       predictions->where);
    return LS_OK;
}

// Both names, or NULL.
static struct ls_predictions *name_file(const char *path) {
    struct ls_predictions *predictions = calloc(1, sizeof *predictions);
    if (!predictions) return NULL;
    const size_t bytes = strlen(path) + sizeof ".partial";
    predictions->fd = -1;
    predictions->path = strdup(path);
    predictions->partial = malloc(bytes);
    if (predictions->path && predictions->partial) {
        snprintf(predictions->partial, bytes, "%s.partial", path);
        return predictions;
    }
    close_file(predictions);
    return NULL;
}

ls_status ls_predictions_open(const char *path, const struct ls_predictions_about *about, bool resume,
                              struct ls_predictions **result) {
    *result = NULL;
    struct ls_predictions *predictions = name_file(path);
    if (!predictions) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    const ls_status status = resume ? go_on(predictions, about) : begin(predictions, about);
    if (status == LS_OK)
        *result = predictions;
    else
        ls_predictions_abandon(predictions, !predictions->made);
    return status;
}

bool ls_predictions_is_whole(const struct ls_predictions *predictions) {
    return predictions->whole;
}

ls_status ls_predictions_finish(struct ls_predictions *predictions) {
    ls_status status = LS_OK;
    if (!predictions->whole) status = ls_file_commit(predictions->partial, predictions->path);
    close_file(predictions);
    return status;
}

void ls_predictions_abandon(struct ls_predictions *predictions, bool keep) {
    if (!predictions) return;
    if (!keep && !predictions->whole) unlink(predictions->partial);
    close_file(predictions);
}

// ---- rows

static ls_status room_for(struct ls_predictions *predictions, int64_t n) {
    if (predictions->room >= n) return LS_OK;
    free(predictions->crcs);
    predictions->crcs = calloc((size_t)n, sizeof *predictions->crcs);
    predictions->room = predictions->crcs ? n : 0;
    return predictions->crcs ? LS_OK : LS_FAIL(LS_SYSTEM, "%s: out of memory", predictions->where);
}

static uint32_t crc_of(const struct ls_predictions *predictions, struct ls_prediction_rows rows, int64_t i) {
    const void *const data[] = {rows.values, rows.classes, rows.confidence};
    uint32_t crc = 0;
    for (enum column column = VALUES; column < CRC; column++) {
        const size_t bytes = (size_t)predictions->row_bytes[column];
        if (bytes) crc = ls_crc32c(crc, (const char *)data[column] + (size_t)i * bytes, bytes);
    }
    return crc;
}

static ls_status transfer(const struct ls_predictions *predictions, int64_t first, int64_t n,
                          struct ls_prediction_rows rows, bool write) {
    void *const data[] = {rows.values, rows.classes, rows.confidence, predictions->crcs};
    for (enum column column = VALUES; column < COLUMNS; column++) {
        size_t left = (size_t)(n * predictions->row_bytes[column]);
        off_t offset = predictions->offset[column] + first * predictions->row_bytes[column];
        for (char *at = data[column]; left > 0;) {
            const ssize_t moved =
                write ? pwrite(predictions->fd, at, left, offset) : pread(predictions->fd, at, left, offset);
            if (moved < 0 && errno == EINTR) continue;
            if (moved <= 0)
                return LS_FAIL(LS_SYSTEM, "%s: cannot %s: %s", predictions->where, write ? "write" : "read",
                               moved < 0 ? strerror(errno)
                               : write   ? "no space"
                                         : "it ends early");
            at += moved, offset += moved, left -= (size_t)moved;
            ls_pulse_tick();
        }
    }
    return LS_OK;
}

ls_status ls_predictions_read(struct ls_predictions *predictions, int64_t first, int64_t n,
                              struct ls_prediction_rows rows, int64_t *whole) {
    *whole = 0;
    LS_TRY(room_for(predictions, n));
    LS_TRY(transfer(predictions, first, n, rows, false));
    while (*whole < n && crc_of(predictions, rows, *whole) == predictions->crcs[*whole]) ++*whole;
    return LS_OK;
}

ls_status ls_predictions_write(struct ls_predictions *predictions, int64_t first, int64_t n,
                               struct ls_prediction_rows rows) {
    LS_TRY(room_for(predictions, n));
    for (int64_t i = 0; i < n; i++) predictions->crcs[i] = crc_of(predictions, rows, i);
    return transfer(predictions, first, n, rows, true);
}

// ---- checking

static ls_status check_rows(struct ls_predictions *predictions) {
    const int64_t row =
        predictions->row_bytes[VALUES] + predictions->row_bytes[CLASSES] + predictions->row_bytes[CONFIDENCE];
    if (row < 1) return LS_FAIL(LS_INPUT, "%s: has rows of nothing", predictions->where);
    const int64_t most = row < PIECE_BYTES ? PIECE_BYTES / row : 1;
    char *room = malloc((size_t)(most * row));
    if (!room) return LS_FAIL(LS_SYSTEM, "%s: out of memory", predictions->where);
    struct ls_prediction_rows rows = {.values = (void *)room};
    rows.classes = (void *)(room + most * predictions->row_bytes[VALUES]);
    rows.confidence = (void *)((char *)rows.classes + most * predictions->row_bytes[CLASSES]);
    ls_status status = LS_OK;
    for (int64_t first = 0, whole; status == LS_OK && first < predictions->samples; first += most) {
        const int64_t left = predictions->samples - first, n = left < most ? left : most;
        status = ls_predictions_read(predictions, first, n, rows, &whole);
        if (status == LS_OK && whole < n)
            status =
                LS_FAIL(LS_INPUT, "%s: checksum mismatch at row %" PRId64, predictions->where, first + whole);
    }
    free(room);
    return status;
}

ls_status ls_predictions_check(const char *path, char *text, size_t text_bytes) {
    struct ls_predictions *predictions = name_file(path);
    if (!predictions) return LS_FAIL(LS_SYSTEM, "%s: out of memory", path);
    char identity[64];
    ls_status status = open_at(predictions, path, O_RDONLY);
    if (status == LS_OK) status = look_into(predictions, identity, sizeof identity);
    if (status == LS_OK) status = check_rows(predictions);
    if (status == LS_OK)
        snprintf(text, text_bytes, "predictions of %" PRId64 " samples, %" PRId64 " outputs",
                 predictions->samples, predictions->outputs);
    close_file(predictions);
    return status;
}
