// Recipes that are taken: the contract's example, defaults, overrides, paths, and the resolved form.
#include "recipe_help.h"

#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char contract[] =
    "seed: 1\n"
    "model: {zoo: resnet18, classes: 10}          # from: CHECKPOINT starts from its weights\n"
    "data:\n"
    "  train: shards/train-*.h5                   # a glob or a list of globs\n"
    "  test: shards/test-*.h5\n"
    "  input: images                              # dataset names; these are the defaults\n"
    "  target: labels\n"
    "  scale: 0.00392156862745098                 # default 1/255 for u8, 1 for other types\n"
    "  normalize: {mean: [0.286], std: [0.353]}\n"
    "  augment: {crop_pad: 2, flip: true}\n"
    "train:\n"
    "  epochs: 5                                  # or steps: N\n"
    "  batch: 256                                 # global\n"
    "  lanes: 8\n"
    "  precision: fp32                            # bf16, fp16, tf32\n"
    "  loss: {cross_entropy: {smoothing: 0.0}}\n"
    "  optimizer: {sgd: {momentum: 0.9, nesterov: true, weight_decay: 5.0e-4}}\n"
    "  schedule: {cosine: {peak: 0.1, warmup: 1 epoch}}\n"
    "  clip: 0                                    # norm of the whole gradient; 0: none\n"
    "  reduce: ordered                            # or fast\n"
    "  nan_limit: 10\n"
    "  audit_every: 0                             # steps\n"
    "  timeout: 300s                              # no progress of a rank for so long ends the run\n"
    "eval: {every: 1 epoch}                       # and at the end, where there is a test set\n"
    "checkpoint: {every: 1 epoch, keep: 3}\n"
    "device: {kind: auto, id: auto, memory: 0, threads: 0}   # cuda, cpu; memory 0: no limit\n";

static void check_contract_values(const struct ls_recipe *r) {
    assert_int_equal(r->seed, 1);
    assert_string_equal(r->model.zoo, "resnet18");
    assert_null(r->model.from);
    assert_int_equal(r->model.classes, 10);
    assert_string_equal(r->data.input, "images");
    assert_string_equal(r->data.target, "labels");
    assert_int_equal(r->train.length.unit, LS_SPAN_EPOCHS);
    assert_true(r->train.length.amount == 5);
    assert_int_equal(r->train.batch, 256);
    assert_int_equal(r->train.lanes, 8);
    assert_int_equal(r->train.precision, LS_F32);
    assert_false(r->train.tf32);
    assert_int_equal(r->train.loss, LS_RECIPE_CROSS_ENTROPY);
    assert_int_equal(r->train.optimizer, LS_RECIPE_SGD);
    assert_true(r->train.momentum == 0.9 && r->train.nesterov && r->train.weight_decay == 5e-4);
    assert_int_equal(r->train.schedule, LS_RECIPE_COSINE);
    assert_true(r->train.peak == 0.1 && r->train.final == 0);
    assert_true(r->train.warmup.unit == LS_SPAN_EPOCHS && r->train.warmup.amount == 1);
    assert_true(r->train.clip == 0 && !r->train.fast);
    assert_int_equal(r->train.nan_limit, 10);
    assert_int_equal(r->train.audit_every, 0);
    assert_true(r->train.timeout == 300);
    assert_true(r->eval.every.unit == LS_SPAN_EPOCHS && r->eval.every.amount == 1);
    assert_true(r->checkpoint.every.unit == LS_SPAN_EPOCHS && r->checkpoint.keep == 3);
    assert_string_equal(r->device.kind, "auto");
    assert_string_equal(r->device.id, "auto");
    assert_int_equal(r->device.memory, 0);
    assert_int_equal(r->device.threads, 0);
}

static void the_contract_reads(void **state) {
    (void)state;
    struct ls_recipe r = must_parse(contract, NULL);
    check_contract_values(&r);
    assert_int_equal(r.data.train.n, 1);
    assert_string_equal(r.data.train.items[0], "/data/run/shards/train-*.h5");
    assert_string_equal(r.data.test.items[0], "/data/run/shards/test-*.h5");
    assert_true(r.data.scale == 0.00392156862745098);
    assert_true(r.data.mean.n == 1 && r.data.mean.items[0] == 0.286);
    assert_true(r.data.std.n == 1 && r.data.std.items[0] == 0.353);
    assert_int_equal(r.data.augment.crop_pad, 2);
    assert_true(r.data.augment.flip);
    ls_recipe_free(&r);
}

