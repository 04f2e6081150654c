// A convolution block by block: as many tiles as keep what is multiplied in the processor's caches.
#include "cpu/winograd.h"

#ifdef LS_PLAIN_HAVE_V4

#include "cpu/winograd_parts.h"

#include <string.h>

enum { BLOCK = 96, FLOATS_OF_A_LINE = 16 };

static int64_t divide_up(int64_t n, int64_t by) {
    return (n + by - 1) / by;
}

static int64_t round_up(int64_t n, int64_t multiple) {
    return divide_up(n, multiple) * multiple;
}

// One block up to where its tiles take more room than all windows.
void ls_winograd_cut(struct ls_winograd *conv) {
    conv->tiles_h = divide_up(conv->out_h, 2);
    conv->tiles_w = divide_up(conv->out_w, 2);
    conv->tiles = conv->images * conv->tiles_h * conv->tiles_w;
    const int64_t most = conv->out > BLOCK ? conv->out : BLOCK;
    const int64_t even = divide_up(conv->tiles, divide_up(conv->tiles, most));
    conv->block = ls_winograd_min(round_up(even, LS_WINOGRAD_STRIP), conv->tiles);
}

// Measured on one core of an EPYC (Zen 5) beside oneDNN 2.6's direct kernels: transforming a tile costs as
// much as its products with some 11 more channels on either side. Transforming windows costs less than what
// oneDNN does to them. With few channels, or pixels in a tile, this is rough, so a gain of a fifth is asked
// for.
bool ls_winograd_pays(const struct ls_winograd *conv) {
    enum { CHANNELS_OF_A_TILE = 11 };
    const int64_t in = conv->in, out = round_up(conv->out, LS_WINOGRAD_VECTOR);
    const int64_t direct = 9 * conv->out_h * conv->out_w * in * conv->out;
    const int64_t products = 16 * conv->tiles_h * conv->tiles_w * in * out;
    const int64_t transforms = 16 * conv->tiles_h * conv->tiles_w * CHANNELS_OF_A_TILE * (in + out);
    return 5 * direct >= 6 * (products + transforms);
}

// ---- the workspace
// | zeros | x, transformed | y or dy, transformed | of a gradient: of windows, a slot a panel of channels |
struct workspace {
    const float *zeros;
    struct ls_winograd_matrix x, y;
    struct ls_winograd_matrix windows; // the first slot
    int64_t slot;                      // floats from one to the next; 0: all panels take turns in one
    int64_t floats;
};

static float *carve(float *at, int64_t *floats, int64_t count) {
    float *piece = at ? at + *floats : NULL;
    *floats += round_up(count, FLOATS_OF_A_LINE);
    return piece;
}

static void carve_matrix(struct ls_winograd_matrix *m, float *at, int64_t *floats, int64_t rows,
                         int64_t columns) {
    *m = (struct ls_winograd_matrix){NULL, rows, columns};
    m->data = carve(at, floats, LS_WINOGRAD_PLACES * ls_winograd_step(m));
}

// at: NULL to know the size alone.
static struct workspace lay_out(const struct ls_winograd *conv, float *at, int64_t y_columns) {
    struct workspace space = {0};
    const int64_t most = conv->in > conv->out ? conv->in : conv->out;
    float *zeros = carve(at, &space.floats, most);
    if (zeros) memset(zeros, 0, (size_t)most * sizeof *zeros);
    space.zeros = zeros;
    carve_matrix(&space.x, at, &space.floats, conv->block, conv->in);
    carve_matrix(&space.y, at, &space.floats, conv->block, y_columns);
    return space;
}

static struct workspace lay_out_forward(const struct ls_winograd *conv, float *at) {
    return lay_out(conv, at, LS_WINOGRAD_PANEL);
}

static struct workspace lay_out_grad(const struct ls_winograd *conv, float *at) {
    struct workspace space = lay_out(conv, at, conv->out);
    const int64_t before = space.floats;
    carve_matrix(&space.windows, at, &space.floats, conv->out, LS_WINOGRAD_PANEL);
    if (conv->block == conv->tiles) return space;
    space.slot = space.floats - before;
    space.floats += space.slot * (ls_winograd_panels(conv->in) - 1);
    return space;
}

