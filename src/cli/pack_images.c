#include "cli/pack.h"
#include "cli/world.h"
#include "cpu/cpu.h"
#include "data/pack.h"
#include "data/picture.h"
#include "train/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    struct ls_pack_images job;
    int64_t threads;
};

// ---- the summary

enum { CLASSES_IN_FULL = 40 };

static void print_classes(const struct ls_pack_summary *summary) {
    int64_t least = INT64_MAX, most = 0;
    for (int c = 0; c < summary->n_classes; c++) {
        if (summary->n_classes <= CLASSES_IN_FULL)
            printf("  %8lld  %s\n", (long long)summary->per_class[c], summary->class_names[c]);
        if (summary->per_class[c] < least) least = summary->per_class[c];
        if (summary->per_class[c] > most) most = summary->per_class[c];
    }
    if (summary->n_classes > CLASSES_IN_FULL)
        printf("  %d classes of %lld to %lld pictures\n", summary->n_classes, (long long)least,
               (long long)most);
}

static void print_numbers(const char *what, const double *numbers, int64_t n) {
    printf("%s: [", what);
    for (int64_t c = 0; c < n; c++) printf("%s%.4f", c ? ", " : "", numbers[c]);
    printf("]");
}

// From the shards themselves, whichever run or rank made them.
static ls_status print_split(const struct asked *asked, const struct ls_pack_split *split) {
    struct ls_pack_summary summary;
    LS_TRY(ls_pack_summarize(asked->job.folder, split->name, split->shards, &summary));
    printf("%s: %lld pictures of %dx%dx%d in %d shards, %lld skipped\n", split->name,
           (long long)summary.samples, asked->job.side, asked->job.side, asked->job.channels, split->shards,
           (long long)(split->listed - summary.samples));
    print_classes(&summary);
    printf("  normalize: {");
    print_numbers("mean", summary.mean, summary.channels);
    print_numbers(", std", summary.std, summary.channels);
    printf("}\n");
    ls_pack_summary_free(&summary);
    return LS_OK;
}

static ls_status print_summary(const struct asked *asked, const struct ls_pack_plan *plan,
                               const uint64_t counts[2]) {
    for (int i = 0; i < plan->n_splits; i++) LS_TRY(print_split(asked, &plan->splits[i]));
    if (plan->ignored) printf("%lld files are no pictures by their names\n", (long long)plan->ignored);
    printf("done: %llu shards written, %llu were there\n", (unsigned long long)counts[1],
           (unsigned long long)counts[0]);
    return LS_OK;
}

// ---- on all ranks

static ls_status pack(const struct asked *asked, struct ls_comm *comm, struct ls_pack_work *work,
                      const struct ls_pack_plan *plan) {
    LS_TRY(ls_comm_agree_same(comm, LS_INPUT, "the folder of pictures, as the ranks see it,", plan->uuid));
    int64_t kept, written;
    LS_TRY(ls_comm_agree(comm, ls_pack_images_run(work, &kept, &written)));
    uint64_t counts[2] = {(uint64_t)kept, (uint64_t)written};
    LS_TRY(ls_comm_sum_u64(comm, counts, 2));
    return ls_comm_agree(comm, comm->rank == 0 ? print_summary(asked, plan, counts) : LS_OK);
}

static ls_status work_on(struct ls_comm *comm, void *context) {
    struct asked *asked = context;
    struct ls_pack_work *work = NULL;
    struct ls_pack_plan plan;
    asked->job.rank = comm->rank;
    asked->job.ranks = comm->size;
    int cores = ls_cpu_cores() / comm->local_size;
    asked->job.threads = asked->threads ? (int)asked->threads : cores > 1 ? cores : 1;
    LS_TRY(ls_comm_agree(comm, ls_pack_images_open(&asked->job, &work, &plan)));
    ls_status status = pack(asked, comm, work, &plan);
    ls_pack_images_close(work);
    return status;
}

// ---- what is asked for

