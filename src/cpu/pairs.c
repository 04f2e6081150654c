// Gradients of weights by pairs of pixels: which ones, in which pieces, and their kernel.
#include "cpu/pairs.h"

#include "cpu/internal.h"

#ifdef LS_HAVE_AVX512_BF16

// Pairs at once: x's panel and dy's block stay in the first cache.
enum { AT_ONCE = 256 };

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// Of a 1x1 window all images are one, in rows of as many pixels as are taken at once.
static void join_images(struct ls_pairs *conv) {
    conv->pixels = conv->images * conv->out_h * conv->out_w;
    conv->images = 1;
    const int64_t rows = larger((conv->pixels + AT_ONCE) / (2 * AT_ONCE), 1);
    conv->in_w = conv->out_w = divide_up(divide_up(conv->pixels, rows), 2) * 2;
    conv->in_h = conv->out_h = divide_up(conv->pixels, conv->out_w);
}

// Sets what stands behind the paddings.
static void cut(struct ls_pairs *conv) {
    conv->pixels = conv->out_h * conv->out_w;
    conv->joined = conv->kernel_h * conv->kernel_w == 1 && conv->stride_h == 1 && conv->stride_w == 1;
    if (conv->joined) join_images(conv);
    conv->two = conv->out_w % 2 != 0 && conv->images > 1;
    conv->pairs = conv->two ? conv->out_w : (conv->out_w + 1) / 2;
    conv->band = larger(smaller(AT_ONCE / conv->pairs, conv->out_h), 1);
    conv->group = conv->band < conv->out_h ? 1 : larger(AT_ONCE / (conv->pairs * conv->band), 1);
    conv->group = smaller(smaller(conv->group, conv->images), LS_PAIRS_GROUP);
}

static size_t workspace_bytes(const struct ls_pairs *conv) {
    const int64_t x = conv->kernel_w * (conv->in_c / LS_PAIRS_PANEL) * ls_pairs_panel(conv);
    const int64_t dy = conv->out_c / LS_PAIRS_BLOCK * ls_pairs_block(conv);
    return (size_t)(2 * (x + dy) + larger(conv->in_c, conv->out_c)) * sizeof(ls_bf16);
}

static struct ls_pairs conv_of(const struct ls_graph *graph, const struct ls_node *node) {
    const int64_t *x = ls_info(graph, node->in[0])->shape.dim, *y = ls_info(graph, node->in[1])->shape.dim,
                  *w = ls_info(graph, node->out[0])->shape.dim;
    struct ls_pairs conv = {.images = x[0],
                            .in_c = x[1],
                            .in_h = x[2],
                            .in_w = x[3],
                            .out_c = y[1],
                            .out_h = y[2],
                            .out_w = y[3],
                            .kernel_h = w[2],
                            .kernel_w = w[3],
                            .pad_h = node->attr[LS_PAD_H].i,
                            .pad_w = node->attr[LS_PAD_W].i,
                            .stride_h = node->attr[LS_STRIDE_H].i,
                            .stride_w = node->attr[LS_STRIDE_W].i};
    cut(&conv);
    return conv;
}

static bool types_fit(const struct ls_graph *graph, const struct ls_node *node) {
    return ls_info(graph, node->in[0])->dtype == LS_BF16 && ls_info(graph, node->in[1])->dtype == LS_BF16 &&
           ls_info(graph, node->out[0])->dtype == LS_F32;
}

// 1x1 without padding, or 3x3, that touches all channels and pixels next to each other.
static bool window_fits(const struct ls_graph *graph, const struct ls_node *node) {
    const int64_t *w = ls_info(graph, node->out[0])->shape.dim;
    const union ls_attr *attr = node->attr;
    const bool point = w[2] == 1 && w[3] == 1 && attr[LS_PAD_H].i == 0 && attr[LS_PAD_W].i == 0;
    return (point || (w[2] == 3 && w[3] == 3)) && attr[LS_DILATION_H].i == 1 && attr[LS_DILATION_W].i == 1 &&
           attr[LS_GROUPS].i == 1;
}

static bool supports(const struct ls_graph *graph, const struct ls_node *node, size_t *workspace) {
    if (!types_fit(graph, node) || !window_fits(graph, node)) return false;
    const struct ls_pairs conv = conv_of(graph, node);
    if (conv.in_c % LS_PAIRS_PANEL != 0 || conv.out_c % LS_PAIRS_PANEL != 0) return false;
    *workspace = workspace_bytes(&conv);
    return true;
}

static ls_status run(const struct ls_kernel_call *call) {
    const struct ls_pairs conv = conv_of(call->graph, call->node);
    ls_pairs_weight_grad(&conv, call->in[0], call->in[1], call->out[0], call->workspace);
    return LS_OK;
}

const struct ls_kernel *ls_pairs_kernel(enum ls_op_id op) {
    static const struct ls_kernel kernel = {.library = "pairs", .supports = supports, .run = run};
    return op == LS_OP_CONV_WEIGHT_GRAD && ls_has_avx512_bf16() ? &kernel : NULL;
}

#else

const struct ls_kernel *ls_pairs_kernel(enum ls_op_id op) {
    (void)op;
    return NULL;
}

#endif