size_t ls_winograd_workspace(const struct ls_winograd *conv) {
    const int64_t forward = lay_out_forward(conv, NULL).floats, grad = lay_out_grad(conv, NULL).floats;
    return (size_t)(forward > grad ? forward : grad) * sizeof(float);
}

// The gradient of the windows of the panel that starts at `channel`, of so many channels.
static struct ls_winograd_matrix windows_of(const struct workspace *space, int64_t channel,
                                            int64_t channels) {
    struct ls_winograd_matrix windows = space->windows;
    windows.data += channel / LS_WINOGRAD_PANEL * space->slot;
    windows.columns = ls_winograd_min(channels - channel, LS_WINOGRAD_PANEL);
    return windows;
}

// ---- windows, a matrix for each panel of channels
static int64_t panel_floats(const struct ls_winograd *conv) {
    const struct ls_winograd_matrix panel = {NULL, conv->in, LS_WINOGRAD_PANEL};
    return round_up(LS_WINOGRAD_PLACES * ls_winograd_step(&panel), FLOATS_OF_A_LINE);
}

static struct ls_winograd_matrix panel_of(const struct ls_winograd *conv, float *windows, int64_t channel) {
    return (struct ls_winograd_matrix){windows + channel / LS_WINOGRAD_PANEL * panel_floats(conv), conv->in,
                                       ls_winograd_min(conv->out - channel, LS_WINOGRAD_PANEL)};
}

size_t ls_winograd_windows_bytes(const struct ls_winograd *conv) {
    return (size_t)(ls_winograd_panels(conv->out) * panel_floats(conv)) * sizeof(float);
}

void ls_winograd_put_windows(const struct ls_winograd *conv, const float *w, bool turned, void *windows) {
    for (int64_t channel = 0; channel < conv->out; channel += LS_WINOGRAD_PANEL) {
        const struct ls_winograd_matrix u = panel_of(conv, windows, channel);
        (turned ? ls_winograd_put_turned_w : ls_winograd_put_w)(conv, w, channel, &u);
    }
}

// ---- block by block
void ls_winograd_forward(const struct ls_winograd *conv, const float *x, const void *windows,
                         const float *bias, bool relu, float *y, void *workspace) {
    const struct workspace space = lay_out_forward(conv, workspace);
    for (int64_t first = 0; first < conv->tiles; first += conv->block) {
        const int64_t count = ls_winograd_min(conv->tiles - first, conv->block);
        ls_winograd_put_x(conv, x, space.zeros, first, count, &space.x);
        for (int64_t channel = 0; channel < conv->out; channel += LS_WINOGRAD_PANEL) {
            const struct ls_winograd_matrix u = panel_of(conv, (float *)windows, channel);
            const struct ls_winograd_matrix m = {space.y.data, space.y.rows, u.columns};
            ls_winograd_multiply(count, &space.x, &u, &m);
            ls_winograd_take_y(conv, &m, channel, first, count, bias, relu, y);
        }
    }
}

void ls_winograd_weight_grad(const struct ls_winograd *conv, const float *x, const float *dy, float *dw,
                             void *workspace) {
    const struct workspace space = lay_out_grad(conv, workspace);
    for (int64_t first = 0; first < conv->tiles; first += conv->block) {
        const int64_t count = ls_winograd_min(conv->tiles - first, conv->block);
        const bool last = first + count == conv->tiles;
        ls_winograd_put_x(conv, x, space.zeros, first, count, &space.x);
        ls_winograd_put_dy(conv, dy, space.zeros, first, count, &space.y);
        for (int64_t channel = 0; channel < conv->in; channel += LS_WINOGRAD_PANEL) {
            const struct ls_winograd_matrix du = windows_of(&space, channel, conv->in);
            ls_winograd_multiply_turned(count, &space.y, &space.x, channel, first > 0, &du);
            if (last) ls_winograd_take_dw(conv, &du, channel, dw);
        }
    }
}

#endif
