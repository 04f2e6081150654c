#include "cli/bench.h"

static const struct ls_command step = {
    .name = "bench step",
    .summary = "training steps of a model, on samples that lie in memory",
    .usage =
        "[--model M] [--size S] [--batch B] [--lanes L] [--precision P] [--threads T] [--profile] [--json]",
    .details = "Trains a model on synthetic samples in memory (a GPU's own) and prints samples per second, "
               "milliseconds a step, and the memory that the process took on the host beside what the plan "
               "said. With --profile it also prints the time of each kind of operation, forward and "
               "backward, beside its arithmetic and bytes, and what part of the best rate of a convolution "
               "or product, measured in the same run, the whole step reaches.",
    .example = "lockstep bench step --model resnet50 --size 224 --batch 64 --lanes 2 --threads 2\n"
               "lockstep bench step --model resnet18 --size 32 --profile",
    .run = ls_bench_step,
};

static const struct ls_command reduce = {
    .name = "bench reduce",
    .summary = "the all-reduce, over the ranks of mpirun",
    .usage = "[--from BYTES] [--to BYTES] [--sizes A,B,…] [--ms MS] [--json]",
    .details = "Under mpirun, sums buffers of growing size over the ranks, ordered, by the library's own "
               "all-reduce (fast), and on processors by a bare MPI_Allreduce (mpi), in turn: median, 99th "
               "percentile, bandwidth, and ratios of medians.",
    .example = "mpirun -n 4 lockstep bench reduce --to 16777216",
    .run = ls_bench_reduce,
};

static const struct ls_command read = {
    .name = "bench read",
    .summary = "the reading of samples, beside memcpy and H5Dread",
    .usage = "FILE… | RECIPE [--batch N] [--threads T] [--ms MS] [--json]",
    .details =
        "Reads samples of data files, or of a recipe's data.train, in order and shuffled, from the "
        "page cache and from the disk, beside memcpy of the same samples and H5Dread; and says of a "
        "recipe whether its model would wait. Ratios are to memcpy and H5Dread to the same place: one batch "
        "over and over; or, of what is read ahead, a ring of batches, which does not stay in the "
        "processor's cache, memcpy by as many threads: what memory allows. That of the ring is to one "
        "batch, that of memcpy by several threads to one thread.",
    .example = "lockstep bench read recipe.yaml\n"
               "lockstep bench read mine/*.h5 --input pixels",
    .run = ls_bench_read,
};

static const struct ls_command ops = {
    .name = "bench ops",
    .summary = "every op, forward and backward, beside the machine's best rates",
    .usage = "[--op OP] [--threads T] [--ms MS] [--json]",
    .details =
        "Runs each op of the table on a shape that models have, alone, forward and backward, in fp32 and "
        "bf16, on all cores at once, in less than a minute: time, arithmetic and bytes a second, what part "
        "that is of the best convolution or product and of memory copies measured in the same run, and the "
        "plain kernel's time where a library's is taken. On the CPU.",
    .example = "lockstep bench ops\n"
               "lockstep bench ops --op conv --threads 1",
    .run = ls_bench_ops,
};

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    static const struct ls_command *const kinds[] = {&step, &ops, &reduce, &read, NULL};
    return ls_run_kind(command, kinds, argc, argv);
}

const struct ls_command ls_command_bench = {
    .name = "bench",
    .summary = "measure steps, ops, reductions and reading",
    .usage = "step | ops | reduce | read FILE… | read RECIPE [OPTION …]",
    .details = "Measures, and prints a table, or with --json one object a measurement.",
    .example = "lockstep bench step --model resnet50 --size 224 --batch 64 --lanes 2 --threads 2\n"
               "lockstep bench ops\n"
               "mpirun -n 4 lockstep bench reduce --to 16777216\n"
               "lockstep bench read recipe.yaml",
    .run = run,
};
