// The input op: bytes as they lie on disk become a normalized tensor. Samples that are shifted and flipped
// alone go row by row; all others pixel by pixel, as ops/augment_pixel.h says, which gives a shift the same
// bits.
#include "cpu/plain/plain.h"

#include "ops/input.h"

// What lies in the workspace.
struct input_scratch {
    float *a, *b;  // [channels]
    float *shift;  // [samples]: ls_color_shift
    float *pixels; // [width of the output * channels]
};

static struct input_scratch scratch_of(const struct ls_kernel_call *call) {
    struct plain_dims x = plain_dims(call->graph, call->node->out[0]);
    float *at = call->workspace;
    return (struct input_scratch){at, at + x.c, at + 2 * x.c, at + 2 * x.c + x.n};
}

static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    struct plain_dims x = plain_dims(graph, node->out[0]);
    return (size_t)(2 * x.c + x.n + x.w * x.c) * sizeof(float);
}

static const void *sample_at(const struct ls_raw *raw, const void *samples, int64_t n) {
    int64_t each = (int64_t)raw->height * raw->width * raw->channels;
    return (const char *)samples + (size_t)(n * each) * (raw->bytes ? sizeof(uint8_t) : sizeof(float));
}

// ---- what a sample's colours need: its mean grey

static float mean_of_bytes(const struct ls_raw *raw, const uint8_t *sample) {
    uint64_t sum = 0;
    for (int64_t h = 0; h < raw->height; h++)
        for (int64_t w = 0; w < raw->width; w++)
            sum += ls_grey_of_bytes(raw, sample + h * raw->row_step + w * raw->pixel_step);
    return ls_grey_mean_of_bytes(raw, sum);
}

static float mean_of_floats(const struct ls_raw *raw, const float *sample) {
    double part[LS_GREY_PARTS] = {0};
    for (int64_t h = 0; h < raw->height; h++)
        for (int64_t w = 0; w < raw->width; w++)
            part[(h * raw->width + w) % LS_GREY_PARTS] +=
                (double)ls_grey_of_floats(raw, sample + h * raw->row_step + w * raw->pixel_step);
    for (int distance = LS_GREY_PARTS / 2; distance > 0; distance /= 2)
        for (int i = 0; i < distance; i++) part[i] += part[i + distance];
    return ls_grey_mean_of_floats(raw, part[0]);
}

static float shift_of(const struct ls_raw *raw, const void *sample, const struct ls_augment *augment) {
    if (!ls_needs_grey(augment)) return 0;
    return ls_color_shift(augment, raw->bytes ? mean_of_bytes(raw, sample) : mean_of_floats(raw, sample));
}

// ---- which way a sample goes

static bool is_mixed(const struct ls_augment *augment) {
    return (augment->flags & (LS_AUGMENT_MIXUP | LS_AUGMENT_CUTMIX)) != 0;
}

static bool is_plain(const struct ls_augment *augment) {
    return (augment->flags & ~(LS_AUGMENT_FLIP | LS_AUGMENT_FLIP_VERTICAL)) == 0;
}

static ls_status check_partners(const struct ls_kernel_call *call, const struct ls_augment *augments,
                                int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (is_mixed(&augments[i]) && (augments[i].partner < 0 || augments[i].partner >= n))
            return LS_FAIL(LS_SYSTEM, "%s: the partner of the lane's sample %lld is %d; expected 0..%lld",
                           call->node->name, (long long)i, augments[i].partner, (long long)n - 1);
    return LS_OK;
}

// A row of the output, in f32.
static void augmented_row(const struct ls_raw *raw, const struct ls_view *view, const struct ls_view *partner,
                          const struct input_scratch *scratch, int32_t h) {
    float *x = scratch->pixels;
    for (int32_t w = 0; w < raw->out_width; w++, x += raw->channels)
        ls_put_mixed_pixel(raw, view, partner, scratch->a, scratch->b, h, w, x);
}

#define PLAIN_FAMILY "cpu/plain/input.inc"
#include "cpu/plain/each_type.h"

PLAIN_OP(input, "ri:x", workspace);
