// Convolutions by cuDNN's backend: operations on tensors make a graph, a heuristic lists engines for it, and
// the first that keeps our arithmetic becomes the plan. All of it is chosen from shapes, device model and
// library version.
//
//     forward:          x, w -> convolution -> y, or -> + bias -> y with f32 between, rounded once; then relu
//     input gradient:   dy, w -> dx
//     weight gradient:  x, dy -> dw, f32; of 16 bits x, dy -> sums -> the same, copied -> dw, since no engine
//                       writes f32 by itself, and those for graphs write any type
#include "cuda/lib/parts.h"

#ifdef LOCKSTEP_HAVE_CUDNN
#include "cuda/kernels/elementwise.h"
#include "cuda/lib/libraries.h"

#include <stdlib.h>
#include <string.h>

enum {
    WORKSPACE = 256 << 20, // more is refused
    ALIGN = 16,            // of tensors, as the engines know it; ours lie at multiples of LS_ALIGN
    DESCRIPTORS = 16,      // of a graph
    CONFIGS = 64,          // that a heuristic is asked for
};

enum uid { UID_A = 1, UID_B, UID_OUT, UID_BIAS, UID_CONVOLVED };

typedef cudnnBackendDescriptor_t descriptor;

struct ls_cudnn_device {
    const struct ls_cudnn *api;
    cudnnHandle_t handle; // NULL: `described` is all there is
    descriptor described;
};

struct conv_task {
    struct ls_lib_task task;
    struct ls_cudnn_device *device;
    descriptor made[DESCRIPTORS]; // destroyed with the task
    int n_made;
    descriptor graph, config, plan;
    bool bias, relu;
    ls_dtype type;    // of y
    int64_t elements; // of y
};

// What is not supported is no error of ours: another engine or library may do.
static ls_status check(const struct ls_cudnn *api, cudnnStatus_t code, const char *what) {
    if (code == CUDNN_STATUS_SUCCESS) return LS_OK;
    const bool unsupported = code / 1000 == CUDNN_STATUS_NOT_SUPPORTED / 1000;
    return LS_FAIL(unsupported ? LS_INPUT : LS_SYSTEM, "cuDNN: %s: %s", what, api->cudnnGetErrorString(code));
}

// ---- descriptors ----

static ls_status set(const struct ls_cudnn *api, descriptor to, cudnnBackendAttributeName_t name,
                     cudnnBackendAttributeType_t type, int64_t n, const void *values) {
    return check(api, api->cudnnBackendSetAttribute(to, name, type, n, values), "cudnnBackendSetAttribute");
}

static ls_status finalize(const struct ls_cudnn *api, descriptor made) {
    return check(api, api->cudnnBackendFinalize(made), "cudnnBackendFinalize");
}

static ls_status create(const struct ls_cudnn *api, cudnnBackendDescriptorType_t type, descriptor *made) {
    *made = NULL;
    return check(api, api->cudnnBackendCreateDescriptor(type, made), "cudnnBackendCreateDescriptor");
}

static void destroy(const struct ls_cudnn *api, descriptor *made) {
    if (*made) (void)api->cudnnBackendDestroyDescriptor(*made);
    *made = NULL;
}

// One that lives as long as the task.
static ls_status create_kept(struct conv_task *task, cudnnBackendDescriptorType_t type, descriptor *made) {
    if (task->n_made == DESCRIPTORS) return LS_FAIL(LS_SYSTEM, "cuDNN: more descriptors than a graph has");
    LS_TRY(create(task->device->api, type, made));
    task->made[task->n_made++] = *made;
    return LS_OK;
}

// In functions that have `api`.
#define SET(to, name, type, n, values)  LS_TRY(set(api, (to), (name), (type), (n), (values)))
#define SET_DESCRIPTOR(to, name, value) SET(to, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &(value))

// ---- tensors ----

static cudnnDataType_t type_of(ls_dtype type) {
    return type == LS_BF16 ? CUDNN_DATA_BFLOAT16 : type == LS_F16 ? CUDNN_DATA_HALF : CUDNN_DATA_FLOAT;
}