static void what_is_left_out_is_as_in_the_contract(void **state) {
    (void)state;
    struct ls_recipe r =
        must_parse("model: {zoo: resnet18, classes: 10}\ndata: {train: a.h5}\ntrain: {epochs: 5}", NULL);
    check_contract_values(&r);
    assert_int_equal(r.data.test.n, 0);
    assert_true(isnan(r.data.scale));
    assert_true(r.data.mean.n == 1 && r.data.mean.items[0] == 0);
    assert_true(r.data.std.n == 1 && r.data.std.items[0] == 1);
    assert_int_equal(r.data.augment.crop_pad, 0);
    assert_false(r.data.augment.flip);
    assert_string_equal(r.device.kernels, "auto");
    ls_recipe_free(&r);
}

static void empty_sections_are_left_out(void **state) {
    (void)state;
    struct ls_recipe r = must_parse(LEAST "eval:\ndevice: {}\ncheckpoint: ~\n", NULL);
    assert_int_equal(r.checkpoint.keep, 3);
    ls_recipe_free(&r);
    r = must_parse("model: {zoo: lenet, classes: 10}\ndata: {train: a.h5}\n"
                   "train: {steps: 5, optimizer: {adamw: }, loss: mse}",
                   NULL);
    assert_int_equal(r.train.optimizer, LS_RECIPE_ADAMW);
    assert_int_equal(r.train.loss, LS_RECIPE_MSE);
    assert_true(r.train.length.unit == LS_SPAN_STEPS && r.train.length.amount == 5);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "model.zoo=mobilenetv2");
    assert_true(r.model.dropout == 0.2);
    ls_recipe_free(&r);
    r = must_parse(
        "model: {zoo: efficientnet_b0, classes: 10, dropout: 0}\ndata: {train: a.h5}\ntrain: {steps: 5}",
        NULL);
    assert_true(r.model.dropout == 0);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "model.zoo=resnet18");
    assert_true(r.model.dropout == 0);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "train.loss=mae");
    assert_int_equal(r.train.loss, LS_RECIPE_MAE);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "train.loss=huber");
    assert_int_equal(r.train.loss, LS_RECIPE_HUBER);
    assert_true(r.train.huber_delta == 1);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "train.loss={huber: {delta: 0.25}}");
    assert_true(r.train.loss == LS_RECIPE_HUBER && r.train.huber_delta == 0.25);
    ls_recipe_free(&r);
}

// The field that an override sets, as the resolved recipe has it.
static void check_override(const char *override, const char *line) {
    struct ls_recipe r = must_parse(LEAST, override);
    struct ls_text text = {0};
    ls_text_add(&text, "\n");
    ls_recipe_print(&r, &text);
    if (!strstr(text.data, line)) fail_msg("%s: expected %s in\n%s", override, line, text.data);
    ls_text_free(&text);
    ls_recipe_free(&r);
}

