// Element by element; map.cuh has the loop.
#include "cuda/kernels/elementwise.h"

#include "cuda/kernels/map.cuh"

// ---- what is done with an element; NaN compares as false

struct relu_of {
    __device__ float operator()(float x, float) const {
        return x <= 0 ? 0 : x;
    }
};

struct relu_grad_of {
    __device__ float operator()(float y, float dy) const {
        return y <= 0 ? 0 : dy;
    }
};

struct clip_of {
    float low, high;
    __device__ float operator()(float x, float) const {
        float raised = x < low ? low : x;
        return raised > high ? high : raised;
    }
};

struct clip_grad_of {
    float low, high;
    __device__ float operator()(float y, float dy) const {
        return y > low && y < high ? dy : 0;
    }
};

struct sigmoid_of {
    __device__ float operator()(float x, float) const {
        return sigmoid(x);
    }
};

struct sigmoid_grad_of {
    __device__ float operator()(float y, float dy) const {
        return dy * (y * (1 - y));
    }
};

struct leaky_relu_of {
    float slope;
    __device__ float operator()(float x, float) const {
        return x <= 0 ? slope * x : x;
    }
};

struct leaky_relu_grad_of {
    float slope;
    __device__ float operator()(float y, float dy) const {
        return y <= 0 ? slope * dy : dy;
    }
};

struct tanh_of {
    __device__ float operator()(float x, float) const {
        return tanhf(x);
    }
};

struct tanh_grad_of {
    __device__ float operator()(float y, float dy) const {
        return dy * ((1 - y) * (1 + y));
    }
};

struct hard_swish_of {
    __device__ float operator()(float x, float) const {
        float raised = x + 3 < 0 ? 0 : x + 3;
        return x * ((raised > 6 ? 6 : raised) * (float)(1.0 / 6));
    }
};

struct hard_swish_grad_of {
    __device__ float operator()(float x, float dy) const {
        float inside = dy * (x * (float)(1.0 / 3) + 0.5f);
        return x <= -3 ? 0 : x >= 3 ? dy : inside;
    }
};

// The activations of whole networks, all in f32: many GPUs have few units for f64. The exponential is of a
// number that is not above 0.
static __device__ __forceinline__ float quick_sigmoid(float x) {
    float e = expf(-fabsf(x));
    return (x < 0 ? e : 1) / (1 + e);
}

struct silu_of {
    __device__ float operator()(float x, float) const {
        return x * quick_sigmoid(x);
    }
};

struct silu_grad_of {
    __device__ float operator()(float x, float dy) const {
        float s = quick_sigmoid(x);
        return dy * (s * (1 + x * (1 - s)));
    }
};

static __device__ __forceinline__ float normal(float x) {
    return 0.5f * erfcf(x * -0.707106781f); // 1 / sqrt(2)
}

struct gelu_of {
    __device__ float operator()(float x, float) const {
        return x * normal(x);
    }
};

struct gelu_grad_of {
    __device__ float operator()(float x, float dy) const {
        return dy * (normal(x) + x * (0.398942280f * expf(-0.5f * (x * x)))); // 1 / sqrt(2 pi)
    }
};

// 2u of the approximation.
static __device__ __forceinline__ float twice_u(float x) {
    return 1.59576912f * (x + 0.044715f * (x * x * x)); // 2 sqrt(2 / pi)
}

struct gelu_tanh_of {
    __device__ float operator()(float x, float) const {
        return x * quick_sigmoid(twice_u(x));
    }
};

// Where s (1 - s) is 0, the slope of u may be infinite.
struct gelu_tanh_grad_of {
    __device__ float operator()(float x, float dy) const {
        float s = quick_sigmoid(twice_u(x)), both = s * (1 - s);
        float slope = 0.797884561f * (1 + 0.134145f * (x * x));
        return dy * (s + (both == 0 ? 0 : 2 * x * both * slope));
    }
};

struct same_of {
    __device__ float operator()(float x, float) const {
        return x;
    }
};

// ---- launches

