#include "cli/pack.h"
#include "data/picture.h"

#include <stdio.h>
#include <string.h>

static ls_status open_source(const void *job, struct ls_pack_source **source) {
    return ls_pack_images_open(job, source);
}

static ls_status read_broken(const char *text, bool *skip) {
    *skip = strcmp(text, "skip") == 0;
    if (*skip || strcmp(text, "fail") == 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "--broken: expected skip or fail, found \"%s\"", text);
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    struct ls_pack_asked asked = {.job = {.shuffle = true}};
    int64_t size = 0;
    const char *broken = "fail";
    bool grey = false;
    const struct ls_option options[] = {
        {"--size", NULL, LS_INTEGER(1, 16384), &size, "S",
         "the shorter side is scaled to S pixels, the longer one cropped to S"},
        {"--grey", NULL, LS_FLAG, &grey, NULL, "one channel instead of red, green, blue"},
        {"--broken", NULL, LS_WORD, &broken, "skip|fail",
         "what to do about a picture that cannot be read (default fail)"},
        {0},
    };
    LS_TRY(ls_pack_parse(command, options, argc, argv, &asked));
    if (asked.helped) {
        printf("\nreads: %s\n", ls_picture_kinds());
        return LS_OK;
    }
    if (asked.n != 1)
        return LS_FAIL(LS_INPUT, "pack images takes one folder, with a folder for each class in it; found %d",
                       asked.n);
    if (!size) return LS_FAIL(LS_INPUT, "pack images needs --size S");
    LS_TRY(read_broken(broken, &asked.job.skip_broken));
    struct ls_pack_images job = {.folder = argv[0], .side = (int)size, .channels = grey ? 1 : 3};
    return ls_pack_do(&asked, open_source, &job);
}

const struct ls_command ls_pack_images = {
    .name = "pack images",
    .summary = "a folder of JPEG and PNG files, a class a sub-folder",
    .usage = "DIR --size S -o OUT [--test 0.1]",
    .details = "A folder of JPEG and PNG files, a class a sub-folder, brought to one size. It prints "
               "pictures per class, and a normalize: line for the recipe. Under mpirun the ranks share the "
               "work. Started again after a crash, it keeps the shards that are there.",
    .example = "lockstep pack images pictures --size 224 --test 0.1 --broken skip -o shards",
    .run = run,
};
