// One pass over memory: fill, affine, accumulate, the unary functions with their slopes, and binary arithmetic
// with broadcasting. Bound by memory, or by L1 where the data are there; GELU and the exponentials come to
// 10 to 30 instructions a vector and stay near that bound.
#include "each_vector.h"
#include "strided.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// y[i] = f(x[i]), or f(x[i], z[i]) with a second operand; y may be an operand.
template <class Function>
void map(mm_stream* stream, int64_t count, const float* x, float* y, Function f) {
    parallel_ranges(stream, count, elements_per_task, [&](int64_t first, int64_t last, int) {
        each_vector(last - first, [&](int64_t i, auto part) {
            store(y + first + i, f(load(x + first + i, part)), part);
        });
    });
}

template <class Function>
void map(mm_stream* stream, int64_t count, const float* x, const float* z, float* y, Function f) {
    parallel_ranges(stream, count, elements_per_task, [&](int64_t first, int64_t last, int) {
        each_vector(last - first, [&](int64_t i, auto part) {
            store(y + first + i, f(load(x + first + i, part), load(z + first + i, part)), part);
        });
    });
}

// erf as a ratio of polynomials, which is 1 to rounding from |x| = 4 on; absolute error at most 2e-7.
vfloat erf(vfloat x) {
    x = min(broadcast(4.0f), max(broadcast(-4.0f), x));
    const vfloat z = x * x;
    vfloat p = broadcast(-2.72614225801306e-10f);
    p = p * z + 2.77068142495902e-8f;
    p = p * z - 2.10102402082508e-6f;
    p = p * z - 5.69250639462346e-5f;
    p = p * z - 7.34990630326855e-4f;
    p = p * z - 2.95459980854025e-3f;
    p = p * z - 1.60960333262415e-2f;
    vfloat q = broadcast(-1.45660718464996e-5f);
    q = q * z - 2.13374055278905e-4f;
    q = q * z - 1.68282697438203e-3f;
    q = q * z - 7.37332916720468e-3f;
    q = q * z - 1.42647390514189e-2f;
    return x * p / q;
}

// The probability that a standard normal variable is below x, and gelu(x) = x normal_below(x).
vfloat normal_below(vfloat x) { return 0.5f + 0.5f * erf(x * 0.707106781f); }
vfloat normal_density(vfloat x) { return 0.398942280f * exp(x * x * -0.5f); }

// `log` of simd.h is for positive normal numbers; here any float may come.
vfloat log_of_any(vfloat x) {
    const vint subnormal = x < 1.17549435e-38f;
    const vfloat scaled = subnormal ? x * 8388608.0f : x;
    vfloat y = log(scaled) - (subnormal ? broadcast(15.9423851f) : vfloat{});  // 2^23 and its logarithm
    y = x == 0.0f ? broadcast(-INFINITY) : y;
    y = x < 0.0f ? broadcast(NAN) : y;
    return x < INFINITY ? y : x;  // infinity and NaN are their own logarithms
}

}  // namespace

mm_status fill(mm_stream* stream, const mm_fill_params* params) {
    const vfloat value = broadcast(params->value);
    parallel_ranges(stream, params->count, elements_per_task, [&](int64_t first, int64_t last, int) {
        each_vector(last - first, [&](int64_t i, auto part) { store(params->y + first + i, value, part); });
    });
    return MM_OK;
}

mm_status affine(mm_stream* stream, const mm_affine_params* params) {
    const float scale = params->scale, shift = params->shift;
    map(stream, params->count, params->x, params->y, [=](vfloat x) { return x * scale + shift; });
    return MM_OK;
}

mm_status accumulate(mm_stream* stream, const mm_accumulate_params* params) {
    const float scale = params->scale;
    map(stream, params->count, params->x, params->y, params->y, [=](vfloat x, vfloat y) { return x * scale + y; });
    return MM_OK;
}

mm_status unary(mm_stream* stream, const mm_unary_params* params) {
    const auto apply = [&](auto f) {
        map(stream, params->count, params->x, params->y, f);
        return MM_OK;
    };
    switch (params->op) {
        case MM_RELU: return apply([](vfloat x) { return max(vfloat{}, x); });
        case MM_SILU: return apply([](vfloat x) { return silu(x); });
        case MM_GELU: return apply([](vfloat x) { return x * normal_below(x); });
        case MM_SIGMOID: return apply([](vfloat x) { return sigmoid(x); });
        case MM_EXP: return apply([](vfloat x) { return exp(x); });
        case MM_LOG: return apply([](vfloat x) { return log_of_any(x); });
        default: return stream->fail(MM_INVALID_ARGUMENT, "unary: there is no operation %d", (int)params->op);
    }
}

