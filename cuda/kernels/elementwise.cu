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
    __device__ float operator()(float x, float dy) const {
        return x > low && x < high ? dy : 0;
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

struct sum_of {
    __device__ float operator()(float a, float b) const {
        return a + b;
    }
};

struct sum_relu_of {
    __device__ float operator()(float a, float b) const {
        float sum = a + b;
        return sum <= 0 ? 0 : sum;
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

ls_status ls_cuda_clip_grad(ls_dtype type, const void *x, const void *dy, void *dx, int64_t n, float low,
                            float high, cudaStream_t stream) {
    return map_type<2>(type, clip_grad_of{low, high}, x, dy, dx, n, stream);
}

ls_status ls_cuda_sigmoid(ls_dtype type, const void *x, void *y, int64_t n, cudaStream_t stream) {
    return map_type<1>(type, sigmoid_of(), x, NULL, y, n, stream);
}

ls_status ls_cuda_sigmoid_grad(ls_dtype type, const void *y, const void *dy, void *dx, int64_t n,
                               cudaStream_t stream) {
    return map_type<2>(type, sigmoid_grad_of(), y, dy, dx, n, stream);
}

ls_status ls_cuda_sum(ls_dtype type, const void *a, const void *b, void *y, int64_t n, cudaStream_t stream) {
    return map_type<2>(type, sum_of(), a, b, y, n, stream);
}

ls_status ls_cuda_sum_relu(ls_dtype type, const void *a, const void *b, void *y, int64_t n,
                           cudaStream_t stream) {
    return map_type<2>(type, sum_relu_of(), a, b, y, n, stream);
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
