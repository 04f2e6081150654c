// The graph: values and nodes in flat arrays. A value is an id; a node is an op, its attributes, and value
// ids. Tensors are NCHW in meaning and NHWC in memory: a shape says N, C, H, W; the channel is what lies
// closest. A weight of a convolution means (out, in / groups, height, width) and lies as out, height, width,
// in / groups. Tensors of any other rank lie as they read. The graph owns everything that it holds, names
// included.
#pragma once

#include "base/arena.h"
#include "base/dtype.h"
#include "base/status.h"
#include "base/text.h"

#include <stdbool.h>

#include "base/begin.h"

enum { LS_MAX_RANK = 5, LS_MAX_IN = 8, LS_MAX_OUT = 4, LS_MAX_ATTRS = 14 };

struct ls_shape {
    int rank; // 0: a scalar
    int64_t dim[LS_MAX_RANK];
};

// LS_SHAPE(n, c, h, w)
#define LS_SHAPE(...)                                                                                        \
    ((struct ls_shape){.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),                    \
                       .dim = {__VA_ARGS__}})

int64_t ls_shape_count(const struct ls_shape *shape); // elements: the product of all dimensions
bool ls_shape_equal(const struct ls_shape *a, const struct ls_shape *b);
char *ls_shape_text(char out[96], const struct ls_shape *shape); // "32x64x8x8"; "scalar"

// The axis at this place in memory; the one at place 0 is outermost.
static inline int ls_axis_lying_at(int rank, int place) {
    static const int of_image[] = {0, 2, 3, 1};
    return rank == 4 ? of_image[place] : place;
}

typedef int32_t ls_value; // index into the graph's values; LS_NONE where there is none
enum { LS_NONE = -1 };

enum ls_value_kind {
    LS_ACTIVATION,    // made by a node, lives while it is needed
    LS_INPUT_RAW,     // samples of the lane as they lie on disk (any of u8, f32, …), NHWC
    LS_INPUT_AUGMENT, // struct ls_augment per sample, as i32 [N, LS_AUGMENT_WORDS]
    LS_INPUT_TARGET,  // i32 [N] (class), or f32 [N, …]
    LS_INPUT_WEIGHT,  // f32 [N]: weight of the sample in the loss; 0 masks it
    LS_INPUT_SEED,    // f32 scalar: d(total) / d(loss sum), that is loss scale / global batch
    LS_PARAM,         // f32, in the flat parameter buffer
    LS_STATE,         // f32, running statistic: read by an evaluation graph
    LS_OUTPUT,        // made by a node, lies in the lane's output buffer: gradients, statistics, loss
};

// How an initial value is drawn. No transcendental function takes part: the bits are the same on every
// machine.
struct ls_init {
    enum { LS_INIT_CONSTANT, LS_INIT_UNIFORM } kind;
    float value; // the constant, or the bound b of uniform [-b, b)
};

struct ls_value_info {
    struct ls_shape shape;
    ls_dtype dtype;
    enum ls_value_kind kind;
    const char *name;
    int producer; // node index, or -1
    // of a parameter or state:
    struct ls_init init;
    bool decays; // weight decay applies (not for biases and normalization)
    bool frozen; // in training it stays as it is: no node makes its gradient or statistic
    // of an output:
    ls_value output_of; // the parameter whose gradient, or the state whose new statistic, this is; LS_NONE: a
                        // metric
    float momentum;     // of a statistic: running = (1 - momentum) * running + momentum * factor * statistic
    float factor;       // … n / (n - 1) for a variance, else 1
};

union ls_attr {
    int64_t i;
    double f;
};

struct ls_node {
    const struct ls_op *op;
    const char *name;
    int n_in, n_out;
    ls_value in[LS_MAX_IN], out[LS_MAX_OUT];
    union ls_attr attr[LS_MAX_ATTRS];
    const double *list; // a list of numbers, where the op has one; owned by the graph
    int n_list;
};

