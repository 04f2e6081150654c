// A checkpoint reads back as it was, or not at all.
#include "unit/scratch.h"

#include "base/log.h"
#include "base/philox.h"
#include "graph/plan.h"
#include "h5/h5.h"
#include "train/checkpoint_parts.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

// ---- a disk that may lie: this takes the place of the system's pwrite

static int writes_until_a_lie = INT_MAX;

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    ssize_t n = syscall(SYS_pwrite64, fd, data, bytes, offset);
    if (n <= 0 || writes_until_a_lie == INT_MAX || writes_until_a_lie-- != 0) return n;
    char byte = (char)(*(const char *)data ^ 4);
    (void)syscall(SYS_pwrite64, fd, &byte, (size_t)1, offset);
    return n;
}

// ---- a small model with parameters of every rank, gaps between them

enum { PARAM_FLOATS = 160 + 80 + 16 + 16, STATE_FLOATS = 32 };

static struct ls_item params[] = {
    {.name = "conv1.weight", .shape = {4, {4, 2, 3, 6}}, .offset = 0, .count = 144},
    {.name = "fc.weight", .shape = {2, {10, 7}}, .offset = 160, .count = 70},
    {.name = "fc.bias", .shape = {1, {10}}, .offset = 240, .count = 10},
    {.name = "gain", .shape = {0, {0}}, .offset = 256, .count = 1},
};
static struct ls_item states[] = {
    {.name = "bn1.running_mean", .shape = {1, {4}}, .offset = 0, .count = 4},
    {.name = "bn1.running_var", .shape = {1, {4}}, .offset = 16, .count = 4},
};
static const struct ls_layout layout = {
    .params = params,
    .states = states,
    .n_params = 4,
    .n_states = 2,
    .n_trained = 4,
    .n_followed = 2,
    .trained_floats = PARAM_FLOATS,
    .param_floats = PARAM_FLOATS,
    .state_floats = STATE_FLOATS,
    .parameters = 225,
};

struct model {
    float params[PARAM_FLOATS], states[STATE_FLOATS], slot[2][PARAM_FLOATS];
    float average[PARAM_FLOATS], average_states[STATE_FLOATS];
    struct ls_checkpoint checkpoint;
};

static void fill(float *buffer, const struct ls_item *items, int n, uint64_t key) {
    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < items[i].count; k++)
            buffer[items[i].offset + k] = ls_uniform(ls_philox(key, LS_RANDOM_TEST, k, (uint64_t)i).word[0]);
}

static void make_model(struct model *model, uint64_t step) {
    *model = (struct model){0};
    fill(model->params, params, 4, step);
    fill(model->states, states, 2, step + 1);
    fill(model->slot[0], params, 4, step + 2);
    fill(model->slot[1], params, 4, step + 3);
    fill(model->average, params, 4, step + 4);
    fill(model->average_states, states, 2, step + 5);
    // A NaN with a mark of its own, and a negative zero: bits are kept.
    uint32_t nan = 0x7fc01234;
    memcpy(&model->params[3], &nan, 4);
    model->params[4] = -0.0f;
    model->checkpoint = (struct ls_checkpoint){
        .layout = &layout,
        .params = model->params,
        .states = model->states,
        .slot = {model->slot[0], model->slot[1]},
        .slot_names = {"mean", "variance"},
        .average = model->average,
        .average_states = model->average_states,
        .state = {.step = step,
                  .seed = UINT64_MAX,
                  .loss_scale = 65536,
                  .skipped = 3,
                  .skipped_in_row = 1,
                  .samples = 60000,
                  .batch = 256,
                  .lanes = 8,
                  .data_identity = 0x8000000000000001u,
                  .best_score = 0.1,
                  .best_step = 7,
                  .evaluated_step = 5},
        .recipe = "seed: 1\nmodel: {zoo: lenet} # gr\xc3\xbc\xc3\x9f"
                  "e\n",
        .model = "graph\n",
        .fingerprint = "cpu; plain",
        .version = "0.1.0",
    };
}

