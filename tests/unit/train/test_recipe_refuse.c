// Recipes that are refused, each in words that name the place and what was expected; and text that is no
// recipe at all, which must not crash, hang or leak.
#include "recipe_help.h"

#include "base/philox.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MODEL "model: {zoo: lenet, classes: 10}\n"
#define DATA  "data: {train: a.h5}\n"
#define TRAIN "train: {epochs: 5}\n"

static void unknown_keys(void **state) {
    (void)state;
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  bach: 7\n", NULL,
                "r.yaml:5: train.bach: unknown key; did you mean train.batch?");
    must_refuse(LEAST "sede: 1\n", NULL, "r.yaml:4: sede: unknown key; did you mean seed?");
    must_refuse(LEAST "batch: 1\n", NULL, "r.yaml:4: batch: unknown key; did you mean train.batch?");
    must_refuse(LEAST "eval: {evry: 1 epoch}\n", NULL,
                "r.yaml:4: eval.evry: unknown key; did you mean eval.every?");
    must_refuse(MODEL DATA "train: {epochs: 5, batch_size: 7}", NULL, "did you mean train.batch?");
    must_refuse(LEAST "eval: {xxxxxxx: 1}\n", NULL, "eval.xxxxxxx: unknown key; known here: every");
    must_refuse(MODEL DATA "train: {epochs: 5, optimizer: {sgd: {momentun: 0.9}}}", NULL,
                "train.optimizer.sgd.momentun: unknown key; did you mean train.optimizer.sgd.momentum?");
    must_refuse(MODEL DATA "train: {epochs: 5, optimizer: {sgd: {beta1: 0.9}}}", NULL,
                "did you mean train.optimizer.adamw.beta1?");
    must_refuse(LEAST "train.batch: 5\n", NULL, "train.batch: unknown key");
    must_refuse(LEAST "'': 5\n", NULL, "unknown key");
    char text[4096] = LEAST;
    memset(text + strlen(LEAST), 'k', 900);
    memcpy(text + strlen(LEAST) + 900, ": 1\n", sizeof ": 1\n");
    must_refuse(text, NULL, "r.yaml:4: kkkk");
    must_refuse_override("train.bach=7", "override train.bach=7: unknown key; did you mean train.batch?");
    must_refuse_override("train={bach: 7}",
                         "override train={bach: 7}: train.bach: unknown key; did you mean train.batch?");
    must_refuse_override("nothing.like.it=7", "unknown key");
    must_refuse_override("train.batch.x=7", "unknown key");
    must_refuse_override(".=7", "unknown key");
    must_refuse_override("train.batch", "override train.batch: expected key=value");
    must_refuse_override("=5", "expected key=value");
    must_refuse_override("", "expected key=value");
}

static void repeated_keys(void **state) {
    (void)state;
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  batch: 1\n  batch: 1\n", NULL,
                "r.yaml:6: batch: repeated key; it stands on line 5 already");
    must_refuse(LEAST "model: {}\n", NULL, "r.yaml:4: model: repeated key; it stands on line 1 already");
    must_refuse_override("train={batch: 1, batch: 2}", "repeated key");
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  steps: 6\n", NULL, "either this or train.steps, not both");
    must_refuse_override("train={epochs: 5, steps: 6}", "not both");
}

static void missing_keys(void **state) {
    (void)state;
    must_refuse("model:\n  classes: 10\n" DATA TRAIN, NULL, "r.yaml:1: model.zoo: missing; expected a text");
    must_refuse(DATA TRAIN, NULL, "model.zoo: missing");
    must_refuse("model: {zoo: lenet}\n" DATA TRAIN, NULL,
                "r.yaml:1: model.classes: missing; expected an integer");
    must_refuse(MODEL "\ndata:\n  test: a.h5\n" TRAIN, NULL,
                "r.yaml:3: data.train: missing; expected a path");
    must_refuse(MODEL DATA, NULL, "one of train.epochs and train.steps is needed");
    must_refuse(MODEL DATA "train: {batch: 8}", NULL,
                "r.yaml:3: train: one of train.epochs and train.steps is needed");
}