enum ls_mode { LS_TRAIN, LS_EVAL };

struct ls_graph {
    enum ls_mode mode;
    struct ls_value_info *values;
    int n_values, capacity_values;
    struct ls_node *nodes; // in an order in which every value is made before it is used
    int n_nodes, capacity_nodes;
    struct ls_arena arena;
    // Builders below do nothing once something failed, so that a model reads as straight code;
    // whoever built the graph looks at `status` (and ls_error_last) at the end.
    ls_status status;
    const char *scope; // prefix for names of nodes and parameters, e.g. "layer1.0."
    // Parameters of these names, and all below them (ls_name_is_below), are frozen as they are added. While
    // the graph is built; not owned.
    const char *const *freeze;
    int n_freeze;
    ls_value result; // evaluation: probabilities or predictions; LS_NONE where there are none
};

void ls_graph_init(struct ls_graph *graph, enum ls_mode mode); // an empty one, status LS_OK
void ls_graph_free(struct ls_graph *graph);                    // and leaves it empty

// A value that no node makes: an input, or for passes. The name is copied. On failure (a rank or dimension
// out of bounds) sets graph->status and returns LS_NONE, as does ls_graph_add_param.
ls_value ls_graph_add_value(struct ls_graph *graph, enum ls_value_kind kind, const char *name, ls_dtype dtype,
                            struct ls_shape shape);
// A parameter, f32; its name gets the graph's scope in front.
ls_value ls_graph_add_param(struct ls_graph *graph, const char *name, struct ls_shape shape,
                            struct ls_init init, bool decays);
// Is the name this one, or does it begin with it and a dot? "layer1.0.bn1.bias" is below "layer1", not below
// "layer" or "layer1.0.b".
bool ls_name_is_below(const char *name, const char *prefix);
// Appends a node, runs its op's shape rule, makes its output values. `attrs` may be NULL (defaults).
// On failure sets graph->status and returns NULL; the error names the node.
struct ls_node *ls_graph_add_node(struct ls_graph *graph, const struct ls_op *op, const char *name,
                                  const ls_value *in, int n_in, const union ls_attr *attrs);
// The same for an op that takes a list of numbers (LS_OP_LIST), which is copied.
struct ls_node *ls_graph_add_node_list(struct ls_graph *graph, const struct ls_op *op, const char *name,
                                       const ls_value *in, int n_in, const union ls_attr *attrs,
                                       const double *list, int n_list);
// Sets every value's producer anew from the nodes: for passes that move or drop nodes. An activation that
// nothing makes any more is dead: it stays as a gap, and nothing may use it.
void ls_graph_set_producers(struct ls_graph *graph);

static inline struct ls_value_info *ls_info(const struct ls_graph *graph, ls_value value) {
    return &graph->values[value];
}
// Is it a parameter, or what a node casts a parameter to? Such a value changes with updates alone.
bool ls_graph_is_weight(const struct ls_graph *graph, ls_value value);
// Is it a node that does this cast?
bool ls_graph_casts_weight(const struct ls_graph *graph, const struct ls_node *node);
// The value of that name, or LS_NONE.
ls_value ls_graph_find(const struct ls_graph *graph, const char *name);

// One line a value or node; ls_graph_parse reads it back into the same graph. Errors name the line.
void ls_graph_text(const struct ls_graph *graph, struct ls_text *out);
const char *ls_value_kind_name(enum ls_value_kind kind); // as the text has it: "raw", "param", …
// `graph` is made anew, whatever it held; left empty on failure. A graph that is read verifies.
ls_status ls_graph_parse(struct ls_graph *graph, const char *text, const char *file_name);

// Every value made once and before its use, arities, attributes in range, shapes and types as the ops' rules
// say. Runs after every pass.
ls_status ls_graph_verify(const struct ls_graph *graph);

// Samples of a lane, as the first raw input or target has them; 0 where there is neither.
int64_t ls_graph_samples(const struct ls_graph *graph);

#include "base/end.h"
