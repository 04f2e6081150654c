#include "train/schema.h"

#include "zoo/zoo.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define AT(field)       .offset = offsetof(struct ls_recipe, field)
#define RANGE(from, to) .least = (from), .most = (to)

#define MOST_BATCH 2147483647.0

static int get_precision(const struct ls_recipe *recipe) {
    if (recipe->train.tf32) return 1;
    return recipe->train.precision == LS_BF16 ? 2 : recipe->train.precision == LS_F16 ? 3 : 0;
}

static void set_precision(struct ls_recipe *recipe, int word) {
    static const ls_dtype types[] = {LS_F32, LS_F32, LS_BF16, LS_F16};
    recipe->train.precision = types[word];
    recipe->train.tf32 = word == 1;
}

static int get_sampler(const struct ls_recipe *recipe) {
    return recipe->data.balanced;
}

static void set_sampler(struct ls_recipe *recipe, int word) {
    recipe->data.balanced = word == 1;
}

static int get_reduce(const struct ls_recipe *recipe) {
    return recipe->train.fast;
}

static void set_reduce(struct ls_recipe *recipe, int word) {
    recipe->train.fast = word == 1;
}

#define SECTION(name, text)                                                                                  \
    { .path = (name), .kind = LS_KEY_SECTION, .help = (text) }
#define OPTION(name, number, text)                                                                           \
    { .path = (name), .kind = LS_KEY_OPTION, .value = (number), .help = (text) }