static void wrong_types(void **state) {
    (void)state;
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  batch: [7]\n", NULL,
                "r.yaml:5: train.batch: expected an integer at least 1, found a list");
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  batch: {a: 7}\n", NULL, "found a section of keys");
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  batch:\n", NULL,
                "train.batch: expected an integer at least 1, found nothing");
    must_refuse(MODEL DATA "train: {epochs: 5, batch: \"256\"}", NULL, "found the text \"256\"");
    must_refuse(MODEL DATA "train: 5\n", NULL, "r.yaml:3: train: expected a section of keys, found 5");
    must_refuse(MODEL DATA "train: [5]\n", NULL, "train: expected a section of keys, found a list");
    must_refuse("- 1\n- 2\n", NULL, "r.yaml:1: expected a recipe, which is a section of keys, found a list");
    must_refuse("hello", NULL, "expected a recipe, which is a section of keys, found hello");
    must_refuse(MODEL "data: {train: a.h5, augment: true}\n" TRAIN, NULL, "data.augment: expected a section");
    must_refuse(MODEL "data: {train: [[a.h5]]}\n" TRAIN, NULL,
                "data.train: expected a path, a glob, or a list");
    must_refuse(MODEL "data: {train: []}\n" TRAIN, NULL, "found an empty list");
    must_refuse(MODEL "data: {train: ''}\n" TRAIN, NULL, "data.train: expected");
    must_refuse(MODEL "data: {train: [a, '']}\n" TRAIN, NULL, "data.train: expected");
    must_refuse(MODEL "data: {train: a, normalize: {mean: 0.5}}\n" TRAIN, NULL,
                "data.normalize.mean: expected a list of numbers, found 0.5");
    must_refuse(MODEL "data: {train: a, normalize: {mean: []}}\n" TRAIN, NULL,
                "data.normalize.mean: expected a list");
    must_refuse(MODEL "data: {train: a, normalize: {mean: [a]}}\n" TRAIN, NULL, "found a");
    must_refuse_override("train.batch=abc",
                         "override train.batch=abc: expected an integer at least 1, found abc");
    must_refuse_override("train.batch=", "found nothing");
    must_refuse_override("train.batch=1.5", "found 1.5");
    must_refuse_override("train.batch=1e3", "found 1e3");
    must_refuse_override("train.batch=0x10", "found 0x10");
    must_refuse_override("train.batch=7 7", "found 7 7");
    must_refuse_override("train.batch=[7]", "found a list");
    must_refuse_override("train=5", "expected a section of keys, found 5");
    must_refuse_override("train.optimizer.sgd=5", "expected a section of keys, found 5");
    must_refuse_override("data.augment.flip=yes", "expected true or false, found yes (write true or false)");
    must_refuse_override("data.augment.flip=maybe", "expected true or false, found maybe");
    must_refuse_override("data.augment.resized_crop=",
                         "resized_crop=: expected none, or a section of keys, found nothing");
    must_refuse_override("data.augment.resized_crop=true", "expected none, or a section of keys, found true");
    must_refuse_override("data.augment.resized_crop=[1]",
                         "expected none, or a section of keys, found a list");
    must_refuse_override("data.augment.resized_crop={sise: 3}",
                         "unknown key; did you mean data.augment.resized_crop.size?");
    must_refuse_override("train.class_weights=heavy", "expected none, balanced, or a list of numbers");
    must_refuse_override("train.class_weights=[]", "expected none, balanced, or a list of numbers");
    must_refuse_override("train.class_weights=[1, -1]", "found -1 (out of range)");
    must_refuse_override("train.class_weights=[1, 1]",
                         "expected 10 weights, one for each of model.classes, found 2");
    must_refuse_override("train.class_weights=[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]", "every weight is 0");
    must_refuse_override("train.groups=fc", "train.groups=fc: expected a list of groups, found fc");
    must_refuse_override("train.groups={match: fc}", "expected a list of groups, found a section");
    must_refuse_override("train.groups=[fc]", "expected a group, as {match: fc., lr_scale: 10}, found fc");
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  groups:\n    - match: fc\n      lr_scal: 2\n", NULL,
                "r.yaml:7: train.groups.lr_scal: unknown key; known here: match, weight_decay, lr_scale");
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  groups:\n    - match: fc\n    - lr_scale: 2\n", NULL,
                "r.yaml:7: train.groups: a group without `match`");
    must_refuse_override("train.groups=[{match: fc, lr_scale: -1}]",
                         "train.groups.lr_scale: expected a number from 0 to 1000000, found -1");
    must_refuse_override("train.groups=[{match: fc, weight_decay: none}]",
                         "train.groups.weight_decay: expected a number from 0 to 1000000, found none");
    must_refuse_override("train.groups=[{match: fc, lr_scale: .nan}]", "train.groups.lr_scale: expected");
    must_refuse_override("train.groups=[{match: fc, lr_scale: '2'}]", "train.groups.lr_scale: expected");
    must_refuse_override("train.groups=[{match: fc, decay_all: yes}]",
                         "train.groups.decay_all: expected true or false, found yes");
    must_refuse_override("train.groups=[{match: [fc]}]",
                         "train.groups.match: expected the beginning of parameters' names, found a list");
    must_refuse_override("train.groups=[{match: fc, match: fc}]", "repeated key");
    must_refuse_override("data.sampler=even", "expected one of shuffle, balanced, found even");
    must_refuse(MODEL "data: {train: a.h5, sampler: balanced}\ntrain: {epochs: 5, loss: mse}", NULL,
                "r.yaml:2: data.sampler: balanced needs train.loss: cross_entropy");
    must_refuse(
        MODEL DATA "train: {epochs: 5, loss: binary_cross_entropy, class_weights: balanced}", NULL,
        "r.yaml:3: train.class_weights: needs train.loss: cross_entropy, where each sample has a class");
    must_refuse_override("data.scale=big", "data.scale=big: expected auto, or a number that is not 0");
    must_refuse_override("model.zoo=[a]", "expected a text, found a list");
    must_refuse_override("model.zoo=", "expected a text, found nothing");
    must_refuse_override("model.zoo=''", "expected a text");
    must_refuse_override("seed=-1", "(negative)");
    must_refuse_override("seed=18446744073709551616", "(too large)");
    must_refuse_override("train.batch=99999999999999999999", "(too large)");
}