static void overrides_set_every_kind(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"seed=18446744073709551615", "\nseed: 18446744073709551615\n"},
        {"train.batch=512", "\n  batch: 512\n"},
        {"train.batch= 512 ", "\n  batch: 512\n"},
        {"train.clip=1e-3", "\n  clip: 0.001\n"},
        {"train.clip=.5", "\n  clip: 0.5\n"},
        {"train.precision=bf16", "\n  precision: bf16\n"},
        {"train.precision=tf32", "\n  precision: tf32\n"},
        {"train.precision=fp16", "\n  precision: fp16\n"},
        {"train.reduce=fast", "\n  reduce: fast\n"},
        {"train.bucket=25MB", "\n  bucket: 25MB\n"},
        {"train.bucket=1.5MiB", "\n  bucket: 1536KiB\n"},
        {"train.bucket=65536", "\n  bucket: 64KiB\n"},
        {"device.memory=20 GiB", "\n  memory: 20GiB\n"},
        {"device.id=0", "\n  id: \"0\"\n"},
        {"device.kind=cuda", "\n  kind: cuda\n"},
        {"train.timeout=5min", "\n  timeout: 300s\n"},
        {"train.timeout=1.5h", "\n  timeout: 5400s\n"},
        {"train.timeout=500ms", "\n  timeout: 0.5s\n"},
        {"eval.every=500 steps", "\neval:\n  every: 500 steps\n"},
        {"eval.every=1 step", "\neval:\n  every: 1 step\n"},
        {"eval.every=0.5 epochs", "\neval:\n  every: 0.5 epochs\n"},
        {"eval.every=5epochs", "\neval:\n  every: 5 epochs\n"},
        {"eval.every=0", "\neval:\n  every: 0\n"},
        {"eval.every=0 epochs", "\neval:\n  every: 0\n"},
        {"data.augment.flip=true", "\n    flip: true\n"},
        {"data.augment.flip_vertical=true", "\n    flip_vertical: true\n"},
        {"data.augment.rotate=7.5", "\n    rotate: 7.5\n"},
        {"data.augment.resized_crop=none", "\n    resized_crop: none\n"},
        {"data.augment.resized_crop={}",
         "\n    resized_crop:\n      size: 0\n      scale: [0.08, 1]\n      ratio: [0.75, 1.3333]\n"},
        {"data.augment.resized_crop.size=224",
         "\n    resized_crop:\n      size: 224\n      scale: [0.08, 1]\n"},
        {"data.augment.resized_crop={scale: [0.5, 0.9]}", "\n      size: 0\n      scale: [0.5, 0.9]\n"},
        {"data.augment={resized_crop: {ratio: [1, 1]}, cutout: 8}",
         "\n      ratio: [1, 1]\n    rotate: 0\n    flip: false\n    flip_vertical: false\n"},
        {"data.augment.color={brightness: 0.4, contrast: 0.3, saturation: 0.2, hue: 0.1}",
         "\n    color:\n      brightness: 0.4\n      contrast: 0.3\n      saturation: 0.2\n      hue: 0.1\n"},
        {"data.scale=-2", "\n  scale: -2\n"},
        {"data.scale=auto", "\n  scale: auto\n"},
        {"train.class_weights=balanced", "\n  class_weights: balanced\n"},
        {"train.class_weights=[1, 2, 0.5, 1, 1, 1, 1, 1, 1, 0]",
         "\n  class_weights: [1, 2, 0.5, 1, 1, 1, 1, 1, 1, 0]\n"},
        {"train.class_weights=none", "\n  class_weights: none\n"},
        {"data.sampler=balanced", "\n  sampler: balanced\n"},
        {"train.loss={binary_cross_entropy: {smoothing: 0.1}}",
         "\n  loss:\n    binary_cross_entropy:\n      smoothing: 0.1\n"},
        {"data.axes=NCHW", "\n  axes: NCHW\n"},
        {"data.input='a b: #c'", "\n  input: \"a b: #c\"\n"},
        {"data.input=x: y # z", "\n  input: \"x: y # z\"\n"},
        {"data.input=\"null\"", "\n  input: \"null\"\n"},
        {"data.input=/entry/data", "\n  input: /entry/data\n"},
        {"data.normalize={mean: [1, 2], std: [3, 4]}", "\n    mean: [1, 2]\n    std: [3, 4]\n"},
        {"data.train=[/a/*.h5,/b c/*.h5]", "\n  train: [/a/*.h5, \"/b c/*.h5\"]\n"},
        {"data.test=[]", "\n  test: []\n"},
        {"train.steps=20", "\n  steps: 20\n"},
        {"train={steps: 20, batch: 64}", "\n  steps: 20\n  batch: 64\n"},
        {"train.epochs=2.5", "\n  epochs: 2.5\n"},
        {"train.optimizer=adamw",
         "\n    adamw:\n      beta1: 0.9\n      beta2: 0.999\n      epsilon: 1e-08\n"},
        {"train.optimizer={adamw: {weight_decay: 0.1}}", "\n      weight_decay: 0.1\n"},
        {"train.optimizer.adamw.beta1=0.8", "\n    adamw:\n      beta1: 0.8\n"},
        {"train.optimizer.adamw={beta1: 0.7}", "\n    adamw:\n      beta1: 0.7\n"},
        {"train.optimizer=lars",
         "\n    lars:\n      momentum: 0.9\n      trust: 0.001\n      weight_decay: 0.0005\n"},
        {"train.optimizer.lamb.beta1=0.8",
         "\n    lamb:\n      beta1: 0.8\n      beta2: 0.999\n      epsilon: 1e-06\n"},
        {"train.schedule.step.gamma=0.5",
         "\n    step:\n      peak: 0.1\n      warmup: 0\n      every: 30 epochs\n"
         "      gamma: 0.5\n"},
        {"train.schedule=constant", "\n    constant:\n      peak: 0.1\n      warmup: 0\n"},
        {"train.schedule.polynomial.power=0.9",
         "\n    polynomial:\n      peak: 0.1\n      warmup: 0\n      power: 0.9\n      final: 0\n"},
        {"train.schedule={one_cycle: {peak: 2, rise: 0.45}}",
         "\n    one_cycle:\n      peak: 2\n      rise: 0.45\n      initial_divisor: 25\n      final_divisor: "
         "10000\n"},
        {"train.loss=mse", "\n  loss:\n    mse: {}\n"},
        {"train.groups=[]", "\n  groups: []\n"},
        {"train.groups=[{match: fc.}]", "\n  groups: [{match: \"fc.\", lr_scale: 1}]\n"},
        {"train.groups=[{lr_scale: 0.1, match: 'a: b'}, {match: \"\", weight_decay: 0, decay_all: true}]",
         "\n  groups: [{match: \"a: b\", lr_scale: 0.1}, {match: \"\", weight_decay: 0, lr_scale: 1, "
         "decay_all: true}]\n"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) check_override(pairs[i][0], pairs[i][1]);
}

