#include "train/progress.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_SECONDS 0.2
#define LINE_SECONDS   10.0
#define EPOCH_SECONDS  1.0 // epochs that are shorter than this do not each get a line
#define SMOOTH_SECONDS 5.0

static const char erase[] = "\r\033[K";

struct ls_progress {
    int file;
    bool terminal;
    bool shown;
    uint64_t first_step, steps, samples, batch;
    double opened_at, seen_at, shown_at; // seconds of ls_now
    double rate;                         // samples per second, smoothed
};

static bool is_terminal(int file) {
    const char *kind = getenv("TERM");
    return isatty(file) && kind && *kind && strcmp(kind, "dumb") != 0;
}

// Where the screen cannot be written, training does not care.
static void put(int file, const char *text, size_t length) {
    while (length > 0) {
        ssize_t n = write(file, text, length);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return;
        text += n;
        length -= (size_t)n;
    }
}

ls_status ls_progress_open_on(int file, uint64_t steps, uint64_t step, uint64_t samples, uint64_t batch,
                              struct ls_progress **progress) {
    struct ls_progress *opened = calloc(1, sizeof *opened);
    *progress = opened;
    if (!opened) return LS_FAIL(LS_SYSTEM, "out of memory for the progress bar");
    *opened = (struct ls_progress){
        .file = file,
        .terminal = is_terminal(file),
        .first_step = step,
        .steps = steps,
        .samples = samples > 0 ? samples : 1,
        .batch = batch,
        .opened_at = ls_now(),
        .shown_at = -INFINITY,
    };
    opened->seen_at = opened->opened_at;
    if (opened->terminal) ls_log_line_start(erase);
    return LS_OK;
}

ls_status ls_progress_open(uint64_t steps, uint64_t step, uint64_t samples, uint64_t batch,
                           struct ls_progress **progress) {
    return ls_progress_open_on(STDERR_FILENO, steps, step, samples, batch, progress);
}

// "0:42", "12:03", "3:05:00", "2d 4h".
static void format_seconds(char out[32], double seconds) {
    if (!(seconds < 1e9)) seconds = 1e9;
    long s = lround(seconds), minutes = s / 60, hours = minutes / 60, days = hours / 24;
    if (days > 1) {
        snprintf(out, 32, "%ldd %ldh", days, hours % 24);
    } else if (hours > 0) {
        snprintf(out, 32, "%ld:%02ld:%02ld", hours, minutes % 60, s % 60);
    } else {
        snprintf(out, 32, "%ld:%02ld", minutes, s % 60);
    }
}

static int epoch_digits(const struct ls_progress_view *view) {
    return snprintf(NULL, 0, "%" PRIu64, view->epochs);
}

// "[=====>     ]" of `width` characters.
static void draw_bar(char *out, int width, double part) {
    int inside = width - 2, done = (int)(part * inside);
    out[0] = '[';
    memset(out + 1, ' ', (size_t)inside);
    memset(out + 1, '=', (size_t)done);
    if (done < inside) out[1 + done] = '>';
    out[width - 1] = ']';
    out[width] = 0;
}

char *ls_progress_bar(const struct ls_progress_view *view, int columns, char *out, size_t bytes) {
    enum { LEAST_BAR = 8, MOST_BAR = 40 };
    char head[64], tail[128], left[32], bar[MOST_BAR + 1] = "";
    format_seconds(left, view->seconds_left);
    snprintf(head, sizeof head, "epoch %*" PRIu64 "/%" PRIu64 " ", epoch_digits(view), view->epoch,
             view->epochs);
    snprintf(tail, sizeof tail, " %" PRIu64 "/%" PRIu64 " loss %.4f %.0f samples/s %s left", view->step,
             view->steps, view->loss, view->samples_per_s, left);
    if (columns > (int)bytes - 1) columns = (int)bytes - 1;
    int room = columns - (int)strlen(head) - (int)strlen(tail);
    if (room > MOST_BAR) room = MOST_BAR;
    if (room >= LEAST_BAR)
        draw_bar(bar, room, view->steps > 0 ? (double)view->step / (double)view->steps : 1);
    // Too narrow for a bar: the figures, cut at the edge.
    snprintf(out, (size_t)(columns > 0 ? columns : 0) + 1, "%s%s%s", head, bar, *bar ? tail : tail + 1);
    return out;
}