static void out_of_range(void **state) {
    (void)state;
    static const char *const overrides[] = {
        "train.batch=0",
        "train.batch=-8",
        "train.lanes=0",
        "train.batch=3000000000",
        "train.epochs=0",
        "train.epochs=-1",
        "train.steps=0",
        "train.steps=9e9",
        "train.clip=-1",
        "train.ema=1",
        "train.ema=-0.1",
        "train.nan_limit=0",
        "train.audit_every=-1",
        "train.timeout=0",
        "train.timeout=-5s",
        "train.bucket=1",
        "train.bucket=-1MiB",
        "model.classes=0",
        "model.width=0",
        "model.depth=0",
        "model.dropout=1",
        "model.dropout=-0.1",
        "data.scale=0",
        "data.augment.crop_pad=-1",
        "data.augment.resized_crop.size=-1",
        "data.augment.resized_crop.size=10000",
        "data.augment.resized_crop.scale=[0, 1]",
        "data.augment.resized_crop.scale=[0.5, 1.5]",
        "data.augment.resized_crop.ratio=[0, 1]",
        "data.augment.rotate=181",
        "data.augment.color.brightness=-0.1",
        "data.augment.color.hue=0.6",
        "data.augment.cutout=-1",
        "data.threads=0",
        "data.prefetch=0",
        "data.normalize.std=[0]",
        "data.normalize.std=[-1]",
        "checkpoint.keep=0",
        "eval.every=-1 epoch",
        "device.memory=-1",
        "device.threads=-1",
        "train.loss.cross_entropy.smoothing=1",
        "train.loss.cross_entropy.smoothing=-0.1",
        "train.loss={huber: {delta: 0}}",
        "train.loss={huber: {delta: -1}}",
        "train.optimizer.sgd.momentum=1",
        "train.optimizer.sgd.weight_decay=-1",
        "train.optimizer.adamw.beta1=1",
        "train.optimizer.adamw.beta2=1.5",
        "train.optimizer.adamw.epsilon=0",
        "train.optimizer.lars.trust=0",
        "train.optimizer.lars.momentum=1",
        "train.optimizer.lamb.beta2=1",
        "train.optimizer.lamb.epsilon=0",
        "train.schedule.cosine.peak=0",
        "train.schedule.cosine.peak=-0.1",
        "train.schedule.cosine.final=-0.1",
        "train.schedule.step.gamma=0",
        "train.schedule.step.gamma=1.1",
        "train.schedule.step.every=0",
        "train.schedule.constant.peak=0",
        "train.schedule.polynomial.power=0",
        "train.schedule.polynomial.power=101",
        "train.schedule.polynomial.final=-1",
        "train.schedule.one_cycle.rise=1",
        "train.schedule.one_cycle.rise=-0.1",
        "train.schedule.one_cycle.initial_divisor=0.5",
        "train.schedule.one_cycle.final_divisor=0",
    };
    for (size_t i = 0; i < sizeof overrides / sizeof overrides[0]; i++)
        must_refuse_override(overrides[i], "expected ");
    must_refuse_override("train.batch=0",
                         "override train.batch=0: expected an integer at least 1, found 0 (out of range)");
    must_refuse_override("model.dropout=1", "expected a number from 0 below 1, found 1 (out of range)");
    must_refuse_override("train.schedule.cosine.final=1", "1 is more than the peak, 0.1");
    must_refuse_override("train.schedule.polynomial.final=1", "1 is more than the peak, 0.1");
    must_refuse_override("data.normalize.mean=[1, 2]",
                         "as many means as standard deviations expected, found 2 and 1");
}