static void a_length_replaces_the_other(void **state) {
    (void)state;
    const char *both[] = {"train.steps=20", "train.epochs=3"};
    struct ls_recipe r;
    assert_int_equal(ls_recipe_parse(LEAST, "r", ".", both, 2, &r), LS_OK);
    assert_true(r.train.length.unit == LS_SPAN_EPOCHS && r.train.length.amount == 3);
    ls_recipe_free(&r);
}

static void a_choice_keeps_its_settings_only_while_it_is_chosen(void **state) {
    (void)state;
    static const char recipe[] = "model: {zoo: lenet, classes: 10}\ndata: {train: a.h5}\n"
                                 "train: {steps: 1, optimizer: {sgd: {momentum: 0.5, weight_decay: 0.25}}}\n";
    struct ls_recipe r = must_parse(recipe, "train.optimizer.sgd.momentum=0.8");
    assert_true(r.train.momentum == 0.8 && r.train.weight_decay == 0.25);
    ls_recipe_free(&r);
    r = must_parse(recipe, "train.optimizer.adamw.beta1=0.8");
    assert_true(r.train.optimizer == LS_RECIPE_ADAMW && r.train.weight_decay == 0.01 &&
                r.train.momentum == 0);
    ls_recipe_free(&r);
    const char *there_and_back[] = {"train.optimizer=adamw", "train.optimizer.sgd.nesterov=false"};
    assert_int_equal(ls_recipe_parse(recipe, "r", ".", there_and_back, 2, &r), LS_OK);
    assert_true(r.train.optimizer == LS_RECIPE_SGD && r.train.momentum == 0.9 && !r.train.nesterov);
    ls_recipe_free(&r);
    // A bare word in the recipe is chosen too.
    const char *beta = "train.optimizer.adamw.beta2=0.5";
    assert_int_equal(ls_recipe_parse("model: {zoo: lenet, classes: 10}\ndata: {train: a.h5}\n"
                                     "train: {steps: 1, optimizer: adamw}\n",
                                     "r", ".", &beta, 1, &r),
                     LS_OK);
    assert_true(r.train.optimizer == LS_RECIPE_ADAMW && r.train.beta2 == 0.5 && r.train.beta1 == 0.9);
    ls_recipe_free(&r);
}