mm_status unary_backward(mm_stream* stream, const mm_unary_backward_params* params) {
    const auto apply = [&](auto f) {
        map(stream, params->count, params->x, params->dy, params->dx, f);
        return MM_OK;
    };
    switch (params->op) {
        case MM_RELU: return apply([](vfloat x, vfloat dy) { return x > 0.0f ? dy : vfloat{}; });
        case MM_SILU: return apply([](vfloat x, vfloat dy) { return dy * silu_slope(x); });
        case MM_GELU:
            return apply([](vfloat x, vfloat dy) { return dy * (normal_below(x) + x * normal_density(x)); });
        case MM_SIGMOID:
            return apply([](vfloat x, vfloat dy) {
                const vfloat s = sigmoid(x);
                return dy * s * (1.0f - s);
            });
        case MM_EXP: return apply([](vfloat x, vfloat dy) { return dy * exp(x); });
        case MM_LOG: return apply([](vfloat x, vfloat dy) { return dy / x; });
        default:
            return stream->fail(MM_INVALID_ARGUMENT, "unary_backward: there is no operation %d", (int)params->op);
    }
}

namespace {

// Whatever the shapes, y is walked in order as pieces along the innermost merged axis. Equal shapes and scalars
// merge into one axis; a bias of the last axis leaves two. In a piece each operand is a run, one value, or, the
// rare case, strided.
template <class Function>
void broadcast_pieces(mm_stream* stream, const StridedPair& axes, const float* a, const float* b, float* y,
                      Function f) {
    const int64_t a_stride = axes.first[axes.dimensions - 1], b_stride = axes.second[axes.dimensions - 1];
    const auto pieces = [&](auto&& piece) {
        parallel_ranges(stream, axes.count(), elements_per_task, [&](int64_t first, int64_t last, int) {
            each_piece(axes, first, last, piece);
        });
    };
    if (a_stride == 1 && b_stride == 1) {
        pieces([=](int64_t place, int64_t a_at, int64_t b_at, int64_t count) {
            each_vector(count, [=](int64_t i, auto part) {
                store(y + place + i, f(load(a + a_at + i, part), load(b + b_at + i, part)), part);
            });
        });
    } else if (a_stride == 1 && b_stride == 0) {
        pieces([=](int64_t place, int64_t a_at, int64_t b_at, int64_t count) {
            const vfloat value = broadcast(b[b_at]);
            each_vector(count, [=](int64_t i, auto part) {
                store(y + place + i, f(load(a + a_at + i, part), value), part);
            });
        });
    } else if (a_stride == 0 && b_stride == 1) {
        pieces([=](int64_t place, int64_t a_at, int64_t b_at, int64_t count) {
            const vfloat value = broadcast(a[a_at]);
            each_vector(count, [=](int64_t i, auto part) {
                store(y + place + i, f(value, load(b + b_at + i, part)), part);
            });
        });
    } else {
        pieces([=](int64_t place, int64_t a_at, int64_t b_at, int64_t count) {
            for (int64_t i = 0; i < count; ++i) y[place + i] = f(a[a_at + i * a_stride], b[b_at + i * b_stride]);
        });
    }
}

}  // namespace

mm_status binary(mm_stream* stream, const mm_binary_params* params) {
    const StridedPair axes = merged_axes(params);
    if (axes.count() == 0) return MM_OK;
    const auto apply = [&](auto f) {
        broadcast_pieces(stream, axes, params->a, params->b, params->y, f);
        return MM_OK;
    };
    switch (params->op) {
        case MM_ADD: return apply([](auto a, auto b) { return a + b; });
        case MM_SUBTRACT: return apply([](auto a, auto b) { return a - b; });
        case MM_MULTIPLY: return apply([](auto a, auto b) { return a * b; });
        case MM_DIVIDE: return apply([](auto a, auto b) { return a / b; });
        default: return stream->fail(MM_INVALID_ARGUMENT, "binary: there is no operation %d", (int)params->op);
    }
}

}  // namespace medmamba::cpu::MM_SIMD
