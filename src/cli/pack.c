#include "data/pack.h"
#include "cli/cli.h"

#include <string.h>

ls_status ls_command_pack(const struct ls_command *command, int argc, char **argv) {
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
    if (n < 1) return LS_FAIL(LS_INPUT, "pack needs a format: lockstep pack %s", command->usage);
    if (strcmp(argv[0], "idx") != 0) return LS_FAIL(LS_INPUT, "unknown format \"%s\"; expected idx", argv[0]);
    if (n != 3) return LS_FAIL(LS_INPUT, "pack idx takes two files, IMAGES and LABELS; found %d", n - 1);
    if (!job.folder) return LS_FAIL(LS_INPUT, "pack idx needs -o DIR");
    if (shards < 1 || shards > 99999)
        return LS_FAIL(LS_INPUT, "--shards: expected 1 to 99999, found %lld", (long long)shards);
    job.images = argv[1];
    job.labels = argv[2];
    job.shards = (int)shards;
    return ls_pack_idx(&job);
}