// [n, c, h, w], which lies n, h, w, c. A virtual one is in no memory.
static ls_status make_tensor(struct conv_task *task, enum uid uid, ls_dtype type, const int64_t dims[4],
                             bool is_virtual, descriptor *tensor) {
    const struct ls_cudnn *api = task->device->api;
    const int64_t strides[] = {dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1], dims[1]}, id = uid,
                  align = ALIGN;
    const cudnnDataType_t data = type_of(type);
    LS_TRY(create_kept(task, CUDNN_BACKEND_TENSOR_DESCRIPTOR, tensor));
    SET(*tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    SET(*tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &data);
    SET(*tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &align);
    SET(*tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    SET(*tensor, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    SET(*tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    return finalize(api, *tensor);
}

struct tensors {
    descriptor x, w, y; // or their gradients
};

// Whether what the convolution makes is f32 and in no memory, for another operation to go on from.
static bool goes_on(const struct ls_lib_conv *conv) {
    return conv->bias || (conv->direction == LS_LIB_WEIGHT_GRAD && conv->type != LS_F32);
}

static ls_status make_tensors(struct conv_task *task, const struct ls_lib_conv *conv, struct tensors *t) {
    static const struct {
        enum uid x, w, y;
    } roles[] = {
        [LS_LIB_FORWARD] = {UID_A, UID_B, UID_OUT},
        [LS_LIB_INPUT_GRAD] = {UID_OUT, UID_B, UID_A},
        [LS_LIB_WEIGHT_GRAD] = {UID_A, UID_OUT, UID_B},
    };
    const int64_t x[] = {conv->n, conv->c, conv->h, conv->w};
    const int64_t w[] = {conv->o, conv->c / conv->groups, conv->kh, conv->kw};
    const int64_t y[] = {conv->n, conv->o, ls_conv_out_h(conv), ls_conv_out_w(conv)};
    const enum uid uids[] = {roles[conv->direction].x, roles[conv->direction].w, roles[conv->direction].y};
    const int64_t *const dims[] = {x, w, y};
    descriptor *const made[] = {&t->x, &t->w, &t->y};
    for (int i = 0; i < 3; i++) {
        if (uids[i] == UID_OUT && goes_on(conv))
            LS_TRY(make_tensor(task, UID_CONVOLVED, LS_F32, dims[i], true, made[i]));
        else
            LS_TRY(make_tensor(task, uids[i], conv->type, dims[i], false, made[i]));
    }
    return LS_OK;
}

// ---- operations ----

static ls_status make_geometry(struct conv_task *task, const struct ls_lib_conv *conv, descriptor *geometry) {
    const struct ls_cudnn *api = task->device->api;
    const int64_t dims = 2, pad[] = {conv->pad_h, conv->pad_w}, stride[] = {conv->stride_h, conv->stride_w};
    const int64_t dilation[] = {conv->dilation_h, conv->dilation_w};
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    LS_TRY(create_kept(task, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, geometry));
    SET(*geometry, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    SET(*geometry, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    SET(*geometry, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    SET(*geometry, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
    SET(*geometry, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pad);
    SET(*geometry, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, stride);
    SET(*geometry, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilation);
    return finalize(api, *geometry);
}

// Names of an operation's attributes, by direction.
struct conv_names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t geometry, x, w, y, alpha, beta;
};
static const struct conv_names names[] = {
    [LS_LIB_FORWARD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                        CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
    [LS_LIB_INPUT_GRAD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                           CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
    [LS_LIB_WEIGHT_GRAD] = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA},
};

static ls_status make_convolution(struct conv_task *task, const struct ls_lib_conv *conv,
                                  const struct tensors *t, descriptor *operation) {
    const struct ls_cudnn *api = task->device->api;
    const struct conv_names *name = &names[conv->direction];
    const float one = 1, none = 0;
    descriptor geometry;
    LS_TRY(make_geometry(task, conv, &geometry));
    LS_TRY(create_kept(task, name->type, operation));
    SET_DESCRIPTOR(*operation, name->geometry, geometry);
    SET_DESCRIPTOR(*operation, name->x, t->x);
    SET_DESCRIPTOR(*operation, name->w, t->w);
    SET_DESCRIPTOR(*operation, name->y, t->y);
    SET(*operation, name->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    SET(*operation, name->beta, CUDNN_TYPE_FLOAT, 1, &none);
    return finalize(api, *operation);
}

// y = x + b, in f32; y = x without b.
static ls_status make_pointwise(struct conv_task *task, descriptor x, descriptor b, descriptor y,
                                descriptor *operation) {
    const struct ls_cudnn *api = task->device->api;
    const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
    const cudnnPointwiseMode_t mode = b ? CUDNN_POINTWISE_ADD : CUDNN_POINTWISE_IDENTITY;
    descriptor pointwise;
    LS_TRY(create_kept(task, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, &pointwise));
    SET(pointwise, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    SET(pointwise, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &sums);
    LS_TRY(finalize(api, pointwise));
    LS_TRY(create_kept(task, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, operation));
    SET_DESCRIPTOR(*operation, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    SET_DESCRIPTOR(*operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b) SET_DESCRIPTOR(*operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    SET_DESCRIPTOR(*operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    return finalize(api, *operation);
}

// ---- graphs ----

static ls_status make_graph(struct conv_task *task, int n, const descriptor *operations) {
    const struct ls_cudnn_device *device = task->device;
    const struct ls_cudnn *api = device->api;
    LS_TRY(create_kept(task, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, &task->graph));
    SET(task->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, n, operations);
    if (device->handle)
        SET(task->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &device->handle);
    return finalize(api, task->graph);
}

// y = convolved + bias. No relu here: cuDNN's own loses NaN, unless asked not to by an attribute that is on
// its way out, and holds infinity to the greatest number.
static ls_status add_bias(struct conv_task *task, const struct ls_lib_conv *conv, descriptor convolved,
                          descriptor *operation) {
    const int64_t per_channel[] = {1, conv->o, 1, 1};
    const int64_t y_dims[] = {conv->n, conv->o, ls_conv_out_h(conv), ls_conv_out_w(conv)};
    descriptor bias, y;
    LS_TRY(make_tensor(task, UID_OUT, conv->type, y_dims, false, &y));
    LS_TRY(make_tensor(task, UID_BIAS, LS_F32, per_channel, false, &bias));
    return make_pointwise(task, convolved, bias, y, operation);
}

// dw = convolved, in f32.
static ls_status write_sums(struct conv_task *task, const struct ls_lib_conv *conv, descriptor convolved,
                            descriptor *operation) {
    const int64_t w_dims[] = {conv->o, conv->c / conv->groups, conv->kh, conv->kw};
    descriptor w;
    LS_TRY(make_tensor(task, UID_OUT, LS_F32, w_dims, false, &w));
    return make_pointwise(task, convolved, NULL, w, operation);
}

static ls_status make_operations(struct conv_task *task, const struct ls_lib_conv *conv) {
    struct tensors tensors;
    descriptor operations[2];
    LS_TRY(make_tensors(task, conv, &tensors));
    LS_TRY(make_convolution(task, conv, &tensors, &operations[0]));
    if (conv->bias)
        LS_TRY(add_bias(task, conv, tensors.y, &operations[1]));
    else if (goes_on(conv))
        LS_TRY(write_sums(task, conv, tensors.w, &operations[1]));
    return make_graph(task, goes_on(conv) ? 2 : 1, operations);
}

// ---- the engine ----

// Refused: sums in no fixed order, and arithmetic that is not the one asked for.
static bool keeps_arithmetic(const struct ls_cudnn *api, descriptor config, bool exact_f32) {
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t n = 0;
    descriptor engine;
    if (create(api, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine) != LS_OK) return false;
    bool good =
        api->cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                      &n, &engine) == CUDNN_STATUS_SUCCESS &&
        api->cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                      CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &n, notes) == CUDNN_STATUS_SUCCESS;
    for (int64_t i = 0; i < n && good; i++) {
        switch (notes[i]) {
        case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP: break;
        case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: good = !exact_f32; break;
        default: good = false; // nondeterministic, inputs or sums of fewer bits, FFT, Winograd
        }
    }
    destroy(api, &engine);
    return good;
}

static ls_status make_plan(struct conv_task *task, descriptor config) {
    struct ls_cudnn_device *device = task->device;
    const struct ls_cudnn *api = device->api;
    int64_t n = 0, workspace = 0;
    LS_TRY(create(api, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &task->plan));
    SET_DESCRIPTOR(task->plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (device->handle)
        SET(task->plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &device->handle);
    else
        SET_DESCRIPTOR(task->plan, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device->described);
    LS_TRY(finalize(api, task->plan));
    LS_TRY(check(api,
                 api->cudnnBackendGetAttribute(task->plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                               CUDNN_TYPE_INT64, 1, &n, &workspace),
                 "workspace of a plan"));
    if (workspace > WORKSPACE) return LS_FAIL(LS_INPUT, "cuDNN: an engine wants too much workspace");
    task->task.workspace = (size_t)workspace;
    return LS_OK;
}

static ls_status ask_heuristic(struct conv_task *task, cudnnBackendHeurMode_t mode, descriptor heuristic) {
    const struct ls_cudnn *api = task->device->api;
    SET_DESCRIPTOR(heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, task->graph);
    SET(heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (!task->device->handle)
        SET_DESCRIPTOR(heuristic, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, task->device->described);
    return finalize(api, heuristic);
}

// Makes the plan of the first of `configs` that will do; they are listed quickest first.
static ls_status take_first(struct conv_task *task, descriptor *configs, int64_t n, bool exact_f32) {
    const struct ls_cudnn *api = task->device->api;
    for (int64_t i = 0; i < n; i++) {
        if (!keeps_arithmetic(api, configs[i], exact_f32)) continue;
        if (make_plan(task, configs[i]) == LS_OK) {
            task->task.choice += (int)i + 1;
            task->config = configs[i];
            configs[i] = NULL;
            return LS_OK;
        }
        destroy(api, &task->plan);
    }
    return LS_FAIL(LS_INPUT, "cuDNN has no deterministic engine for this convolution");
}

static ls_status choose_of_mode(struct conv_task *task, cudnnBackendHeurMode_t mode, bool exact_f32) {
    const struct ls_cudnn *api = task->device->api;
    descriptor heuristic, configs[CONFIGS] = {NULL};
    int64_t n = 0;
    LS_TRY(create(api, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristic));
    ls_status status = ask_heuristic(task, mode, heuristic);
    for (int i = 0; i < CONFIGS && status == LS_OK; i++)
        status = create(api, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]);
    if (status == LS_OK)
        status = check(api,
                       api->cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                                     CUDNN_TYPE_BACKEND_DESCRIPTOR, CONFIGS, &n, configs),
                       "list of engines");
    if (status == LS_OK) status = take_first(task, configs, n, exact_f32);
    for (int i = 0; i < CONFIGS; i++) destroy(api, &configs[i]);
    destroy(api, &heuristic);
    return status;
}

static ls_status choose(struct conv_task *task, bool exact_f32) {
    const ls_status status = choose_of_mode(task, CUDNN_HEUR_MODE_A, exact_f32);
    if (status != LS_INPUT) return status;
    task->task.choice += CONFIGS;
    return choose_of_mode(task, CUDNN_HEUR_MODE_FALLBACK, exact_f32);
}

// ---- the task ----

static ls_status make_pack(const struct conv_task *task, const struct ls_lib_arguments *with,
                           descriptor pack) {
    const struct ls_cudnn *api = task->device->api;
    const int64_t n = task->bias ? 4 : 3, ids[] = {UID_A, UID_B, UID_OUT, UID_BIAS};
    const void *pointers[] = {with->a, with->b, with->out, with->bias};
    SET(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, ids);
    SET(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, pointers);
    SET(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &with->workspace);
    return finalize(api, pack);
}

static ls_status run_conv(struct ls_lib *lib, const struct ls_lib_task *task,
                          const struct ls_lib_arguments *with) {
    const struct conv_task *conv = (const struct conv_task *)task;
    const struct ls_cudnn *api = conv->device->api;
    descriptor pack;
    (void)lib;
    LS_TRY(check(api, api->cudnnSetStream(conv->device->handle, with->stream), "cudnnSetStream"));
    LS_TRY(create(api, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack));
    ls_status status = make_pack(conv, with, pack);
    if (status == LS_OK)
        status = check(api, api->cudnnBackendExecute(conv->device->handle, conv->plan, pack),
                       "cudnnBackendExecute");
    destroy(api, &pack);
    LS_TRY(status);
    if (conv->relu) return ls_cuda_relu(conv->type, with->out, with->out, conv->elements, with->stream);
    return LS_OK;
}

static void unmake_conv(struct ls_lib_task *task) {
    struct conv_task *conv = (struct conv_task *)task;
    destroy(conv->device->api, &conv->plan);
    destroy(conv->device->api, &conv->config);
    while (conv->n_made > 0) destroy(conv->device->api, &conv->made[--conv->n_made]);
    free(conv);
}

ls_status ls_cudnn_conv_make(struct ls_cudnn_device *device, bool tf32, const struct ls_lib_conv *conv,
                             struct ls_lib_task **task) {
    struct conv_task *made = calloc(1, sizeof *made);
    if (!made) return LS_FAIL(LS_SYSTEM, "out of memory");
    made->task = (struct ls_lib_task){.run = run_conv, .unmake = unmake_conv};
    made->device = device;
    made->bias = conv->bias;
    made->relu = conv->relu;
    made->type = conv->type;
    made->elements = conv->n * ls_conv_out_h(conv) * ls_conv_out_w(conv) * conv->o;
    ls_status status = make_operations(made, conv);
    if (status == LS_OK) status = choose(made, conv->type == LS_F32 && !tf32);
    if (status != LS_OK) {
        unmake_conv(&made->task);
        return status;
    }
    *task = &made->task;
    return LS_OK;
}

// ---- the device ----

static ls_status new_device(struct ls_cudnn_device **device) {
    char missing[LS_MISSING_TEXT];
    const struct ls_cudnn *api = ls_cudnn_load(missing);
    *device = NULL;
    if (!api || api->cudnnGetVersion() < 90000) return LS_OK;
    *device = calloc(1, sizeof **device);
    if (!*device) return LS_FAIL(LS_SYSTEM, "out of memory");
    (*device)->api = api;
    return LS_OK;
}

ls_status ls_cudnn_open(struct ls_cudnn_device **device) {
    LS_TRY(new_device(device));
    if (!*device) return LS_OK;
    const struct ls_cudnn *api = (*device)->api;
    const ls_status status = check(api, api->cudnnCreate(&(*device)->handle), "cudnnCreate");
    if (status != LS_OK) {
        ls_cudnn_close(*device);
        *device = NULL;
    }
    return status;
}

static ls_status describe(const struct ls_cudnn *api, const char *json, descriptor *described) {
    LS_TRY(create(api, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, described));
    SET(*described, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
    return finalize(api, *described);
}

ls_status ls_cudnn_open_described(const char *json, struct ls_cudnn_device **device) {
    LS_TRY(new_device(device));
    if (!*device) return LS_OK;
    const ls_status status = describe((*device)->api, json, &(*device)->described);
    if (status != LS_OK) {
        ls_cudnn_close(*device);
        *device = NULL;
    }
    return status;
}

void ls_cudnn_close(struct ls_cudnn_device *device) {
    if (!device) return;
    destroy(device->api, &device->described);
    if (device->handle) (void)device->api->cudnnDestroy(device->handle);
    free(device);
}

#else // built without cuDNN's headers

ls_status ls_cudnn_open(struct ls_cudnn_device **device) {
    *device = NULL;
    return LS_OK;
}

ls_status ls_cudnn_open_described(const char *json, struct ls_cudnn_device **device) {
    (void)json;
    *device = NULL;
    return LS_OK;
}

void ls_cudnn_close(struct ls_cudnn_device *device) {
    (void)device;
}

ls_status ls_cudnn_conv_make(struct ls_cudnn_device *device, bool tf32, const struct ls_lib_conv *conv,
                             struct ls_lib_task **task) {
    (void)device, (void)tf32, (void)conv, (void)task;
    return LS_FAIL(LS_INPUT, "built without cuDNN's headers");
}

#endif
