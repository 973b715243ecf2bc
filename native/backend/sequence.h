// What SS2D and the block are written in: operations that follow each other on a stream, activations that are kept as
// the backend likes, buffers cut into pieces, and the three matrix products of a linear map.
#pragma once

#include <type_traits>

#include "backend.h"

namespace medmamba {

constexpr float norm_eps = 1e-5f;  // of every norm in the model

// Runs operations of one backend on one stream. The parameter struct names the operation. After a failure the
// rest is skipped, so that a sequence reads without a test behind every step; `status` is the first failure.
class Sequence {
public:
    Sequence(const mm_backend* backend, mm_stream* stream) : backend_(backend), stream_(stream) {}

#define MM_RUN(name)                                                      \
    void run(const mm_##name##_params& params) {                          \
        if (status_ == MM_OK) status_ = backend_->name(stream_, &params); \
    }
    MM_OPERATIONS(MM_RUN)
#undef MM_RUN

    // For what is itself a sequence on the same stream.
    template <class Params>
    void run(mm_status (*nested)(const mm_backend*, mm_stream*, const Params*), const Params& params) {
        if (status_ == MM_OK) status_ = nested(backend_, stream_, &params);
    }

    mm_status status() const { return status_; }

private:
    const mm_backend* backend_;
    mm_stream* stream_;
    mm_status status_ = MM_OK;
};

// An activation, or its gradient: where it lies, and as what. Behind the pointer of a bfloat16 one are 16-bit
// elements, as the table takes them (backend.h), so it is moved along by `after` alone.
template <class Float>
struct Activation {
    Float* data;
    int32_t dtype;  // MM_FLOAT32 or MM_BFLOAT16

    // From `elements` further on.
    Activation after(int64_t elements) const {
        using Byte = std::conditional_t<std::is_const_v<Float>, const char, char>;
        const int64_t size = dtype == MM_BFLOAT16 ? 2 : 4;
        return {reinterpret_cast<Float*>(reinterpret_cast<Byte*>(data) + elements * size), dtype};
    }

    operator Activation<const Float>() const { return {data, dtype}; }
};

// Cuts a buffer into consecutive 64-byte aligned pieces. Without a buffer it only counts: a plan and a run
// take the same pieces in the same order, so that sizes and pointers cannot disagree. Float is const for a
// buffer that is only read.
template <class Float>
class Carver {
public:
    explicit Carver(Float* buffer) : buffer_(buffer) {}

    // A piece of no floats is NULL, the ABI's word for an absent tensor.
    Float* take(int64_t floats) {
        Float* piece = buffer_ && floats ? buffer_ + used_ : nullptr;
        used_ += (floats + 15) / 16 * 16;
        return piece;
    }

    Activation<Float> take_activation(int64_t elements, int32_t dtype) {
        return {take(dtype == MM_BFLOAT16 ? (elements + 1) / 2 : elements), dtype};
    }

    int64_t used() const { return used_; }  // floats

private:
    Float* buffer_;
    int64_t used_ = 0;
};

// y = x weight^T:  x (rows, inputs), weight (outputs, inputs), y (rows, outputs).
// These three return the product for its caller to add row strides, a bias or an accumulation to.
inline mm_matmul_params linear_forward(int64_t rows, int64_t inputs, int64_t outputs, Activation<const float> x,
                                       const float* weight, Activation<float> y) {
    mm_matmul_params product{};
    product.batch = 1;
    product.m = rows;
    product.n = outputs;
    product.k = inputs;
    product.transpose_b = 1;
    product.a = x.data;
    product.a_dtype = x.dtype;
    product.b = weight;
    product.c = y.data;
    product.c_dtype = y.dtype;
    return product;
}

// dx = dy weight
inline mm_matmul_params linear_backward_data(int64_t rows, int64_t inputs, int64_t outputs,
                                             Activation<const float> dy, const float* weight, Activation<float> dx) {
    mm_matmul_params product{};
    product.batch = 1;
    product.m = rows;
    product.n = inputs;
    product.k = outputs;
    product.a = dy.data;
    product.a_dtype = dy.dtype;
    product.b = weight;
    product.c = dx.data;
    product.c_dtype = dx.dtype;
    return product;
}

// dweight = dy^T x
inline mm_matmul_params linear_backward_weight(int64_t rows, int64_t inputs, int64_t outputs,
                                               Activation<const float> dy, Activation<const float> x,
                                               float* dweight) {
    mm_matmul_params product{};
    product.batch = 1;
    product.m = outputs;
    product.n = inputs;
    product.k = rows;
    product.transpose_a = 1;
    product.a = dy.data;
    product.a_dtype = dy.dtype;
    product.b = x.data;
    product.b_dtype = x.dtype;
    product.c = dweight;
    return product;
}

}  // namespace medmamba