static void make_empty(struct model *model) {
    make_model(model, 0);
    memset(model->params, 0xaa, sizeof model->params);
    memset(model->states, 0xaa, sizeof model->states);
    memset(model->slot, 0xaa, sizeof model->slot);
    memset(model->average, 0xaa, sizeof model->average);
    memset(model->average_states, 0xaa, sizeof model->average_states);
    model->checkpoint.state = (struct ls_checkpoint_state){0};
}

static bool same_model(const struct model *a, const struct model *b) {
    return memcmp(a->params, b->params, sizeof a->params) == 0 &&
           memcmp(a->states, b->states, sizeof a->states) == 0 &&
           memcmp(a->slot, b->slot, sizeof a->slot) == 0 &&
           memcmp(a->average, b->average, sizeof a->average) == 0 &&
           memcmp(a->average_states, b->average_states, sizeof a->average_states) == 0 &&
           memcmp(&a->checkpoint.state, &b->checkpoint.state, sizeof a->checkpoint.state) == 0;
}

// Does the file say exactly this?
static bool reads_as(const char *path, const struct model *expected) {
    struct model found;
    struct ls_checkpoint_header header;
    make_empty(&found);
    if (ls_checkpoint_read(path, &found.checkpoint) != LS_OK || !same_model(&found, expected)) return false;
    if (ls_checkpoint_read_header(path, &header) != LS_OK) return false;
    bool same = strcmp(header.recipe, expected->checkpoint.recipe) == 0 &&
                strcmp(header.model, expected->checkpoint.model) == 0 &&
                strcmp(header.fingerprint, expected->checkpoint.fingerprint) == 0 &&
                strcmp(header.version, expected->checkpoint.version) == 0 &&
                memcmp(&header.state, &expected->checkpoint.state, sizeof header.state) == 0;
    ls_checkpoint_header_free(&header);
    return same;
}

static const char *const name_500 = "step-00000500.h5";

static void write_500(struct model *model) {
    make_model(model, 500);
    assert_ok(ls_checkpoint_write(scratch_folder, &model->checkpoint));
}

// ---- one file

static void reads_back_as_it_was(void **state) {
    (void)state;
    struct model model;
    write_500(&model);
    assert_int_equal(scratch_count(scratch_folder, ""), 1);
    assert_ok(ls_checkpoint_verify(scratch(name_500)));
    assert_true(reads_as(scratch(name_500), &model));
    // A second time over the first.
    model.checkpoint.state.skipped = 9;
    assert_ok(ls_checkpoint_write(scratch_folder, &model.checkpoint));
    assert_true(reads_as(scratch(name_500), &model));
    // Texts may be missing.
    model.checkpoint.recipe = NULL;
    assert_ok(ls_checkpoint_write(scratch_folder, &model.checkpoint));
    model.checkpoint.recipe = "";
    assert_true(reads_as(scratch(name_500), &model));
}

static void is_the_same_bytes_each_time(void **state) {
    (void)state;
    struct model model;
    write_500(&model);
    assert_int_equal(rename(scratch(name_500), scratch("first.h5")), 0);
    write_500(&model);
    assert_true(scratch_same(scratch("first.h5"), scratch(name_500)));
}