template <int INPUTS, typename Op>
static ls_status map_type(ls_dtype type, Op op, const void *a, const void *b, void *y, int64_t n,
                          cudaStream_t stream) {
    return by_type(type, [&](auto one) {
        typedef decltype(one) T;
        map_all<INPUTS, wide<T>::N, T, T>(op, a, b, y, n, stream);
    });
}

ls_status ls_cuda_relu(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    return map_type<1>(type, relu_of(), x, NULL, y, n, stream);
}

ls_status ls_cuda_relu_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                            cudaStream_t stream) {
    return map_type<2>(type, relu_grad_of(), y, dy, dx, n, stream);
}

ls_status ls_cuda_clip(ls_dtype type, const void *x, void *y, int64_t n, float low, float high,
                       cudaStream_t stream) {
    return map_type<1>(type, clip_of{low, high}, x, NULL, y, n, stream);
}

ls_status ls_cuda_clip_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n, float low,
                            float high, cudaStream_t stream) {
    return map_type<2>(type, clip_grad_of{low, high}, y, dy, dx, n, stream);
}

ls_status ls_cuda_sigmoid(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    return map_type<1>(type, sigmoid_of(), x, NULL, y, n, stream);
}

ls_status ls_cuda_sigmoid_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                               cudaStream_t stream) {
    return map_type<2>(type, sigmoid_grad_of(), y, dy, dx, n, stream);
}

ls_status ls_cuda_tanh(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    return map_type<1>(type, tanh_of(), x, NULL, y, n, stream);
}

ls_status ls_cuda_tanh_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                            cudaStream_t stream) {
    return map_type<2>(type, tanh_grad_of(), y, dy, dx, n, stream);
}

ls_status ls_cuda_silu(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    return map_type<1>(type, silu_of(), x, NULL, y, n, stream);
}

ls_status ls_cuda_silu_grad(ls_dtype type, const void *x, const void *dy, void *dx, int64_t n,
                            cudaStream_t stream) {
    return map_type<2>(type, silu_grad_of(), x, dy, dx, n, stream);
}

ls_status ls_cuda_hard_swish(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    return map_type<1>(type, hard_swish_of(), x, NULL, y, n, stream);
}

ls_status ls_cuda_hard_swish_grad(ls_dtype type, const void *x, const void *dy, void *dx, int64_t n,
                                  cudaStream_t stream) {
    return map_type<2>(type, hard_swish_grad_of(), x, dy, dx, n, stream);
}

ls_status ls_cuda_leaky_relu(ls_dtype type, const void *x, void *y, int64_t n, float slope,
                             cudaStream_t stream) {
    return map_type<1>(type, leaky_relu_of{slope}, x, NULL, y, n, stream);
}

ls_status ls_cuda_leaky_relu_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                                  float slope, cudaStream_t stream) {
    return map_type<2>(type, leaky_relu_grad_of{slope}, y, dy, dx, n, stream);
}

ls_status ls_cuda_gelu(ls_dtype type, const void *x, void *y, int64_t n, bool by_tanh, cudaStream_t stream) {
    if (by_tanh) return map_type<1>(type, gelu_tanh_of(), x, NULL, y, n, stream);
    return map_type<1>(type, gelu_of(), x, NULL, y, n, stream);
}

ls_status ls_cuda_gelu_grad(ls_dtype type, const void *x, const void *dy, void *dx, int64_t n, bool by_tanh,
                            cudaStream_t stream) {
    if (by_tanh) return map_type<2>(type, gelu_tanh_grad_of(), x, dy, dx, n, stream);
    return map_type<2>(type, gelu_grad_of(), x, dy, dx, n, stream);
}

ls_status ls_cuda_cast(ls_dtype from, const void *x, ls_dtype to, void *y, int64_t n, cudaStream_t stream) {
    ls_status status = LS_OK;
    ls_status launched = by_type(from, [&](auto one) {
        typedef decltype(one) From;
        status = by_type(to, [&](auto other) {
            typedef decltype(other) To;
            constexpr int N = wide<From>::N > wide<To>::N ? wide<From>::N : wide<To>::N;
            map_all<1, N, From, To>(same_of(), x, NULL, y, n, stream);
        });
    });
    return launched != LS_OK ? launched : status;
}
