#include "train/check.h"

#include "cpu/cpu.h"
#include "h5/h5.h"
#include "train/checkpoint.h"
#include "train/predictions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// What the root says that the file is; "" where it is other people's.
static ls_status read_format(const char *path, char *format, size_t bytes) {
    struct ls_h5 *h5 = NULL;
    bool found;
    format[0] = 0;
    LS_TRY(ls_h5_open(path, &h5));
    if (ls_h5_attr_text(h5, "/", "format", format, bytes, &found) != LS_OK) ls_error_clear();
    ls_h5_close(h5);
    return LS_OK;
}

static ls_status check_checkpoint(const char *path, struct ls_check_report *report) {
    struct ls_checkpoint_header header;
    LS_TRY(ls_checkpoint_verify(path));
    LS_TRY(ls_checkpoint_read_header(path, &header));
    snprintf(report->text, sizeof report->text, "checkpoint of step %" PRIu64, header.state.step);
    ls_checkpoint_header_free(&header);
    return LS_OK;
}

ls_status ls_check_file(const char *path, const struct ls_check_spec *spec, struct ls_check_report *report) {
    char format[64];
    *report = (struct ls_check_report){0};
    LS_TRY(read_format(path, format, sizeof format));
    if (strcmp(format, LS_CHECKPOINT_FORMAT) == 0) return check_checkpoint(path, report);
    if (strcmp(format, LS_PREDICTIONS_FORMAT) == 0)
        return ls_predictions_check(path, report->text, sizeof report->text);
    return ls_check_shard(path, spec->input ? spec->input : "images", spec->target, spec->tokens,
                          spec->threads > 0 ? spec->threads : ls_cpu_cores(), report);
}