static void lies_as_it_is_drawn(void **state) {
    (void)state;
    struct model model;
    struct ls_h5 *file;
    struct ls_h5_dataset info;
    char axes[8];
    bool found;
    float weight[144];
    write_500(&model);
    assert_ok(ls_h5_open(scratch(name_500), &file));
    assert_ok(ls_h5_describe(file, "model/conv1.weight", &info));
    // (out 4, in 2, height 3, width 6) in meaning.
    assert_true(info.rank == 4 && info.dim[0] == 4 && info.dim[1] == 3 && info.dim[2] == 6 &&
                info.dim[3] == 2);
    assert_true(info.type == LS_F32 && info.storage == LS_H5_CONTIGUOUS);
    assert_ok(ls_h5_attr_text(file, "model/conv1.weight", "axes", axes, sizeof axes, &found));
    assert_string_equal(axes, "OHWI");
    assert_ok(ls_h5_read_all(file, "model/conv1.weight", LS_F32, weight));
    assert_memory_equal(weight, model.params, sizeof weight);
    assert_ok(ls_h5_attr_text(file, "model/fc.weight", "axes", axes, sizeof axes, &found));
    assert_false(found);
    assert_ok(ls_h5_describe(file, "model/gain", &info));
    assert_int_equal(info.rank, 0);
    assert_true(ls_h5_exists(file, "optimizer/variance/fc.bias"));
    assert_ok(ls_h5_read_all(file, "average/conv1.weight", LS_F32, weight));
    assert_memory_equal(weight, model.average, sizeof weight);
    assert_true(ls_h5_exists(file, "average/bn1.running_var"));
    uint64_t seed;
    assert_ok(ls_h5_read_all(file, "state/seed", LS_U64, &seed));
    assert_true(seed == UINT64_MAX);
    ls_h5_close(file);
}

static void the_hash_leaves_gaps_out(void **state) {
    (void)state;
    struct model model;
    make_model(&model, 1);
    uint64_t before = ls_params_hash(&layout, model.params);
    model.params[144] = 1; // a gap
    assert_true(ls_params_hash(&layout, model.params) == before);
    model.params[256] += 1;
    assert_true(ls_params_hash(&layout, model.params) != before);
}

