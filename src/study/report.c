// scaling.csv, scaling.json, report.md: one table, three times.
#include "base/file.h"
#include "base/json.h"
#include "study/parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// For as many samples as the recipe takes: with a larger batch, fewer steps.
static double hours(const struct ls_study *study, double step, double batch) {
    return step * (double)study->steps * (double)study->batch / batch / 3600;
}

static double rate(const struct ls_point *point) {
    return (double)point->batch / point->median.step;
}

// Against the smallest number of ranks of the same kind of study.
static double efficiency(const struct ls_study *study, enum ls_scaling_mode mode, int ranks, double of_rate) {
    for (int i = 0; i < study->n_points; i++)
        if (study->points[i].mode == mode)
            return of_rate / rate(&study->points[i]) * study->points[i].ranks / ranks;
    return NAN;
}

static double compute(const struct ls_point *point) {
    return point->median.step - point->median.exposed - point->median.wait;
}

static double batch_of(const struct ls_study *study, enum ls_scaling_mode mode, int ranks) {
    return mode == LS_STRONG ? (double)study->batch : (double)study->batch * ranks / study->spec->ranks[0];
}

static double forecast_rate(const struct ls_study *study, enum ls_scaling_mode mode, int ranks, double step) {
    return batch_of(study, mode, ranks) / step;
}

static ls_status put(const struct ls_study *study, const char *name, struct ls_text *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", study->spec->out, name);
    ls_status status = ls_file_write(path, text->data, text->length);
    ls_text_free(text);
    return status;
}

// Numbers of ranks beyond those measured: doubling, up to what was asked for and the lanes allow.
static int next_forecast(const struct ls_study *study, enum ls_scaling_mode mode, int ranks) {
    const int next = 2 * ranks;
    const int most =
        mode == LS_STRONG && study->lanes < study->spec->forecast ? (int)study->lanes : study->spec->forecast;
    return next <= most ? next : 0;
}

static int first_forecast(const struct ls_study *study, enum ls_scaling_mode mode) {
    return next_forecast(study, mode, study->spec->ranks[study->spec->n_ranks - 1]);
}

static bool has(const struct ls_study *study, enum ls_scaling_mode mode) {
    return mode == LS_STRONG ? study->spec->strong : study->spec->weak;
}

// ---- CSV ----

static void csv_points(const struct ls_study *study, struct ls_text *text) {
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        ls_text_add(
            text, "measured,%s,%d,%lld,%lld,%d,%.6f,%.6f,%.6f,%.3f,%.4f,%.6f,%.6f,%.6f,%.6f,%s\n",
            ls_study_mode_name(point->mode), point->ranks, (long long)point->batch, (long long)point->lanes,
            point->n_trials, point->median.step * 1e3, point->fastest * 1e3, point->slowest * 1e3,
            rate(point), efficiency(study, point->mode, point->ranks, rate(point)), compute(point) * 1e3,
            point->median.exposed * 1e3, point->median.wait * 1e3,
            hours(study, point->median.step, (double)point->batch) * point->ranks, point->trials[0].params);
    }
}

static void csv_forecasts(const struct ls_study *study, const struct ls_scaling_fit *fit,
                          enum ls_scaling_mode mode, struct ls_text *text) {
    for (int ranks = first_forecast(study, mode); ranks; ranks = next_forecast(study, mode, ranks)) {
        const struct ls_forecast f = ls_scaling_forecast(study, fit, mode, ranks);
        const double r = forecast_rate(study, mode, ranks, f.step);
        ls_text_add(text, "forecast,%s,%d,,%lld,,%.6f,%.6f,%.6f,%.3f,%.4f,%.6f,%.6f,%.6f,%.6f,\n",
                    ls_study_mode_name(mode), ranks, (long long)ls_scaling_lanes(study, mode, ranks),
                    f.step * 1e3, f.low * 1e3, f.high * 1e3, r, efficiency(study, mode, ranks, r),
                    f.compute * 1e3, f.exposed * 1e3, fit->wait * 1e3,
                    hours(study, f.step, batch_of(study, mode, ranks)) * ranks);
    }
}

