// metrics.jsonl: its lines, what a resumed run keeps of them, and a disk that is full.
#include "train/metrics.h"

#include "base/file.h"
#include "base/log.h"
#include "unit/check.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct ls_scores right = {1, NAN, NAN, NAN, NAN, NAN};

struct place {
    char folder[64], path[128];
};

static int make_place(void **state) {
    static struct place place;
    strcpy(place.folder, "/tmp/ls metrics XXXXXX");
    if (!mkdtemp(place.folder)) return 1;
    snprintf(place.path, sizeof place.path, "%s/metrics.jsonl", place.folder);
    *state = &place;
    return 0;
}

static int remove_place(void **state) {
    struct place *place = *state;
    unlink(place->path);
    return rmdir(place->folder); // nothing else may be left in it
}

static void write_file(const char *path, const char *text, size_t bytes) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

static void assert_holds(const char *path, const char *expected) {
    char *text;
    size_t bytes;
    assert_int_equal(ls_file_read(path, 1 << 20, &text, &bytes), LS_OK);
    assert_string_equal(text, expected);
    assert_int_equal(bytes, strlen(expected));
    free(text);
}

static struct ls_metrics *must_open(const char *path, uint64_t step) {
    struct ls_metrics *metrics;
    if (ls_metrics_open(path, step, step, &metrics) != LS_OK) fail_msg("%s", ls_error_last()->text);
    return metrics;
}

static void lines_are_as_agreed(void **state) {
    struct place *place = *state;
    struct ls_metrics *metrics = must_open(place->path, 0);
    ls_metrics_start(metrics, &(struct ls_metrics_start){.step = 0,
                                                         .ranks = 2,
                                                         .lanes = 8,
                                                         .batch = 256,
                                                         .steps = 1172,
                                                         .samples = 60000,
                                                         .parameters = 11,
                                                         .reduced_bytes = 48,
                                                         .data_identity = 42,
                                                         .data_content = 1ull << 63,
                                                         .model = "lenet",
                                                         .from = "base.h5",
                                                         .from_content = 0xa,
                                                         .device = "a \"b\"",
                                                         .fingerprint = "f",
                                                         .version = "0.1.0"});
    ls_metrics_step(metrics, &(struct ls_metrics_step){.step = 1,
                                                       .epoch = 0.25,
                                                       .loss = (double)0.1f,
                                                       .scores = ls_scores_of_step(LS_VALUES, 0.75),
                                                       .lr = 0.1,
                                                       .grad_norm = INFINITY,
                                                       .samples_per_s = 12345.5,
                                                       .step_ms = 20,
                                                       .data_wait_ms = 0,
                                                       .comm_exposed_ms = 1.5,
                                                       .skipped = 1});
    struct ls_scores scores = ls_scores_of_step(LS_LABELS, 0.875);
    scores.label_accuracy = 0.9375, scores.f1 = 0.5;
    ls_metrics_eval(metrics, 1, 0.5, &scores, 10000);
    ls_metrics_checkpoint(metrics, 1, "c/step-00000001.h5", 0.5, 4096);
    ls_metrics_end(metrics, &(struct ls_metrics_end){.step = 1,
                                                     .loss = 0.5,
                                                     .scores = ls_scores_of_step(LS_CLASSES, 0.875),
                                                     .samples_per_s = 100,
                                                     .params_hash = 0xabcdef,
                                                     .ranks = 2,
                                                     .lanes = 8,
                                                     .device = "cpu",
                                                     .seconds = 2.5});
    assert_int_equal(ls_metrics_close(metrics), LS_OK);
    assert_holds(
        place->path,
        "{\"kind\":\"start\",\"step\":0,\"ranks\":2,\"lanes\":8,\"batch\":256,\"steps\":1172,"
        "\"samples\":60000,\"parameters\":11,\"reduced_bytes\":48,\"data_identity\":\"000000000000002a\","
        "\"data_content\":"
        "\"8000000000000000\",\"model\":\"lenet\",\"from\":\"base.h5\","
        "\"from_content\":\"000000000000000a\",\"device\":\"a \\\"b\\\"\","
        "\"fingerprint\":\"f\",\"version\":\"0.1.0\"}\n"
        "{\"kind\":\"step\",\"step\":1,\"epoch\":0.25,\"loss\":0.10000000149011612,\"accuracy\":null,\"mae\":"
        "0.75,"
        "\"lr\":0.1,\"grad_norm\":null,\"samples_per_s\":12345.5,\"step_ms\":20,\"data_wait_ms\":0,"
        "\"comm_exposed_ms\":1.5,\"skipped\":1}\n"
        "{\"kind\":\"eval\",\"step\":1,\"loss\":0.5,\"accuracy\":0.875,\"label_accuracy\":0.9375,\"f1\":0.5,"
        "\"samples\":10000}\n"
        "{\"kind\":\"checkpoint\",\"step\":1,\"path\":\"c/step-00000001.h5\",\"seconds\":0.5,"
        "\"bytes\":4096}\n"
        "{\"kind\":\"end\",\"step\":1,\"loss\":0.5,\"accuracy\":0.875,\"samples_per_s\":100,"
        "\"params_hash\":\"0000000000abcdef\",\"ranks\":2,\"lanes\":8,\"device\":\"cpu\",\"seconds\":2.5}\n");
}

