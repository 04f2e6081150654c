// Pools, forward and backward; channels are the innermost loop. Rows of channels are taken in groups of a
// number that the compiler knows: what is made of them stays in registers until the group has been seen.
#include "cpu/plain/plain.h"

struct window {
    int64_t images, height, width, channels, out_height, out_width;
    int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
    bool count_padding;
};

static struct window window_of(const struct ls_graph *graph, const struct ls_node *node, ls_value x_value,
                               ls_value y_value) {
    struct plain_dims x = plain_dims(graph, x_value), y = plain_dims(graph, y_value);
    const union ls_attr *attr = node->attr;
    return (struct window){
        x.n,
        x.h,
        x.w,
        x.c,
        y.h,
        y.w,
        .kernel_h = attr[LS_KERNEL_H].i,
        .kernel_w = attr[LS_KERNEL_W].i,
        .stride_h = attr[LS_STRIDE_H].i,
        .stride_w = attr[LS_STRIDE_W].i,
        .pad_h = attr[LS_PAD_H].i,
        .pad_w = attr[LS_PAD_W].i,
        .count_padding = attr[LS_COUNT_PADDING].i != 0,
    };
}

// The part of a window that lies inside x, along one axis.
struct part {
    int64_t begin, end;
};

static struct part part_inside(int64_t window, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
    int64_t begin = window * stride - pad;
    return (struct part){plain_max(begin, 0), plain_min(begin + kernel, size)};
}

static int64_t divisor_of(const struct window *p, struct part rows, struct part columns) {
    if (p->count_padding) return p->kernel_h * p->kernel_w;
    return (rows.end - rows.begin) * (columns.end - columns.begin);
}

enum { FEW = 4, GROUP = 9 };

// ---- forward: the places of a window

// Where they lie from its first pixel on, in elements of x.
static int64_t list_taps(const struct window *p, int64_t *taps) {
    int64_t n = 0;
    for (int64_t row = 0; row < p->kernel_h; row++)
        for (int64_t column = 0; column < p->kernel_w; column++)
            taps[n++] = (row * p->width + column) * p->channels;
    return n;
}

static bool window_is_inside(const struct window *p, int64_t h, int64_t w) {
    return h >= 0 && w >= 0 && h + p->kernel_h <= p->height && w + p->kernel_w <= p->width;
}

// Of so many windows side by side, the first at (h, w): how many see the image alike, all inside, or one by
// one.
static int64_t windows_alike(const struct window *p, int64_t h, int64_t w, int64_t windows) {
    if (!window_is_inside(p, h, w)) return 1;
    return plain_min((p->width - p->kernel_w - w) / p->stride_w + 1, windows);
}

static bool tap_is_inside(const struct window *p, int64_t h, int64_t w, int64_t tap) {
    const uint32_t row = (uint32_t)tap / (uint32_t)p->kernel_w,
                   column = (uint32_t)tap % (uint32_t)p->kernel_w;
    return (uint64_t)(h + row) < (uint64_t)p->height && (uint64_t)(w + column) < (uint64_t)p->width;
}

// ---- backward: the windows that see a pixel, from the last to the first, in which its place is the last

// Along one axis. Behind the last view of a pixel stands one with a window below 0.
struct view {
    int64_t window, place;
};

static int64_t views_each(int64_t kernel, int64_t stride) {
    return (kernel + stride - 1) / stride + 1;
}

static void list_views(int64_t pixels, int64_t stride, int64_t pad, int64_t kernel, int64_t windows,
                       struct view *views) {
    for (int64_t pixel = 0; pixel < pixels; pixel++, views += views_each(kernel, stride)) {
        struct view *to = views;
        for (int64_t window = plain_min((pixel + pad) / stride, windows - 1); window >= 0; window--) {
            const int64_t place = pixel + pad - window * stride;
            if (place >= kernel) break;
            *to++ = (struct view){window, place};
        }
        *to = (struct view){-1, -1};
    }
}

struct views {
    struct view *rows, *columns;
    int64_t each_row, each_column;
};

static size_t views_bytes(const struct ls_graph *graph, const struct ls_node *node) {
    const struct plain_dims x = plain_dims(graph, node->out[0]);
    const union ls_attr *attr = node->attr;
    return (size_t)(x.h * views_each(attr[LS_KERNEL_H].i, attr[LS_STRIDE_H].i) +
                    x.w * views_each(attr[LS_KERNEL_W].i, attr[LS_STRIDE_W].i)) *
           sizeof(struct view);
}

static struct views views_of(const struct window *p, void *memory) {
    struct views views = {.rows = memory,
                          .each_row = views_each(p->kernel_h, p->stride_h),
                          .each_column = views_each(p->kernel_w, p->stride_w)};
    views.columns = views.rows + p->height * views.each_row;
    list_views(p->height, p->stride_h, p->pad_h, p->kernel_h, p->out_height, views.rows);
    list_views(p->width, p->stride_w, p->pad_w, p->kernel_w, p->out_width, views.columns);
    return views;
}

// Where a pixel's walk through its windows is: some are taken at a time.
struct walk {
    const struct view *row, *columns, *column;
};

static struct walk walk_of(const struct views *views, int64_t h, int64_t w) {
    const struct view *columns = views->columns + w * views->each_column;
    return (struct walk){views->rows + h * views->each_row, columns, columns};
}

static bool has_view(struct walk *walk) {
    return walk->row->window >= 0 && walk->column->window >= 0;
}

static void next_view(struct walk *walk) {
    walk->column++;
    if (walk->column->window >= 0) return;
    walk->row++;
    walk->column = walk->columns;
}

// How many rows are taken at once where there are n.
static int at_once(int n) {
    return n <= 1 ? 1 : n <= 2 ? 2 : n <= FEW ? FEW : GROUP;
}

#define PLAIN_FAMILY "cpu/plain/pool.inc"
#include "cpu/plain/each_type.h"

static size_t row_bytes(const struct ls_graph *graph, ls_value value) {
    return (size_t)plain_dims(graph, value).c * plain_wide_bytes(graph, value);
}

static size_t max_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    (void)graph;
    return (size_t)(node->attr[LS_KERNEL_H].i * node->attr[LS_KERNEL_W].i) * sizeof(int64_t);
}

static size_t avg_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return max_workspace(graph, node) + 2 * row_bytes(graph, node->in[0]); // sums and zeros
}

static size_t max_grad_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    return views_bytes(graph, node) + row_bytes(graph, node->in[0]); // sums
}

static size_t avg_grad_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    const struct plain_dims dy = plain_dims(graph, node->in[0]);
    return views_bytes(graph, node) + 2 * row_bytes(graph, node->in[0]) + // sums and zeros
           (size_t)(dy.h * dy.w) * plain_wide_bytes(graph, node->in[0]);  // each window's share
}

static size_t global_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value x = node->in[0];
    return (size_t)plain_dims(graph, x).c * (sizeof(double) + plain_wide_bytes(graph, x));
}

PLAIN_OP(max_pool, "x:xn", max_workspace);
PLAIN_OP(max_pool_grad, "xn:x", max_grad_workspace);
PLAIN_OP(avg_pool, "x:x", avg_workspace);
PLAIN_OP(avg_pool_grad, "x:x", avg_grad_workspace);
PLAIN_OP(global_avg_pool, "x:x", global_workspace);
PLAIN_OP(global_avg_pool_grad, "x:x", NULL);
