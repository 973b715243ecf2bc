// The two walks over a chunk; scan_steps.h tells the layout.
//
// Forward does ten instructions of a register for exp2 and three for the recurrence and the output, and next to nothing
// else: it is bound by what issues them. With AVX-512 on a core that starts two a cycle at 3.64 GHz (Intel, with AMX)
// that is 0.112 ns a state and step; measured 0.12. On Zen 4 the multiplications count, one a cycle.
//
// Backward first walks forwards from the saved state to keep each step's decay and what it leaves of the state before,
// then backwards with the state's gradient in registers: with g = dh[t] + dy[t] C[t],
//   dB[t] = sum over channels g delta u,   dC[t] = sum over channels dy[t] h[t],   dh[t-1] = g decay[t],
//   ddelta through the decay = sum over states A g decay h[t-1],   dA += delta g decay h[t-1].
// It takes four states at a time, so that what is kept of a chunk stays in the first-level cache and A and dA in
// registers. Sums over channels are taken for a group of states at once by a tree of shuffles and additions. With them
// it comes to 24.5 instructions of a register, 0.21 ns on the same core; measured 0.27.
#include "scan_steps.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

template <int distance, int... I>
inline vfloat fold(vfloat a, vfloat b, LaneNumbers<I...>) {
    const vfloat kept = __builtin_shufflevector(a, b, (I + (I & distance ? lanes : 0))...);
    const vfloat moved = __builtin_shufflevector(a, b, ((I ^ distance) + (I & distance ? lanes : 0))...);
    return kept + moved;
}

// Sums of all lanes of `lanes` registers at once: lane i of the result is the sum of register i. Registers whose
// numbers differ in one bit are folded into one whose lanes differ in that bit, bit after bit: first the four of each
// quad, as they come, and the quads when all are there.
template <class Register>
__attribute__((always_inline)) inline vfloat fold_quad(Register& value) {
    const vfloat first = fold<1>(value(0), value(1), AllLanes());
    return fold<2>(first, fold<1>(value(2), value(3), AllLanes()), AllLanes());
}

template <int distance = quad>
inline vfloat fold_quads(const float* quads) {
    if constexpr (distance == lanes) {
        return load(quads);
    } else {  // `distance` lanes are one quad's: half of the quads before the fold, half after
        constexpr int64_t apart = distance / quad * lanes;
        return fold<distance>(fold_quads<distance * 2>(quads), fold_quads<distance * 2>(quads + apart), AllLanes());
    }
}

inline void add_to(float* p, vfloat v) { store(p, load(p) + v); }

// Whether every exponent delta A2 of the chunk is one that decay_exp2 need not clamp; a NaN needs no clamp.
template <class Steps>
bool decays_need_no_clamp(const Steps& steps) {
    vfloat most_A2{}, most_delta{};
    for (int64_t n = 0; n < steps.states; ++n) most_A2 = max(abs(load(steps.A2 + n * lanes)), most_A2);
    for (int64_t t = 0; t < steps.count; ++t) most_delta = max(abs(load(steps.delta + t * lanes)), most_delta);
    const vint fits = most_A2 * most_delta <= most_decay;
    int32_t all = -1;
    for (int i = 0; i < lanes; ++i) all &= fits[i];
    return all != 0;
}

template <bool clamped>
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
                h[n] = decay_exp2<clamped>(delta * load(A2 + n * lanes)) * h[n] + input * B[n];
                y[n % 2] += h[n] * C[n];
            }
            store(steps.y + t * lanes, y[0] + y[1]);
        }
#pragma GCC unroll 16
        for (int n = 0; n < lanes; ++n) store(saved + n * lanes, h[n]);
    }
}

