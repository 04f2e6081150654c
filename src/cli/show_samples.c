// From a recipe: a reader draws the parameters and the CPU's input op changes the samples, as in training;
// then the normalization is undone. From files: the same with nothing to change.
#include "cli/show_samples.h"

#include "cpu/kernel.h"
#include "data/picture.h"
#include "data/reader.h"
#include "train/engine.h"
#include "train/reading.h"
#include "train/sampling.h"
#include "train/setup.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, BEHIND = 64 /* its grey */, LEAST_SIDE = 112, MOST_SIDE = 16384 };

// A row of samples of some set, and the input op that they go through.
struct subject {
    struct ls_recipe recipe;
    bool has_recipe;
    struct ls_dataset *set;
    struct ls_sampling sampling;
    struct ls_input_spec input; // of a lane
    uint64_t first;             // position
    int64_t samples;
};

// What came out of it, in the units of the raw samples.
struct seen {
    int64_t height, width, channels;
    float *values; // [samples][height][width][channels]
};

// ---- opening

static const double no_mean[] = {0}, no_std[] = {1};

static ls_status open_recipe(const struct ls_show_samples *asked, struct subject *subject) {
    LS_TRY(ls_recipe_read(asked->words[0], asked->words + 1, asked->n - 1, &subject->recipe));
    subject->has_recipe = true;
    LS_TRY(ls_data_open(&subject->recipe, false, &subject->set));
    const struct ls_dataset_info *info = ls_dataset_info(subject->set);
    const struct ls_sample_shape sample = ls_sample_shape_of(info);
    struct ls_model_spec model;
    LS_TRY(ls_model_spec_of(&subject->recipe, &sample, &model));
    LS_TRY(ls_sampling_open(&subject->recipe, subject->set, &subject->sampling));
    subject->input = ls_zoo_input(&model);
    subject->first = (uint64_t)asked->epoch * (uint64_t)info->samples;
    return LS_OK;
}

static ls_status open_files(const struct ls_show_samples *asked, struct subject *subject) {
    const struct ls_dataset_spec spec = {.patterns = asked->words,
                                         .n_patterns = asked->n,
                                         .input = asked->input,
                                         .target = asked->target,
                                         .target_optional = true,
                                         .axes = asked->axes};
    if (asked->epoch > 0) return LS_FAIL(LS_INPUT, "--epoch is of a recipe; files are shown as they are");
    LS_TRY(ls_dataset_open(&spec, &subject->set));
    const struct ls_dataset_info *info = ls_dataset_info(subject->set);
    subject->input = (struct ls_input_spec){.batch = 1,
                                            .channels = info->channels,
                                            .height = info->height,
                                            .width = info->width,
                                            .raw_type = info->type,
                                            .channels_first = info->channels_first,
                                            .scale = 1,
                                            .mean = no_mean,
                                            .std = no_std,
                                            .n_normalize = 1};
    return LS_OK;
}

static ls_status open_subject(const struct ls_show_samples *asked, struct subject *subject) {
    LS_TRY(ls_is_recipe(asked->words[0]) ? open_recipe(asked, subject) : open_files(asked, subject));
    const struct ls_dataset_info *info = ls_dataset_info(subject->set);
    if (info->flat) return LS_FAIL(LS_INPUT, "samples are vectors; a sheet shows images");
    subject->samples = asked->samples < info->samples ? asked->samples : info->samples;
    return LS_OK;
}

static void close_subject(struct subject *subject) {
    ls_sampling_close(&subject->sampling);
    if (subject->set) ls_dataset_close(subject->set);
    if (subject->has_recipe) ls_recipe_free(&subject->recipe);
}

// ---- what is seen

static ls_status run_lane(const struct subject *subject, const struct ls_batch *batch, int64_t begin,
                          struct ls_graph *graph, void *x) {
    const struct ls_node *node = &graph->nodes[0];
    struct ls_kernel_call call = {.graph = graph, .node = node, .out = {x}};
    call.in[0] = (const char *)batch->samples + (size_t)begin * ls_dataset_info(subject->set)->sample_bytes;
    call.in[1] = batch->augment + begin * LS_AUGMENT_WORDS;
    return ls_cpu_run_node(LS_CPU_AUTO, &call);
}

// x = (raw * scale - mean) / std, read backwards.
static void undo_normalization(const struct ls_input_spec *input, int64_t pixels, float *x) {
    for (int64_t p = 0; p < pixels; p++)
        for (int64_t c = 0; c < input->channels; c++, x++) {
            const int64_t k = input->n_normalize > 1 ? c : 0;
            *x = (float)(((double)*x * input->std[k] + input->mean[k]) / input->scale);
        }
}

// Lane after lane of the batch, which begins and ends with one.
static ls_status run_lanes(const struct subject *subject, const struct ls_batch *batch,
                           struct ls_graph *graph, struct seen *seen) {
    const int64_t each = seen->height * seen->width * seen->channels;
    seen->values = calloc((size_t)(batch->n * each), sizeof *seen->values);
    if (!seen->values) return LS_FAIL(LS_SYSTEM, "out of memory for %" PRId64 " samples", batch->n);
    for (int64_t n = 0; n < batch->n; n += subject->input.batch)
        LS_TRY(run_lane(subject, batch, n, graph, seen->values + n * each));
    undo_normalization(&subject->input, batch->n * seen->height * seen->width, seen->values);
    return LS_OK;
}

