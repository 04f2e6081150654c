// Pools, forward and backward; channels are the innermost loop, PLAIN_CHANNELS of them at a time.
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

// The windows that see a pixel, along one axis: `last`, in which it has the least place, down to `first`.
struct span {
    int64_t first, last;
};

static struct span windows_over(int64_t pixel, int64_t stride, int64_t pad, int64_t kernel, int64_t windows) {
    const int64_t behind = pixel + pad - kernel; // where a window would end in front of it
    return (struct span){behind < 0 ? 0 : behind / stride + 1,
                         plain_min((pixel + pad) / stride, windows - 1)};
}

#define PLAIN_FAMILY "cpu/plain/pool.inc"
#include "cpu/plain/each_type.h"

static size_t global_workspace(const struct ls_graph *graph, const struct ls_node *node) {
    ls_value x = node->in[0];
    return (size_t)plain_dims(graph, x).c * (sizeof(double) + plain_wide_bytes(graph, x));
}

PLAIN_OP(max_pool, "x:xn", NULL);
PLAIN_OP(max_pool_grad, "xn:x", NULL);
PLAIN_OP(avg_pool, "x:x", NULL);
PLAIN_OP(avg_pool_grad, "x:x", NULL);
PLAIN_OP(global_avg_pool, "x:x", global_workspace);
PLAIN_OP(global_avg_pool_grad, "x:x", NULL);