// One quad of states, from `first` on; `dB` and `dC` (count, lanes / quad, lanes) take its sums over channels halfway.
template <bool clamped>
void walk_quad_backward(const BackwardSteps& steps, int64_t first, float* dB, float* dC) {
    constexpr int64_t row = quad * lanes;
    float *decays = steps.saved, *lefts = steps.saved + chunk_steps * row;
    vfloat A2[quad], h[quad], dh[quad], dA[quad];
    for (int n = 0; n < quad; ++n) {
        const int64_t state = (first + n) * lanes;
        A2[n] = load(steps.A2 + state);
        h[n] = load(steps.h + state);
        dh[n] = load(steps.dh + state);
        dA[n] = load(steps.dA + state);
    }
    for (int64_t t = 0; t < steps.count; ++t) {
        const vfloat delta = load(steps.delta + t * lanes), input = load(steps.input + t * lanes);
        const vfloat dy = load(steps.dy + t * lanes);
        const float* B = steps.B + t * steps.states + first;
        const auto dC_of = [&](int n) __attribute__((always_inline)) {
            const vfloat decay = decay_exp2<clamped>(delta * A2[n]), left = decay * h[n];
            store(decays + t * row + n * lanes, decay);
            store(lefts + t * row + n * lanes, left);
            h[n] = left + input * B[n];
            return dy * h[n];
        };
        store(dC + t * (lanes / quad) * lanes, fold_quad(dC_of));
    }
    for (int64_t t = steps.count - 1; t >= 0; --t) {
        const vfloat delta = load(steps.delta + t * lanes), input = load(steps.input + t * lanes);
        const vfloat dy = load(steps.dy + t * lanes);
        const float *B = steps.B + t * steps.states + first, *C = steps.C + t * steps.states + first;
        vfloat dinput = {}, ddelta = {};
        const auto dB_of = [&](int n) __attribute__((always_inline)) {
            const vfloat g = dh[n] + dy * C[n];
            dinput += g * B[n];
            dh[n] = g * load(decays + t * row + n * lanes);
            const vfloat through_decay = g * load(lefts + t * row + n * lanes);
            ddelta += through_decay * A2[n];
            dA[n] += delta * through_decay;
            return g * input;
        };
        store(dB + t * (lanes / quad) * lanes, fold_quad(dB_of));
        if (first > 0) {
            dinput += load(steps.dinput + t * lanes);
            ddelta += load(steps.ddelta_log2e + t * lanes);
        }
        store(steps.dinput + t * lanes, dinput);
        store(steps.ddelta_log2e + t * lanes, ddelta);
    }
    for (int n = 0; n < quad; ++n) {
        store(steps.dh + (first + n) * lanes, dh[n]);
        store(steps.dA + (first + n) * lanes, dA[n]);
    }
}

template <bool clamped>
void walk_backward(const BackwardSteps& steps) {
    constexpr int64_t quads = lanes / quad, row = quads * lanes;
    float *dB = steps.saved + 2 * chunk_steps * quad * lanes, *dC = dB + chunk_steps * row;
    for (int64_t first = 0; first < steps.states; first += lanes) {
        for (int64_t q = 0; q < quads; ++q)
            walk_quad_backward<clamped>(steps, first + q * quad, dB + q * lanes, dC + q * lanes);
        for (int64_t t = 0; t < steps.count; ++t) {
            add_to(steps.dB + t * steps.states + first, fold_quads(dB + t * row));
            add_to(steps.dC + t * steps.states + first, fold_quads(dC + t * row));
        }
    }
}

}  // namespace

void walk_forward(const ForwardSteps& steps) {
    decays_need_no_clamp(steps) ? walk_forward<false>(steps) : walk_forward<true>(steps);
}

void walk_backward(const BackwardSteps& steps) {
    decays_need_no_clamp(steps) ? walk_backward<false>(steps) : walk_backward<true>(steps);
}

void add_copy(mm_stream* stream, float* y, const float* x, int64_t count) {
    parallel_ranges(stream, count, 1 << 16, [&](int64_t first, int64_t last, int) {
        int64_t i = first;
        for (; i + lanes <= last; i += lanes) store(y + i, load(y + i) + load(x + i));
        for (; i < last; ++i) y[i] += x[i];
    });
}

}  // namespace medmamba::cpu::MM_SIMD