static ls_status look(const struct subject *subject, const struct ls_batch *batch, struct seen *seen) {
    struct ls_graph graph;
    ls_graph_init(&graph, LS_TRAIN);
    const ls_value x = ls_input(&graph, &subject->input);
    ls_status status = graph.status;
    if (status == LS_OK) {
        const struct ls_shape *shape = &ls_info(&graph, x)->shape;
        seen->channels = shape->dim[1], seen->height = shape->dim[2], seen->width = shape->dim[3];
        status = run_lanes(subject, batch, &graph, seen);
    }
    ls_graph_free(&graph);
    return status;
}

// ---- the sheet

// What is black and what is white.
struct range {
    double black, white;
};

static struct range range_of(const struct subject *subject, const struct seen *seen, const float *values) {
    struct range range = {0, 255};
    if (ls_dataset_info(subject->set)->type == LS_U8) return range;
    range = (struct range){INFINITY, -INFINITY};
    for (int64_t i = 0; i < subject->samples * seen->height * seen->width * seen->channels; i++) {
        range.black = fmin(range.black, (double)values[i]);
        range.white = fmax(range.white, (double)values[i]);
    }
    return range;
}

static uint8_t byte_of(const struct range *range, float value) {
    if (range->white <= range->black) return 0;
    const double grey = ((double)value - range->black) / (range->white - range->black) * 255 + 0.5;
    return (uint8_t)(grey < 0 ? 0 : grey > 255 ? 255 : grey);
}

struct sheet {
    int columns, rows, zoom;
    int width, height, channels; // of the sheet
    uint8_t *pixels;
};

static ls_status size_sheet(const struct subject *subject, const struct seen *seen, struct sheet *sheet) {
    const int64_t longer = seen->height > seen->width ? seen->height : seen->width;
    sheet->zoom = longer < LEAST_SIDE ? (int)(LEAST_SIDE / longer) : 1;
    sheet->columns = (int)ceil(sqrt((double)subject->samples));
    sheet->rows = (int)((subject->samples + sheet->columns - 1) / sheet->columns);
    sheet->channels = seen->channels >= 3 ? 3 : 1;
    const int64_t width = sheet->columns * (seen->width * sheet->zoom + GAP) + GAP;
    const int64_t height = sheet->rows * (seen->height * sheet->zoom + GAP) + GAP;
    if (width > MOST_SIDE || height > MOST_SIDE)
        return LS_FAIL(LS_INPUT,
                       "--samples: a sheet of %" PRId64 " samples has %" PRId64 "x%" PRId64
                       " pixels; the most is %d a side",
                       subject->samples, width, height, MOST_SIDE);
    sheet->width = (int)width, sheet->height = (int)height;
    return LS_OK;
}

static void draw(const struct seen *seen, const float *sample, const struct range *range, int64_t place,
                 struct sheet *sheet) {
    const int64_t zoom = sheet->zoom;
    const int64_t top = GAP + place / sheet->columns * (seen->height * zoom + GAP);
    const int64_t left = GAP + place % sheet->columns * (seen->width * zoom + GAP);
    for (int64_t y = 0; y < seen->height * zoom; y++)
        for (int64_t x = 0; x < seen->width * zoom; x++)
            for (int c = 0; c < sheet->channels; c++)
                sheet->pixels[((top + y) * sheet->width + left + x) * sheet->channels + c] =
                    byte_of(range, sample[(y / zoom * seen->width + x / zoom) * seen->channels + c]);
}

static ls_status write_sheet(const struct ls_show_samples *asked, const struct subject *subject,
                             const struct seen *seen, const float *values, const struct range *range,
                             struct sheet *sheet) {
    LS_TRY(size_sheet(subject, seen, sheet));
    const size_t bytes = (size_t)sheet->width * (size_t)sheet->height * (size_t)sheet->channels;
    sheet->pixels = bytes > 0 ? malloc(bytes) : NULL;
    if (!sheet->pixels) return LS_FAIL(LS_SYSTEM, "out of memory for a sheet of %zu bytes", bytes);
    memset(sheet->pixels, BEHIND, bytes);
    for (int64_t i = 0; i < subject->samples; i++)
        draw(seen, values + i * seen->height * seen->width * seen->channels, range, i, sheet);
    return ls_picture_write(asked->out, sheet->pixels, sheet->width, sheet->height, sheet->channels);
}

// ---- what it shows, in words

static void print_class(const struct subject *subject, int32_t class) {
    int n = 0;
    const char *const *names = ls_dataset_class_names(subject->set, &n);
    if (class >= 0 && class < n)
        printf("%s", names[class]);
    else
        printf("%" PRId32, class);
}

