#include "cli/pack.h"

static ls_status open_source(const void *job, struct ls_pack_source **source) {
    return ls_pack_npy_open(job, source);
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    struct ls_pack_asked asked = {0};
    struct ls_pack_npy job = {.axes = "auto"};
    const struct ls_option options[] = {
        {"--axes", NULL, LS_WORD, &job.axes, "NHWC|NCHW|…",
         "how samples lie; NLC and NCL: signals (default: channels are the axis of 1, 3 or 4)"},
        {"--shape", NULL, LS_WORD, &job.shape, "H,W,C", "what flat samples are to be, such as 28,28,1"},
        {"--class-names", NULL, LS_WORD, &job.class_names, "FILE",
         "what the classes are called, a line each"},
        {0},
    };
    LS_TRY(ls_pack_parse(command, options, argc, argv, &asked));
    if (asked.helped) return LS_OK;
    if (asked.n != 2)
        return LS_FAIL(LS_INPUT, "pack npy takes two files, SAMPLES.npy and TARGETS.npy; found %d", asked.n);
    job.samples = argv[0];
    job.targets = argv[1];
    return ls_pack_do(&asked, open_source, &job);
}

const struct ls_command ls_pack_npy = {
    .name = "pack npy",
    .summary = "a pair of arrays that numpy.save wrote",
    .usage = "SAMPLES.npy TARGETS.npy -o OUT [--test 0.1] [--shuffle]",
    .details =
        "A pair of files of numpy.save: samples [N, ...] and targets [N] or [N, D], of any integer or "
        "float type. u8 samples stay u8, others become f32; vectors of integers that f32 would round are "
        "refused. Integer targets, one a sample, are classes; others are values. Arrays in Fortran's order "
        "are read too; shuffled, that is slow, a read for each value.",
    .example = "lockstep pack npy x.npy y.npy -o shards --shuffle --test 0.1",
    .run = run,
};
