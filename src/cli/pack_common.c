// What the packers' commands share: options, the ranks' agreement, the summary.
#include "cli/pack.h"
#include "cli/world.h"
#include "train/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- options

static ls_status read_fraction(const char *text, double *fraction) {
    if (!ls_parse_number(text, fraction) && *fraction >= 0 && *fraction < 1) return LS_OK;
    return LS_FAIL(LS_INPUT, "--test: expected a fraction from 0 to below 1, found \"%s\"", text);
}

static ls_status check_shared(const char *what, struct ls_pack_asked *asked) {
    struct ls_pack_job *job = &asked->job;
    if (!job->folder) return LS_FAIL(LS_INPUT, "%s needs -o DIR", what);
    LS_TRY(read_fraction(asked->fraction, &job->test_fraction));
    if (job->test_list && job->test_fraction > 0)
        return LS_FAIL(LS_INPUT, "--test and --test-list: expected one of them");
    if (job->test_name && !job->test_list && job->test_fraction == 0)
        return LS_FAIL(LS_INPUT,
                       "--test-name goes with --test or --test-list: there is no split of its name");
    if (!job->test_name) job->test_name = "test";
    job->shards = (int)asked->shards;
    job->seed = (uint64_t)asked->seed;
    job->threads = (int)asked->threads;
    if (asked->flip_order) job->shuffle = !job->shuffle;
    return LS_OK;
}

ls_status ls_pack_parse(const struct ls_command *about, const struct ls_option *own, int argc, char **argv,
                        struct ls_pack_asked *asked) {
    struct ls_pack_job *job = &asked->job;
    const struct ls_option shared[] = {
        {"--out", "-o", LS_WORD, &job->folder, "DIR", "where the shards go; made where it is missing"},
        {"--shards", NULL, LS_INTEGER(1, LS_SHARD_MOST), &asked->shards, "N",
         asked->shards ? "how many files (default 1)"
                       : "how many files of the larger split (default: of 256 MiB)"},
        {"--name", NULL, LS_WORD, &job->name, "NAME",
         "the split, and the start of the file names (default train)"},
        {"--test", NULL, LS_WORD, &asked->fraction, "F",
         "this fraction goes to a split of its own, chosen by the seed"},
        {"--test-list", NULL, LS_WORD, &job->test_list, "FILE",
         "or what this file names, a line each: paths of pictures below DIR, numbers of samples from 0 on"},
        {"--test-name", NULL, LS_WORD, &job->test_name, "NAME", "what that split is called (default test)"},
        {job->shuffle ? "--no-shuffle" : "--shuffle", NULL, LS_FLAG, &asked->flip_order, NULL,
         job->shuffle ? "pack in the order of the names" : "in an order of the seed's, not as they come"},
        {"--seed", NULL, LS_INTEGER(0, 0), &asked->seed, "N", "of the shuffle and of the split (default 1)"},
        {"--replace", NULL, LS_FLAG, &job->replace, NULL,
         "write over shards of another set, of the same name and count"},
        {"--threads", NULL, LS_INTEGER(1, 1024), &asked->threads, "T",
         "threads of a rank (default: the cores it may use)"},
    };
    struct ls_option options[LS_PACK_MOST_OPTIONS + 1] = {0};
    size_t n = 0, n_shared = sizeof shared / sizeof *shared;
    for (; own[n].name && n + n_shared < LS_PACK_MOST_OPTIONS; n++) options[n] = own[n];
    memcpy(options + n, shared, sizeof shared);
    job->name = "train";
    asked->fraction = "0";
    asked->seed = 1;
    LS_TRY(ls_options_parse(about, options, argc, argv, &asked->n, &asked->helped));
    return asked->helped ? LS_OK : check_shared(about->name, asked);
}

// ---- the summary

enum { CLASSES_IN_FULL = 40, CHANNELS_IN_FULL = 64 };

static void print_classes(const struct ls_pack_summary *summary, const char *noun) {
    int64_t least = INT64_MAX, most = 0;
    for (int c = 0; c < summary->n_classes; c++) {
        if (summary->n_classes <= CLASSES_IN_FULL && summary->class_names)
            printf("  %8lld  %s\n", (long long)summary->per_class[c], summary->class_names[c]);
        else if (summary->n_classes <= CLASSES_IN_FULL)
            printf("  %8lld  class %d\n", (long long)summary->per_class[c], c);
        if (summary->per_class[c] < least) least = summary->per_class[c];
        if (summary->per_class[c] > most) most = summary->per_class[c];
    }
    if (summary->n_classes > CLASSES_IN_FULL)
        printf("  %d classes of %lld to %lld %s\n", summary->n_classes, (long long)least, (long long)most,
               noun);
}

