// What `lockstep pack` packs; each reads its own options, and those that all share.
#pragma once

#include "cli/cli.h"
#include "train/packing.h"

extern const struct ls_command ls_pack_images, ls_pack_csv, ls_pack_npy, ls_pack_h5, ls_pack_idx;

// What all share: where to, how many, which order. What a packer presets is its default: job.shuffle,
// job.replace, shards.
struct ls_pack_asked {
    struct ls_pack_job job;
    int64_t shards, seed, threads;
    const char *fraction, *broken;
    bool flip_order; // --shuffle where the source's order is the default, --no-shuffle where it is not
    bool helped;
    int n; // words that are no options, at the front of argv
};

enum { LS_PACK_MOST_OPTIONS = 32 };

// Reads `own` options and the shared ones; `about` has the words for --help.
ls_status ls_pack_parse(const struct ls_command *about, const struct ls_option *own, int argc, char **argv,
                        struct ls_pack_asked *asked);
// Opens the source on every rank, packs it, and prints what became of it.
ls_status ls_pack_do(const struct ls_pack_asked *asked,
                     ls_status (*open)(const void *source_job, struct ls_pack_source **source),
                     const void *source_job);
