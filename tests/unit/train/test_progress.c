// The progress bar on a pseudo-terminal, and plain lines elsewhere.
#define _GNU_SOURCE // posix_openpt
#include "train/progress.h"

#include "base/log.h"
#include "unit/check.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static void bars_fit_their_terminal(void **state) {
    (void)state;
    const struct ls_progress_view view = {.step = 512,
                                          .steps = 1175,
                                          .epoch = 3,
                                          .epochs = 5,
                                          .loss = 0.32414,
                                          .samples_per_s = 12345.6,
                                          .seconds_left = 42};
    char out[400];
    for (int columns = 0; columns < 500; columns++) {
        assert_ptr_equal(ls_progress_bar(&view, columns, out, sizeof out), out);
        assert_true((int)strlen(out) <= columns && strlen(out) < sizeof out);
    }
    assert_string_equal(
        out, "epoch 3/5 [================>                     ] 512/1175 loss 0.3241 12346 samples/s "
             "0:42 left");
    assert_string_equal(ls_progress_bar(&view, 30, out, sizeof out), "epoch 3/5 512/1175 loss 0.3241");
    assert_string_equal(ls_progress_bar(&view, 79, out, sizeof out),
                        "epoch 3/5 [========>           ] 512/1175 loss 0.3241 12346 samples/s 0:42 left");
}

static void bars_take_any_figures(void **state) {
    (void)state;
    struct ls_progress_view view = {.steps = 10, .step = 10, .epoch = 1, .epochs = 1, .loss = NAN};
    char out[200];
    assert_non_null(
        strstr(ls_progress_bar(&view, 79, out, sizeof out), "=] 10/10 loss nan 0 samples/s 0:00 left"));
    view.seconds_left = 3 * 3600 + 62;
    assert_non_null(strstr(ls_progress_bar(&view, 79, out, sizeof out), " 3:01:02 left"));
    view.seconds_left = 50 * 3600;
    assert_non_null(strstr(ls_progress_bar(&view, 79, out, sizeof out), " 2d 2h left"));
    view.seconds_left = INFINITY;
    view.step = UINT64_MAX, view.steps = UINT64_MAX, view.epoch = UINT64_MAX, view.epochs = UINT64_MAX;
    view.loss = -1e308, view.samples_per_s = 1e300;
    ls_progress_bar(&view, 150, out, sizeof out);
    assert_int_equal(strlen(out) <= 150, 1);
    view.steps = 0;
    ls_progress_bar(&view, 80, out, sizeof out);
}

// What can be read from `file` now.
static char *read_now(int file, char *out, size_t bytes) {
    size_t used = 0;
    struct pollfd ready = {.fd = file, .events = POLLIN};
    while (used < bytes - 1 && poll(&ready, 1, 50) == 1) {
        ssize_t n = read(file, out + used, bytes - 1 - used);
        if (n <= 0) break;
        used += (size_t)n;
    }
    out[used] = 0;
    return out;
}

static void files_get_plain_lines(void **state) {
    (void)state;
    int ends[2];
    char out[4096];
    struct ls_progress *progress;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(ls_progress_open_on(ends[1], 40, 0, 100, 10, &progress), LS_OK);
    ls_progress_step(progress, 1, 2.5, 1000);
    assert_string_equal(strtok(read_now(ends[0], out, sizeof out), ","), "lockstep: epoch 1/4");
    for (uint64_t step = 2; step < 10; step++) ls_progress_step(progress, step, 2.5, 1000);
    assert_string_equal(read_now(ends[0], out, sizeof out), "");
    usleep(1100 * 1000);
    ls_progress_step(progress, 10, 2.25, 1000);
    read_now(ends[0], out, sizeof out);
    assert_int_equal(strncmp(out, "lockstep: epoch 1/4, step 10/40: loss 2.2500, 1000 samples/s, 0:0", 65),
                     0);
    for (uint64_t step = 11; step < 40; step++) ls_progress_step(progress, step, 2.5, 1000);
    ls_progress_clear(progress);
    assert_string_equal(read_now(ends[0], out, sizeof out), "");
    ls_progress_step(progress, 40, 2, 1000);
    assert_non_null(strstr(read_now(ends[0], out, sizeof out), "epoch 4/4, step 40/40: loss 2.0000"));
    assert_null(strchr(out, '\033'));
    ls_progress_close(progress);
    close(ends[0]);
    close(ends[1]);
}

