// The confusion matrix as a picture, by gnuplot.
#include "base/file.h"
#include "cli/report.h"
#include "data/picture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNTED_CLASSES = 20, NAMED_CLASSES = 40 };

static bool is_installed(const char *program) {
    const char *path = getenv("PATH");
    while (path && *path) {
        const size_t length = strcspn(path, ":");
        char candidate[4096];
        snprintf(candidate, sizeof candidate, "%.*s/%s", (int)length, path, program);
        if (access(candidate, X_OK) == 0) return true;
        path += length + (path[length] == ':');
    }
    return false;
}

ls_status ls_confusion_check(const char *path) {
    if (!is_installed("gnuplot"))
        return LS_FAIL(LS_INPUT, "--confusion %s: gnuplot, which draws it, is not installed", path);
    const ls_status status = ls_picture_may_write(path);
    if (status != LS_OK) ls_error_prefix("--confusion");
    return status;
}

// A text of gnuplot's in single quotes.
static void add_quoted(const char *string, struct ls_text *text) {
    ls_text_add(text, "'");
    for (const char *c = string; *c; c++)
        ls_text_add(text, *c == '\'' ? "''" : *c < ' ' && *c > 0 ? " " : "%c", *c);
    ls_text_add(text, "'");
}

static void add_ticks(const struct ls_figures *figures, const char *const *names, struct ls_text *text) {
    if (!names || figures->outputs > NAMED_CLASSES) return;
    static const char *const axes[] = {"x", "y"};
    for (int axis = 0; axis < 2; axis++) {
        ls_text_add(text, "set %stics%s (", axes[axis], axis == 0 ? " rotate by -45" : "");
        for (int64_t c = 0; c < figures->outputs; c++) {
            add_quoted(names[c], text);
            ls_text_add(text, " %" PRId64 "%s", c, c + 1 < figures->outputs ? ", " : ")");
        }
        ls_text_add(text, " noenhanced\n");
    }
}

static uint64_t row_sum(const struct ls_figures *figures, int64_t row) {
    uint64_t sum = 0;
    for (int64_t c = 0; c < figures->outputs; c++) sum += figures->confusion[row * figures->outputs + c];
    return sum;
}

// White digits on dark cells.
static void add_counts(const struct ls_figures *figures, struct ls_text *text) {
    const int64_t n = figures->outputs;
    if (n > COUNTED_CLASSES) return;
    for (int64_t row = 0; row < n; row++) {
        const double all = (double)row_sum(figures, row);
        for (int64_t c = 0; c < n; c++) {
            const uint64_t count = figures->confusion[row * n + c];
            if (count == 0) continue;
            ls_text_add(text, "set label '%" PRIu64 "' at %" PRId64 ",%" PRId64 " center front tc rgb '%s'\n",
                        count, c, row, (double)count / all > 0.5 ? "white" : "black");
        }
    }
}

static void add_data(const struct ls_figures *figures, struct ls_text *text) {
    ls_text_add(text, "$shares << EOD\n");
    for (int64_t row = 0; row < figures->outputs; row++) {
        const uint64_t all = row_sum(figures, row);
        for (int64_t c = 0; c < figures->outputs; c++) {
            const uint64_t count = figures->confusion[row * figures->outputs + c];
            ls_text_add(text, "%.4g ", all ? (double)count / (double)all : 0);
        }
        ls_text_add(text, "\n");
    }
    ls_text_add(text, "EOD\n");
}

static void add_script(const struct ls_figures *figures, const char *const *names, const char *file,
                       struct ls_text *text) {
    const int64_t n = figures->outputs;
    const int side = n <= 4 ? 480 : n <= COUNTED_CLASSES ? 320 + 40 * (int)n : 1120;
    ls_text_add(text, "set terminal pngcairo size %d,%d font 'sans,11' background rgb 'white'\nset output ",
                side + 120, side);
    add_quoted(file, text);
    ls_text_add(text,
                "\nset title 'accuracy %.4f, %" PRIu64 " samples'\nset xlabel 'predicted class'\n"
                "set ylabel 'true class'\nset xrange [-0.5:%" PRId64 ".5]\nset yrange [%" PRId64 ".5:-0.5]\n"
                "set size ratio 1\nunset key\nset tics out nomirror scale 0.5\n"
                "set palette defined (0 '#ffffff', 0.25 '#a8cbe6', 1 '#08306b')\nset cbrange [0:1]\n"
                "set cblabel 'share of the true class'\n",
                ls_figures_accuracy(figures), figures->counts.samples, n - 1, n - 1);
    add_ticks(figures, names, text);
    if (!names && n <= COUNTED_CLASSES) ls_text_add(text, "set xtics 1\nset ytics 1\n");
    add_counts(figures, text);
    add_data(figures, text);
    ls_text_add(text, "plot $shares matrix with image pixels\n");
}

static ls_status run_gnuplot(const struct ls_text *script, const char *path) {
    FILE *gnuplot = popen("gnuplot", "we");
    if (!gnuplot) return LS_FAIL(LS_SYSTEM, "%s: cannot start gnuplot: %s", path, strerror(errno));
    const bool written = fwrite(script->data, 1, script->length, gnuplot) == script->length;
    const int ended = pclose(gnuplot);
    if (written && ended == 0) return LS_OK;
    return LS_FAIL(LS_SYSTEM, "%s: gnuplot could not draw it", path);
}

ls_status ls_confusion_draw(const struct ls_figures *figures, const char *const *names, const char *path) {
    struct ls_text script = {0}, temporary = {0};
    ls_text_add(&temporary, "%s.%ld.tmp", path, (long)getpid());
    add_script(figures, names, temporary.data, &script);
    ls_status status = run_gnuplot(&script, path);
    if (status == LS_OK)
        status = ls_file_commit(temporary.data, path);
    else
        unlink(temporary.data);
    ls_text_free(&script);
    ls_text_free(&temporary);
    return status;
}