static ls_status write_csv(const struct ls_study *study, const struct ls_scaling_fit *fit) {
    struct ls_text text = {0};
    ls_text_add(
        &text,
        "kind,mode,ranks,batch,lanes,repeats,step_ms,step_ms_low,step_ms_high,samples_per_s,efficiency,"
        "compute_ms,comm_exposed_ms,data_wait_ms,device_hours,params\n");
    csv_points(study, &text);
    if (has(study, LS_STRONG)) csv_forecasts(study, fit, LS_STRONG, &text);
    if (has(study, LS_WEAK)) csv_forecasts(study, fit, LS_WEAK, &text);
    return put(study, "scaling.csv", &text);
}

// ---- JSON ----

static void json_points(const struct ls_study *study, struct ls_text *text) {
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        ls_json_begin(text, NULL);
        ls_json_text(text, "mode", ls_study_mode_name(point->mode));
        ls_json_count(text, "ranks", point->ranks);
        ls_json_count(text, "batch", point->batch);
        ls_json_count(text, "lanes", point->lanes);
        ls_json_count(text, "repeats", point->n_trials);
        ls_json_flag(text, "fitted", point->fitted);
        ls_json_number(text, "step_ms", point->median.step * 1e3);
        ls_json_number(text, "step_ms_low", point->fastest * 1e3);
        ls_json_number(text, "step_ms_high", point->slowest * 1e3);
        ls_json_number(text, "samples_per_s", rate(point));
        ls_json_number(text, "efficiency", efficiency(study, point->mode, point->ranks, rate(point)));
        ls_json_number(text, "compute_ms", compute(point) * 1e3);
        ls_json_number(text, "comm_exposed_ms", point->median.exposed * 1e3);
        ls_json_number(text, "data_wait_ms", point->median.wait * 1e3);
        ls_json_number(text, "device_hours",
                       hours(study, point->median.step, (double)point->batch) * point->ranks);
        ls_json_text(text, "params", point->trials[0].params);
        ls_json_end(text);
    }
}

static void json_forecasts(const struct ls_study *study, const struct ls_scaling_fit *fit,
                           enum ls_scaling_mode mode, struct ls_text *text) {
    if (!has(study, mode)) return;
    for (int ranks = first_forecast(study, mode); ranks; ranks = next_forecast(study, mode, ranks)) {
        const struct ls_forecast f = ls_scaling_forecast(study, fit, mode, ranks);
        const double r = forecast_rate(study, mode, ranks, f.step);
        ls_json_begin(text, NULL);
        ls_json_text(text, "mode", ls_study_mode_name(mode));
        ls_json_count(text, "ranks", ranks);
        ls_json_number(text, "step_ms", f.step * 1e3);
        ls_json_number(text, "step_ms_low", f.low * 1e3);
        ls_json_number(text, "step_ms_high", f.high * 1e3);
        ls_json_number(text, "samples_per_s", r);
        ls_json_number(text, "efficiency", efficiency(study, mode, ranks, r));
        ls_json_end(text);
    }
}

static void json_fit(const struct ls_scaling_fit *fit, struct ls_text *text) {
    ls_json_begin(text, "fit");
    ls_json_number(text, "seconds_a_lane", fit->lane);
    ls_json_number(text, "seconds_fixed", fit->fixed);
    ls_json_number(text, "seconds_a_round", fit->latency);
    ls_json_number(text, "bytes_per_s", fit->inverse_bw > 0 ? 1 / fit->inverse_bw : NAN);
    ls_json_number(text, "open_share", fit->open);
    ls_json_number(text, "seconds_wait", fit->wait);
    ls_json_end(text);
}

static ls_status write_json(const struct ls_study *study, const struct ls_scaling_fit *fit) {
    struct ls_text text = {0};
    ls_json_begin(&text, NULL);
    ls_json_text(&text, "recipe", study->spec->recipe);
    ls_json_text(&text, "model", study->model);
    ls_json_text(&text, "device", study->device);
    ls_json_text(&text, "fingerprint", study->fingerprint);
    ls_json_text(&text, "version", study->version);
    ls_json_count(&text, "parameters", study->parameters);
    ls_json_count(&text, "steps_of_the_recipe", (int64_t)study->steps);
    json_fit(fit, &text);
    ls_json_begin_list(&text, "measured");
    json_points(study, &text);
    ls_json_end_list(&text);
    ls_json_begin_list(&text, "forecast");
    json_forecasts(study, fit, LS_STRONG, &text);
    json_forecasts(study, fit, LS_WEAK, &text);
    ls_json_end_list(&text);
    ls_json_end(&text);
    ls_text_add(&text, "\n");
    return put(study, "scaling.json", &text);
}

