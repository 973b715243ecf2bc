// The two walks over a chunk; scan_steps.h tells the layout.
//
// Forward is bound by the multiply ports: two products and three multiply-adds for exp2 and three more for the
// recurrence and the output, 8 a state, step and register. With AVX-512 on Zen 4 that is 0.136 ns a state and step
// at 3.69 GHz; measured 0.155.
//
// Backward first walks forwards from the saved state to keep each step's decay and previous state, then
// backwards with the state's gradient in registers: with g = dh[t] + dy[t] C[t],
//   dB[t] = sum over channels g delta u,   dC[t] = sum over channels dy[t] h[t],   dh[t-1] = g decay[t],
//   ddelta through the decay = sum over states A g decay h[t-1],   dA += delta g decay h[t-1].
// That is 15 multiplications a state, step and register, and the sums over channels: they are taken for a whole
// group of states at once by a tree of shuffles and additions, which run on other ports. The bound is 0.25 ns;
// measured 0.34.
#include "scan_steps.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

template <int distance, int... I>
inline vfloat fold(vfloat a, vfloat b, LaneNumbers<I...>) {
    const vfloat kept = __builtin_shufflevector(a, b, (I + (I & distance ? lanes : 0))...);
    const vfloat moved = __builtin_shufflevector(a, b, ((I ^ distance) + (I & distance ? lanes : 0))...);
    return kept + moved;
}

// Sums of all lanes of `lanes` registers at once: lane i of the result is the sum of register i. Registers
// whose numbers differ in one bit are folded into one whose lanes differ in that bit, bit after bit; registers
// are asked for one at a time, in the order that leaves the fewest of them waiting.
template <int distance = 1, class Register>
__attribute__((always_inline)) inline vfloat sum_each(Register& value, int index = 0) {
    if constexpr (distance == lanes) {
        return value(index);
    } else {
        const vfloat a = sum_each<distance * 2>(value, index);
        const vfloat b = sum_each<distance * 2>(value, index + distance);
        return fold<distance>(a, b, AllLanes());
    }
}

inline void add_to(float* p, vfloat v) { store(p, load(p) + v); }

}  // namespace

void walk_forward(const ForwardSteps& steps) {
    for (int64_t first = 0; first < steps.states; first += lanes) {
        const float* A2 = steps.A2 + first * lanes;
        float* saved = steps.h + first * lanes;
        vfloat h[lanes];
#pragma GCC unroll 16
        for (int n = 0; n < lanes; ++n) h[n] = load(saved + n * lanes);
        for (int64_t t = 0; t < steps.count; ++t) {
            const vfloat delta = load(steps.delta + t * lanes), input = load(steps.input + t * lanes);
            const float *B = steps.B + t * steps.states + first, *C = steps.C + t * steps.states + first;
            vfloat y[2] = {load(steps.y + t * lanes), vfloat{}};
#pragma GCC unroll 16
            for (int n = 0; n < lanes; ++n) {
                h[n] = decay_exp2(delta * load(A2 + n * lanes)) * h[n] + input * B[n];
                y[n % 2] += h[n] * C[n];
            }
            store(steps.y + t * lanes, y[0] + y[1]);
        }
#pragma GCC unroll 16
        for (int n = 0; n < lanes; ++n) store(saved + n * lanes, h[n]);
    }
}

void walk_backward(const BackwardSteps& steps) {
    constexpr int64_t step_floats = lanes * lanes;
    float *saved_decay = steps.saved, *saved_h = steps.saved + chunk_steps * step_floats;
    for (int64_t first = 0; first < steps.states; first += lanes) {
        const float* A2 = steps.A2 + first * lanes;
        vfloat h[lanes], dh[lanes];
#pragma GCC unroll 16
        for (int n = 0; n < lanes; ++n) h[n] = load(steps.h + (first + n) * lanes);
        for (int64_t t = 0; t < steps.count; ++t) {
            const vfloat delta = load(steps.delta + t * lanes), input = load(steps.input + t * lanes);
            const vfloat dy = load(steps.dy + t * lanes);
            const float* B = steps.B + t * steps.states + first;
            float *decay_row = saved_decay + t * step_floats, *h_row = saved_h + t * step_floats;
            const auto dC = [&](int n) __attribute__((always_inline)) {
                const vfloat decay = decay_exp2(delta * load(A2 + n * lanes));
                store(decay_row + n * lanes, decay);
                store(h_row + n * lanes, h[n]);
                h[n] = decay * h[n] + input * B[n];
                return dy * h[n];
            };
            add_to(steps.dC + t * steps.states + first, sum_each(dC));
        }

        float* dA = steps.dA + first * lanes;
#pragma GCC unroll 16
        for (int n = 0; n < lanes; ++n) dh[n] = load(steps.dh + (first + n) * lanes);
        for (int64_t t = steps.count - 1; t >= 0; --t) {
            const vfloat delta = load(steps.delta + t * lanes), input = load(steps.input + t * lanes);
            const vfloat dy = load(steps.dy + t * lanes);
            const float *B = steps.B + t * steps.states + first, *C = steps.C + t * steps.states + first;
            const float *decay_row = saved_decay + t * step_floats, *h_row = saved_h + t * step_floats;
            vfloat dinput = {}, ddelta = {};
            const auto dB = [&](int n) __attribute__((always_inline)) {
                const vfloat g = dh[n] + dy * C[n];
                dinput += g * B[n];
                dh[n] = g * load(decay_row + n * lanes);
                const vfloat through_decay = dh[n] * load(h_row + n * lanes);
                ddelta += through_decay * load(A2 + n * lanes);
                add_to(dA + n * lanes, delta * through_decay);
                return g * input;
            };
            add_to(steps.dB + t * steps.states + first, sum_each(dB));
            if (first > 0) {
                dinput += load(steps.dinput + t * lanes);
                ddelta += load(steps.ddelta_log2e + t * lanes);
            }
            store(steps.dinput + t * lanes, dinput);
            store(steps.ddelta_log2e + t * lanes, ddelta);
        }
#pragma GCC unroll 16
        for (int n = 0; n < lanes; ++n) store(steps.dh + (first + n) * lanes, dh[n]);
    }
}

void add_copy(mm_stream* stream, float* y, const float* x, int64_t count) {
    parallel_ranges(stream, count, 1 << 16, [&](int64_t first, int64_t last, int) {
        int64_t i = first;
        for (; i + lanes <= last; i += lanes) store(y + i, load(y + i) + load(x + i));
        for (; i < last; ++i) y[i] += x[i];
    });
}

}  // namespace medmamba::cpu::MM_SIMD