static void not_finite(void **state) {
    (void)state;
    static const char *const words[] = {".nan", ".inf", "-.inf",    ".NaN", "nan",
                                        "inf",  "-inf", "Infinity", "1e999"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char override[64], list[64];
        snprintf(override, sizeof override, "train.clip=%s", words[i]);
        must_refuse_override(override, "(not finite)");
        snprintf(list, sizeof list, "data.normalize.mean=[%s]", words[i]);
        must_refuse_override(list, "(not finite)");
        snprintf(override, sizeof override, "data.scale=%s", words[i]);
        must_refuse_override(override, "(not finite)");
    }
    must_refuse_override("train.timeout=nan", "(not finite)");
    must_refuse_override("train.timeout=1e308d", "(too large)");
    must_refuse_override("train.timeout=inf", "(not finite)");
    must_refuse_override("eval.every=.inf", "(not finite)");
    must_refuse_override("device.memory=nan", "(not finite)");
    must_refuse_override("train.batch=.inf", "(not finite)");
    must_refuse_override("train.epochs=.nan", "(not finite)");
}

static void crops_that_cannot_be(void **state) {
    (void)state;
    must_refuse(MODEL "data:\n  train: a.h5\n  augment:\n    resized_crop:\n      scale: [0.9, 0.5]\n" TRAIN,
                NULL,
                "r.yaml:6: data.augment.resized_crop.scale: the least, 0.9, is more than the most, 0.5");
    must_refuse(
        MODEL "data: {train: a.h5, augment: {resized_crop: {ratio: [1]}}}\n" TRAIN, NULL,
        "r.yaml:2: data.augment.resized_crop.ratio: expected two numbers, the least and the most, found 1");
    must_refuse(MODEL "data: {train: a.h5, augment: {crop_pad: 2}}\n" TRAIN, "data.augment.resized_crop={}",
                "r.yaml:2: data.augment.crop_pad: a crop is either padded or resized");
}

