// The run folder: what it refuses, and the lock, which ends with its process however that ends.
#include "train/runfolder.h"

#include "base/file.h"
#include "unit/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char base[64], path[128];
};

static int make_place(void **state) {
    static struct place place;
    strcpy(place.base, "/tmp/ls run XXXXXX");
    if (!mkdtemp(place.base)) return 1;
    snprintf(place.path, sizeof place.path, "%s/runs/a b", place.base);
    *state = &place;
    return 0;
}

static int remove_place(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", ((struct place *)*state)->base);
    return system(command);
}

static struct ls_run_folder *must_open(const char *path, bool resume) {
    struct ls_run_folder *folder;
    if (ls_run_folder_open(path, resume, &folder) != LS_OK) fail_msg("%s", ls_error_last()->text);
    return folder;
}

static void must_refuse(const char *path, bool resume, const char *words) {
    struct ls_run_folder *folder;
    assert_int_equal(ls_run_folder_open(path, resume, &folder), LS_INPUT);
    assert_null(folder);
    if (!strstr(ls_error_last()->text, words))
        fail_msg("expected: %s\nfound: %s", words, ls_error_last()->text);
}

static void put_file(const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(ls_file_write(path, "x", 1), LS_OK);
}

static void a_new_folder_is_made(void **state) {
    struct place *place = *state;
    struct ls_run_folder *folder = must_open(place->path, false);
    assert_string_equal(ls_run_folder_path(folder), place->path);
    assert_true(ls_file_exists(ls_run_folder_checkpoints(folder)));
    assert_false(ls_file_exists(ls_run_folder_metrics(folder)));
    assert_int_equal(ls_run_folder_write_recipe(folder, "seed: 1\n"), LS_OK);
    ls_run_folder_close(folder);
    ls_run_folder_close(NULL);
    char recipe[256], *text;
    snprintf(recipe, sizeof recipe, "%s/recipe.yaml", place->path);
    assert_int_equal(ls_file_read(recipe, 100, &text, NULL), LS_OK);
    assert_string_equal(text, "seed: 1\n");
    free(text);
}

static void a_run_is_refused_unless_resumed(void **state) {
    struct place *place = *state;
    static const char *const signs[] = {"recipe.yaml", "metrics.jsonl", "checkpoints/step-00000001.h5"};
    for (int i = 0; i < 3; i++) {
        char path[256], words[64];
        snprintf(path, sizeof path, "%s%d", place->path, i);
        ls_run_folder_close(must_open(path, false));
        ls_run_folder_close(must_open(path, false)); // nothing was written in it
        put_file(path, signs[i]);
        snprintf(words, sizeof words, "holds a run already (%.11s", signs[i]);
        must_refuse(path, false, words);
        must_refuse(path, false, "--resume");
        ls_run_folder_close(must_open(path, true));
    }
}

static void resume_starts_in_an_empty_folder(void **state) {
    struct place *place = *state;
    ls_run_folder_close(must_open(place->path, true));
    ls_run_folder_close(must_open(place->base, false)); // with other things in it
}

static void places_that_cannot_be(void **state) {
    struct place *place = *state;
    must_refuse("", false, "--out");
    put_file(place->base, "file");
    char path[256];
    snprintf(path, sizeof path, "%s/file", place->base);
    must_refuse(path, false, "expected a folder");
    snprintf(path, sizeof path, "%s/file/below", place->base);
    must_refuse(path, false, "file");
}

static void a_folder_in_use_names_its_holder(void **state) {
    struct place *place = *state;
    struct ls_run_folder *folder = must_open(place->path, false);
    char words[64];
    snprintf(words, sizeof words, "another run is at work here (process %ld on ", (long)getpid());
    must_refuse(place->path, true, words);
    must_refuse(place->path, false, words);
    must_refuse(place->path, false, words); // being refused does not give the lock back
    ls_run_folder_close(folder);
    ls_run_folder_close(must_open(place->path, false));
}

static void a_killed_process_holds_nothing(void **state) {
    struct place *place = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(30); // should the test fail before it ends this
        struct ls_run_folder *folder;
        char answer = ls_run_folder_open(place->path, false, &folder) == LS_OK ? 'y' : 'n';
        if (write(ready[1], &answer, 1) == 1) pause();
        _exit(1);
    }
    char answer = 0, words[64];
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    snprintf(words, sizeof words, "(process %ld on ", (long)child);
    must_refuse(place->path, true, words);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ls_run_folder_close(must_open(place->path, true));
    close(ready[0]);
    close(ready[1]);
}

#define IN_A_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_A_PLACE(a_new_folder_is_made),
        IN_A_PLACE(a_run_is_refused_unless_resumed),
        IN_A_PLACE(resume_starts_in_an_empty_folder),
        IN_A_PLACE(places_that_cannot_be),
        IN_A_PLACE(a_folder_in_use_names_its_holder),
        IN_A_PLACE(a_killed_process_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