static void the_rate_fits_the_optimizer(void **state) {
    (void)state;
    struct ls_recipe r = must_parse(LEAST, "train.optimizer=adamw");
    assert_true(r.train.peak == 0.001);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "train.optimizer=lars");
    assert_true(r.train.peak == 2 && r.train.trust == 0.001);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "train.optimizer=lamb");
    assert_true(r.train.peak == 0.005 && r.train.epsilon == 1e-6);
    ls_recipe_free(&r);
    const char *both[] = {"train.optimizer=adamw", "train.schedule.cosine.peak=0.02"};
    assert_int_equal(ls_recipe_parse(LEAST, "r", ".", both, 2, &r), LS_OK);
    assert_true(r.train.peak == 0.02);
    ls_recipe_free(&r);
}

// ---- paths

static void check_path(const char *folder, const char *path, const char *expected) {
    char text[512];
    snprintf(text, sizeof text, "model: {zoo: lenet, classes: 10}\ndata: {train: \"%s\"}\ntrain: {steps: 1}",
             path);
    struct ls_recipe r;
    assert_int_equal(ls_recipe_parse(text, "r", folder, NULL, 0, &r), LS_OK);
    assert_string_equal(r.data.train.items[0], expected);
    ls_recipe_free(&r);
}

static void paths_are_relative_to_the_recipe(void **state) {
    (void)state;
    check_path("/data/run", "a.h5", "/data/run/a.h5");
    check_path("/data/run/", "./a.h5", "/data/run/a.h5");
    check_path("/", "a.h5", "/a.h5");
    check_path("/data/run", "/x/../a.h5", "/x/../a.h5");
    check_path("/not/there", "../a.h5", "/not/there/../a.h5"); // it may become a link
    check_path("/data/my run", "*.h5", "/data/my run/*.h5");
    check_path("/data/run[1]*", "*.h5", "/data/run\\[1]\\*/*.h5");
    check_path("/data/back\\slash", "a.h5", "/data/back\\slash/a.h5");
    check_path("/data/back\\slash", "*.h5", "/data/back\\\\slash/*.h5");
}

static void dots_are_resolved_where_no_link_is_in_the_way(void **state) {
    (void)state;
    char folder[] = "/tmp/ls recipe XXXXXX", path[256], expected[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sub", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(expected, sizeof expected, "%s/a*.h5", folder);
    check_path(path, "../a*.h5", expected);
    check_path(path, ".././a*.h5", expected);
    char link[128];
    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(symlink("/usr/bin", link), 0);
    snprintf(expected, sizeof expected, "%s/../a*.h5", link);
    check_path(link, "../a*.h5", expected);
    unlink(link);
    rmdir(path);
    rmdir(folder);
}

static void paths_of_overrides_are_relative_to_the_current_folder(void **state) {
    (void)state;
    char *current = getcwd(NULL, 0), expected[4200];
    snprintf(expected, sizeof expected, "%s/b/*.h5", current);
    struct ls_recipe r = must_parse(LEAST, "data.train=b/*.h5");
    assert_string_equal(r.data.train.items[0], expected);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "data.train=*.h5"); // no alias: no YAML at all
    snprintf(expected, sizeof expected, "%s/*.h5", current);
    assert_string_equal(r.data.train.items[0], expected);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "model.from=runs/x/step-1.h5");
    assert_string_equal(ls_recipe_place(&r, "model.from"), "override model.from=runs/x/step-1.h5");
    assert_string_equal(ls_recipe_place(&r, "model.classes"), "r.yaml:1: model.classes");
    assert_string_equal(ls_recipe_place(&r, "model.freeze"), "model.freeze");
    snprintf(expected, sizeof expected, "%s/runs/x/step-1.h5", current);
    assert_string_equal(r.model.from, expected);
    ls_recipe_free(&r);
    free(current);
}