static void amounts_without_their_unit(void **state) {
    (void)state;
    must_refuse_override("train.timeout=300", "found 300 (it needs a unit: ms, s, min, h or d)");
    must_refuse_override("train.timeout=5m", "unknown unit");
    must_refuse_override("eval.every=5", "(it needs a unit: steps or epochs)");
    must_refuse_override("eval.every=5 s", "(it needs a unit: steps or epochs)");
    must_refuse_override("eval.every=1.5 steps", "(not a whole number of steps)");
    must_refuse_override("eval.every=epoch", "expected a span such as 500 steps or 1 epoch, found epoch");
    must_refuse_override("device.memory=6gib", "unknown unit");
    must_refuse_override("device.memory=1.5B", "(not a whole number of bytes)");
    must_refuse_override("device.memory=10000000TiB", "(too large)");
    must_refuse_override("device.memory=lots", "expected a size such as 512MiB or 20GiB, found lots");
}

static void names_that_are_none(void **state) {
    (void)state;
    must_refuse("model:\n  classes: 10\n  zoo: resnet99\n" DATA TRAIN, NULL,
                "r.yaml:3: model.zoo: unknown model resnet99; known are ");
    must_refuse_override("model.zoo=none", "lenet");
    must_refuse_override("train.precision=fp64",
                         "override train.precision=fp64: expected one of fp32, tf32, bf16, fp16, found fp64");
    must_refuse_override("train.precision=fp", "found fp");
    must_refuse_override("train.precision='fp32 tf32'", "found the text");
    must_refuse_override("train.reduce=slow", "expected one of ordered, fast, found slow");
    must_refuse_override("device.kind=gpu", "expected one of auto, cpu, cuda, found gpu");
    must_refuse_override("data.axes=NHW", "expected one of auto, NHWC, NCHW");
    must_refuse_override("train.optimizer=adam",
                         "expected one of sgd, adamw, lars, lamb, found adam; did you mean adamw?");
    must_refuse_override("train.optimizer=lion9", "expected one of sgd, adamw, lars, lamb, found lion9");
    must_refuse_override("train.optimizer={}", "expected one of sgd, adamw, lars, lamb, found a section");
    must_refuse_override("train.optimizer=", "expected one of sgd, adamw, lars, lamb, found nothing");
    must_refuse_override("train.optimizer=[sgd]", "expected one of sgd, adamw, lars, lamb, found a list");
    must_refuse_override("train.optimizer=sgd.momentum", "expected one of sgd, adamw, lars, lamb");
    must_refuse_override("train.optimizer={sgd: {}, adamw: {}}", "found both sgd and adamw");
    must_refuse_override("train.optimizer={sgd: 5}", "expected a section of keys, found 5");
}

static void lanes_that_do_not_divide(void **state) {
    (void)state;
    must_refuse(MODEL DATA "train:\n  epochs: 5\n  batch: 256\n  lanes: 7\n", NULL,
                "r.yaml:6: train.lanes: 7 does not divide train.batch: 256; nearest that do: 4 and 8");
    must_refuse(
        MODEL DATA "train:\n  epochs: 5\n  batch: 100\n", NULL,
        "r.yaml:5: train.lanes: 8 (the default) does not divide train.batch: 100; nearest that do: 5 and 10");
    must_refuse_override("train.lanes=300", "300 does not divide train.batch: 256; nearest that do: 256");
    must_refuse_override("train.batch=7",
                         "8 (the default) does not divide train.batch: 7; nearest that do: 7");
}

static void what_is_not_yaml(void **state) {
    (void)state;
    must_refuse("", NULL, "r.yaml:1: empty");
    must_refuse("# only words\n\n", NULL, "empty");
    must_refuse("seed: 1\nmodel: {zoo: lenet\ndata: x\n", NULL, "not valid YAML");
    must_refuse("seed: 1\n\n  model: 5\n", NULL, "r.yaml:3: not valid YAML");
    must_refuse("seed: 1\n\tmodel: 5\n", NULL, "r.yaml:2: not valid YAML");
    must_refuse("seed: \"1\n", NULL, "not valid YAML");
    must_refuse("seed: 1\nmodel: *.h5\n", NULL, "r.yaml:2: not valid YAML: while scanning an alias");
    must_refuse(MODEL "data: {train: *.h5}\n" TRAIN, NULL, "put quotes around a value that starts with *");
    must_refuse("seed: \xff\xfe\n", NULL, "not valid YAML");
    must_refuse("seed: \x01\n", NULL, "not valid YAML");
    must_refuse("\xff\xfes\0e\0", NULL, "not valid YAML");
    must_refuse("%YAML 3.0\n---\nseed: 1\n", NULL, "not valid YAML");
    must_refuse_override("train.optimizer={sgd: ", "override train.optimizer={sgd: : not valid YAML");
    must_refuse_override("data.train=[*.h5]", "quotes");
}

