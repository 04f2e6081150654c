// The models' build functions, by file. Private to this folder.
#pragma once

#include "ops/ops.h"
#include "zoo/zoo.h"

// As `build` of struct ls_zoo_model.
ls_value ls_build_mlp(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_lenet(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_cnn(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_cnn1d(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_resnet8(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_resnet18(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_resnet34(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_resnet50(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_resnet101(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_resnet152(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_vgg16(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_mobilenetv2(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_efficientnet_b0(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);
ls_value ls_build_vit_s16(struct ls_graph *graph, ls_value x, const struct ls_zoo_options *options);

// Less than 64 pixels in one direction or both: too small for a model to halve five times. False after an
// error.
bool ls_is_small(const struct ls_graph *graph, ls_value image);
// conv without bias, then batch normalization: "conv1" and "bn1" for number 1.
ls_value ls_conv_norm(struct ls_graph *graph, ls_value x, int number, const struct ls_conv_spec *spec,
                      float initial_scale);
// The same with names of their own, and a scale that starts at 1.
ls_value ls_conv_norm_named(struct ls_graph *graph, ls_value x, const char *conv, const char *norm,
                            const struct ls_conv_spec *spec);
// The model as it ends: dropout where asked for, then the linear layer.
ls_value ls_classify(struct ls_graph *graph, ls_value x, const char *name,
                     const struct ls_zoo_options *options);
