// Vision transformers (Dosovitskiy et al. 2021): a picture is cut into patches, each of which becomes a token
// beside one for the class; blocks of attention and a two-layer network follow, each behind a normalization
// and added to what went in. Named as in timm (PyTorch Image Models), but that query, key and value are
// layers of their own, which is the same model and moves less memory.
#include "zoo/models.h"

#include <inttypes.h>
#include <math.h>

struct vit {
    int64_t patch, width, heads, blocks;
    int64_t samples, tokens; // of the graph
};

static const double epsilon = 1e-6;

static ls_status check_picture(const struct ls_shape *x, int64_t patch) {
    if (x->dim[2] % patch == 0 && x->dim[3] % patch == 0) return LS_OK;
    return LS_FAIL(LS_INPUT,
                   "pictures of %" PRId64 "x%" PRId64 " cannot be cut into patches of %" PRId64 "x%" PRId64
                   ": height and width must be multiples of %" PRId64,
                   x->dim[2], x->dim[3], patch, patch, patch);
}

// Starts as timm's does, of standard deviation 0.02.
static ls_value table(struct ls_graph *graph, const char *name, int64_t tokens, int64_t width) {
    const struct ls_init init = {LS_INIT_UNIFORM, 0.02f * (float)sqrt(3.0)};
    return ls_graph_add_param(graph, name, LS_SHAPE(1, tokens, width), init, false);
}

// [samples, channels, height, width] -> [samples * tokens, width]
static ls_value embed(struct ls_graph *graph, ls_value x, const struct vit *vit) {
    const struct ls_conv_spec patches = {
        .out = vit->width, .kernel = vit->patch, .stride = vit->patch, .bias = true};
    ls_value class_token = table(graph, "cls_token", 1, vit->width);
    ls_value positions = table(graph, "pos_embed", vit->tokens, vit->width);
    x = ls_conv(graph, x, "patch_embed.proj", &patches);
    x = ls_reshape(graph, x, LS_SHAPE(vit->samples, vit->tokens - 1, vit->width));
    x = ls_concat(graph, (ls_value[]){ls_repeat(graph, class_token, vit->samples), x}, 2, 1);
    x = ls_add(graph, x, ls_repeat(graph, positions, vit->samples));
    return ls_reshape(graph, x, LS_SHAPE(vit->samples * vit->tokens, vit->width));
}

// A layer whose outputs are shared out to the heads: [samples * heads, tokens, width / heads]. Moved as rank
// 5, since rank 4 lies as images do.
static ls_value split_heads(struct ls_graph *graph, ls_value x, const char *name, const struct vit *vit) {
    const int64_t each = vit->width / vit->heads;
    x = ls_linear(graph, x, name, vit->width);
    x = ls_reshape(graph, x, LS_SHAPE(vit->samples, vit->tokens, 1, vit->heads, each));
    x = ls_transpose(graph, x, (int[]){0, 3, 2, 1, 4});
    return ls_reshape(graph, x, LS_SHAPE(vit->samples * vit->heads, vit->tokens, each));
}

static ls_value join_heads(struct ls_graph *graph, ls_value x, const struct vit *vit) {
    const int64_t each = vit->width / vit->heads;
    x = ls_reshape(graph, x, LS_SHAPE(vit->samples, vit->heads, 1, vit->tokens, each));
    x = ls_transpose(graph, x, (int[]){0, 3, 2, 1, 4});
    return ls_reshape(graph, x, LS_SHAPE(vit->samples * vit->tokens, vit->width));
}

static ls_value attention(struct ls_graph *graph, ls_value x, const struct vit *vit) {
    const int64_t each = vit->width / vit->heads;
    ls_value query = split_heads(graph, x, "attn.q", vit);
    ls_value key = split_heads(graph, x, "attn.k", vit);
    ls_value value = split_heads(graph, x, "attn.v", vit);
    ls_value weights = ls_softmax(graph, ls_matmul(graph, query, key, false, true, 1 / sqrt((double)each)));
    x = join_heads(graph, ls_matmul(graph, weights, value, false, false, 1), vit);
    return ls_linear(graph, x, "attn.proj", vit->width);
}

static ls_value block(struct ls_graph *graph, ls_value x, const struct vit *vit) {
    x = ls_add(graph, x, attention(graph, ls_layernorm(graph, x, "norm1", epsilon), vit));
    ls_value y = ls_linear(graph, ls_layernorm(graph, x, "norm2", epsilon), "mlp.fc1", 4 * vit->width);
    y = ls_linear(graph, ls_gelu(graph, y, false), "mlp.fc2", vit->width);
    return ls_add(graph, x, y);
}

// The class token alone goes on: [samples, width].
static ls_value class_token_of(struct ls_graph *graph, ls_value x, const struct vit *vit) {
    x = ls_reshape(graph, x, LS_SHAPE(vit->samples, vit->tokens, vit->width));
    return ls_reshape(graph, ls_slice(graph, x, 1, 0, 1), LS_SHAPE(vit->samples, vit->width));
}

static ls_value build(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options,
                      struct vit vit) {
    if (graph->status) return LS_NONE;
    const struct ls_shape shape = ls_info(graph, x)->shape;
    graph->status = check_picture(&shape, vit.patch);
    if (graph->status) return LS_NONE;
    vit.samples = shape.dim[0];
    vit.tokens = 1 + (shape.dim[2] / vit.patch) * (shape.dim[3] / vit.patch);
    if (options->blocks > 0) vit.blocks = options->blocks;
    x = embed(graph, x, &vit);
    const char *outer = graph->scope;
    for (int64_t i = 0; i < vit.blocks && graph->status == LS_OK; i++) {
        graph->scope = ls_arena_format(&graph->arena, "%sblocks.%d.", outer, (int)i);
        x = block(graph, x, &vit);
    }
    graph->scope = outer;
    x = ls_layernorm(graph, class_token_of(graph, x, &vit), "norm", epsilon);
    return ls_classify(graph, x, "head", options);
}

ls_value ls_build_vit_s16(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options) {
    return build(graph, x, options, (struct vit){.patch = 16, .width = 384, .heads = 6, .blocks = 12});
}