static void what_yaml_has_and_recipes_have_not(void **state) {
    (void)state;
    must_refuse(LEAST "---\nseed: 1\n", NULL, "r.yaml:4: a second document starts here");
    must_refuse(LEAST "seed: &s 1\n", NULL, "r.yaml:4: anchors");
    must_refuse(LEAST "eval: &e {every: 1 epoch}\n", NULL, "r.yaml:4: anchors");
    must_refuse(LEAST "eval:\n  every: *e\n", NULL, "r.yaml:5: aliases");
    must_refuse(LEAST "seed: !!int 1\n", NULL, "r.yaml:4: tags");
    must_refuse(LEAST "eval: !x {}\n", NULL, "tags");
    must_refuse(MODEL "data: {train: !x [a.h5]}\n" TRAIN, NULL, "tags");
    must_refuse(LEAST "<<: {seed: 1}\n", NULL, "r.yaml:4: merge keys");
    must_refuse(LEAST "? [a, b]\n: 1\n", NULL, "a key has to be a word");
    must_refuse(LEAST "eval: {every: \"a\\0b\"}\n", NULL, "a zero byte");
    char deep[400] = "seed: ";
    memset(deep + 6, '[', 150);
    memset(deep + 156, ']', 150);
    must_refuse(deep, NULL, "r.yaml:1: nested too deeply");
    must_refuse_override("data.input=a\x01", "control characters");
    must_refuse_override("data.input=\xff", "not UTF-8");
    must_refuse_override("data.input=a\xe2\x80\xa8", "control characters"); // U+2028 breaks lines
    must_refuse_override("data.train=a\n.h5", "control characters");
    must_refuse_override("model.from=\xed\xa0\x80", "not UTF-8"); // a surrogate
    must_refuse(LEAST "device: {id: \"a\\nb\"}\n", NULL, "control characters");
}

static void files_that_are_none(void **state) {
    (void)state;
    struct ls_recipe r;
    assert_int_equal(ls_recipe_read("/not/there/r.yaml", NULL, 0, &r), LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, "/not/there/r.yaml"));
    assert_int_equal(ls_recipe_read("/tmp", NULL, 0, &r), LS_INPUT);
    char path[] = "/tmp/ls-recipe-XXXXXX";
    int file = mkstemp(path);
    assert_int_equal(write(file, LEAST "seed: 1\0\n", sizeof LEAST "seed: 1\0\n" - 1),
                     sizeof LEAST "seed: 1\0\n" - 1);
    assert_int_equal(ls_recipe_read(path, NULL, 0, &r), LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, "zero bytes"));
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(ls_recipe_read(path, NULL, 0, &r), LS_INPUT);
    assert_non_null(strstr(ls_error_last()->text, ":1: empty"));
    assert_int_equal(ftruncate(file, 3 << 20), 0);
    assert_int_equal(ls_recipe_read(path, NULL, 0, &r), LS_INPUT);
    close(file);
    unlink(path);
}

// ---- anything

// A recipe with every construct, from which pieces are dropped, doubled and garbled.
static const char whole[] =
    "seed: 1\nmodel: {zoo: lenet, classes: 10}\ndata:\n  train: [a/*.h5, 'b.h5']\n  normalize: {mean: [0.1, "
    "2], "
    "std: [0.3, 1e-3]}\n  augment: {flip: true, resized_crop: {size: 8}}\ntrain:\n  epochs: 5\n  optimizer: "
    "{adamw: {beta1: 0.8}}\n  "
    "schedule:\n    step: {every: 3 epochs}\n  timeout: 90s\neval: {every: 0.5 epochs}\n";