static int columns_of(int file) {
    struct winsize size;
    return ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// In f64: the product may be larger than any integer type.
static double epochs_in(const struct ls_progress *progress, uint64_t step) {
    return (double)step * (double)progress->batch / (double)progress->samples;
}

static struct ls_progress_view view_of(const struct ls_progress *progress, uint64_t step, double loss) {
    uint64_t left = step < progress->steps ? progress->steps - step : 0;
    struct ls_progress_view view = {.step = step, .steps = progress->steps, .loss = loss};
    view.epochs = (uint64_t)fmax(1, round(epochs_in(progress, progress->steps)));
    view.epoch = (uint64_t)fmax(1, ceil(epochs_in(progress, step)));
    if (view.epoch > view.epochs) view.epoch = view.epochs;
    view.samples_per_s = progress->rate;
    double done = (double)step - (double)progress->first_step;
    if (done > 0) view.seconds_left = (progress->seen_at - progress->opened_at) / done * (double)left;
    return view;
}

static void show_bar(struct ls_progress *progress, const struct ls_progress_view *view) {
    char text[512], bar[400];
    // The last column stays free: some terminals wrap as soon as it is filled.
    ls_progress_bar(view, columns_of(progress->file) - 1, bar, sizeof bar);
    int length = snprintf(text, sizeof text, "%s%s", erase, bar);
    put(progress->file, text, (size_t)length);
}

static void show_line(const struct ls_progress *progress, const struct ls_progress_view *view) {
    char text[256], left[32];
    format_seconds(left, view->seconds_left);
    int length =
        snprintf(text, sizeof text,
                 "lockstep: epoch %" PRIu64 "/%" PRIu64 ", step %" PRIu64 "/%" PRIu64
                 ": loss %.4f, %.0f samples/s, %s left\n",
                 view->epoch, view->epochs, view->step, view->steps, view->loss, view->samples_per_s, left);
    put(progress->file, text, (size_t)length);
}

// The share of the newest rate grows with the time it stands for.
static void smooth_rate(struct ls_progress *progress, double now, double samples_per_s) {
    double share = progress->rate > 0 ? 1 - exp(-(now - progress->seen_at) / SMOOTH_SECONDS) : 1;
    if (isfinite(samples_per_s)) progress->rate += share * (samples_per_s - progress->rate);
    progress->seen_at = now;
}

static bool is_due(const struct ls_progress *progress, uint64_t step, double now) {
    double pause = now - progress->shown_at;
    if (step == progress->steps) return true;
    if (progress->terminal) return pause >= REDRAW_SECONDS;
    bool ends_epoch = step > 0 && floor(epochs_in(progress, step)) > floor(epochs_in(progress, step - 1));
    return pause >= (ends_epoch ? EPOCH_SECONDS : LINE_SECONDS);
}

void ls_progress_step(struct ls_progress *progress, uint64_t step, double loss, double samples_per_s) {
    double now = ls_now();
    smooth_rate(progress, now, samples_per_s);
    if (!is_due(progress, step, now)) return;
    struct ls_progress_view view = view_of(progress, step, loss);
    if (progress->terminal) {
        show_bar(progress, &view);
    } else {
        show_line(progress, &view);
    }
    progress->shown = true;
    progress->shown_at = now;
}

void ls_progress_clear(struct ls_progress *progress) {
    if (!progress || !progress->terminal || !progress->shown) return;
    put(progress->file, erase, strlen(erase));
    progress->shown = false;
    progress->shown_at = -INFINITY;
}

void ls_progress_close(struct ls_progress *progress) {
    if (!progress) return;
    ls_progress_clear(progress);
    if (progress->terminal) ls_log_line_start("");
    free(progress);
}