static void names_of_what_is_frozen(void **state) {
    (void)state;
    struct ls_recipe r = must_parse(LEAST, NULL);
    assert_int_equal(r.model.freeze.n, 0);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "model.freeze=[conv1, layer1.0]");
    assert_int_equal(r.model.freeze.n, 2);
    assert_string_equal(r.model.freeze.items[1], "layer1.0");
    ls_recipe_free(&r);
    r = must_parse(LEAST, "model.freeze=fc.bias");
    assert_int_equal(r.model.freeze.n, 1);
    assert_string_equal(r.model.freeze.items[0], "fc.bias");
    ls_recipe_free(&r);
}

static void dropout_is_the_models_own(void **state) {
    (void)state;
    struct ls_recipe r = must_parse(LEAST, NULL);
    assert_true(r.model.dropout == 0);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "model.zoo=vgg16");
    assert_true(r.model.dropout == 0.5);
    ls_recipe_free(&r);
    r = must_parse(LEAST, "model={zoo: vgg16, dropout: 0}");
    assert_true(r.model.dropout == 0);
    ls_recipe_free(&r);
}

static void a_file_reads_relative_to_itself(void **state) {
    (void)state;
    char folder[] = "/tmp/ls recipe XXXXXX", path[256], expected[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/r.yaml", folder);
    FILE *file = fopen(path, "w");
    fputs("\xef\xbb\xbf" LEAST, file); // with a byte order mark
    fclose(file);
    struct ls_recipe r;
    assert_int_equal(ls_recipe_read(path, NULL, 0, &r), LS_OK);
    snprintf(expected, sizeof expected, "%s/a.h5", folder);
    assert_string_equal(r.data.train.items[0], expected);
    assert_string_equal(r.path, path);
    ls_recipe_free(&r);
    unlink(path);
    rmdir(folder);
}

// ---- the resolved recipe

// Printed, read and printed again: the same text, from any folder.
static void check_round_trip(const char *text, const char *const *overrides, int n) {
    struct ls_recipe first, second;
    if (ls_recipe_parse(text, "r.yaml", "some/folder", overrides, n, &first) != LS_OK)
        fail_msg("%s", ls_error_last()->text);
    struct ls_text printed = {0};
    ls_recipe_print(&first, &printed);
    if (ls_recipe_parse(printed.data, "recipe.yaml", "/elsewhere", NULL, 0, &second) != LS_OK)
        fail_msg("%s\n%s", ls_error_last()->text, printed.data);
    assert_same_recipe(&second, printed.data);
    assert_int_equal(ls_recipe_same_result(&first, &second), LS_OK);
    ls_text_free(&printed);
    ls_recipe_free(&first);
    ls_recipe_free(&second);
}

static void the_resolved_recipe_reads_back(void **state) {
    (void)state;
    check_round_trip(contract, NULL, 0);
    check_round_trip(LEAST, NULL, 0);
    const char *odd[] = {
        "train.optimizer.adamw.epsilon=1.2345678901234567e-7",
        "train.schedule.step.every=0.1 epochs",
        "train.schedule.step.warmup=7 steps",
        "train.loss=mse",
        "train.steps=123456789012",
        "train.timeout=0.1s",
        "train.clip=0.30000000000000004",
        "data.train=['a b.h5', \"c\\\"d\\\\e.h5\", ü.h5, '- x', '#y', \"{z}\", 'null', '~']",
        "data.input=yes",
        "data.target= spaces  inside ",
        "data.normalize.std=[1e-5, 0.1, 3]",
        "data.normalize.mean=[0.1, -0.2, 0.3]",
        "data.scale=0.1",
        "model.from=*x?.h5",
        "device.memory=6442450944",
        "device.id=GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
        "train.precision=tf32",
        "train.reduce=fast",
        "checkpoint.every=0",
        "train.groups=[{match: \"q\\\"ü\", lr_scale: 0.30000000000000004}, {match: b, weight_decay: 1e-7}]",
        "seed=18446744073709551615",
    };
    check_round_trip(LEAST, odd, (int)(sizeof odd / sizeof odd[0]));
    const char *constant[] = {"train.schedule=constant", "train.precision=bf16"};
    check_round_trip(LEAST, constant, 2);
}

static void the_help_is_a_recipe_of_defaults(void **state) {
    (void)state;
    struct ls_text help = {0}, printed = {0};
    ls_recipe_help(&help);
    assert_null(strstr(help.data, "(null)"));
    struct ls_recipe from_help = must_parse(help.data, NULL);
    struct ls_recipe defaults = must_parse("model: {zoo: resnet18, classes: 10}\n"
                                           "data: {train: shards/train-*.h5}\ntrain: {epochs: 5}\n",
                                           NULL);
    ls_recipe_print(&defaults, &printed);
    assert_same_recipe(&from_help, printed.data);
    // Every key that a resolved recipe can have is there, chosen or not.
    static const char *const asides[] = {"# steps:", "# adamw:", "# beta2:", "# mse:", "# step:", "# gamma:"};
    for (size_t i = 0; i < sizeof asides / sizeof asides[0]; i++)
        assert_non_null(strstr(help.data, asides[i]));
    ls_recipe_free(&from_help);
    ls_recipe_free(&defaults);
    ls_text_free(&help);
    ls_text_free(&printed);
}

// Those that come with Lockstep read, and resolve.
static void the_recipes_of_launch_read(void **state) {
    (void)state;
    char **names;
    int n;
    assert_int_equal(ls_glob(LOCKSTEP_SOURCE "/launch/recipes/*.yaml", &names, &n), LS_OK);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        struct ls_recipe recipe;
        if (ls_recipe_read(names[i], NULL, 0, &recipe) != LS_OK) fail_msg("%s", ls_error_last()->text);
        ls_recipe_free(&recipe);
    }
    ls_glob_free(names, n);
}

