#include "cli/cli.h"
#include "cli/predictions.h"
#include "cpu/cpu.h"
#include "data/pack.h"
#include "h5/h5.h"
#include "train/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What the files say of the sets that they belong to, until all are read.
struct file {
    const char *path;
    struct ls_check_report report;
};

// What the root says that the file is; "" where it is other people's.
static ls_status read_format(const char *path, char *format, size_t bytes) {
    struct ls_h5 *h5 = NULL;
    bool found;
    format[0] = 0;
    LS_TRY(ls_h5_open(path, &h5));
    if (ls_h5_attr_text(h5, "/", "format", format, bytes, &found) != LS_OK) ls_error_clear();
    ls_h5_close(h5);
    return LS_OK;
}

static ls_status check_checkpoint(struct file *file) {
    struct ls_checkpoint_header header;
    LS_TRY(ls_checkpoint_verify(file->path));
    LS_TRY(ls_checkpoint_read_header(file->path, &header));
    snprintf(file->report.text, sizeof file->report.text, "checkpoint of step %llu",
             (unsigned long long)header.state.step);
    ls_checkpoint_header_free(&header);
    return LS_OK;
}

static ls_status check_file(struct file *file, const char *input, const char *target) {
    char format[64];
    LS_TRY(read_format(file->path, format, sizeof format));
    if (strcmp(format, LS_CHECKPOINT_FORMAT) == 0) return check_checkpoint(file);
    if (strcmp(format, LS_PREDICTIONS_FORMAT) == 0)
        return ls_predictions_check(file->path, file->report.text, sizeof file->report.text);
    return ls_check_shard(file->path, input, target, ls_cpu_cores(), &file->report);
}

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
            fprintf(stderr, "lockstep: error: %s: is shard %lld of '%s', as is %s\n", files[i].path,
                    (long long)report->shard, set->split, place[report->shard]->path);
            wrong++;
        }
        place[report->shard] = &files[i];
    }
    // One file alone is looked at for itself.
    int64_t missing = 0, example = 0;
    for (int64_t k = set->shards; place && k-- > 0;)
        if (!place[k]) missing++, example = k;
    if (members > 1 && missing) {
        fprintf(stderr,
                "lockstep: error: %s: %lld of the %lld shards of '%s' are not among these files, the first "
                "is %lld\n",
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
            fprintf(stderr, "lockstep: error: %s: sample %lld has the id %llu of sample %lld of %s\n",
                    files[b->file].path, (long long)b->sample, (unsigned long long)b->id,
                    (long long)a->sample, files[a->file].path);
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
    if (!report->offenders) fprintf(stderr, "lockstep: error: %s\n", ls_error_last()->text);
    for (int i = 0; i < LS_CHECK_OFFENDERS && report->words[i]; i++)
        fprintf(stderr, "lockstep: error: %s\n", report->words[i]);
    if (report->offenders > LS_CHECK_OFFENDERS)
        fprintf(stderr, "lockstep: error: %s: and %lld more\n", file->path,
                (long long)(report->offenders - LS_CHECK_OFFENDERS));
}

static ls_status check_all(struct file *files, int n, const char *input, const char *target) {
    int bad = 0, wrong = 0;
    for (int i = 0; i < n; i++) {
        ls_status status = check_file(&files[i], input, target);
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

ls_status ls_command_check(const struct ls_command *command, int argc, char **argv) {
    const char *input = "images", *target = NULL;
    bool helped = false;
    const struct ls_option options[] = {
        {"--input", NULL, LS_WORD, &input, "NAME", "dataset of the samples (default images)"},
        {"--target", NULL, LS_WORD, &target, "NAME",
         "dataset of the targets, which must be there (default labels, where there are any)"},
        {0},
    };
    int n = 0;
    LS_TRY(ls_options_parse(command, options, argc, argv, &n, &helped));
    if (helped) return LS_OK;
    if (n < 1) return LS_FAIL(LS_INPUT, "check needs a file: lockstep check %s", command->usage);
    struct file *files = calloc((size_t)n, sizeof *files);
    if (!files) return LS_FAIL(LS_SYSTEM, "out of memory for %d files", n);
    for (int i = 0; i < n; i++) files[i].path = argv[i];
    ls_status status = check_all(files, n, input, target);
    for (int i = 0; i < n; i++) ls_check_report_free(&files[i].report);
    free(files);
    return status;
}
