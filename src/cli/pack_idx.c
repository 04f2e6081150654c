#include "cli/pack.h"

static ls_status open_source(const void *job, struct ls_pack_source **source) {
    return ls_pack_idx_open(job, source);
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    struct ls_pack_asked asked = {.job = {.replace = true}, .shards = 1};
    struct ls_pack_idx job = {0};
    const struct ls_option options[] = {
        {"--class-names", NULL, LS_WORD, &job.class_names, "FILE",
         "what the classes are called, a line each"},
        {0},
    };
    LS_TRY(ls_pack_parse(command, options, argc, argv, &asked));
    if (asked.helped) return LS_OK;
    if (asked.n != 2)
        return LS_FAIL(LS_INPUT, "pack idx takes two files, IMAGES and LABELS; found %d", asked.n);
    job.images = argv[0];
    job.labels = argv[1];
    return ls_pack_do(&asked, open_source, &job);
}

const struct ls_command ls_pack_idx = {
    .name = "pack idx",
    .summary = "a pair of IDX files, the MNIST format",
    .usage = "IMAGES LABELS -o OUT [--shards N] [--name train]",
    .details = "A pair of IDX files (the MNIST format), plain or gzip.",
    .example = "lockstep pack idx train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz -o shards --shards 4",
    .run = run,
};
