// A convolution in numbers, apart from any graph.
#pragma once

#include "cpu/onednn_api.h"

struct ls_onednn_conv {
    enum { LS_ONEDNN_CONV_FORWARD, LS_ONEDNN_CONV_INPUT_GRAD, LS_ONEDNN_CONV_WEIGHT_GRAD } kind;
    dnnl_data_type_t type; // of activations and weights
    bool bias;
    dnnl_dim_t groups, batch;
    dnnl_dim_t in, in_h, in_w, out, out_h, out_w, kernel_h, kernel_w; // channels of all groups together
    struct ls_dnnl_window window;
    bool direct; // by columns that lie there already: the pixels themselves
};