static void other_models_are_refused(void **state) {
    (void)state;
    struct model model, other;
    write_500(&model);
    struct ls_item changed[4];
    struct ls_layout another = layout;
    another.params = changed;
    make_empty(&other);
    other.checkpoint.layout = &another;

    memcpy(changed, params, sizeof params);
    changed[1].shape.dim[0] = 7, changed[1].shape.dim[1] = 10;
    assert_fails(LS_INPUT, "'model/fc.weight': expected f32 7x10, found f32 10x7",
                 ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    memcpy(changed, params, sizeof params);
    changed[2].name = "fc.bent";
    assert_fails(LS_INPUT, "no dataset 'model/fc.bent'",
                 ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    memcpy(changed, params, sizeof params);
    another.n_params = another.n_trained = 3;
    assert_fails(LS_INPUT, "expected 5 parameters and statistics, found 6",
                 ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    another.n_params = another.n_trained = 4;
    other.checkpoint.slot_names[1] = "momentum";
    assert_fails(LS_INPUT, "no dataset 'optimizer/momentum/",
                 ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    assert_fails(LS_INPUT, "no such file", ls_checkpoint_verify(scratch("none.h5")));

    // Without its optimizer: for an evaluation.
    make_empty(&other);
    other.checkpoint.slot_names[0] = other.checkpoint.slot_names[1] = NULL;
    assert_ok(ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    assert_memory_equal(other.params, model.params, sizeof model.params);
}

static void averages_may_be_missing(void **state) {
    (void)state;
    struct model model, other;
    make_model(&model, 500);
    model.checkpoint.average = model.checkpoint.average_states = NULL;
    assert_ok(ls_checkpoint_write(scratch_folder, &model.checkpoint));
    make_empty(&other);
    assert_fails(LS_INPUT, "no dataset 'average/conv1.weight'",
                 ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    other.checkpoint.average = other.checkpoint.average_states = NULL;
    assert_ok(ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    assert_memory_equal(other.params, model.params, sizeof model.params);
}

struct matches {
    int taken, left;
    struct ls_text lines;
};

static void note_match(void *context, const struct ls_match *match) {
    struct matches *matches = context;
    *(match->taken ? &matches->taken : &matches->left) += 1;
    ls_text_add(&matches->lines, "%s %s %s%s;", match->name, match->there ? match->shape_there : "-",
                match->here ? match->shape_here : "-", match->frozen ? " frozen" : "");
}

static void takes_what_matches(void **state) {
    (void)state;
    struct model model, other;
    write_500(&model);
    struct ls_item changed[4];
    struct ls_layout another = layout;
    struct matches matches = {0};
    another.params = changed;
    memcpy(changed, params, sizeof params);
    changed[1].shape = (struct ls_shape){2, {5, 14}};
    changed[2].name = "head.bias";
    another.n_trained = 3;
    make_empty(&other);
    assert_ok(ls_checkpoint_read_matching(scratch(name_500), &another, other.params, other.states, note_match,
                                          &matches));
    assert_int_equal(matches.taken, 4);
    assert_int_equal(matches.left, 3);
    assert_string_equal(matches.lines.data,
                        "gain scalar scalar frozen;head.bias - 10;fc.weight 10x7 5x14;conv1.weight 4x2x3x6 "
                        "4x2x3x6;bn1.running_mean 4 4;bn1.running_var 4 4;fc.bias 10 -;");
    ls_text_free(&matches.lines);
    assert_memory_equal(other.params, model.average, 144 * 4); // as evaluations take them
    assert_memory_equal(other.params + 256, model.average + 256, 4);
    uint32_t untouched;
    memcpy(&untouched, &other.params[160], 4);
    assert_int_equal(untouched, 0xaaaaaaaa);
    assert_memory_equal(other.states, model.average_states, 16);
}

static void files_of_another_kind_are_refused(void **state) {
    (void)state;
    struct ls_h5 *file;
    struct ls_checkpoint_header header;
    float one = 1;
    assert_ok(ls_h5_create(scratch("shard.h5"), &file));
    assert_ok(ls_h5_write(file, "model", LS_F32, 0, NULL, &one));
    assert_ok(ls_h5_finish(file));
    assert_fails(LS_INPUT, "shard.h5: is not a checkpoint", ls_checkpoint_verify(scratch("shard.h5")));
    assert_fails(LS_INPUT, "shard.h5: is not a checkpoint",
                 ls_checkpoint_read_header(scratch("shard.h5"), &header));
    assert_null(header.recipe);
    assert_ok(ls_h5_create(scratch("later.h5"), &file));
    assert_ok(ls_h5_set_text(file, "/", "format", "lockstep checkpoint"));
    assert_ok(ls_h5_set_i64(file, "/", "version", 2));
    assert_ok(ls_h5_finish(file));
    assert_fails(LS_INPUT, "expected checkpoint version 1, found 2",
                 ls_checkpoint_verify(scratch("later.h5")));
}

// ---- damage

// Every bit that matters is covered: a file that verifies says what was written.
static void a_flipped_bit_is_noticed(void **state) {
    (void)state;
    struct model model;
    write_500(&model);
    size_t bytes;
    unsigned char *whole = scratch_read(scratch(name_500), &bytes);
    const char *stride_text = getenv("LOCKSTEP_FLIP_STRIDE");
    size_t stride = stride_text ? strtoul(stride_text, NULL, 10) : 13;
    int noticed = 0, harmless = 0;
    const char *path = scratch("bent.h5");
    scratch_write(path, whole, bytes);
    int fd = open(path, O_WRONLY);
    for (size_t at = 0; at < bytes; at += stride) {
        unsigned char bent =
            whole[at] ^ (unsigned char)(1u << ls_philox(1, LS_RANDOM_TEST, at, 0).word[0] % 8);
        assert_int_equal(pwrite(fd, &bent, 1, (off_t)at), 1);
        if (ls_checkpoint_verify(path) != LS_OK) {
            noticed++;
            assert_int_equal(ls_error_last()->status, LS_INPUT);
            assert_non_null(strstr(ls_error_last()->text, "bent.h5"));
        } else {
            harmless++;
            if (!reads_as(path, &model)) fail_msg("byte %zu: the file verifies and says something else", at);
        }
        assert_int_equal(pwrite(fd, &whole[at], 1, (off_t)at), 1);
    }
    close(fd);
    print_message("%d flips noticed, %d in bytes that mean nothing, of %zu bytes\n", noticed, harmless,
                  bytes);
    assert_true(noticed > 100);
    free(whole);
}

static void flip_a_bit_of(const char *path, const char *dataset) {
    struct ls_h5 *file;
    struct ls_h5_dataset info;
    unsigned char byte;
    assert_ok(ls_h5_open(path, &file));
    assert_ok(ls_h5_describe(file, dataset, &info));
    ls_h5_close(file);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, info.offset + 5), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, info.offset + 5), 1);
    close(fd);
}

static void damage_in_data_is_named(void **state) {
    (void)state;
    struct model model, other;
    write_500(&model);
    flip_a_bit_of(scratch(name_500), "optimizer/mean/fc.bias");
    assert_fails(LS_INPUT, "'optimizer/mean/fc.bias': expected CRC32C",
                 ls_checkpoint_verify(scratch(name_500)));
    make_empty(&other);
    assert_fails(LS_INPUT, "'optimizer/mean/fc.bias': expected CRC32C",
                 ls_checkpoint_read(scratch(name_500), &other.checkpoint));
    other.checkpoint.slot_names[0] = NULL;
    assert_ok(ls_checkpoint_read(scratch(name_500), &other.checkpoint));
}

static void a_cut_off_file_is_noticed(void **state) {
    (void)state;
    struct model model;
    write_500(&model);
    size_t bytes;
    unsigned char *whole = scratch_read(scratch(name_500), &bytes);
    for (size_t length = 0; length < bytes; length += length < 4096 ? 31 : 487) {
        scratch_write(scratch("cut.h5"), whole, length);
        assert_fails(LS_INPUT, "cut.h5: ", ls_checkpoint_verify(scratch("cut.h5")));
    }
    scratch_write(scratch("cut.h5"), whole, bytes - 1);
    assert_fails(LS_INPUT, "is truncated", ls_checkpoint_verify(scratch("cut.h5")));
    free(whole);
}

static int write_with_limit(rlim_t limit) {
    pid_t child = fork();
    if (child == 0) {
        struct rlimit bound = {limit, RLIM_INFINITY};
        struct model model;
        make_model(&model, 500);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &bound);
        ls_status status = ls_checkpoint_write(scratch_folder, &model.checkpoint);
        bool told = status == LS_SYSTEM && strstr(ls_error_last()->text, "checkpoint of step 500: ");
        exit(status == LS_OK ? 0 : told ? 1 : 100);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void a_limit_leaves_the_old_file(void **state) {
    (void)state;
    struct model old;
    make_model(&old, 500);
    old.checkpoint.state.skipped = 77;
    assert_ok(ls_checkpoint_write(scratch_folder, &old.checkpoint));
    for (rlim_t limit = 0; limit < 250000; limit += 20000) {
        assert_int_equal(write_with_limit(limit), 1);
        assert_int_equal(scratch_count(scratch_folder, ""), 1);
        assert_true(reads_as(scratch(name_500), &old));
    }
    assert_int_equal(write_with_limit(RLIM_INFINITY), 0);
    assert_false(reads_as(scratch(name_500), &old));
}

static void a_full_disk_leaves_the_old_files(void **state) {
    (void)state;
    struct model model;
    int written = 0;
    assert_int_equal(mkdir(scratch("disk"), 0777), 0);
    if (mount("none", scratch("disk"), "tmpfs", 0, "size=128k") != 0) skip();
    ls_status status = LS_OK;
    for (uint64_t step = 1; status == LS_OK && step < 100; step++) {
        make_model(&model, step);
        status = ls_checkpoint_write(scratch("disk"), &model.checkpoint);
        written += status == LS_OK;
    }
    bool told = strstr(ls_error_last()->text, "No space left on device");
    int files = scratch_count(scratch("disk"), ""), whole = 0;
    for (int step = 1; step <= files; step++) {
        char name[64];
        snprintf(name, sizeof name, "disk/step-%08d.h5", step);
        make_model(&model, (uint64_t)step);
        whole += reads_as(scratch(name), &model);
    }
    assert_int_equal(umount(scratch("disk")), 0);
    assert_int_equal(status, LS_SYSTEM);
    assert_true(told && written >= 1);
    assert_int_equal(files, written);
    assert_int_equal(whole, written);
}

// A disk that keeps something else than it was given is found out before the file gets its name.
static void what_does_not_read_back_is_an_error(void **state) {
    (void)state;
    struct model old;
    write_500(&old);
    int refused = 0;
    for (int wrong = 0; wrong < 60; wrong++) {
        struct model model;
        make_model(&model, 500);
        writes_until_a_lie = wrong;
        ls_status status = ls_checkpoint_write(scratch_folder, &model.checkpoint);
        bool lied = writes_until_a_lie < 0;
        writes_until_a_lie = INT_MAX;
        if (status != LS_OK) {
            refused++;
            assert_int_equal(status, LS_SYSTEM);
            assert_non_null(strstr(ls_error_last()->text,
                                   "checkpoint of step 500: what was written does not read back: "));
        }
        assert_int_equal(scratch_count(scratch_folder, ""), 1);
        assert_true(reads_as(scratch(name_500), &old));
        if (!lied) break;
    }
    assert_true(refused > 10);
}

static void what_cannot_be_written_is_an_error(void **state) {
    (void)state;
    struct model model;
    make_model(&model, 500);
    assert_fails(LS_SYSTEM, "No such file", ls_checkpoint_write(scratch("missing"), &model.checkpoint));
    struct ls_item bad = params[0];
    struct ls_layout another = layout;
    bad.name = "a/b";
    another.params = &bad;
    another.n_params = another.n_trained = 1;
    model.checkpoint.layout = &another;
    assert_fails(LS_INPUT, "without a slash", ls_checkpoint_write(scratch_folder, &model.checkpoint));
    assert_int_equal(scratch_count(scratch_folder, ""), 0);
}

// ---- folders

static void write_step(uint64_t step) {
    struct model model;
    make_model(&model, step);
    assert_ok(ls_checkpoint_write(scratch_folder, &model.checkpoint));
}

static void check_newest(const char *expected) {
    char *path;
    assert_ok(ls_checkpoint_newest(scratch_folder, &path));
    if (expected)
        assert_string_equal(path, scratch(expected));
    else
        assert_null(path);
    free(path);
}

static void the_newest_that_is_whole(void **state) {
    (void)state;
    char *path;
    assert_ok(ls_checkpoint_newest(scratch("missing"), &path));
    assert_null(path);
    check_newest(NULL);
    write_step(9);
    write_step(100);
    write_step(123456789); // nine digits: before the others by name, behind them by number
    check_newest("step-123456789.h5");
    scratch_write(scratch("step-00000200.h5.tmp"), "half", 4);
    scratch_write(scratch("step-1.h5"), "not ours", 8);
    scratch_write(scratch("notes.tmp"), "not ours", 8);
    ls_log_enable(false);
    assert_int_equal(truncate(scratch("step-123456789.h5"), 5000), 0);
    check_newest("step-00000100.h5");
    assert_false(access(scratch("step-00000200.h5.tmp"), F_OK) == 0);
    assert_true(access(scratch("notes.tmp"), F_OK) == 0 && access(scratch("step-1.h5"), F_OK) == 0);
    write_step(150);
    flip_a_bit_of(scratch("step-00000150.h5"), "model/conv1.weight"); // of which the header says nothing
    check_newest("step-00000100.h5");
    // A name that lies.
    assert_int_equal(rename(scratch("step-00000009.h5"), scratch("step-00000300.h5")), 0);
    check_newest("step-00000100.h5");
    scratch_write(scratch("step-00000100.h5"), "", 0);
    check_newest(NULL);
    ls_log_enable(true);
    assert_int_equal(ls_error_last()->status, LS_OK);
}

static void keep_line(void *context, enum ls_log_kind kind, const char *line) {
    snprintf(context, 1024, "%s%s", kind == LS_LOG_WARNING ? "warning: " : "", line);
}

static void warnings_name_file_and_reason(void **state) {
    (void)state;
    char text[1024] = "";
    write_step(5);
    assert_int_equal(truncate(scratch("step-00000005.h5"), 5000), 0);
    char *path;
    ls_log_to(keep_line, text);
    ls_status status = ls_checkpoint_newest(scratch_folder, &path);
    ls_log_to(NULL, NULL);
    assert_int_equal(status, LS_OK);
    assert_non_null(strstr(text, "warning: passed over: "));
    assert_non_null(strstr(text, "step-00000005.h5: is truncated: 5000 bytes"));
}

static void prunes_all_but_the_newest_and_the_best(void **state) {
    (void)state;
    for (uint64_t step = 10; step <= 60; step += 10) write_step(step);
    scratch_write(scratch("other.h5"), "", 0);
    ls_checkpoint_prune(scratch_folder, 2, 20, UINT64_MAX, UINT64_MAX);
    static const int left[] = {0, 1, 0, 0, 1, 1};
    for (int i = 0; i < 6; i++) {
        char name[64];
        snprintf(name, sizeof name, "step-%08d.h5", 10 * (i + 1));
        assert_int_equal(access(scratch(name), F_OK) == 0, left[i]);
    }
    assert_int_equal(scratch_count(scratch_folder, ""), 4);
    ls_checkpoint_prune(scratch("missing"), 1, 0, UINT64_MAX, UINT64_MAX);
}

static void expect_files(const char *const *names, int n) {
    for (int i = 0; i < n; i++) assert_int_equal(access(scratch(names[i]), F_OK), 0);
    assert_int_equal(scratch_count(scratch_folder, ""), n);
}

static void pruning_keeps_one_that_an_audit_stands_behind(void **state) {
    (void)state;
    for (uint64_t step = 10; step <= 60; step += 10) write_step(step);
    ls_checkpoint_prune(scratch_folder, 2, UINT64_MAX, 35, UINT64_MAX);
    static const char *const left[] = {"step-00000030.h5", "step-00000050.h5", "step-00000060.h5"};
    expect_files(left, 3);
}

static void sets_aside_what_came_after_the_last_trusted_step(void **state) {
    (void)state;
    char *newest;
    for (uint64_t step = 10; step <= 40; step += 10) write_step(step);
    ls_checkpoint_set_aside(scratch_folder, 20);
    static const char *const left[] = {"step-00000010.h5", "step-00000020.h5", "step-00000030.h5.suspect",
                                       "step-00000040.h5.suspect"};
    expect_files(left, 4);
    assert_ok(ls_checkpoint_newest(scratch_folder, &newest));
    assert_string_equal(newest, scratch("step-00000020.h5"));
    free(newest);
    ls_checkpoint_set_aside(scratch("missing"), 0);
}

// ---- writing while training continues

struct told {
    int n;
    uint64_t step, bytes;
    double seconds;
};

static void be_told(void *context, uint64_t step, const char *path, double seconds, uint64_t bytes) {
    struct told *told = context;
    struct stat info;
    told->n++;
    told->step = step;
    told->bytes = stat(path, &info) == 0 && (uint64_t)info.st_size == bytes ? bytes : 0;
    told->seconds = seconds;
}

static void the_writer_writes_what_it_was_given(void **state) {
    (void)state;
    struct model model, kept;
    struct ls_checkpoint_writer *writer;
    struct told told = {0};
    make_model(&model, 0);
    assert_ok(ls_checkpoint_writer_open(scratch_folder, &layout, &model.checkpoint, 2, &writer));
    ls_checkpoint_writer_on_done(writer, be_told, &told);
    for (uint64_t step = 1; step <= 5; step++) {
        make_model(&model, step);
        model.checkpoint.state.best_step = 2;
        kept = model;
        ls_checkpoint_writer_start(writer, &model.checkpoint);
        memset(model.params, 0xff, sizeof model.params); // training goes on
        memset(model.slot, 0xff, sizeof model.slot);
        memset(model.average, 0xff, sizeof model.average);
    }
    assert_ok(ls_checkpoint_writer_finish(writer));
    assert_true(reads_as(scratch("step-00000005.h5"), &kept));
    assert_int_equal(told.n, 5);
    assert_int_equal(told.step, 5);
    assert_true(told.bytes > 1000 && told.seconds > 0);
    assert_int_equal(scratch_count(scratch_folder, ""), 3); // 4, 5, and the best
    assert_true(access(scratch("step-00000002.h5"), F_OK) == 0);
    ls_checkpoint_writer_close(writer);
}

static void the_writer_keeps_its_first_error(void **state) {
    (void)state;
    struct model model;
    struct ls_checkpoint_writer *writer;
    make_model(&model, 1);
    assert_int_equal(mkdir(scratch("gone"), 0777), 0);
    assert_ok(ls_checkpoint_writer_open(scratch("gone"), &layout, &model.checkpoint, 3, &writer));
    ls_checkpoint_writer_start(writer, &model.checkpoint);
    assert_ok(ls_checkpoint_writer_finish(writer));
    assert_int_equal(rename(scratch("gone"), scratch("moved")), 0);
    ls_log_enable(false);
    model.checkpoint.state.step = 2;
    ls_checkpoint_writer_start(writer, &model.checkpoint);
    assert_fails(LS_SYSTEM, "checkpoint of step 2: ", ls_checkpoint_writer_finish(writer));
    model.checkpoint.state.step = 9;
    ls_checkpoint_writer_start(writer, &model.checkpoint);
    assert_fails(LS_SYSTEM, "checkpoint of step 2: ", ls_checkpoint_writer_finish(writer));
    ls_log_enable(true);
    assert_int_equal(rename(scratch("moved"), scratch("gone")), 0);
    model.checkpoint.state.step = 3;
    ls_checkpoint_writer_start(writer, &model.checkpoint);
    assert_fails(LS_SYSTEM, "checkpoint of step 2: ", ls_checkpoint_writer_finish(writer));
    assert_true(access(scratch("gone/step-00000003.h5"), F_OK) == 0);
    ls_checkpoint_writer_close(writer);
    ls_checkpoint_writer_close(NULL);
}

// A file that was passed over, behind the step where the run went on, is no reason to remove what is written
// now.
static void the_writer_never_prunes_what_it_wrote(void **state) {
    (void)state;
    struct model model;
    struct ls_checkpoint_writer *writer;
    scratch_write(scratch("step-00000100.h5"), "damaged", 7);
    make_model(&model, 60);
    model.checkpoint.state.best_score = NAN;
    assert_ok(ls_checkpoint_writer_open(scratch_folder, &layout, &model.checkpoint, 1, &writer));
    ls_checkpoint_writer_start(writer, &model.checkpoint);
    ls_checkpoint_writer_close(writer); // waits
    assert_true(access(scratch("step-00000060.h5"), F_OK) == 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_drop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(reads_back_as_it_was),
        TEST(is_the_same_bytes_each_time),
        TEST(lies_as_it_is_drawn),
        TEST(the_hash_leaves_gaps_out),
        TEST(other_models_are_refused),
        TEST(averages_may_be_missing),
        TEST(takes_what_matches),
        TEST(files_of_another_kind_are_refused),
        TEST(a_flipped_bit_is_noticed),
        TEST(damage_in_data_is_named),
        TEST(a_cut_off_file_is_noticed),
        TEST(a_limit_leaves_the_old_file),
        TEST(a_full_disk_leaves_the_old_files),
        TEST(what_does_not_read_back_is_an_error),
        TEST(what_cannot_be_written_is_an_error),
        TEST(the_newest_that_is_whole),
        TEST(warnings_name_file_and_reason),
        TEST(prunes_all_but_the_newest_and_the_best),
        TEST(pruning_keeps_one_that_an_audit_stands_behind),
        TEST(sets_aside_what_came_after_the_last_trusted_step),
        TEST(the_writer_writes_what_it_was_given),
        TEST(the_writer_keeps_its_first_error),
        TEST(the_writer_never_prunes_what_it_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
