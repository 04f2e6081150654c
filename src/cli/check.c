#include "cli/cli.h"
#include "data/pack.h"
#include "h5/h5.h"
#include "train/checkpoint.h"

#include <stdio.h>

static ls_status check_file(const char *path, const char *input, const char *target) {
    struct ls_h5 *file = NULL;
    LS_TRY(ls_h5_open(path, &file));
    const bool checkpoint = ls_h5_exists(file, "model") && ls_h5_exists(file, "state");
    ls_h5_close(file);
    if (checkpoint) {
        LS_TRY(ls_checkpoint_verify(path));
        struct ls_checkpoint_header header;
        LS_TRY(ls_checkpoint_read_header(path, &header));
        printf("%s: good: checkpoint of step %llu\n", path, (unsigned long long)header.state.step);
        ls_checkpoint_header_free(&header);
        return LS_OK;
    }
    struct ls_check_report report = {0};
    LS_TRY(ls_check_shard(path, input, target, &report));
    printf("%s: good: %s\n", path, report.text);
    return LS_OK;
}

ls_status ls_command_check(const struct ls_command *command, int argc, char **argv) {
    const char *input = "images", *target = "labels";
    bool helped = false;
    const struct ls_option options[] = {
        {"--input", NULL, LS_WORD, &input, "NAME", "dataset of the samples (default images)"},
        {"--target", NULL, LS_WORD, &target, "NAME", "dataset of the targets (default labels)"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n < 1) return LS_FAIL(LS_INPUT, "check needs a file: lockstep check %s", command->usage);
    int bad = 0;
    for (int i = 0; i < n; i++) {
        if (check_file(argv[i], input, target) == LS_OK) continue;
        if (n == 1) return ls_error_last()->status;
        fflush(stdout);
        fprintf(stderr, "lockstep: error: %s\n", ls_error_last()->text);
        bad++;
    }
    if (bad == 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "%d of %d files are bad", bad, n);
}
