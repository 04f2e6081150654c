// A recipe: YAML, read with libyaml so that every value knows its line. One schema table (schema.c) drives
// reading, defaults, overrides, the resolved recipe.yaml and --help-recipe.
#pragma once

#include "base/arena.h"
#include "base/dtype.h"
#include "base/status.h"
#include "base/text.h"
#include "train/recipe_source.h"

#include <stdbool.h>

#include "base/begin.h"

#define LS_SPAN_MOST 1e12 // a longer span is a mistake, and every step number stays exact in f64

// A length of training: of epochs (may be a fraction) or of steps.
struct ls_span {
    double amount;
    enum { LS_SPAN_NONE, LS_SPAN_STEPS, LS_SPAN_EPOCHS } unit;
};

struct ls_list {
    const char **items;
    int n;
};

struct ls_numbers {
    double *items;
    int n;
};

// A weight for each class: none, `balanced` (by how many samples each has), or given.
struct ls_weights {
    enum { LS_WEIGHTS_NONE, LS_WEIGHTS_BALANCED, LS_WEIGHTS_GIVEN } kind;
    struct ls_numbers given;
};

// Settings of the parameters whose names begin with `match`; one that is in several groups takes the first.
struct ls_group {
    const char *match;
    const char *where;   // "recipe.yaml:12: train.groups", for messages
    double weight_decay; // NAN: the optimizer's
    double lr_scale;     // what the rate is multiplied with
    bool decay_all;      // biases and normalization decay too
};

struct ls_groups {
    struct ls_group *items;
    int n;
};

enum ls_recipe_loss {
    LS_RECIPE_CROSS_ENTROPY,
    LS_RECIPE_MSE,
    LS_RECIPE_BINARY_CROSS_ENTROPY,
    LS_RECIPE_MAE,
    LS_RECIPE_HUBER,
};
enum ls_recipe_optimizer { LS_RECIPE_SGD, LS_RECIPE_ADAMW, LS_RECIPE_LARS, LS_RECIPE_LAMB };
enum ls_recipe_schedule {
    LS_RECIPE_CONSTANT,
    LS_RECIPE_STEP,
    LS_RECIPE_COSINE,
    LS_RECIPE_POLYNOMIAL,
    LS_RECIPE_ONE_CYCLE,
};

struct ls_recipe {
    const char *path; // of the file; "" where there is none
    uint64_t seed;
    struct {
        const char *zoo, *from; // from: a checkpoint, or NULL
        struct ls_list freeze;  // what is not trained: names of parameters, or what they begin with
        int64_t classes, width, depth, blocks;
        int64_t vocabulary; // tokens that samples may hold; 0: the model reads none
        double dropout;
    } model;
    struct {
        struct ls_list train, test; // patterns; relative ones made relative to the current folder
        const char *input, *target, *axes;
        double scale; // NAN: by type (1/255 for u8, 1 for others)
        struct ls_numbers mean, std;
        struct {
            int64_t crop_pad;
            bool resized_crop;
            int64_t size;                   // of a resized crop; 0: the sample's
            struct ls_numbers scale, ratio; // least and most
            double rotate;                  // degrees
            bool flip, flip_vertical;
            double brightness, contrast, saturation, hue;
            int64_t cutout;
            double mixup, cutmix; // alpha
        } augment;
        bool balanced;             // sampler: classes take turns
        int64_t threads, prefetch; // readers of a rank; batches read ahead
    } data;
    struct {
        struct ls_span length; // epochs: or steps:
        int64_t batch, lanes;
        ls_dtype precision; // LS_F32, LS_BF16, LS_F16; tf32 is LS_F32 with tf32 set
        bool tf32;
        enum ls_recipe_loss loss;
        double smoothing, huber_delta;
        struct ls_weights class_weights;
        enum ls_recipe_optimizer optimizer;
        double momentum, weight_decay, beta1, beta2, epsilon, trust;
        bool nesterov;
        struct ls_groups groups;
        enum ls_recipe_schedule schedule;
        double peak, final, gamma; // rate; cosine, polynomial: at the end; step: times gamma every …
        struct ls_span warmup, every;
        double power;                                // polynomial
        double rise, initial_divisor, final_divisor; // one_cycle; rise: a part of the steps
        double clip, ema; // ema: decay of the weights' moving average; 0: none is kept
        bool fast;        // reduce: fast
        int64_t bucket;   // bytes
        int64_t nan_limit, audit_every;
        double timeout; // seconds
    } train;
    struct {
        struct ls_span every; // NONE: only at the end
    } eval;
    struct {
        struct ls_span every;
        int64_t keep;
    } checkpoint;
    struct {
        const char *kind;    // auto, cpu, cuda
        const char *kernels; // auto, plain, onednn: of the CPU device
        const char *id;
        bool share, replay;    // ranks may share a GPU; its lanes are captured once and replayed
        const char *transport; // auto, nccl, mpi: of gradients between GPUs
        int64_t memory, threads;
    } device;
    const char **places; // [ls_schema_keys]: where each key stands; NULL: nowhere
    struct ls_arena memory_arena;
};

// Reads `path`, then applies the `overrides` ("train.batch=512"), then checks the whole. Errors: LS_INPUT,
// "FILE:LINE: key: …", or "override train.batch=…: …".
ls_status ls_recipe_read(const char *path, const char *const *overrides, int n_overrides,
                         struct ls_recipe *recipe);
// The same from text (a checkpoint's resolved recipe); `name` stands for the file in messages. Paths are
// relative to `folder`.
ls_status ls_recipe_parse(const char *text, const char *name, const char *folder,
                          const char *const *overrides, int n_overrides, struct ls_recipe *recipe);
// One or the other.
ls_status ls_recipe_load(const struct ls_recipe_source *source, struct ls_recipe *recipe);
void ls_recipe_free(struct ls_recipe *recipe);
// Where a key stands, for messages about what only comes to light later: "FILE:LINE: model.from", or
// "override model.from=…". The key itself where it was left out.
const char *ls_recipe_place(const struct ls_recipe *recipe, const char *key);
// The resolved recipe as YAML, every key with its value, paths absolute; reads back as the same recipe.
void ls_recipe_print(const struct ls_recipe *recipe, struct ls_text *out);
// The keys that change the result (seed, model, data, batch, lanes, precision, loss, optimizer, schedule, …)
// and differ between the two, in an LS_INPUT error with both values; LS_OK where there are none.
ls_status ls_recipe_same_result(const struct ls_recipe *saved, const struct ls_recipe *now);

#include "base/end.h"
