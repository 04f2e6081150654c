// Which models there are: those of the table, and a program's own.
#include "zoo/zoo.h"

#include "zoo/models.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define IMAGES  LS_SAMPLES_IMAGES
#define SIGNALS LS_SAMPLES_SIGNALS
static const struct ls_zoo_model models[] = {
    {"mlp", "hidden linear layers with relu (width, depth)", ls_build_mlp, 28, 1, IMAGES, NULL},
    {"lenet", "two 5x5 convolutions, three linear layers (LeCun et al. 1998)", ls_build_lenet, 28, 1, IMAGES,
     NULL},
    {"cnn", "small residual network for images of about 28x28, quick on a CPU", ls_build_cnn, 28, 1, IMAGES,
     NULL},
    {"cnn1d", "small residual network for signals (data.axes: NLC)", ls_build_cnn1d, 1024, 1, SIGNALS, NULL},
    {"resnet8", "three residual blocks of 16, 32, 64 channels", ls_build_resnet8, 32, 3, IMAGES, NULL},
    {"resnet18", "18 layers, basic blocks (He et al. 2016)", ls_build_resnet18, 224, 3, IMAGES, NULL},
    {"resnet34", "34 layers, basic blocks (He et al. 2016)", ls_build_resnet34, 224, 3, IMAGES, NULL},
    {"resnet50", "50 layers, bottleneck blocks, stride in the 3x3 (v1.5)", ls_build_resnet50, 224, 3, IMAGES,
     NULL},
    {"resnet101", "101 layers, else as resnet50", ls_build_resnet101, 224, 3, IMAGES, NULL},
    {"resnet152", "152 layers, else as resnet50", ls_build_resnet152, 224, 3, IMAGES, NULL},
    {"vgg16", "13 convolutions, three linear layers, dropout 0.5 (Simonyan, Zisserman 2015)", ls_build_vgg16,
     224, 3, IMAGES, "0.5"},
    {"mobilenetv2", "inverted residual blocks, relu6 (Sandler et al. 2018)", ls_build_mobilenetv2, 224, 3,
     IMAGES, "0.2"},
    {"efficientnet_b0", "inverted residual blocks with squeeze and excitation, silu (Tan, Le 2019)",
     ls_build_efficientnet_b0, 224, 3, IMAGES, "0.2"},
    {"vit_s16", "vision transformer, small, patches of 16x16 (blocks; Dosovitskiy et al. 2021)",
     ls_build_vit_s16, 224, 3, IMAGES, NULL},
};
#undef IMAGES
#undef SIGNALS
enum { MODELS = sizeof models / sizeof *models };

// Models of the program's own, behind those of the table. They come one at a time and stay, so that whoever
// looks needs no lock.
enum { MOST_OWN = 256, MOST_NAME = 63 };
static const struct ls_zoo_model *own[MOST_OWN];
static atomic_int n_own;
static pthread_mutex_t own_lock = PTHREAD_MUTEX_INITIALIZER;

const struct ls_zoo_model *ls_zoo_at(int i) {
    if (i >= 0 && i < MODELS) return &models[i];
    return i >= MODELS && i - MODELS < n_own ? own[i - MODELS] : NULL;
}

const struct ls_zoo_model *ls_zoo_find(const char *name) {
    const struct ls_zoo_model *model = NULL;
    for (int i = 0; (model = ls_zoo_at(i)) != NULL; i++)
        if (strcmp(model->name, name) == 0) return model;
    return NULL;
}

const char *ls_zoo_usual_dropout(const char *model) {
    const struct ls_zoo_model *found = ls_zoo_find(model);
    return found && found->usual_dropout ? found->usual_dropout : "0";
}

static ls_status check_own(const struct ls_zoo_model *model) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const char *name = model->name;
    if (!name || !*name || strlen(name) > MOST_NAME || name[strspn(name, letters)])
        return LS_FAIL(LS_INPUT,
                       "model \"%s\": expected a name of at most %d letters, digits, '_', '-' and '.'",
                       name ? name : "", MOST_NAME);
    if (!model->build || !model->summary)
        return LS_FAIL(LS_INPUT, "model \"%s\": it has no build function, or no summary", name);
    if (ls_zoo_find(name)) return LS_FAIL(LS_INPUT, "model \"%s\": another model has this name", name);
    if (n_own == MOST_OWN)
        return LS_FAIL(LS_INPUT, "model \"%s\": %d models were added, which is the most", name, MOST_OWN);
    return LS_OK;
}

ls_status ls_zoo_add(const struct ls_zoo_model *model) {
    pthread_mutex_lock(&own_lock);
    ls_status status = LS_OK;
    if (!model->name || ls_zoo_find(model->name) != model) status = check_own(model);
    const bool known = status == LS_OK && ls_zoo_find(model->name) == model;
    if (status == LS_OK && !known) {
        own[n_own] = model;
        n_own++;
    }
    pthread_mutex_unlock(&own_lock);
    return status;
}