#define LINE(kind, step) "{\"kind\":\"" kind "\",\"step\":" step ",\"loss\":1}\n"

static void a_resumed_run_keeps_what_led_to_its_step(void **state) {
    struct place *place = *state;
    static const char before[] =
        LINE("start", "0") LINE("step", "499") LINE("step", "500") LINE("eval", "500") LINE("step", "501")
            LINE("checkpoint", "500") LINE("start", "500") LINE("step", "5000") LINE("end", "502");
    write_file(place->path, before, strlen(before));
    struct ls_metrics *metrics = must_open(place->path, 500);
    ls_metrics_eval(metrics, 501, 1, &right, 1);
    assert_int_equal(ls_metrics_close(metrics), LS_OK);
    // The checkpoint's line came from its thread, after the next step's.
    assert_holds(
        place->path,
        LINE("start", "0") LINE("step", "499") LINE("step", "500") LINE("eval", "500")
            LINE("checkpoint", "500") LINE(
                "start", "500") "{\"kind\":\"eval\",\"step\":501,\"loss\":1,\"accuracy\":1,\"samples\":1}\n");
}

static void the_end_of_a_run_that_goes_on_goes(void **state) {
    struct place *place = *state;
    static const char before[] = LINE("step", "5") LINE("end", "5");
    write_file(place->path, before, strlen(before));
    assert_int_equal(ls_metrics_close(must_open(place->path, 5)), LS_OK);
    assert_holds(place->path, LINE("step", "5"));
    assert_int_equal(ls_metrics_close(must_open(place->path, 4)), LS_OK);
    assert_holds(place->path, "");
}

// A signal saved step 5 before its evaluation, which the resumed run made and a crash took: it will be made
// again.
static void an_evaluation_after_the_last_known_goes(void **state) {
    struct place *place = *state;
    static const char before[] = LINE("eval", "3") LINE("step", "5") LINE("eval", "5");
    write_file(place->path, before, strlen(before));
    struct ls_metrics *metrics = NULL;
    assert_int_equal(ls_metrics_open(place->path, 5, 3, &metrics), LS_OK);
    assert_int_equal(ls_metrics_close(metrics), LS_OK);
    assert_holds(place->path, LINE("eval", "3") LINE("step", "5"));
}

static void lines_that_a_crash_left_go(void **state) {
    struct place *place = *state;
    static const char *const torn[] = {
        "{\"kind\":\"step\",\"step\":7,\"lo", // no end
        "{\"kind\":\"step\",\"step\":7}",     // no newline: maybe cut in a number
        "{\"kind\":\"step\",\"st\n",           "\n", "garbage\n", "{\"kind\":\"step\"}\n",
        "{\"kind\":\"step\",\"step\":\"7\"}\n"};
    for (size_t i = 0; i < sizeof torn / sizeof torn[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "%s%s", LINE("step", "6"), torn[i]);
        write_file(place->path, text, strlen(text));
        assert_int_equal(ls_metrics_close(must_open(place->path, 100)), LS_OK);
        assert_holds(place->path, LINE("step", "6"));
    }
    static const char zeros[] =
        LINE("step", "6") "\0\0\0\0{\"step\":7}\n{\"step\":7,\0\0}\n" LINE("step", "8");
    write_file(place->path, zeros, sizeof zeros - 1);
    assert_int_equal(ls_metrics_close(must_open(place->path, 100)), LS_OK);
    assert_holds(place->path, LINE("step", "6") LINE("step", "8"));
}

