#include "cli/pack.h"

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    static const struct ls_command *const kinds[] = {&ls_pack_images, &ls_pack_csv, &ls_pack_npy,
                                                     &ls_pack_h5,     &ls_pack_idx, NULL};
    return ls_run_kind(command, kinds, argc, argv);
}

const struct ls_command ls_command_pack = {
    .name = "pack",
    .summary = "make shards from pictures, CSV, NPY, HDF5 and IDX files",
    .usage =
        "images DIR | csv FILE… | npy SAMPLES TARGETS | h5 FILE… | idx IMAGES LABELS   -o OUT [--test 0.1]",
    .details = "Writes HDF5 shards OUT/train-00000-of-00004.h5 …, the same bytes from the same input "
               "whatever the number of threads, and of ranks under mpirun; prints samples per class and, for "
               "the recipe, mean and deviation. Nothing is written of a source that is bad. Started again "
               "after a crash, it keeps the shards that are there.",
    .example = "lockstep pack images pictures --size 224 --test 0.1 --broken skip -o shards\n"
               "lockstep pack csv train.csv --target species -o shards --shuffle --test 0.1\n"
               "lockstep pack npy x.npy y.npy -o shards\n"
               "lockstep pack h5 mine/*.h5 --input pixels --target class -o shards --shuffle\n"
               "lockstep pack idx train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz -o shards --shards 4",
    .run = run,
};