static ls_status read_fraction(const char *text, double *fraction) {
    char *end;
    *fraction = strtod(text, &end);
    if (end != text && !*end && *fraction >= 0 && *fraction < 1) return LS_OK;
    return LS_FAIL(LS_INPUT, "--test: expected a fraction from 0 to below 1, found \"%s\"", text);
}

static ls_status read_broken(const char *text, bool *skip) {
    *skip = strcmp(text, "skip") == 0;
    if (*skip || strcmp(text, "fail") == 0) return LS_OK;
    return LS_FAIL(LS_INPUT, "--broken: expected skip or fail, found \"%s\"", text);
}

static ls_status check_range(const char *option, int64_t value, int64_t least, int64_t most) {
    if (value >= least && value <= most) return LS_OK;
    return LS_FAIL(LS_INPUT, "%s: expected %lld to %lld, found %lld", option, (long long)least,
                   (long long)most, (long long)value);
}

ls_status ls_pack_images_command(const struct ls_command *command, int argc, char **argv) {
    struct asked asked = {.job = {.name = "train", .test_name = "test", .channels = 3}};
    int64_t size = 0, shards = 0, seed = 1;
    const char *fraction = "0", *broken = "fail";
    bool grey = false, in_order = false, helped = false;
    const struct ls_option options[] = {
        {"--out", "-o", LS_WORD, &asked.job.folder, "DIR", "where the shards go; made where it is missing"},
        {"--size", NULL, LS_INTEGER, &size, "S",
         "the shorter side is scaled to S pixels, the longer one cropped to S"},
        {"--grey", NULL, LS_FLAG, &grey, NULL, "one channel instead of red, green, blue"},
        {"--shards", NULL, LS_INTEGER, &shards, "N",
         "how many files of the larger split (default: of 256 MiB)"},
        {"--name", NULL, LS_WORD, &asked.job.name, "NAME",
         "the split, and the start of the file names (default train)"},
        {"--test", NULL, LS_WORD, &fraction, "F",
         "this fraction goes to a split of its own, chosen by the seed"},
        {"--test-list", NULL, LS_WORD, &asked.job.test_list, "FILE",
         "or these pictures: paths below DIR, a line each"},
        {"--test-name", NULL, LS_WORD, &asked.job.test_name, "NAME",
         "what that split is called (default test)"},
        {"--seed", NULL, LS_INTEGER, &seed, "N", "of the shuffle and of the split (default 1)"},
        {"--no-shuffle", NULL, LS_FLAG, &in_order, NULL, "pack in the order of the names"},
        {"--broken", NULL, LS_WORD, &broken, "skip|fail",
         "what to do about a picture that cannot be read (default fail)"},
        {"--threads", NULL, LS_INTEGER, &asked.threads, "T",
         "threads of a rank (default: the cores it may use)"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) {
        printf("\nreads: %s\n", ls_picture_kinds());
        return LS_OK;
    }
    if (n != 1)
        return LS_FAIL(LS_INPUT, "pack images takes one folder, with a folder for each class in it; found %d",
                       n);
    if (!asked.job.folder) return LS_FAIL(LS_INPUT, "pack images needs -o DIR");
    if (!size) return LS_FAIL(LS_INPUT, "pack images needs --size S");
    LS_TRY(check_range("--size", size, 1, 16384));
    LS_TRY(check_range("--shards", shards, 0, 99999));
    LS_TRY(check_range("--threads", asked.threads, 0, 1024));
    LS_TRY(check_range("--seed", seed, 0, INT64_MAX));
    LS_TRY(read_fraction(fraction, &asked.job.test_fraction));
    LS_TRY(read_broken(broken, &asked.job.skip_broken));
    asked.job.source = argv[0];
    asked.job.side = (int)size;
    asked.job.channels = grey ? 1 : 3;
    asked.job.shards = (int)shards;
    asked.job.seed = (uint64_t)seed;
    asked.job.shuffle = !in_order;
    return ls_with_world(work_on, &asked);
}