static void a_step_inside_a_text_is_none(void **state) {
    struct place *place = *state;
    static const char before[] = "{\"kind\":\"start\",\"device\":\"\\\"step\\\":9\",\"step\":3}\n";
    write_file(place->path, before, strlen(before));
    assert_int_equal(ls_metrics_close(must_open(place->path, 3)), LS_OK);
    assert_holds(place->path, before);
}

// Someone may be reading along: a file that can stay is not replaced.
static void a_file_without_later_lines_stays_the_same_file(void **state) {
    struct place *place = *state;
    struct stat before, after;
    write_file(place->path, LINE("step", "6"), strlen(LINE("step", "6")));
    assert_int_equal(stat(place->path, &before), 0);
    assert_int_equal(ls_metrics_close(must_open(place->path, 6)), LS_OK);
    assert_int_equal(stat(place->path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

static void a_full_disk_loses_whole_lines_and_says_so(void **state) {
    struct place *place = *state;
    struct rlimit old, small;
    struct ls_metrics *metrics = must_open(place->path, 0);
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN); // write(2) then fails, after what still fits
    ls_log_enable(false);
    ls_metrics_eval(metrics, 1, 1, &right, 1); // 63 bytes each
    small = (struct rlimit){.rlim_cur = 100, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    ls_metrics_eval(metrics, 2, 1, &right, 1);
    ls_metrics_eval(metrics, 3, 1, &right, 1);
    assert_holds(place->path, "{\"kind\":\"eval\",\"step\":1,\"loss\":1,\"accuracy\":1,\"samples\":1}\n");
    setrlimit(RLIMIT_FSIZE, &old);
    ls_metrics_eval(metrics, 4, 1, &right, 1); // there is room again
    assert_int_equal(ls_metrics_close(metrics), LS_SYSTEM);
    assert_non_null(strstr(ls_error_last()->text, "lines are missing: File too large"));
    assert_holds(place->path, "{\"kind\":\"eval\",\"step\":1,\"loss\":1,\"accuracy\":1,\"samples\":1}\n"
                              "{\"kind\":\"eval\",\"step\":4,\"loss\":1,\"accuracy\":1,\"samples\":1}\n");
    ls_log_enable(true);
}

static void a_folder_that_is_not_there(void **state) {
    (void)state;
    struct ls_metrics *metrics;
    assert_int_equal(ls_metrics_open("/not/there/metrics.jsonl", 0, 0, &metrics), LS_INPUT);
    assert_null(metrics);
    assert_int_equal(ls_metrics_close(NULL), LS_OK);
}

static void *add_lines(void *metrics) {
    for (uint64_t i = 0; i < 500; i++) ls_metrics_checkpoint(metrics, i, "path", 1, i);
    return NULL;
}

static void threads_do_not_mix_lines(void **state) {
    struct place *place = *state;
    struct ls_metrics *metrics = must_open(place->path, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, add_lines, metrics);
    add_lines(metrics);
    pthread_join(thread, NULL);
    assert_int_equal(ls_metrics_close(metrics), LS_OK);
    FILE *file = fopen(place->path, "r");
    char line[256];
    int n = 0;
    for (; fgets(line, sizeof line, file); n++) {
        assert_int_equal(strncmp(line, "{\"kind\":\"checkpoint\",\"step\":", 28), 0);
        assert_string_equal(line + strlen(line) - 2, "}\n");
    }
    fclose(file);
    assert_int_equal(n, 1000);
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_A_PLACE(lines_are_as_agreed),
        IN_A_PLACE(a_resumed_run_keeps_what_led_to_its_step),
        IN_A_PLACE(the_end_of_a_run_that_goes_on_goes),
        IN_A_PLACE(an_evaluation_after_the_last_known_goes),
        IN_A_PLACE(lines_that_a_crash_left_go),
        IN_A_PLACE(a_step_inside_a_text_is_none),
        IN_A_PLACE(a_file_without_later_lines_stays_the_same_file),
        IN_A_PLACE(a_full_disk_loses_whole_lines_and_says_so),
        IN_A_PLACE(threads_do_not_mix_lines),
        cmocka_unit_test(a_folder_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
