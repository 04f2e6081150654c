// Starting runs, or finding that they are there.
#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sort.h"
#include "study/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SMALL_BYTES = 4096 };

const char *ls_study_mode_name(enum ls_scaling_mode mode) {
    return mode == LS_STRONG ? "strong" : "weak";
}

// ---- a command ----

struct words {
    struct ls_arena memory; // of what is made for it
    const char **word;      // NULL behind the last
    int n, most;
};

static void add(struct words *words, const char *word) {
    if (words->n + 1 >= words->most) {
        const int most = 2 * words->most + 64;
        const char **more = LS_ARENA_NEW(&words->memory, const char *, most);
        if (words->n) memcpy(more, words->word, sizeof *more * (size_t)words->n);
        words->word = more;
        words->most = most;
    }
    words->word[words->n++] = word;
}

const char *ls_study_program(const struct ls_study_spec *spec, char *out, size_t bytes) {
    if (spec->program) return spec->program;
    const ssize_t length = readlink("/proc/self/exe", out, bytes - 1);
    if (length <= 0) return "lockstep";
    out[length] = 0;
    return out;
}

// "launch/run -n %n": blanks part words.
static void add_launcher(struct words *words, const char *launcher, int ranks) {
    char *copy = ls_arena_copy(&words->memory, launcher), *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *place = strstr(word, "%n");
        if (place)
            add(words,
                ls_arena_format(&words->memory, "%.*s%d%s", (int)(place - word), word, ranks, place + 2));
        else
            add(words, word);
    }
}

// srun: a task that failed must not leave the others waiting. mpirun: a rank uses all the cores that its
// neighbours leave it, so nothing binds it to one, and it gives its core away while it waits.
static void add_start(struct words *words, const struct ls_study_spec *spec, int ranks) {
    if (spec->launcher) {
        add_launcher(words, spec->launcher, ranks);
    } else if (getenv("SLURM_JOB_ID") && !spec->hosts) {
        add_launcher(words, "srun --mpi=pmix --kill-on-bad-exit=1 --ntasks=%n", ranks);
    } else if (ranks > 1 || spec->hosts) {
        add_launcher(words, "mpirun -n %n --bind-to none --mca mpi_yield_when_idle 1", ranks);
        if (spec->hosts) {
            add(words, access(spec->hosts, R_OK) == 0 ? "--hostfile" : "--host");
            add(words, spec->hosts);
        } else {
            add(words, "--map-by");
            add(words, ":OVERSUBSCRIBE");
        }
        if (geteuid() == 0) { // mpirun refuses root unless told
            setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
            setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
        }
    }
    char program[4096];
    add(words, ls_arena_copy(&words->memory, ls_study_program(spec, program, sizeof program)));
}

static void open_output(const char *path, int descriptor) {
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file >= 0) dup2(file, descriptor);
}

