#include "train/check.h"
#include "base/log.h"
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the files say of the sets that they belong to, until all are read.
struct file {
    const char *path;
    struct ls_check_report report;
};

// ---- sets

static bool same_set(const struct ls_check_report *a, const struct ls_check_report *b) {
    return a->ours && b->ours && strcmp(a->uuid, b->uuid) == 0 && strcmp(a->split, b->split) == 0 &&
           a->shards == b->shards;
}

// Says what is wrong with the set that begins with files[first]; how many things.
static int check_set(const struct file *files, int n, int first) {
    const struct ls_check_report *set = &files[first].report;
    const struct file **place = calloc((size_t)set->shards, sizeof(struct file *));
    int wrong = 0, members = 0;
    for (int i = first; i < n && place; i++) {
        const struct ls_check_report *report = &files[i].report;
        if (!same_set(set, report) || report->shard < 0 || report->shard >= set->shards) continue;
        members++;
        if (place[report->shard]) {
            ls_print_error("%s: is shard %lld of '%s', as is %s", files[i].path, (long long)report->shard,
                           set->split, place[report->shard]->path);
            wrong++;
        }
        place[report->shard] = &files[i];
    }
    // One file alone is looked at for itself.
    int64_t missing = 0, example = 0;
    for (int64_t k = set->shards; place && k-- > 0;)
        if (!place[k]) missing++, example = k;
    if (members > 1 && missing) {
        ls_print_error("%s: %lld of the %lld shards of '%s' are not among these files, the first "
                       "is %lld",
                       files[first].path, (long long)missing, (long long)set->shards, set->split,
                       (long long)example);
        wrong++;
    }
    free(place);
    return wrong;
}

static bool is_first_of_set(const struct file *files, int k) {
    for (int i = 0; i < k; i++)
        if (same_set(&files[i].report, &files[k].report)) return false;
    return files[k].report.ours;
}

// ---- ids

struct owner {
    uint64_t id;
    int file;
    int64_t sample;
};

static int by_id(const void *a, const void *b) {
    const struct owner *x = a, *y = b;
    if (x->id != y->id) return x->id < y->id ? -1 : 1;
    return (x->file > y->file) - (x->file < y->file);
}

// A sample that is in two files of a set, training and test among them.
static ls_status check_ids(const struct file *files, int n, int *wrong) {
    int64_t all = 0, at = 0, twice = 0;
    for (int i = 0; i < n; i++) all += files[i].report.ids ? files[i].report.samples : 0;
    struct owner *owners = malloc((size_t)all * sizeof *owners + 1);
    if (!owners) return LS_FAIL(LS_SYSTEM, "out of memory for the ids of %lld samples", (long long)all);
    for (int i = 0; i < n; i++)
        for (int64_t k = 0; files[i].report.ids && k < files[i].report.samples; k++)
            owners[at++] = (struct owner){files[i].report.ids[k], i, k};
    qsort(owners, (size_t)all, sizeof *owners, by_id);
    for (int64_t i = 1; i < all; i++) {
        const struct owner *a = &owners[i - 1], *b = &owners[i];
        bool same = a->id == b->id && a->id != UINT64_MAX && a->file != b->file &&
                    strcmp(files[a->file].report.uuid, files[b->file].report.uuid) == 0;
        if (same && twice++ < LS_CHECK_OFFENDERS)
            ls_print_error("%s: sample %lld has the id %llu of sample %lld of %s", files[b->file].path,
                           (long long)b->sample, (unsigned long long)b->id, (long long)a->sample,
                           files[a->file].path);
    }
    free(owners);
    *wrong += twice > 0;
    return LS_OK;
}

// ---- all of it

static void print_file(const struct file *file, ls_status status) {
    const struct ls_check_report *report = &file->report;
    if (status == LS_OK) {
        printf("%s: good: %s\n", file->path, report->text);
        return;
    }
    printf("%s: BAD%s%s\n", file->path, report->text[0] ? ": " : "", report->text);
    fflush(stdout);
    if (!report->offenders) ls_print_error("%s", ls_error_last()->text);
    for (int i = 0; i < LS_CHECK_OFFENDERS && report->words[i]; i++) ls_print_error("%s", report->words[i]);
    if (report->offenders > LS_CHECK_OFFENDERS)
        ls_print_error("%s: and %lld more", file->path, (long long)(report->offenders - LS_CHECK_OFFENDERS));
}

static ls_status check_all(struct file *files, int n, const struct ls_check_spec *spec) {
    int bad = 0, wrong = 0;
    for (int i = 0; i < n; i++) {
        ls_status status = ls_check_file(files[i].path, spec, &files[i].report);
        if (status == LS_SYSTEM) return status;
        if (n == 1 && status != LS_OK && files[i].report.offenders <= 1) return status;
        print_file(&files[i], status);
        bad += status != LS_OK;
    }
    for (int i = 0; i < n; i++)
        if (is_first_of_set(files, i)) wrong += check_set(files, n, i);
    LS_TRY(check_ids(files, n, &wrong));
    int64_t samples = 0;
    for (int i = 0; i < n; i++) samples += files[i].report.samples;
    if (n > 1) printf("%d files, %lld samples: %d good, %d bad\n", n, (long long)samples, n - bad, bad);
    if (bad) return LS_FAIL(LS_INPUT, "%d of %d files are bad", bad, n);
    return wrong ? LS_FAIL(LS_INPUT, "every file is good, but not what they are together") : LS_OK;
}

static ls_status run(const struct ls_command *command, int argc, char **argv) {
    struct ls_check_spec spec = {.input = "images"};
    bool helped = false;
    const struct ls_option options[] = {
        {"--input", NULL, LS_WORD, &spec.input, "NAME", "dataset of the samples (default images)"},
        {"--target", NULL, LS_WORD, &spec.target, "NAME",
         "dataset of the targets, which must be there (default labels, where there are any)"},
        {"--tokens", NULL, LS_INTEGER(1, INT32_MAX), &spec.tokens, "N",
         "samples hold tokens, whole numbers from 0 to N - 1"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n < 1) return LS_FAIL(LS_INPUT, "check needs a file: lockstep check %s", command->usage);
    struct file *files = calloc((size_t)n, sizeof *files);
    if (!files) return LS_FAIL(LS_SYSTEM, "out of memory for %d files", n);
    for (int i = 0; i < n; i++) files[i].path = argv[i];
    ls_status status = check_all(files, n, &spec);
    for (int i = 0; i < n; i++) ls_check_report_free(&files[i].report);
    free(files);
    return status;
}

const struct ls_command ls_command_check = {
    .name = "check",
    .summary = "verify shards, checkpoints and predictions",
    .usage = "FILE… [--input NAME] [--target NAME] [--tokens N]",
    .details =
        "Reads every byte: structure, checksums, labels, ids, values that are not finite; of shards, mean "
        "and deviation too. Prints a line a file, and of a bad one the first samples that are to blame and "
        "how many more there are. Several shards of a set are looked at together: none may be missing or "
        "there twice, and no sample in two of them. Exit status 2 where anything is wrong.",
    .example = "lockstep check shards/*.h5 runs/first/checkpoints/*.h5",
    .run = run,
    .alone = true,
};
