// oneDNN's C interface as far as Lockstep uses it, the same for versions 2.6 and 3: what the two spell
// differently is made here and nowhere else. Every function returns oneDNN's own status.
#pragma once

#include <oneapi/dnnl/dnnl.h>

#include <stdbool.h>

// How a tensor lies. Of a tensor of ours: owned, freed by ls_dnnl_desc_free. Of a primitive: the primitive
// descriptor's own.
#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t ls_dnnl_desc;
#else
typedef const dnnl_memory_desc_t *ls_dnnl_desc;
#endif

dnnl_status_t ls_dnnl_desc_make(ls_dnnl_desc *desc, dnnl_data_type_t type, int rank, const dnnl_dims_t dims,
                                dnnl_format_tag_t tag);
void ls_dnnl_desc_free(ls_dnnl_desc desc); // takes NULL

// Scratchpads are the caller's memory, f32 is not narrowed on the way, and results repeat.
dnnl_status_t ls_dnnl_attr_make(dnnl_primitive_attr_t *attr);

struct ls_dnnl_window {
    dnnl_dims_t stride, pad;
    dnnl_dims_t dilation; // as oneDNN counts it: 0 where there is none
};

// Primitive descriptors; freed by dnnl_primitive_desc_destroy. `bias` may be NULL; `hint` is the descriptor
// of the forward convolution.
dnnl_status_t ls_dnnl_conv_forward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                   const struct ls_dnnl_window *window, ls_dnnl_desc src,
                                   ls_dnnl_desc weights, ls_dnnl_desc bias, ls_dnnl_desc dst,
                                   dnnl_primitive_attr_t attr);
dnnl_status_t ls_dnnl_conv_backward_data(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                         const struct ls_dnnl_window *window, ls_dnnl_desc diff_src,
                                         ls_dnnl_desc weights, ls_dnnl_desc diff_dst,
                                         dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr);
dnnl_status_t ls_dnnl_conv_backward_weights(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                            const struct ls_dnnl_window *window, ls_dnnl_desc src,
                                            ls_dnnl_desc diff_weights, ls_dnnl_desc diff_dst,
                                            dnnl_primitive_desc_t hint, dnnl_primitive_attr_t attr);
// Pooling; `hint` is the descriptor of the forward one.
dnnl_status_t ls_dnnl_pool_forward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                   dnnl_alg_kind_t kind, const dnnl_dims_t kernel,
                                   const struct ls_dnnl_window *window, ls_dnnl_desc src, ls_dnnl_desc dst,
                                   dnnl_primitive_attr_t attr);
dnnl_status_t ls_dnnl_pool_backward(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine,
                                    dnnl_alg_kind_t kind, const dnnl_dims_t kernel,
                                    const struct ls_dnnl_window *window, ls_dnnl_desc diff_src,
                                    ls_dnnl_desc diff_dst, dnnl_primitive_desc_t hint,
                                    dnnl_primitive_attr_t attr);
// dst = src where it is above 0, else slope * src; and src * min(max(src / 6 + 1 / 2, 0), 1).
dnnl_status_t ls_dnnl_leaky_relu(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, float slope,
                                 ls_dnnl_desc src, ls_dnnl_desc dst, dnnl_primitive_attr_t attr);
dnnl_status_t ls_dnnl_hard_swish(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, ls_dnnl_desc src,
                                 ls_dnnl_desc dst, dnnl_primitive_attr_t attr);
// dst = a + b or a * b.
dnnl_status_t ls_dnnl_binary(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, dnnl_alg_kind_t kind,
                             ls_dnnl_desc a, ls_dnnl_desc b, ls_dnnl_desc dst, dnnl_primitive_attr_t attr);
// dst [m, n] = src [m, k] · weights [k, n] + bias [1, n]; of rank 3, a product for each place of the first
// axis.
dnnl_status_t ls_dnnl_matmul(dnnl_primitive_desc_t *primitive, dnnl_engine_t engine, ls_dnnl_desc src,
                             ls_dnnl_desc weights, ls_dnnl_desc bias, ls_dnnl_desc dst,
                             dnnl_primitive_attr_t attr);

// Results are multiplied by it, before they are rounded. Of an attr that has no such step yet.
dnnl_status_t ls_dnnl_attr_scale(dnnl_primitive_attr_t attr, float scale);

const char *ls_dnnl_isa_name(dnnl_cpu_isa_t isa); // "avx2"; NULL: not in the list