static void print_numbers(const char *what, const double *numbers, int64_t n, bool bytes, double for_zero) {
    printf("%s: [", what);
    for (int64_t c = 0; c < n; c++) {
        double number = numbers[c] == 0 ? for_zero : numbers[c];
        printf(bytes ? "%s%.4f" : "%s%.6g", c ? ", " : "", number);
    }
    printf("]");
}

// A recipe wants a deviation above 0: 1 for a channel that is the same everywhere.
static void print_normalize(const struct ls_pack_summary *summary, const struct ls_pack_plan *plan) {
    bool bytes = plan->shape.type == LS_U8;
    if (!summary->mean) return;
    if (summary->channels > CHANNELS_IN_FULL) {
        printf("  mean and deviation of %lld features are in the attributes of the shards\n",
               (long long)summary->channels);
        return;
    }
    printf("  normalize: {");
    print_numbers("mean", summary->mean, summary->channels, bytes, 0);
    print_numbers(", std", summary->std, summary->channels, bytes, 1);
    printf("}\n");
}

static void print_shape(const struct ls_shard_shape *shape) {
    for (int i = 0; i < shape->rank; i++) printf(i ? "x%lld" : "%lld", (long long)shape->dim[i]);
    if (shape->type != LS_U8) printf(" %s", ls_dtype_name(shape->type));
    if (!shape->classes)
        printf(", %lld target value%s", (long long)shape->target_values,
               shape->target_values == 1 ? "" : "s");
}

// From the shards themselves, whichever run or rank made them.
static ls_status print_split(const char *folder, const struct ls_pack_plan *plan,
                             const struct ls_pack_split *split) {
    struct ls_pack_summary summary;
    LS_TRY(ls_pack_summarize(folder, split->name, split->shards, &summary));
    printf("%s: %lld %s of ", split->name, (long long)summary.samples, plan->noun);
    print_shape(&plan->shape);
    printf(" in %d shard%s, %lld skipped\n", split->shards, split->shards == 1 ? "" : "s",
           (long long)(split->listed - summary.samples));
    print_classes(&summary, plan->noun);
    print_normalize(&summary, plan);
    ls_pack_summary_free(&summary);
    return LS_OK;
}

static ls_status print_summary(const char *folder, const struct ls_packing *packing) {
    const struct ls_pack_plan *plan = &packing->plan;
    for (int i = 0; i < plan->n_splits; i++) LS_TRY(print_split(folder, plan, &plan->splits[i]));
    if (plan->ignored)
        printf("%lld %s by %s\n", (long long)plan->ignored,
               plan->ignored == 1 ? "file is no picture" : "files are no pictures",
               plan->ignored == 1 ? "its name" : "their names");
    printf("done: %lld shard%s written, %lld were there\n", (long long)packing->written,
           packing->written == 1 ? "" : "s", (long long)packing->kept);
    return LS_OK;
}

// ---- on all ranks

struct work {
    const struct ls_pack_job *job;
    ls_status (*open)(const void *source_job, struct ls_pack_source **source);
    const void *source_job;
};

static ls_status work_on(struct ls_comm *comm, void *context) {
    const struct work *work = context;
    struct ls_pack_source *source = NULL;
    struct ls_packing packing;
    ls_status status = ls_comm_agree(comm, work->open(work->source_job, &source));
    if (status == LS_OK) status = ls_packing_run(comm, work->job, source, &packing);
    if (status == LS_OK)
        status = ls_comm_agree(comm, comm->rank == 0 ? print_summary(work->job->folder, &packing) : LS_OK);
    ls_pack_source_close(source);
    return status;
}

ls_status ls_pack_do(const struct ls_pack_asked *asked,
                     ls_status (*open)(const void *source_job, struct ls_pack_source **source),
                     const void *source_job) {
    struct work work = {&asked->job, open, source_job};
    return ls_with_world(work_on, &work);
}