// ---- the report ----

static void say_time(struct ls_text *text, double hours) {
    if (hours < 1.0 / 60)
        ls_text_add(text, "%.1f s", hours * 3600);
    else if (hours < 1)
        ls_text_add(text, "%.1f min", hours * 60);
    else
        ls_text_add(text, "%.1f h", hours);
}

static void say_cost(const struct ls_study *study, struct ls_text *text, double whole, int ranks) {
    say_time(text, whole);
    ls_text_add(text, " | %.4g", whole * ranks);
    if (study->spec->price > 0) ls_text_add(text, " | %.4g", whole * ranks * study->spec->price);
}

static void table_heading(const struct ls_study *study, struct ls_text *text) {
    const bool money = study->spec->price > 0;
    ls_text_add(text,
                "| ranks | batch | step, ms (fastest – slowest) | samples/s | efficiency | compute, ms | "
                "exposed communication, ms | "
                "data wait, ms | whole recipe | device hours |%s\n| ---: | ---: | ---: | ---: | ---: | ---: "
                "| ---: | ---: | ---: | ---: |%s\n",
                money ? " cost |" : "", money ? " ---: |" : "");
}

static void table_points(const struct ls_study *study, enum ls_scaling_mode mode, struct ls_text *text) {
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        if (point->mode != mode) continue;
        ls_text_add(text, "| %d | %lld | %.2f (%.2f – %.2f) | %.1f | %.1f %% | %.2f | %.2f | %.2f | ",
                    point->ranks, (long long)point->batch, point->median.step * 1e3, point->fastest * 1e3,
                    point->slowest * 1e3, rate(point),
                    efficiency(study, mode, point->ranks, rate(point)) * 100, compute(point) * 1e3,
                    point->median.exposed * 1e3, point->median.wait * 1e3);
        say_cost(study, text, hours(study, point->median.step, (double)point->batch), point->ranks);
        ls_text_add(text, " |\n");
    }
}

static void table_forecasts(const struct ls_study *study, const struct ls_scaling_fit *fit,
                            enum ls_scaling_mode mode, struct ls_text *text) {
    if (!first_forecast(study, mode)) return;
    ls_text_add(text,
                "\nForecast (not measured):\n\n| ranks | step, ms (5 – 95 %%) | samples/s | efficiency | "
                "whole recipe | device hours |%s\n"
                "| ---: | ---: | ---: | ---: | ---: | ---: |%s\n",
                study->spec->price > 0 ? " cost |" : "", study->spec->price > 0 ? " ---: |" : "");
    for (int ranks = first_forecast(study, mode); ranks; ranks = next_forecast(study, mode, ranks)) {
        const struct ls_forecast f = ls_scaling_forecast(study, fit, mode, ranks);
        const double r = forecast_rate(study, mode, ranks, f.step);
        ls_text_add(text, "| %d | %.2f (%.2f – %.2f) | %.1f | %.1f %% | ", ranks, f.step * 1e3, f.low * 1e3,
                    f.high * 1e3, r, efficiency(study, mode, ranks, r) * 100);
        say_cost(study, text, hours(study, f.step, batch_of(study, mode, ranks)), ranks);
        ls_text_add(text, " |\n");
    }
}

static void held_out(const struct ls_study *study, const struct ls_scaling_fit *fit, struct ls_text *text) {
    bool any = false;
    for (int i = 0; i < study->n_points; i++) {
        const struct ls_point *point = &study->points[i];
        if (point->fitted) continue;
        if (!any)
            ls_text_add(text, "\nThe model was not fitted to these; against what was measured it says:\n\n| "
                              "| ranks | measured, ms | "
                              "model, ms (5 – 95 %%) | off by |\n| --- | ---: | ---: | ---: | ---: |\n");
        any = true;
        const struct ls_forecast f = ls_scaling_forecast(study, fit, point->mode, point->ranks);
        ls_text_add(text, "| %s | %d | %.2f | %.2f (%.2f – %.2f) | %+.1f %% |\n",
                    ls_study_mode_name(point->mode), point->ranks, point->median.step * 1e3, f.step * 1e3,
                    f.low * 1e3, f.high * 1e3, (f.step / point->median.step - 1) * 100);
    }
}

