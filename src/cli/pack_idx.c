#include "cli/pack.h"
#include "data/pack.h"

ls_status ls_pack_idx_command(const struct ls_command *command, int argc, char **argv) {
    int64_t shards = 1;
    struct ls_pack_idx job = {.name = "train"};
    bool helped = false;
    const struct ls_option options[] = {
        {"--out", "-o", LS_WORD, &job.folder, "DIR", "where the shards go; made where it is missing"},
        {"--shards", NULL, LS_INTEGER, &shards, "N", "how many files (default 1)"},
        {"--name", NULL, LS_WORD, &job.name, "NAME",
         "the split, and the start of the file names (default train)"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n != 2) return LS_FAIL(LS_INPUT, "pack idx takes two files, IMAGES and LABELS; found %d", n);
    if (!job.folder) return LS_FAIL(LS_INPUT, "pack idx needs -o DIR");
    if (shards < 1 || shards > 99999)
        return LS_FAIL(LS_INPUT, "--shards: expected 1 to 99999, found %lld", (long long)shards);
    job.images = argv[0];
    job.labels = argv[1];
    job.shards = (int)shards;
    return ls_pack_idx(&job);
}