// ---- what must stay

static ls_status compare(const char *override) {
    struct ls_recipe saved = must_parse(LEAST "eval: {}", NULL), now = must_parse(LEAST, override);
    ls_error_clear();
    ls_status status = ls_recipe_same_result(&saved, &now);
    ls_recipe_free(&saved);
    ls_recipe_free(&now);
    return status;
}

static void what_changes_the_result_is_named(void **state) {
    (void)state;
    static const char *const pairs[][2] = {
        {"seed=2", "seed was 1, now is 2"},
        {"model.zoo=mlp", "model.zoo was lenet, now is mlp"},
        {"data.train=b.h5", "data.train was [/data/run/a.h5], now is ["},
        {"data.train=[x/a.h5, x/b.h5]", "data.train was"},
        {"data.augment.flip=true", "data.augment.flip was false, now is true"},
        {"data.augment.resized_crop.size=8", "data.augment.resized_crop was none, now is there; "
                                             "data.augment.resized_crop.size was not set, now is 8; "},
        {"data.augment.color.hue=0.5", "data.augment.color.hue was 0, now is 0.5"},
        {"data.normalize.mean=[0.1]", "data.normalize.mean was [0], now is [0.1]"},
        {"train.batch=512", "train.batch was 256, now is 512"},
        {"train.lanes=4", "train.lanes was 8, now is 4"},
        {"train.precision=tf32", "train.precision was fp32, now is tf32"},
        {"train.optimizer=adamw", "train.optimizer was sgd, now is adamw"},
        {"train.optimizer.sgd.momentum=0.8", "train.optimizer.sgd.momentum was 0.9, now is 0.8"},
        {"train.schedule.cosine.warmup=2 epochs", "warmup was 1 epoch, now is 2 epochs"},
        {"train.loss.cross_entropy.smoothing=0.1", "smoothing was 0, now is 0.1"},
        {"train.clip=1", "train.clip was 0, now is 1"},
        {"train.ema=0.99", "train.ema was 0, now is 0.99"},
        {"train.groups=[{match: fc}]", "train.groups was [], now is [{match: \"fc\", lr_scale: 1}]"},
        {"train.reduce=fast", "train.reduce was ordered, now is fast"},
        {"train.epochs=6", "train.epochs was 5, now is 6"},
        {"train.steps=6", "train.epochs was 5, now is not set; train.steps was not set, now is 6"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(compare(pairs[i][0]), LS_INPUT);
        if (!strstr(ls_error_last()->text, pairs[i][1]))
            fail_msg("expected: %s\nfound: %s", pairs[i][1], ls_error_last()->text);
    }
    struct ls_recipe a = must_parse(LEAST, "train.optimizer=adamw");
    struct ls_recipe b = must_parse(LEAST, "train.optimizer.adamw.beta1=0.5");
    assert_int_equal(ls_recipe_same_result(&a, &b), LS_INPUT);
    ls_recipe_free(&a);
    ls_recipe_free(&b);
}

static void what_does_not_change_it_may_differ(void **state) {
    (void)state;
    static const char *const overrides[] = {
        "data.train=/moved/a.h5",   "data.threads=1",     "data.prefetch=2",    "train.timeout=10s",
        "train.bucket=1MiB",        "train.nan_limit=3",  "eval.every=5 steps", "checkpoint.keep=1",
        "checkpoint.every=5 steps", "device.memory=1GiB", "device.threads=3",   "device.kind=cpu",
        "device.kernels=plain",     "device.id=1",
    };
    for (size_t i = 0; i < sizeof overrides / sizeof overrides[0]; i++)
        if (compare(overrides[i]) != LS_OK) fail_msg("%s: %s", overrides[i], ls_error_last()->text);
}

// With a rate that does not know the end, a longer run has the same first steps.
static void a_constant_rate_may_go_on_for_longer(void **state) {
    (void)state;
    const char *shorter[] = {"train.schedule=constant", "train.epochs=5"};
    const char *longer[] = {"train.schedule=constant", "train.steps=5000"};
    struct ls_recipe a, b;
    assert_int_equal(ls_recipe_parse(LEAST, "a", ".", shorter, 2, &a), LS_OK);
    assert_int_equal(ls_recipe_parse(LEAST, "b", ".", longer, 2, &b), LS_OK);
    assert_int_equal(ls_recipe_same_result(&a, &b), LS_OK);
    b.train.batch = 8;
    assert_int_equal(ls_recipe_same_result(&a, &b), LS_INPUT);
    ls_recipe_free(&a);
    ls_recipe_free(&b);
}

static void a_rate_that_knows_the_end_may_not(void **state) {
    (void)state;
    static const char *const schedules[] = {"train.schedule=cosine", "train.schedule=polynomial",
                                            "train.schedule=one_cycle"};
    for (int i = 0; i < 3; i++) {
        const char *longer[] = {schedules[i], "train.epochs=6"};
        struct ls_recipe a = must_parse(LEAST, schedules[i]), b;
        assert_int_equal(ls_recipe_parse(LEAST, "b", ".", longer, 2, &b), LS_OK);
        assert_int_equal(ls_recipe_same_result(&a, &b), LS_INPUT);
        ls_recipe_free(&a);
        ls_recipe_free(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contract_reads),
        cmocka_unit_test(what_is_left_out_is_as_in_the_contract),
        cmocka_unit_test(empty_sections_are_left_out),
        cmocka_unit_test(overrides_set_every_kind),
        cmocka_unit_test(a_length_replaces_the_other),
        cmocka_unit_test(a_choice_keeps_its_settings_only_while_it_is_chosen),
        cmocka_unit_test(the_rate_fits_the_optimizer),
        cmocka_unit_test(paths_are_relative_to_the_recipe),
        cmocka_unit_test(dots_are_resolved_where_no_link_is_in_the_way),
        cmocka_unit_test(paths_of_overrides_are_relative_to_the_current_folder),
        cmocka_unit_test(names_of_what_is_frozen),
        cmocka_unit_test(dropout_is_the_models_own),
        cmocka_unit_test(a_file_reads_relative_to_itself),
        cmocka_unit_test(the_resolved_recipe_reads_back),
        cmocka_unit_test(the_help_is_a_recipe_of_defaults),
        cmocka_unit_test(the_recipes_of_launch_read),
        cmocka_unit_test(what_changes_the_result_is_named),
        cmocka_unit_test(what_does_not_change_it_may_differ),
        cmocka_unit_test(a_constant_rate_may_go_on_for_longer),
        cmocka_unit_test(a_rate_that_knows_the_end_may_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