static void section(const struct ls_study *study, const struct ls_scaling_fit *fit, enum ls_scaling_mode mode,
                    struct ls_text *text) {
    if (!has(study, mode)) return;
    ls_text_add(text, "\n## %s scaling\n\n%s\n\n", mode == LS_STRONG ? "Strong" : "Weak",
                mode == LS_STRONG ? "The recipe as it is, its lanes shared out over the ranks."
                                  : "Batch and lanes grow with the ranks; the work of a rank stays.");
    table_heading(study, text);
    table_points(study, mode, text);
    if (mode == LS_STRONG && !study->fast)
        ls_text_add(text, "\nAll of these runs ended with the same weights, bit for bit (params %s).\n",
                    study->points[0].trials[0].params);
    table_forecasts(study, fit, mode, text);
}

static void setting(const struct ls_study *study, struct ls_text *text) {
    const struct ls_study_spec *spec = study->spec;
    char day[32];
    const time_t now = time(NULL);
    struct tm date;
    gmtime_r(&now, &date);
    strftime(day, sizeof day, "%Y-%m-%d", &date);
    ls_text_add(
        text,
        "# Scaling of %s\n\n%s, Lockstep %s. Recipe `%s`: %s, %lld parameters, batch %lld in %lld lanes",
        study->model, day, study->version, spec->recipe, study->model, (long long)study->parameters,
        (long long)study->batch, (long long)study->lanes);
    for (int i = 0; i < spec->n_overrides; i++) ls_text_add(text, ", `%s`", spec->overrides[i]);
    ls_text_add(text, ". Device of a rank: %s", study->device);
    if (study->hosts > 1) ls_text_add(text, "; %d hosts", study->hosts);
    ls_text_add(text,
                ". Each run took %d steps, the first fifth of which is left out; figures are medians over "
                "the steps of a run, and over "
                "%d runs. Efficiency is the rate per rank against that of the fewest ranks. \"Whole recipe\" "
                "is the time for the samples of its %lld steps.\n",
                spec->steps, spec->repeats, (long long)study->steps);
    if (study->hosts == 1 && study->cores < spec->ranks[spec->n_ranks - 1])
        ls_text_add(
            text,
            "\nThe machine has %d cores: more ranks than that share them, and their efficiency shows it.\n",
            study->cores);
    ls_text_add(text, "\n![rate and efficiency](scaling.svg)\n");
}

// Of processors, between whose ranks on one host nothing is sent.
static bool sends_nothing(const struct ls_study *study) {
    return study->hosts == 1 && !study->fast && strncmp(study->fingerprint, "cpu ", 4) == 0;
}

static void model(const struct ls_study *study, const struct ls_scaling_fit *fit, struct ls_text *text) {
    ls_text_add(text,
                "\n## The model\n\nA step takes compute + exposed communication + data wait. Fitted: %.3f ms "
                "a lane, %.3f ms fixed; ",
                fit->lane * 1e3, fit->fixed * 1e3);
    if (fit->inverse_bw > 0)
        ls_text_add(text, "reductions alone: %.1f us a round, %.3g GB/s; %.0f %% of backward hides nothing.",
                    fit->latency * 1e6, 1e-9 / fit->inverse_bw, fit->open * 100);
    else
        ls_text_add(text, "no reduction was measured, so communication counts as free.");
    ls_text_add(text, " Intervals are the 5th and 95th percentile over 200 resamplings of the repeated runs; "
                      "they do not contain what the "
                      "model leaves out, such as a network that other jobs share.\n");
    if (sends_nothing(study))
        ls_text_add(text,
                    "\nAll ranks were on one host, where they sum gradients in memory that they share "
                    "and send no messages. The model counts what they would send, at the rate that this "
                    "memory gave: a forecast is of more ranks on this host, and says nothing of a "
                    "network. For one between hosts, measure on two (`--hosts`).\n");
}

static ls_status write_report(const struct ls_study *study, const struct ls_scaling_fit *fit) {
    struct ls_text text = {0};
    setting(study, &text);
    section(study, fit, LS_STRONG, &text);
    section(study, fit, LS_WEAK, &text);
    model(study, fit, &text);
    held_out(study, fit, &text);
    return put(study, "report.md", &text);
}

ls_status ls_study_write(const struct ls_study *study, const struct ls_scaling_fit *fit) {
    LS_TRY(write_csv(study, fit));
    LS_TRY(write_json(study, fit));
    return write_report(study, fit);
}