static int open_terminal(int *screen) {
    *screen = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(*screen >= 0);
    assert_int_equal(grantpt(*screen), 0);
    assert_int_equal(unlockpt(*screen), 0);
    int terminal = open(ptsname(*screen), O_RDWR | O_NOCTTY);
    struct termios settings;
    assert_int_equal(tcgetattr(terminal, &settings), 0);
    settings.c_oflag &= ~(tcflag_t)OPOST;
    tcsetattr(terminal, TCSANOW, &settings);
    struct winsize size = {.ws_col = 60, .ws_row = 20};
    assert_int_equal(ioctl(terminal, TIOCSWINSZ, &size), 0);
    return terminal;
}

static void terminals_get_a_bar(void **state) {
    (void)state;
    setenv("TERM", "xterm", 1);
    int screen, terminal = open_terminal(&screen);
    char out[4096];
    struct ls_progress *progress;
    assert_int_equal(ls_progress_open_on(terminal, 1000, 0, 1000, 10, &progress), LS_OK);
    ls_progress_step(progress, 1, 2.5, 1000);
    read_now(screen, out, sizeof out);
    assert_int_equal(strncmp(out, "\r\033[Kepoch  1/10 ", 16), 0);
    assert_null(strchr(out, '\n'));
    assert_true(strlen(out) - 4 <= 59);
    for (uint64_t step = 2; step < 500; step++) ls_progress_step(progress, step, 2.5, 1000);
    assert_string_equal(read_now(screen, out, sizeof out), ""); // too soon
    usleep(250 * 1000);
    ls_progress_step(progress, 500, 1.5, 1000);
    assert_non_null(strstr(read_now(screen, out, sizeof out), "epoch  5/10 "));
    ls_progress_clear(progress);
    assert_string_equal(read_now(screen, out, sizeof out), "\r\033[K");
    ls_progress_clear(progress);
    assert_string_equal(read_now(screen, out, sizeof out), "");
    ls_progress_step(progress, 501, 1.5, 1000); // at once
    assert_non_null(strstr(read_now(screen, out, sizeof out), " 501/1000 "));
    ls_progress_close(progress);
    assert_string_equal(read_now(screen, out, sizeof out), "\r\033[K");
    close(terminal);
    close(screen);
}

// Lines of the log start by taking the bar away, and do so only while there is one.
static void the_log_takes_the_bar_away(void **state) {
    (void)state;
    setenv("TERM", "xterm", 1);
    int screen, terminal = open_terminal(&screen), old = dup(STDERR_FILENO);
    char out[4096];
    struct ls_progress *progress;
    assert_int_equal(ls_progress_open_on(terminal, 1000, 0, 1000, 10, &progress), LS_OK);
    dup2(terminal, STDERR_FILENO);
    ls_log_to(ls_log_to_stderr, NULL);
    ls_warn("careful");
    ls_progress_close(progress);
    ls_note("after");
    dup2(old, STDERR_FILENO);
    close(old);
    assert_string_equal(read_now(screen, out, sizeof out),
                        "\r\033[Klockstep: warning: careful\nlockstep: after\n");
    close(terminal);
    close(screen);
}

static void dumb_terminals_get_lines(void **state) {
    (void)state;
    setenv("TERM", "dumb", 1);
    int screen, terminal = open_terminal(&screen);
    char out[4096];
    struct ls_progress *progress;
    assert_int_equal(ls_progress_open_on(terminal, 1000, 0, 1000, 10, &progress), LS_OK);
    ls_progress_step(progress, 1, 2.5, 1000);
    assert_int_equal(strncmp(read_now(screen, out, sizeof out), "lockstep: epoch 1/10", 20), 0);
    ls_progress_close(progress);
    assert_string_equal(read_now(screen, out, sizeof out), "");
    ls_progress_close(NULL);
    ls_progress_clear(NULL);
    close(terminal);
    close(screen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bars_fit_their_terminal),    cmocka_unit_test(bars_take_any_figures),
        cmocka_unit_test(files_get_plain_lines),      cmocka_unit_test(terminals_get_a_bar),
        cmocka_unit_test(the_log_takes_the_bar_away), cmocka_unit_test(dumb_terminals_get_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