#define KEY(name, its_kind, ...)                                                                             \
    { .path = (name), .kind = LS_KEY_##its_kind, __VA_ARGS__ }
#define RESULT(name, its_kind, ...)                                                                          \
    { .path = (name), .kind = LS_KEY_##its_kind, .result = true, __VA_ARGS__ }

// What an optimizer's or a schedule's settings have in common.
#define WEIGHT_DECAY(name, its_preset)                                                                       \
    RESULT(name, NUMBER, AT(train.weight_decay), .preset = (its_preset), RANGE(0, 1e6),                      \
           .help = "decay of weights; biases and normalization have none")
#define MOMENTUM(name)                                                                                       \
    RESULT(name, NUMBER, AT(train.momentum), .preset = "0.9", RANGE(0, 1), .below = true,                    \
           .help = "part of the last move that is kept")
#define MOMENTS(option, its_epsilon)                                                                         \
    RESULT(option ".beta1", NUMBER, AT(train.beta1), .preset = "0.9", RANGE(0, 1), .below = true,            \
           .help = "of the first moment"),                                                                   \
        RESULT(option ".beta2", NUMBER, AT(train.beta2), .preset = "0.999", RANGE(0, 1), .below = true,      \
               .help = "of the second moment"),                                                              \
        RESULT(option ".epsilon", NUMBER, AT(train.epsilon), .preset = (its_epsilon), RANGE(0, 1),           \
               .above = true, .help = "added to the root of the second moment")
#define PEAK(name)                                                                                           \
    RESULT(name, NUMBER, AT(train.peak), .preset = "0.1", RANGE(0, 1e6), .above = true,                      \
           .help = "the highest rate; left out, 0.001 for adamw, 0.005 for lamb, 2 for lars")
#define WARMUP(name, its_preset)                                                                             \
    RESULT(name, SPAN, AT(train.warmup), .preset = (its_preset), RANGE(0, LS_SPAN_MOST),                     \
           .help = "the rate rises linearly to its peak for so long; 0: from the start at its peak")
#define FINAL(name)                                                                                          \
    RESULT(name, NUMBER, AT(train.final), .preset = "0", RANGE(0, 1e6),                                      \
           .help = "rate at the end; at most peak")

const struct ls_key ls_schema[] = {
    RESULT("seed", SEED, AT(seed), .preset = "1",
           .help = "of every random number: initial weights, order, augmentation, dropout"),

    SECTION("model", "what is trained"),
    RESULT("model.zoo", TEXT, AT(model.zoo), .example = "resnet18",
           .help = "a model of the zoo; `lockstep show zoo` lists them"),
    RESULT("model.classes", INTEGER, AT(model.classes), .example = "10", RANGE(1, 16777216),
           .help = "outputs of the model: classes, labels, or values of a regression"),
    RESULT("model.width", INTEGER, AT(model.width), .preset = "128", RANGE(1, 1048576),
           .help = "hidden units of a layer (mlp)"),
    RESULT("model.depth", INTEGER, AT(model.depth), .preset = "2", RANGE(1, 1000),
           .help = "hidden layers (mlp)"),
    RESULT("model.blocks", INTEGER, AT(model.blocks), .preset = "12", RANGE(1, 1000),
           .help = "blocks of attention (vit_s16)"),
    RESULT("model.vocabulary", INTEGER, AT(model.vocabulary), .preset = "0", RANGE(0, 2147483647),
           .help =
               "of a model that reads tokens: how many there are; samples hold whole numbers from 0 to one "
               "less; at most 2147483647"),
    RESULT("model.dropout", NUMBER, AT(model.dropout), .preset = "0", RANGE(0, 1), .below = true,
           .help = "part of the values dropped before the last layer; left out, it is 0.2 where the model is "
                   "mobilenetv2 or efficientnet_b0, 0.5 where it is vgg16"),
    KEY("model.from", FILE, AT(model.from), .preset = "''",
        .help =
            "a checkpoint of another run: start from its weights where names and shapes match, the rest "
            "anew; not taken where a run is resumed, which warns where the file holds other weights by then"),
    RESULT("model.freeze", NAMES, AT(model.freeze), .preset = "[]",
           .help = "what is not trained: parameters of these names, and all whose names go on behind a dot; "
                   "batch norms among them use their running statistics, and leave them as they are"),

    SECTION("data", "what it is trained and tested on"),
    RESULT("data.train", PATTERNS, AT(data.train), .example = "shards/train-*.h5",
           .help = "shards to train on: a file, a glob, or a list of them"),
    RESULT("data.test", PATTERNS, AT(data.test), .preset = "[]", .help = "shards to test on; [] for none"),
    RESULT("data.input", TEXT, AT(data.input), .preset = "images", .help = "dataset of samples in a shard"),
    RESULT("data.target", TEXT, AT(data.target), .preset = "labels", .help = "dataset of targets in a shard"),
    RESULT("data.axes", WORD, AT(data.axes), .preset = "auto", .words = "auto NHWC NCHW NLC NCL",
           .help =
               "how samples lie: images with channels last or first, or signals [N, L, C] or [N, C, L], or "
               "[N, L] by either; auto asks the file, and takes [N, L] for a vector, [N, H, W] for an image"),
    RESULT("data.scale", SCALE, AT(data.scale), .preset = "auto",
           .help = "x = (raw * scale - mean) / std; auto is 1/255 for u8 and 1 for other types"),
    SECTION("data.normalize", "one number, or one for each channel"),
    RESULT("data.normalize.mean", NUMBERS, AT(data.mean), .preset = "[0]", RANGE(-1e30, 1e30),
           .help = "subtracted after scaling"),
    RESULT("data.normalize.std", NUMBERS, AT(data.std), .preset = "[1]", RANGE(0, 1e30), .above = true,
           .help = "divided by after that"),
    SECTION("data.augment", "what is done to training samples, differently in each epoch"),
    RESULT("data.augment.crop_pad", INTEGER, AT(data.augment.crop_pad), .preset = "0", RANGE(0, 1024),
           .help = "pixels of zeros around an image before a crop of its own size"),
    RESULT("data.augment.resized_crop", EXTRA, AT(data.augment.resized_crop), .preset = "none",
           .help = "a rectangle of the sample, anywhere in it, scaled to what the model sees (bilinear)"),
    RESULT("data.augment.resized_crop.size", INTEGER, AT(data.augment.size), .preset = "0", RANGE(0, 8192),
           .help =
               "pixels a side of what the model sees, of which tests see the centre; 0 for the sample's own"),
    RESULT("data.augment.resized_crop.scale", NUMBERS, AT(data.augment.scale), .preset = "[0.08, 1]",
           RANGE(0, 1), .above = true, .help = "the rectangle's part of the sample's area: least and most"),
    RESULT("data.augment.resized_crop.ratio", NUMBERS, AT(data.augment.ratio), .preset = "[0.75, 1.3333]",
           RANGE(0.001, 1000), .help = "of the rectangle's width to its height: least and most"),
    RESULT("data.augment.rotate", NUMBER, AT(data.augment.rotate), .preset = "0", RANGE(0, 180),
           .help = "turn about the centre by up to so many degrees either way (bilinear), zeros around it"),
    RESULT("data.augment.flip", FLAG, AT(data.augment.flip), .preset = "false",
           .help = "exchange left and right in half of the samples"),
    RESULT("data.augment.flip_vertical", FLAG, AT(data.augment.flip_vertical), .preset = "false",
           .help = "exchange top and bottom in half of the samples"),
    SECTION("data.augment.color", "colours, changed in this order; 0 leaves them as they are"),
    RESULT("data.augment.color.brightness", NUMBER, AT(data.augment.brightness), .preset = "0", RANGE(0, 10),
           .help = "multiply by 1 give or take up to so much"),
    RESULT("data.augment.color.contrast", NUMBER, AT(data.augment.contrast), .preset = "0", RANGE(0, 10),
           .help = "the same of the distance to the sample's mean grey"),
    RESULT("data.augment.color.saturation", NUMBER, AT(data.augment.saturation), .preset = "0", RANGE(0, 10),
           .help = "the same of the distance to the pixel's own grey; three channels"),
    RESULT("data.augment.color.hue", NUMBER, AT(data.augment.hue), .preset = "0", RANGE(0, 0.5),
           .help = "turn colours by up to so much of a whole turn either way; three channels"),
    RESULT("data.augment.cutout", INTEGER, AT(data.augment.cutout), .preset = "0", RANGE(0, 8192),
           .help = "side in pixels of a square, anywhere, that is 0 after normalization"),
    RESULT("data.augment.mixup", NUMBER, AT(data.augment.mixup), .preset = "0", RANGE(0, 1000),
           .help = "blend each sample with another of its lane, and their classes, by a part drawn from "
                   "Beta(this, this)"),
    RESULT("data.augment.cutmix", NUMBER, AT(data.augment.cutmix), .preset = "0", RANGE(0, 1000),
           .help = "the same, but put a rectangle of the other in its place; with mixup too, each in half of "
                   "the samples"),
    RESULT("data.sampler", WORD, .preset = "shuffle", .words = "shuffle balanced", .get = get_sampler,
           .set = set_sampler,
           .help =
               "shuffle: each sample once an epoch; balanced: each class equally often, in as many samples, "
               "so that those of small classes come several times an epoch (cross_entropy)"),
    KEY("data.threads", INTEGER, AT(data.threads), .preset = "2", RANGE(1, 256), .help = "readers of a rank"),
    KEY("data.prefetch", INTEGER, AT(data.prefetch), .preset = "4", RANGE(1, 1024),
        .help = "batches that a rank reads ahead"),

    SECTION("train", "how it is trained"),
    RESULT("train.epochs", EPOCHS, AT(train.length), .example = "5", RANGE(0, LS_SPAN_MOST), .above = true,
           .rival = "train.steps", .help = "passes over the data"),
    RESULT("train.steps", STEPS, AT(train.length), .example = "500", RANGE(1, LS_SPAN_MOST),
           .rival = "train.epochs", .help = "updates of the weights, however large the data"),
    RESULT("train.batch", INTEGER, AT(train.batch), .preset = "256", RANGE(1, MOST_BATCH),
           .help = "samples of a step, over all ranks"),
    RESULT("train.lanes", INTEGER, AT(train.lanes), .preset = "8", RANGE(1, 4096),
           .help =
               "parts that a batch is cut into and ranks share out; divides batch. As many ranks can help"),
    RESULT("train.precision", WORD, .preset = "fp32", .words = "fp32 tf32 bf16 fp16", .get = get_precision,
           .set = set_precision, .help = "of matrix products and activations; weights are always f32"),
    RESULT("train.loss", CHOICE, AT(train.loss), .preset = "cross_entropy", .help = "what is made small"),
    OPTION("train.loss.cross_entropy", LS_RECIPE_CROSS_ENTROPY,
           "targets are classes, one a sample: whole numbers from 0, or one-hot rows"),
    RESULT("train.loss.cross_entropy.smoothing", NUMBER, AT(train.smoothing), .preset = "0", RANGE(0, 1),
           .below = true, .help = "part of a target spread over all classes"),
    OPTION("train.loss.binary_cross_entropy", LS_RECIPE_BINARY_CROSS_ENTROPY,
           "targets are labels that may hold together: 0 or 1 for each output, with a sigmoid of its own"),
    RESULT("train.loss.binary_cross_entropy.smoothing", NUMBER, AT(train.smoothing), .preset = "0",
           RANGE(0, 1), .below = true, .help = "moves targets from 0 and 1 towards 1/2, by half of this"),
    OPTION("train.loss.mse", LS_RECIPE_MSE, "targets are numbers: mean squared error"),
    OPTION("train.loss.mae", LS_RECIPE_MAE, "targets are numbers: mean absolute error"),
    OPTION("train.loss.huber", LS_RECIPE_HUBER,
           "targets are numbers: half the square of small errors, and the size of large ones"),
    RESULT(
        "train.loss.huber.delta", NUMBER, AT(train.huber_delta), .preset = "1", RANGE(1e-30, 1e30),
        .help =
            "the error d from which on its size counts: d^2 / 2 up to delta, delta (|d| - delta / 2) beyond"),
    RESULT("train.class_weights", WEIGHTS, AT(train.class_weights), .preset = "none", RANGE(0, 1e6),
           .help = "what a training sample counts in the loss, by its class: [1, 1, 5], or balanced, which "
                   "is samples "
                   "/ (classes * samples of the class); evaluations count each sample once (cross_entropy)"),
    RESULT("train.optimizer", CHOICE, AT(train.optimizer), .preset = "sgd", .help = "how weights move"),
    OPTION("train.optimizer.sgd", LS_RECIPE_SGD, "stochastic gradient descent"),
    MOMENTUM("train.optimizer.sgd.momentum"),
    RESULT("train.optimizer.sgd.nesterov", FLAG, AT(train.nesterov), .preset = "true",
           .help = "Nesterov's momentum"),
    WEIGHT_DECAY("train.optimizer.sgd.weight_decay", "0.0005"),
    OPTION("train.optimizer.adamw", LS_RECIPE_ADAMW, "Adam with decoupled weight decay"),
    MOMENTS("train.optimizer.adamw", "1e-8"),
    WEIGHT_DECAY("train.optimizer.adamw.weight_decay", "0.01"),
    OPTION("train.optimizer.lars", LS_RECIPE_LARS,
           "SGD for large batches: a parameter moves in proportion to its norm"),
    MOMENTUM("train.optimizer.lars.momentum"),
    RESULT("train.optimizer.lars.trust", NUMBER, AT(train.trust), .preset = "0.001", RANGE(0, 1000),
           .above = true,
           .help = "the rate is times trust * |weights| / (|gradient| + weight_decay * |weights|), for each "
                   "parameter but biases and normalization"),
    WEIGHT_DECAY("train.optimizer.lars.weight_decay", "0.0005"),
    OPTION("train.optimizer.lamb", LS_RECIPE_LAMB, "AdamW for large batches, in the same way"),
    MOMENTS("train.optimizer.lamb", "1e-6"),
    WEIGHT_DECAY("train.optimizer.lamb.weight_decay", "0.01"),
    RESULT("train.groups", GROUPS, AT(train.groups), .preset = "[]",
           .help =
               "settings of the parameters whose names begin with `match`, of the first group that fits: "
               "weight_decay in place of the optimizer's, lr_scale for the rate, decay_all: true where "
               "biases and normalization decay too, which else do not; as [{match: layer1., lr_scale: 0.1}]"),
    RESULT("train.schedule", CHOICE, AT(train.schedule), .preset = "cosine", .help = "the learning rate"),
    OPTION("train.schedule.cosine", LS_RECIPE_COSINE, "half a cosine from peak to final"),
    PEAK("train.schedule.cosine.peak"),
    WARMUP("train.schedule.cosine.warmup", "1 epoch"),
    FINAL("train.schedule.cosine.final"),
    OPTION("train.schedule.polynomial", LS_RECIPE_POLYNOMIAL,
           "from peak to final as a power of what is left of the steps"),
    PEAK("train.schedule.polynomial.peak"),
    WARMUP("train.schedule.polynomial.warmup", "0"),
    RESULT("train.schedule.polynomial.power", NUMBER, AT(train.power), .preset = "1", RANGE(0, 100),
           .above = true, .help = "1 for a straight line; rate = final + (peak - final) * left ^ power"),
    FINAL("train.schedule.polynomial.final"),
    OPTION("train.schedule.one_cycle", LS_RECIPE_ONE_CYCLE,
           "half a cosine up to peak and another down, over the whole run; momentum stays as it is"),
    PEAK("train.schedule.one_cycle.peak"),
    RESULT("train.schedule.one_cycle.rise", NUMBER, AT(train.rise), .preset = "0.3", RANGE(0, 1),
           .below = true, .help = "part of the steps in which the rate rises"),
    RESULT("train.schedule.one_cycle.initial_divisor", NUMBER, AT(train.initial_divisor), .preset = "25",
           RANGE(1, 1e9), .help = "the first rate is peak / this"),
    RESULT("train.schedule.one_cycle.final_divisor", NUMBER, AT(train.final_divisor), .preset = "10000",
           RANGE(1, 1e9), .help = "the last rate is the first one / this"),
    OPTION("train.schedule.step", LS_RECIPE_STEP, "times gamma every so often"),
    PEAK("train.schedule.step.peak"),
    WARMUP("train.schedule.step.warmup", "0"),
    RESULT("train.schedule.step.every", SPAN, AT(train.every), .preset = "30 epochs", RANGE(0, LS_SPAN_MOST),
           .above = true, .help = "from the start on, warm-up included"),
    RESULT("train.schedule.step.gamma", NUMBER, AT(train.gamma), .preset = "0.1", RANGE(0, 1), .above = true,
           .help = "what the rate is multiplied with"),
    OPTION("train.schedule.constant", LS_RECIPE_CONSTANT, "always peak"),
    PEAK("train.schedule.constant.peak"),
    WARMUP("train.schedule.constant.warmup", "0"),
    RESULT("train.clip", NUMBER, AT(train.clip), .preset = "0", RANGE(0, 1e30),
           .help = "largest norm of the whole gradient; 0 for no limit"),
    RESULT("train.ema", NUMBER, AT(train.ema), .preset = "0", RANGE(0, 1), .below = true,
           .help = "keep a moving average of the weights with this decay, as 0.999, and evaluate, predict "
                   "and choose "
                   "the best by it; 0: none"),
    RESULT("train.reduce", WORD, .preset = "ordered", .words = "ordered fast", .get = get_reduce,
           .set = set_reduce,
           .help = "ordered: the same bits on any number of ranks; fast: the library's own all-reduce"),
    KEY("train.bucket", SIZE, AT(train.bucket), .preset = "16MiB", RANGE(1024, 0x1p50),
        .help = "gradients that are reduced together"),
    KEY("train.nan_limit", INTEGER, AT(train.nan_limit), .preset = "10", RANGE(1, 1e9),
        .help = "steps in a row that may be skipped because loss or gradient are not finite"),
    KEY("train.audit_every", INTEGER, AT(train.audit_every), .preset = "0", RANGE(0, 1e18),
        .help = "steps between recomputing a lane on another rank and comparing bits; 0: never"),
    KEY("train.timeout", DURATION, AT(train.timeout), .preset = "300s", RANGE(0.1, 1e9),
        .help = "a rank that cannot be heard, or makes no progress, for so long ends the run with status 4"),

    SECTION("eval", "testing; done at the end in any case"),
    KEY("eval.every", SPAN, AT(eval.every), .preset = "1 epoch", RANGE(0, LS_SPAN_MOST),
        .help = "how often; 0 for only at the end"),

    SECTION("checkpoint", "saving; done at the end in any case"),
    KEY("checkpoint.every", SPAN, AT(checkpoint.every), .preset = "1 epoch", RANGE(0, LS_SPAN_MOST),
        .help =
            "how often; 0 for only at the end. What `model.from` held is saved before the first step too"),
    KEY("checkpoint.keep", INTEGER, AT(checkpoint.keep), .preset = "3", RANGE(1, 1e9),
        .help = "newest files that stay; the best one stays too"),

    SECTION("device", "what computes; not part of the result's recipe"),
    KEY("device.kind", WORD, AT(device.kind), .preset = "auto", .words = "auto cpu cuda",
        .help = "of device"),
    KEY("device.kernels", WORD, AT(device.kernels), .preset = "auto", .words = "auto plain onednn",
        .help = "of the CPU. auto: oneDNN's, and ours where those are faster: 3x3 convolutions in f32 by "
                "Winograd's algorithm, gradients of weights in bf16; onednn: oneDNN's alone; plain: without "
                "a library, slow"),
    KEY("device.id", TEXT, AT(device.id), .preset = "auto",
        .help = "which GPU: a number or a UUID; auto shares them out among the ranks of a host"),
    KEY("device.share", FLAG, AT(device.share), .preset = "false",
        .help = "ranks may share a GPU, which is slower than one rank on it"),
    KEY("device.transport", WORD, AT(device.transport), .preset = "auto", .words = "auto nccl mpi",
        .help = "of gradients between GPUs: NCCL where it is there, or MPI through host memory"),
    KEY("device.replay", FLAG, AT(device.replay), .preset = "true",
        .help = "GPU: capture a lane's work once and replay it; false launches it anew, for comparisons"),
    KEY("device.memory", SIZE, AT(device.memory), .preset = "0", RANGE(0, 0x1p62),
        .help = "limit of device memory; 0 for none"),
    KEY("device.threads", INTEGER, AT(device.threads), .preset = "0", RANGE(0, 65536),
        .help = "of a CPU rank, a lane each; 0 for the cores it may use"),
};

const int ls_schema_keys = (int)(sizeof ls_schema / sizeof ls_schema[0]);

const struct ls_key *ls_schema_find(const char *path) {
    for (int i = 0; i < ls_schema_keys; i++)
        if (!strcmp(ls_schema[i].path, path)) return &ls_schema[i];
    return NULL;
}

const char *ls_schema_name(const struct ls_key *key) {
    const char *dot = strrchr(key->path, '.');
    return dot ? dot + 1 : key->path;
}

int ls_schema_depth(const struct ls_key *key) {
    int depth = 0;
    for (const char *s = key->path; *s; s++) depth += *s == '.';
    return depth;
}

bool ls_schema_is_below(const struct ls_key *key, const char *path) {
    size_t n = strlen(path);
    return n == 0 || (!strncmp(key->path, path, n) && key->path[n] == '.');
}

bool ls_schema_is_child(const struct ls_key *key, const char *path) {
    size_t n = strlen(path);
    return ls_schema_is_below(key, path) && !strchr(key->path + n + (n > 0), '.');
}

bool ls_schema_is_idle(const struct ls_key *key, const struct ls_recipe *recipe) {
    int choice = 0; // of the recipe, in the last choice before the option
    for (const struct ls_key *above = ls_schema; above <= key; above++) {
        if (above->kind == LS_KEY_CHOICE)
            memcpy(&choice, (const char *)recipe + above->offset, sizeof choice);
        if (above->kind == LS_KEY_EXTRA && ls_schema_is_below(key, above->path) && above != key)
            return !*((const char *)recipe + above->offset);
        if (above->kind == LS_KEY_OPTION && (above == key || ls_schema_is_below(key, above->path)))
            return above->value != choice;
    }
    return false;
}

const char *ls_schema_preset(const struct ls_key *key, const struct ls_recipe *recipe) {
    bool is_rate = key->offset == offsetof(struct ls_recipe, train.peak) && key->kind == LS_KEY_NUMBER;
    if (key->kind == LS_KEY_NUMBER && key->offset == offsetof(struct ls_recipe, model.dropout))
        return ls_zoo_usual_dropout(recipe->model.zoo);
    if (!is_rate) return key->preset;
    switch (recipe->train.optimizer) {
    case LS_RECIPE_SGD: break;
    case LS_RECIPE_ADAMW: return "0.001";
    case LS_RECIPE_LARS: return "2";
    case LS_RECIPE_LAMB: return "0.005";
    }
    return key->preset;
}

enum { MOST_NAME = 32 };

static int least_of(int a, int b) {
    return a < b ? a : b;
}

// Letters added, dropped, exchanged, or swapped with their neighbour (optimal string alignment); names longer
// than MOST_NAME are far from everything.
static int distance(const char *a, const char *b) {
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > MOST_NAME || m > MOST_NAME) return MOST_NAME;
    int d[MOST_NAME + 1][MOST_NAME + 1];
    for (int i = 0; i <= n; i++) d[i][0] = i;
    for (int j = 0; j <= m; j++) d[0][j] = j;
    for (int i = 1; i <= n; i++) {
        for (int j = 1; j <= m; j++) {
            int exchanged = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least_of(exchanged, 1 + least_of(d[i - 1][j], d[i][j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least_of(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

// How far `name` is from a key's: one that goes on where the other ends (batch_size) is near too.
static int distance_to(const struct ls_key *key, const char *name) {
    const char *known = ls_schema_name(key);
    size_t n = strlen(known), m = strlen(name), common = n < m ? n : m;
    if (common >= 3 && !strncmp(known, name, common)) return 1;
    return distance(known, name);
}

const struct ls_key *ls_schema_nearest(const char *path, const char *name) {
    const struct ls_key *nearest = NULL;
    int least = (int)strlen(name) <= 4 ? 2 : 3; // this far is too far
    for (int i = 0; i < ls_schema_keys; i++) {
        if (!ls_schema_is_child(&ls_schema[i], path)) continue;
        int d = distance_to(&ls_schema[i], name);
        if (d < least) nearest = &ls_schema[i], least = d;
    }
    for (int i = 0; i < ls_schema_keys && !nearest; i++)
        if (!strcmp(ls_schema_name(&ls_schema[i]), name)) nearest = &ls_schema[i];
    return nearest;
}

const char *ls_schema_children(struct ls_arena *arena, const char *path) {
    const char *names = "";
    for (int i = 0; i < ls_schema_keys; i++)
        if (ls_schema_is_child(&ls_schema[i], path))
            names =
                ls_arena_format(arena, "%s%s%s", names, *names ? ", " : "", ls_schema_name(&ls_schema[i]));
    return names;
}
