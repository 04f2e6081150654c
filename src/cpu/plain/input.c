// The input op: bytes as they lie on disk become a normalized tensor, shifted and flipped on the way.
#include "cpu/plain/plain.h"

// How a raw sample lies: distances in elements.
struct raw_layout {
    bool bytes; // u8, else f32
    int64_t height, width, channels;
    int64_t row_step, pixel_step, channel_step;
};

static struct raw_layout layout_of(const struct ls_graph *graph, const struct ls_node *node) {
    struct plain_dims d = plain_dims(graph, node->out[0]);
    struct raw_layout raw = {ls_info(graph, node->in[0])->dtype == LS_U8, d.h, d.w, d.c, d.w * d.c, d.c, 1};
    if (node->attr[LS_INPUT_CHANNELS_FIRST].i != 0) {
        raw.row_step = d.w;
        raw.pixel_step = 1;
        raw.channel_step = d.h * d.w;
    }
    return raw;
}

// x = raw * a + b, a channel each; the node's list is the means, then the deviations, of all or of one for
// all.
static void line_of_channels(const struct ls_node *node, int64_t channels, float *a, float *b) {
    int given = node->n_list / 2;
    for (int64_t c = 0; c < channels; c++) {
        double mean = given > 0 ? node->list[given > 1 ? c : 0] : 0;
        double deviation = given > 0 ? node->list[given + (given > 1 ? c : 0)] : 1;
        a[c] = (float)(node->attr[LS_INPUT_SCALE].f / deviation);
        b[c] = (float)(-mean / deviation);
    }
}

#define PLAIN_FAMILY "cpu/plain/input.inc"
#include "cpu/plain/each_type.h"

static size_t workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return (size_t)plain_dims(graph, node->out[0]).c * 2 * sizeof(float);
}

PLAIN_OP(input, "ri:x", workspace);
