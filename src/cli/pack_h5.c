#include "cli/pack.h"

static ls_status open_source(const void *job, struct ls_pack_source **source) {
    return ls_pack_h5_open(job, source);
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    struct ls_pack_asked asked = {0};
    struct ls_pack_h5 job = {.input = "images", .target = "labels", .axes = "auto"};
    const struct ls_option options[] = {
        {"--input", NULL, LS_WORD, &job.input, "NAME", "the dataset of samples (default images)"},
        {"--target", NULL, LS_WORD, &job.target, "NAME", "the dataset of targets (default labels)"},
        {"--axes", NULL, LS_WORD, &job.axes, "NHWC|NCHW|…",
         "how samples lie; NLC and NCL: signals (default: as the file says, or looks)"},
        {"--class-names", NULL, LS_WORD, &job.class_names, "FILE",
         "what the classes are called, a line each (default: as the first file says)"},
        {0},
    };
    LS_TRY(ls_pack_parse(command, options, argc, argv, &asked));
    if (asked.helped) return LS_OK;
    if (asked.n < 1) return LS_FAIL(LS_INPUT, "pack h5 needs a file");
    job.files = (const char *const *)argv;
    job.n_files = asked.n;
    return ls_pack_do(&asked, open_source, &job);
}

const struct ls_command ls_pack_h5 = {
    .name = "pack h5",
    .summary = "HDF5 files as people have them",
    .usage = "FILE… -o OUT [--input NAME] [--target NAME] [--shuffle]",
    .details = "HDF5 files of any kind that training reads, into shards: contiguous, checksummed, shuffled "
               "if asked for. u8 samples stay u8, others become f32; vectors of integers that f32 would "
               "round are refused. A sample that has an id keeps it.",
    .example = "lockstep pack h5 mine/*.h5 --input pixels --target class -o shards --shuffle --test 0.1",
    .run = run,
};
