// One pass over memory: fill, affine, accumulate, the unary functions with their slopes, and binary arithmetic
// with broadcasting. A thread takes four floats at a time (each_vector.cuh). Bound by memory: even GELU, some 30
// instructions a float, is less than the 48 that an H200 can issue in the time that the float's 8 bytes take.
#include "activation.cuh"
#include "each_vector.cuh"
#include "strided.cuh"

namespace medmamba::cuda {

namespace {

// y[i] = f(x[i]), or f(x[i], z[i]) with a second operand; y may be an operand.
template <class Function>
__global__ void __launch_bounds__(threads_per_block)
map_kernel(int64_t count, bool vectorized, const float* x, float* y, Function f) {
    each_vector(count, vectorized, [&](int64_t i, auto width) {
        auto v = load(x + i, width);
        for (float& value : v.lane) value = f(value);
        store(y + i, v);
    });
}

template <class Function>
__global__ void __launch_bounds__(threads_per_block)
map_pair_kernel(int64_t count, bool vectorized, const float* x, const float* z, float* y, Function f) {
    each_vector(count, vectorized, [&](int64_t i, auto width) {
        auto v = load(x + i, width);
        const auto w = load(z + i, width);
        for (int lane = 0; lane < width.value; ++lane) v.lane[lane] = f(v.lane[lane], w.lane[lane]);
        store(y + i, v);
    });
}

__global__ void __launch_bounds__(threads_per_block) fill_kernel(int64_t count, bool vectorized, float value, float* y) {
    each_vector(count, vectorized, [&](int64_t i, auto width) { store(y + i, broadcast(value, width)); });
}

template <class Function>
mm_status map(mm_stream* stream, const char* what, int64_t count, const float* x, float* y, Function f) {
    const bool vectorized = vector_width(x, y) >= 4;
    return launch(stream, what, map_kernel<Function>, blocks_for_elements(stream, count, vectorized), threads_per_block,
                  0, count, vectorized, x, y, f);
}

template <class Function>
mm_status map(mm_stream* stream, const char* what, int64_t count, const float* x, const float* z, float* y,
              Function f) {
    const bool vectorized = vector_width(x, z, y) >= 4;
    return launch(stream, what, map_pair_kernel<Function>, blocks_for_elements(stream, count, vectorized),
                  threads_per_block, 0, count, vectorized, x, z, y, f);
}

struct Affine {
    float scale, shift;
    __device__ float operator()(float x) const { return x * scale + shift; }
};

struct Accumulate {
    float scale;
    __device__ float operator()(float x, float y) const { return x * scale + y; }
};

// The probability that a standard normal variable is below x, and gelu(x) = x normal_below(x).
__device__ __forceinline__ float normal_below(float x) { return 0.5f + 0.5f * erff(x * 0.707106781f); }
__device__ __forceinline__ float normal_density(float x) { return 0.398942280f * expf(x * x * -0.5f); }

template <int op>
struct Unary {
    __device__ float operator()(float x) const {
        if constexpr (op == MM_RELU) return x < 0.0f ? 0.0f : x;  // NaN stays
        if constexpr (op == MM_SILU) return silu(x);
        if constexpr (op == MM_GELU) return x * normal_below(x);
        if constexpr (op == MM_SIGMOID) return sigmoid(x);
        if constexpr (op == MM_EXP) return expf(x);
        if constexpr (op == MM_LOG) return logf(x);
    }
};

template <int op>
struct UnarySlope {
    __device__ float operator()(float x, float dy) const {
        if constexpr (op == MM_RELU) return x > 0.0f ? dy : 0.0f;
        if constexpr (op == MM_SILU) return dy * silu_slope(x);
        if constexpr (op == MM_GELU) return dy * (normal_below(x) + x * normal_density(x));
        if constexpr (op == MM_SIGMOID) {
            const float s = sigmoid(x);
            return dy * s * (1.0f - s);
        }
        if constexpr (op == MM_EXP) return dy * expf(x);
        if constexpr (op == MM_LOG) return dy / x;
    }
};

}  // namespace

mm_status fill(mm_stream* stream, const mm_fill_params* params) {
    const bool vectorized = vector_width(params->y) >= 4;
    return launch(stream, "fill", fill_kernel, blocks_for_elements(stream, params->count, vectorized), threads_per_block,
                  0, params->count, vectorized, params->value, params->y);
}

mm_status affine(mm_stream* stream, const mm_affine_params* params) {
    return map(stream, "affine", params->count, params->x, params->y, Affine{params->scale, params->shift});
}

mm_status accumulate(mm_stream* stream, const mm_accumulate_params* params) {
    return map(stream, "accumulate", params->count, params->x, params->y, params->y, Accumulate{params->scale});
}

mm_status unary(mm_stream* stream, const mm_unary_params* params) {
    const auto apply = [&](auto f) { return map(stream, "unary", params->count, params->x, params->y, f); };
    switch (params->op) {
        case MM_RELU: return apply(Unary<MM_RELU>{});
        case MM_SILU: return apply(Unary<MM_SILU>{});
        case MM_GELU: return apply(Unary<MM_GELU>{});
        case MM_SIGMOID: return apply(Unary<MM_SIGMOID>{});
        case MM_EXP: return apply(Unary<MM_EXP>{});
        case MM_LOG: return apply(Unary<MM_LOG>{});
        default: return stream->fail(MM_INVALID_ARGUMENT, "unary: there is no operation %d", (int)params->op);
    }
}

mm_status unary_backward(mm_stream* stream, const mm_unary_backward_params* params) {
    const auto apply = [&](auto f) {
        return map(stream, "unary_backward", params->count, params->x, params->dy, params->dx, f);
    };
    switch (params->op) {
        case MM_RELU: return apply(UnarySlope<MM_RELU>{});
        case MM_SILU: return apply(UnarySlope<MM_SILU>{});
        case MM_GELU: return apply(UnarySlope<MM_GELU>{});
        case MM_SIGMOID: return apply(UnarySlope<MM_SIGMOID>{});
        case MM_EXP: return apply(UnarySlope<MM_EXP>{});
        case MM_LOG: return apply(UnarySlope<MM_LOG>{});
        default:
            return stream->fail(MM_INVALID_ARGUMENT, "unary_backward: there is no operation %d", (int)params->op);
    }
}

namespace {

// The operation is the same for the whole grid: a branch that all threads take alike costs less than four kernels.
__device__ __forceinline__ float binary_of(int32_t op, float a, float b) {
    switch (op) {
        case MM_ADD: return a + b;
        case MM_SUBTRACT: return a - b;
        case MM_MULTIPLY: return a * b;
        default: return a / b;
    }
}

// Whatever the shapes, y is walked in order, `width` elements of the innermost merged axis at a time. Equal shapes
// and scalars merge into one axis; a bias of the last axis leaves two. Along the innermost axis an operand is a run,
// one value, or, only where width is 1, strided. `vectors` has that axis counted in steps of `width`.
template <class Index, int width>
__global__ void __launch_bounds__(threads_per_block)
binary_kernel(int32_t op, StridedPair vectors, Index count, const float* a, const float* b, float* y) {
    const int64_t last = vectors.dimensions - 1;
    const bool a_is_run = vectors.first[last] != 0, b_is_run = vectors.second[last] != 0;
    const Index threads = (Index)threads_of_grid();
    for (Index i = (Index)thread_of_grid(); i < count; i += threads) {
        int64_t a_at, b_at;
        offsets_at(vectors, i, &a_at, &b_at);
        Floats<width> v = a_is_run ? load(a + a_at, Width<width>{}) : broadcast(a[a_at], Width<width>{});
        const Floats<width> w = b_is_run ? load(b + b_at, Width<width>{}) : broadcast(b[b_at], Width<width>{});
        for (int lane = 0; lane < width; ++lane) v.lane[lane] = binary_of(op, v.lane[lane], w.lane[lane]);
        store(y + (int64_t)i * width, v);
    }
}

// How many elements of an operand may be read at once: of a run, or of one value.
int operand_width(const StridedPair& axes, const int64_t (&strides)[MM_MAX_DIMENSIONS], const float* p) {
    const int64_t last = axes.dimensions - 1;
    if (strides[last] == 0) return vector_width();
    int width = strides[last] == 1 ? vector_width(p) : 1;
    for (int64_t axis = 0; axis < last; ++axis) width = std::min(width, vector_width(strides[axis]));
    return width;
}

}  // namespace

mm_status binary(mm_stream* stream, const mm_binary_params* params) {
    if (params->op < MM_ADD || params->op > MM_DIVIDE)
        return stream->fail(MM_INVALID_ARGUMENT, "binary: there is no operation %d", (int)params->op);
    StridedPair axes = merged_axes(params);
    const int64_t last = axes.dimensions - 1;
    const bool fours = std::min({vector_width(axes.shape[last], params->y),
                                 operand_width(axes, axes.first, params->a),
                                 operand_width(axes, axes.second, params->b)}) >= 4;
    if (fours) {
        axes.shape[last] /= 4;
        axes.first[last] *= 4;
        axes.second[last] *= 4;
    }
    const int64_t count = axes.count();
    const auto run = [&](auto kernel) {
        return launch(stream, "binary", kernel, blocks_for_pass(stream, count), threads_per_block, 0, params->op,
                      axes, count, params->a, params->b, params->y);
    };
    if (fits_32_bits(count)) return fours ? run(binary_kernel<uint32_t, 4>) : run(binary_kernel<uint32_t, 1>);
    return fours ? run(binary_kernel<int64_t, 4>) : run(binary_kernel<int64_t, 1>);
}

}  // namespace medmamba::cuda
