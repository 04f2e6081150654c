// scaling.svg and scaling.png, by gnuplot, from the table.
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "study/parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const colours[] = {"#1f6fb2", "#c8553d"};

// The rate of the fewest ranks, times what ranks are added.
static void add_ideal(const struct ls_study *study, enum ls_scaling_mode mode, int most,
                      struct ls_text *text) {
    const struct ls_point *first = NULL;
    for (int i = 0; i < study->n_points && !first; i++)
        if (study->points[i].mode == mode) first = &study->points[i];
    if (!first) return;
    const double each = (double)first->batch / first->median.step / first->ranks;
    ls_text_add(text,
                "[%d:%d] '+' using 1:(%.9g * $1) with lines dt 3 lw 1.5 lc rgb '%s' title '%s, ideal', ",
                first->ranks, most, each, colours[mode], ls_study_mode_name(mode));
}

// Rows of scaling.csv are chosen by their first two columns.
static void add_rates(enum ls_scaling_mode mode, struct ls_text *text) {
    const char *name = ls_study_mode_name(mode), *colour = colours[mode];
    ls_text_add(text,
                "'scaling.csv' every ::1 using 3:(at('forecast', '%s', 10) * $7 / $9):(at('forecast', '%s', "
                "10) * $7 / $8) "
                "with filledcurves fc rgb '%s' fs transparent solid 0.15 notitle, "
                "'' every ::1 using 3:(at('forecast', '%s', 10)) with linespoints dt 2 pt 6 lc rgb '%s' "
                "title '%s, forecast "
                "(5–95 %%)', "
                "'' every ::1 using 3:(at('measured', '%s', 10)) with linespoints lw 2 pt 7 lc rgb '%s' "
                "title '%s, measured', ",
                name, name, colour, name, colour, name, name, colour, name);
}

static void add_parts(const char *mode, struct ls_text *text) {
    ls_text_add(
        text,
        "unset logscale\nset title '%s scaling: where a step goes'\nset style data histograms\n"
        "set style histogram rowstacked\nset style fill solid 0.85 border -1\nset boxwidth 0.6\n"
        "set ylabel 'milliseconds a step'\nset xlabel 'ranks'\nset format y '%%g'\nset yrange [0:*]\n"
        "set xrange [*:*]\nset xtics autofreq\n"
        "plot \"< awk -F, '$1==\\\"measured\\\" && $2==\\\"%s\\\"' scaling.csv\" using 12:xtic(3) lc rgb "
        "'#1f6fb2' title 'compute', '' using 13 lc rgb '#c8553d' title 'exposed communication', '' using 14 "
        "lc rgb "
        "'#e0b040' title 'data wait'\n",
        mode, mode);
}

// Left, samples per second against ideal; right, the parts of a step.
static void add_script(const struct ls_study *study, const char *terminal, const char *file,
                       struct ls_text *text) {
    const struct ls_study_spec *spec = study->spec;
    const int measured = spec->ranks[spec->n_ranks - 1],
              most = spec->forecast > measured ? spec->forecast : measured;
    ls_text_add(
        text,
        "set terminal %s\nset output \"%s\"\nset datafile separator ','\n"
        "set multiplot layout 1,2 title \"%s, %s\" noenhanced\n"
        "set key outside bottom center horizontal maxrows 3\nset grid back lc rgb '#dddddd'\nset border 3\n"
        "set tics nomirror\nset logscale xy 2\nset xlabel 'ranks'\nset ylabel 'samples per second'\n"
        "set format y '%%.0f'\nset xtics 2\nset title 'rate'\n"
        "at(kind, mode, c) = (strcol(1) eq kind && strcol(2) eq mode) ? column(c) : NaN\nplot ",
        terminal, file, study->model, study->device);
    for (enum ls_scaling_mode mode = LS_STRONG; mode <= LS_WEAK; mode++) {
        if (!(mode == LS_STRONG ? spec->strong : spec->weak)) continue;
        add_ideal(study, mode, most, text);
        add_rates(mode, text);
    }
    text->length -= 2; // the last comma
    ls_text_add(text, "\n");
    add_parts(ls_study_mode_name(spec->strong ? LS_STRONG : LS_WEAK), text);
    ls_text_add(text, "unset multiplot\nreset\n");
}

static int run_gnuplot(const char *folder) {
    const pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        if (chdir(folder) != 0) _exit(126);
        execlp("gnuplot", "gnuplot", "scaling.gnuplot", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

ls_status ls_study_plot(const struct ls_study *study) {
    struct ls_text text = {0};
    char path[4096];
    add_script(study, "svg size 1150,520 font 'sans,13' background rgb 'white'", "scaling.svg", &text);
    add_script(study, "pngcairo size 1150,520 font 'sans,11'", "scaling.png", &text);
    snprintf(path, sizeof path, "%s/scaling.gnuplot", study->spec->out);
    ls_status status = ls_file_write(path, text.data, text.length);
    ls_text_free(&text);
    LS_TRY(status);
    const int ended = run_gnuplot(study->spec->out);
    if (ended == 127)
        ls_warn("gnuplot is not installed: no plot; with it, 'gnuplot scaling.gnuplot' in %s draws it",
                study->spec->out);
    else if (ended != 0)
        ls_warn("gnuplot ended with %d: see %s", ended, path);
    return LS_OK;
}