static void try(const char *text, const char *override) {
    struct ls_recipe recipe;
    ls_error_clear();
    ls_status status = parse_with(text, &recipe, override);
    if (status == LS_OK) {
        struct ls_text once = {0};
        struct ls_recipe again;
        ls_recipe_print(&recipe, &once);
        if (ls_recipe_parse(once.data, "again", "/", NULL, 0, &again) != LS_OK)
            fail_msg("%s\n%s", ls_error_last()->text, once.data);
        assert_same_recipe(&again, once.data);
        ls_recipe_free(&again);
        ls_text_free(&once);
        ls_recipe_free(&recipe);
    } else {
        assert_int_equal(status, LS_INPUT);
        assert_true(strlen(ls_error_last()->text) > 0);
    }
}

static void garbled_recipes(void **state) {
    (void)state;
    static const char spice[] = "{}[]:,&*!|>'\"%@`#-?~ \n\t0.9e\x01\xff";
    for (uint32_t i = 0; i < 4000; i++) {
        char text[sizeof whole + 64];
        memcpy(text, whole, sizeof whole);
        struct ls_random4 r = ls_philox(1, LS_RANDOM_TEST, i, 0);
        uint32_t at = ls_below(r.word[0], sizeof whole - 1), n = 1 + ls_below(r.word[1], 20);
        if (at + n > sizeof whole - 1) n = (uint32_t)sizeof whole - 1 - at;
        switch (i % 4) {
        case 0: memmove(text + at, text + at + n, sizeof whole - at - n); break;
        case 1: memmove(text + at + n, text + at, sizeof whole - at); break;
        case 2: text[at] = spice[ls_below(r.word[2], sizeof spice - 1)]; break;
        default: text[at] = 0; break;
        }
        try(text, NULL);
    }
}

static void garbled_overrides(void **state) {
    (void)state;
    static const char *const keys[] = {
        "train",      "train.optimizer", "train.optimizer.sgd", "data.train", "data.normalize", "train.steps",
        "model.from", "train.schedule",  "train.loss.mse",      "data",       "eval.every",     "seed"};
    static const char *const bits[] = {"{",     "}",     "[",      "]", "sgd",      "adamw", ": ", ", ",
                                       "1",     "0.5",   "epochs", " ", "momentum", "'",     "\"", "step",
                                       "every", "steps", "~",      "*", "&a",       "mean"};
    enum { N_KEYS = sizeof keys / sizeof keys[0], N_BITS = sizeof bits / sizeof bits[0] };
    for (uint32_t i = 0; i < 4000; i++) {
        char override[256];
        struct ls_random4 r = ls_philox(2, LS_RANDOM_TEST, i, 0), s = ls_philox(3, LS_RANDOM_TEST, i, 0);
        snprintf(override, sizeof override, "%s=%s%s%s%s%s%s", keys[ls_below(r.word[0], N_KEYS)],
                 bits[ls_below(r.word[1], N_BITS)], bits[ls_below(r.word[2], N_BITS)],
                 bits[ls_below(r.word[3], N_BITS)], bits[ls_below(s.word[0], N_BITS)],
                 bits[ls_below(s.word[1], N_BITS)], bits[ls_below(s.word[2], N_BITS)]);
        try(i % 2 ? whole : LEAST, override);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_keys),         cmocka_unit_test(repeated_keys),
        cmocka_unit_test(missing_keys),         cmocka_unit_test(wrong_types),
        cmocka_unit_test(out_of_range),         cmocka_unit_test(not_finite),
        cmocka_unit_test(crops_that_cannot_be), cmocka_unit_test(amounts_without_their_unit),
        cmocka_unit_test(names_that_are_none),  cmocka_unit_test(lanes_that_do_not_divide),
        cmocka_unit_test(what_is_not_yaml),     cmocka_unit_test(what_yaml_has_and_recipes_have_not),
        cmocka_unit_test(files_that_are_none),  cmocka_unit_test(garbled_recipes),
        cmocka_unit_test(garbled_overrides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