// Runs the command with its output in two files; -1: it could not be started.
static int run_words(const struct words *words, const char *out, const char *err) {
    const pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        open_output(out, STDOUT_FILENO);
        open_output(err, STDERR_FILENO);
        execvp(words->word[0], (char *const *)words->word);
        dprintf(STDERR_FILENO, "%s: %s\n", words->word[0], strerror(errno));
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static ls_status say_failed(const char *what, int status, const char *err) {
    char *text = NULL;
    size_t bytes = 0;
    char line[600] = "";
    if (ls_file_read(err, 1 << 20, &text, &bytes) == LS_OK) {
        const char *at = strstr(text, "lockstep: error: ");
        at = at ? at + strlen("lockstep: error: ") : text;
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        free(text);
    }
    const ls_status as =
        status == LS_INPUT || status == LS_NUMBERS || status == LS_COMM ? (ls_status)status : LS_SYSTEM;
    return LS_FAIL(as, "%s ended with %d: %s (all of it: %s)", what, status, line, err);
}

// ---- trials ----

static void name_trial(const struct ls_study_spec *spec, const struct ls_point *point, int trial, char *out,
                       size_t bytes) {
    snprintf(out, bytes, "%s/runs/%s-%d-ranks-%d", spec->out, ls_study_mode_name(point->mode), point->ranks,
             trial + 1);
}

static void add_training(struct words *words, const struct ls_study *study, const struct ls_point *point,
                         const char *folder) {
    const struct ls_study_spec *spec = study->spec;
    add(words, "train");
    add(words, spec->recipe);
    for (int i = 0; i < spec->n_overrides; i++) add(words, spec->overrides[i]);
    add(words, ls_arena_format(&words->memory, "train.steps=%d", spec->steps));
    add(words, "eval.every=0");
    add(words, "checkpoint.every=0");
    if (point->mode == LS_WEAK) {
        add(words, ls_arena_format(&words->memory, "train.batch=%lld", (long long)point->batch));
        add(words, ls_arena_format(&words->memory, "train.lanes=%lld", (long long)point->lanes));
    }
    add(words, "--out");
    add(words, folder);
    add(words, "--resume"); // a folder whose run was broken off starts, or goes on
}

static ls_status make_trial(struct ls_study *study, const struct ls_point *point, const char *folder) {
    struct words words = {.n = 0};
    char out[4096], err[4096], what[128];
    LS_TRY(ls_make_folders(folder));
    add_start(&words, study->spec, point->ranks);
    add_training(&words, study, point, folder);
    snprintf(out, sizeof out, "%s/out", folder);
    snprintf(err, sizeof err, "%s/err", folder);
    snprintf(what, sizeof what, "%s scaling on %d rank%s", ls_study_mode_name(point->mode), point->ranks,
             point->ranks == 1 ? "" : "s");
    ls_note("%s: %s", what, folder);
    const int status = run_words(&words, out, err);
    ls_arena_free(&words.memory);
    return status == 0 ? LS_OK : say_failed(what, status, err);
}

// A run that is there is of this study, and not of an earlier one with other settings.
static ls_status check_trial(const struct ls_study *study, const struct ls_point *point, const char *folder,
                             const struct ls_trial *trial) {
    const int64_t steps = study->spec->steps;
    if (trial->ranks == point->ranks && trial->steps == steps && trial->batch == point->batch &&
        trial->lanes == point->lanes)
        return LS_OK;
    return LS_FAIL(
        LS_INPUT,
        "%s: holds a run of %lld steps of %lld samples in %lld lanes on %lld rank%s; expected %lld "
        "steps of %lld in %lld on %d: "
        "remove it, or use another -o",
        folder, (long long)trial->steps, (long long)trial->batch, (long long)trial->lanes,
        (long long)trial->ranks, trial->ranks == 1 ? "" : "s", (long long)steps, (long long)point->batch,
        (long long)point->lanes, point->ranks);
}

static ls_status find_trial(struct ls_study *study, struct ls_point *point, int trial) {
    char folder[2048], metrics[2200];
    name_trial(study->spec, point, trial, folder, sizeof folder);
    snprintf(metrics, sizeof metrics, "%s/metrics.jsonl", folder);
    struct ls_trial *to = &point->trials[point->n_trials];
    bool there = access(metrics, R_OK) == 0 && ls_study_read_trial(metrics, study, to) == LS_OK;
    if (!there && study->spec->collect) return LS_OK; // what is not there is left out
    if (!there) {
        LS_TRY(make_trial(study, point, folder));
        LS_TRY(ls_study_read_trial(metrics, study, to));
    }
    LS_TRY(check_trial(study, point, folder, to));
    point->n_trials++;
    return LS_OK;
}

// ---- reductions ----

static ls_status read_reductions(const char *path, struct ls_point *point) {
    char *text = NULL;
    size_t bytes = 0;
    LS_TRY(ls_file_read(path, 1 << 20, &text, &bytes));
    char *rest = text;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!strstr(line, "\"ordered\"")) continue;
        const double seconds = ls_study_number(line, "p50_ms") / 1e3;
        if (point->latency == 0)
            point->latency = seconds;
        else
            point->transfer = seconds;
    }
    free(text);
    return LS_OK;
}

// 4 KiB and all gradients, alone on the network.
static ls_status measure_reductions(const struct ls_study *study, struct ls_point *point) {
    char out[2048], err[2048];
    snprintf(out, sizeof out, "%s/runs/reduce-%d-ranks.json", study->spec->out, point->ranks);
    snprintf(err, sizeof err, "%s/runs/reduce-%d-ranks.err", study->spec->out, point->ranks);
    if (access(out, R_OK) != 0 && study->spec->collect) return LS_OK;
    if (access(out, R_OK) != 0) {
        struct words words = {.n = 0};
        char part[2100];
        snprintf(part, sizeof part, "%s.part", out);
        add_start(&words, study->spec, point->ranks);
        const long long large = (long long)(study->bytes > 2 * SMALL_BYTES ? study->bytes : 2 * SMALL_BYTES);
        add(&words, "bench");
        add(&words, "reduce");
        add(&words, "--json");
        add(&words, "--sizes");
        add(&words, ls_arena_format(&words.memory, "%d,%lld", SMALL_BYTES, large));
        const int status = run_words(&words, part, err);
        ls_arena_free(&words.memory);
        if (status != 0) return say_failed("bench reduce", status, err);
        if (rename(part, out) != 0)
            return LS_FAIL(LS_SYSTEM, "%s: cannot rename it: %s", part, strerror(errno));
    }
    return read_reductions(out, point);
}

// ---- a point ----

static void summarize(struct ls_point *point) {
    double step[LS_STUDY_TRIALS], wait[LS_STUDY_TRIALS], exposed[LS_STUDY_TRIALS];
    for (int t = 0; t < point->n_trials; t++) {
        step[t] = point->trials[t].step;
        wait[t] = point->trials[t].wait;
        exposed[t] = point->trials[t].exposed;
    }
    point->median.step = ls_median(step, (size_t)point->n_trials);
    point->median.wait = ls_median(wait, (size_t)point->n_trials);
    point->median.exposed = ls_median(exposed, (size_t)point->n_trials);
    point->fastest = step[0];
    point->slowest = step[point->n_trials - 1];
}

ls_status ls_study_make_folders(const struct ls_study_spec *spec) {
    char runs[2048];
    snprintf(runs, sizeof runs, "%s/runs", spec->out);
    return ls_make_folders(runs);
}

ls_status ls_study_measure(struct ls_study *study, struct ls_point *point) {
    if (!study->spec->collect) LS_TRY(ls_study_make_folders(study->spec));
    for (int t = 0; t < study->spec->repeats; t++) LS_TRY(find_trial(study, point, t));
    if (point->n_trials == 0) return LS_OK;
    summarize(point);
    return point->ranks > 1 ? measure_reductions(study, point) : LS_OK;
}