static void print_values(const float *values, int64_t n) {
    enum { MOST_SHOWN = 8 };
    for (int64_t i = 0; i < n && i < MOST_SHOWN; i++) printf("%s%g", i ? " " : "", (double)values[i]);
    if (n > MOST_SHOWN) printf(" …");
}

static void print_target(const struct subject *subject, const struct ls_batch *batch, int64_t i) {
    const char *target =
        (const char *)batch->targets + (size_t)i * ls_dataset_info(subject->set)->target_bytes;
    if (ls_dataset_info(subject->set)->target_is_class)
        print_class(subject, *(const int32_t *)(const void *)target);
    else
        print_values((const float *)(const void *)target, ls_dataset_info(subject->set)->target_values);
}

// "ant", or of a mixed sample "ant 70% + bee 30%".
static void print_targets(const struct subject *subject, const struct ls_batch *batch, int64_t i) {
    struct ls_augment augment;
    memcpy(&augment, &batch->augment[i * LS_AUGMENT_WORDS], sizeof augment);
    print_target(subject, batch, i);
    if (!(augment.flags & (LS_AUGMENT_MIXUP | LS_AUGMENT_CUTMIX))) return;
    printf(" %.0f%% + ", 100 * (double)augment.factor);
    print_target(subject, batch, i - i % subject->input.batch + augment.partner);
    printf(" %.0f%%", 100 - 100 * (double)augment.factor);
}

static void print_sheet(const struct ls_show_samples *asked, const struct subject *subject,
                        const struct seen *seen, const struct ls_batch *batch, int64_t begin,
                        const struct range *range, const struct sheet *sheet) {
    printf("%s: %" PRId64 " samples of %" PRId64 "x%" PRId64 ", %d a row", asked->out, subject->samples,
           seen->height, seen->width, sheet->columns);
    if (subject->has_recipe)
        printf(", as the model sees them in epoch %" PRId64 ", before normalization", asked->epoch);
    printf("\n");
    if (ls_dataset_info(subject->set)->type != LS_U8)
        printf("black is %g, white is %g\n", range->black, range->white);
    if (seen->channels != 1 && seen->channels != 3)
        printf("of %" PRId64 " channels, %s shown\n", seen->channels,
               seen->channels > 3 ? "the first three are" : "the first is");
    for (int64_t i = 0; i < subject->samples && ls_dataset_info(subject->set)->has_target; i++) {
        const bool first = i % sheet->columns == 0;
        if (first) printf("%srow %" PRId64 ": ", i ? "\n" : "", i / sheet->columns + 1);
        printf("%s", first ? "" : ", ");
        print_targets(subject, batch, begin + i);
    }
    if (ls_dataset_info(subject->set)->has_target) printf("\n");
}

// ---- all of it

static ls_status show(const struct ls_show_samples *asked, const struct subject *subject,
                      const struct ls_batch *batch, int64_t begin) {
    struct seen seen = {0};
    struct sheet sheet = {0};
    ls_status status = look(subject, batch, &seen);
    if (status == LS_OK) {
        const float *values = seen.values + begin * seen.height * seen.width * seen.channels;
        const struct range range = range_of(subject, &seen, values);
        status = write_sheet(asked, subject, &seen, values, &range, &sheet);
        if (status == LS_OK) print_sheet(asked, subject, &seen, batch, begin, &range, &sheet);
    }
    free(sheet.pixels);
    free(seen.values);
    return status;
}

static struct ls_reader_spec reading_of(const struct subject *subject, int64_t samples) {
    if (subject->has_recipe) {
        struct ls_reader_spec spec = ls_reader_spec_of(&subject->recipe, false, samples);
        spec.slots = 1;
        spec.balance = subject->sampling.balance;
        return spec;
    }
    return (struct ls_reader_spec){.in_order = true, .batch_samples = samples, .threads = 1, .slots = 1};
}

// Whole lanes: those that the samples are in.
static ls_status read_and_show(const struct ls_show_samples *asked, const struct subject *subject) {
    const int64_t lane = subject->input.batch, begin = (int64_t)(subject->first % (uint64_t)lane);
    const int64_t read = (begin + subject->samples + lane - 1) / lane * lane;
    const struct ls_reader_spec spec = reading_of(subject, read);
    struct ls_reader *reader = NULL;
    struct ls_batch *batch = NULL;
    LS_TRY(ls_reader_open(subject->set, &spec, &reader));
    ls_reader_request(reader, subject->first - (uint64_t)begin, read);
    ls_status status = ls_reader_next(reader, &batch, NULL);
    if (status == LS_OK) status = show(asked, subject, batch, begin);
    if (batch) ls_reader_release(reader, batch);
    ls_reader_close(reader);
    return status;
}

static ls_status check_place(const char *path) {
    const ls_status status = ls_picture_may_write(path);
    if (status != LS_OK) ls_error_prefix("--out");
    return status;
}

ls_status ls_show_samples(const struct ls_show_samples *asked) {
    LS_TRY(check_place(asked->out));
    struct subject subject = {.input.batch = 1};
    ls_status status = open_subject(asked, &subject);
    if (status == LS_OK) status = read_and_show(asked, &subject);
    close_subject(&subject);
    return status;
}
