#include "cli/cli.h"
#include "cli/world.h"

#include "base/log.h"
#include "base/version.h"
#include "comm/comm.h"
#include "train/libraries.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct ls_command commands[] = {
    {"train", "train a model as a recipe says",
     "RECIPE [key=value …] [--out DIR] [--resume] [--trace] [--help-recipe]",
     "Trains alone, under mpirun, or under srun; the weights are the same bit for bit on any number of "
     "ranks. DIR gets\n"
     "the resolved recipe, metrics.jsonl and the checkpoints. key=value changes the recipe: train.batch=512. "
     "SIGUSR1 or\n"
     "SIGTERM writes a checkpoint and ends with 75; --resume goes on from the newest good checkpoint.",
     "  mpirun -n 2 lockstep train launch/recipes/fashion-mnist.yaml train.epochs=2 --out runs/first",
     ls_command_train, false},
    {"eval", "evaluate a checkpoint on its test set, or on other data",
     "CHECKPOINT [--data GLOB] [--confusion FILE.png] [--json]",
     "Prints loss and accuracy over the whole set, top-5 accuracy of more than five classes, the calibration "
     "error, and the\n"
     "confusion matrix of up to 20 classes; of labels how many samples have all right, how many labels are "
     "right, and\n"
     "f1 = 2 TP / (2 TP + FP + FN) over all labels; of regression the errors. Works under mpirun too; the "
     "figures\n"
     "are the same on any number of ranks. ece = sum over bins of n_b / n * |accuracy_b - mean "
     "confidence_b|, of 15\n"
     "equal bins of the confidence, the probability of the most probable class: (0, 1/15], (1/15, 2/15], …",
     "  lockstep eval runs/first/checkpoints/step-00000470.h5 --data 'shards/test-*.h5'", ls_command_eval,
     false},
    {"predict", "run a checkpoint over samples",
     "CHECKPOINT IN… -o OUT.h5 [--top K] [--min-confidence P] [--confusion FILE.png] [--resume] [--json]",
     "Writes, in the order of the files and patterns given, the probabilities (or, for regression, the "
     "predictions), the most\n"
     "probable class and its confidence. No targets are needed; where there are some, prints the figures of "
     "'eval'. Works\n"
     "under mpirun: OUT.h5 is the same on any number of ranks. Until it is whole it is called "
     "OUT.h5.partial; "
     "--resume goes on\n"
     "with that after a kill. SIGUSR1 or SIGTERM ends with 75.",
     "  mpirun -n 4 lockstep predict runs/first/checkpoints/step-00000470.h5 'new/*.h5' -o predicted.h5",
     ls_command_predict, false},
    {"pack", "make shards from pictures, CSV, NPY, HDF5 and IDX files",
     "images DIR | csv FILE… | npy SAMPLES TARGETS | h5 FILE… | idx IMAGES LABELS   -o OUT [--test 0.1]",
     "Writes HDF5 shards OUT/train-00000-of-00004.h5 …, the same bytes from the same input whatever the "
     "number of threads,\n"
     "and of ranks under mpirun; prints samples per class and, for the recipe, mean and deviation. Nothing "
     "is written of a\n"
     "source that is bad. Started again after a crash, it keeps the shards that are there. 'lockstep pack "
     "images --help', and\n"
     "so on, list the options of each.",
     "  lockstep pack images pictures --size 224 --test 0.1 --broken skip -o shards\n"
     "  lockstep pack csv train.csv --target species -o shards --shuffle --test 0.1\n"
     "  lockstep pack npy x.npy y.npy -o shards\n"
     "  lockstep pack h5 mine/*.h5 --input pixels --target class -o shards --shuffle\n"
     "  lockstep pack idx train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz -o shards --shards 4",
     ls_command_pack, false},
    {"check", "verify shards, checkpoints and predictions", "FILE… [--input NAME] [--target NAME]",
     "Reads every byte: structure, checksums, labels, ids, values that are not finite; of shards, mean and "
     "deviation too. "
     "Prints a\n"
     "line a file, and of a bad one the first samples that are to blame and how many more there are. Several "
     "shards of a set "
     "are\n"
     "looked at together: none may be missing or there twice, and no sample in two of them. Exit status 2 "
     "where anything is "
     "wrong.",
     "  lockstep check shards/*.h5 runs/first/checkpoints/*.h5", ls_command_check, true},
    {"show", "what is in a shard, a checkpoint or a model; how samples look",
     "FILE | zoo | zoo:NAME | RECIPE [key=value …] --samples N | SHARD… --samples N",
     "Lists datasets and attributes of a shard, state and parameters of a checkpoint, the models of the zoo, "
     "or the\n"
     "parameters of one of them. With --samples it draws the first samples as a sheet of pictures: of "
     "shards, as they are "
     "stored;\n"
     "of a recipe, in the order of an epoch and changed as data.augment says, which is what the model sees, "
     "but for the\n"
     "normalization. Their targets are printed row by row.",
     "  lockstep show zoo:resnet18\n"
     "  lockstep show launch/recipes/fashion-mnist.yaml data.augment.rotate=15 --samples 64 -o sheet.png",
     ls_command_show, true},
    {"plan", "memory and arithmetic of a recipe, and whether it fits",
     "RECIPE [key=value …] [--ranks N] [--device-memory 6GiB] [--sample HxWxC]",
     "Makes the static plan that training would use, without training: memory by kind, floating-point "
     "operations, and how\n"
     "gradients are reduced. Exit status 2 where it does not fit the device memory given.",
     "  lockstep plan launch/recipes/fashion-mnist.yaml --ranks 4 --device-memory 2GiB", ls_command_plan,
     .alone = true},
    {"bench", "measure steps, reductions and reading", "step | reduce | read FILE… | read RECIPE [OPTION …]",
     "bench step trains a model on synthetic samples in memory (a GPU's own) and prints samples per second, "
     "milliseconds a step,\n"
     "and the memory that the process took on the host beside what the plan said. With --profile it also "
     "prints the time of\n"
     "each kind of operation, forward and backward, beside its arithmetic and bytes, and what part of the "
     "best "
     "rate of a\n"
     "convolution or product, measured in the same run, the whole step reaches. bench reduce, under mpirun, "
     "sums buffers of\n"
     "growing size over the ranks, ordered and by the library's own all-reduce in turn: median, 99th "
     "percentile, bandwidth.\n"
     "bench read reads samples of data files, or of a recipe's data.train, in order and shuffled, from the "
     "page cache and "
     "from\n"
     "the disk, beside memcpy of the same samples and H5Dread; and says of a recipe whether its model would "
     "wait.",
     "  lockstep bench step --model resnet50 --size 224 --batch 64 --lanes 2 --threads 2\n"
     "  lockstep bench step --model resnet18 --size 32 --profile\n"
     "  mpirun -n 4 lockstep bench reduce --to 16777216\n"
     "  lockstep bench read recipe.yaml",
     ls_command_bench, false},
    {"scale", "a scaling study: table, report, plot, forecast", "RECIPE --ranks 1,2,4 [-o DIR] [key=value …]",
     "Trains a few steps on each number of ranks, through mpirun or srun, several times; strong-scaling runs "
     "must end with "
     "the same\n"
     "weights. Writes DIR/report.md, scaling.csv, scaling.json and a plot: rate and efficiency, where the "
     "time goes, device "
     "hours,\n"
     "and a forecast from a model of compute, network and input. Runs that are there already are kept.",
     "  lockstep scale launch/recipes/fashion-mnist.yaml --ranks 1,2,4 --both --forecast 64 --price 2.5",
     ls_command_scale, true},
    {"doctor", "what this machine has, and what is wrong with it", "",
     "Lists processor, memory, libraries and launcher, and says what will hurt. Over several hosts it also "
     "compares their "
     "versions,\n"
     "clocks and links, and names the odd one out.",
     "  mpirun -n 2 lockstep doctor", ls_command_doctor, false},
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *out) {
    fprintf(out, "usage: lockstep COMMAND …\n\n"
                 "Data-parallel training whose weights are the same bit for bit on any number of ranks.\n\n");
    for (int i = 0; i < N_COMMANDS; i++) fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n'lockstep COMMAND --help' says more; 'lockstep --version' lists the libraries.\n"
                 "Exit status: 0 done, 1 system (memory, disk), 2 usage or input, 3 numbers not finite,\n"
                 "4 communication, 75 stopped by a signal after writing a checkpoint.\n");
}

static void print_version(void) {
    struct ls_text text = {0};
    ls_libraries(&text);
    printf("lockstep %s\n%s", ls_version(), text.data);
    ls_text_free(&text);
}

static void print_error(void) {
    const struct ls_error *error = ls_error_last();
    fprintf(stderr, "lockstep: error: %s\n", error->text);
}

int main(int argc, char **argv) {
    // A closed pipe or a file-size limit is an error to report, not a death.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    ls_log_to(ls_log_to_stderr, NULL);
    if (argc < 2) {
        print_usage(stderr);
        return LS_INPUT;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return LS_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return LS_OK;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        if (commands[i].alone && ls_launched_rank() > 0) return LS_OK;
        ls_status status = commands[i].run(&commands[i], argc - 2, argv + 2);
        if (status == LS_OK && fflush(stdout) != 0) status = LS_FAIL(LS_SYSTEM, "cannot write the output");
        if (status != LS_OK && ls_error_last()->status != LS_OK && ls_world_prints(status)) print_error();
        ls_world_end(status);
        return status;
    }
    fprintf(stderr, "lockstep: error: unknown command \"%s\"; see 'lockstep --help'\n", argv[1]);
    return LS_INPUT;
}
