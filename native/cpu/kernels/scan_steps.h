// The recurrence of the selective scan over one chunk of steps, shared by the four-direction scan and the
// general one, and what surrounds it.
//
//   h[t] = exp(delta[t] A) h[t-1] + delta[t] u[t] B[t],    y[t] = C[t].h[t]
//
// Lanes are channels: a block is as many channels as a register has lanes, and B and C, which the channels
// share, are broadcasts. The caller gathers a chunk of at most MM_SCAN_CHUNK steps into rows that stay in L1
// (one row a step, `lanes` channels or all states wide); where the rows came from - a direction through an
// image, or the channels-first layout of mamba_ssm - is nothing the recurrence knows.
//
// States go through in groups, all of a group in registers while the chunk's steps are walked: `lanes` of them forward,
// a quad backward. They are padded to whole groups with states whose A, B and C are zero and which therefore stay zero.
#pragma once

#include "kernels.h"
#include "lanes.h"

namespace medmamba::cpu::MM_SIMD {

constexpr int64_t chunk_steps = MM_SCAN_CHUNK;

// One block of channels over one chunk. Rows of channels are `lanes` floats, rows of states `states` floats.
struct ForwardSteps {
    int64_t count, states;       // steps, and states padded to whole groups
    const float *A2;             // (states, lanes)  A log2(e), so that exp(delta A) = exp2(delta A2)
    const float *delta, *input;  // (count, lanes)   input = delta u
    const float *B, *C;          // (count, states)
    float *h;                    // (states, lanes)  state before the chunk, then after it
    float *y;                    // (count, lanes)   C.h is added
};
void walk_forward(const ForwardSteps& steps);

struct BackwardSteps {
    int64_t count, states;
    const float *A2, *delta, *input, *B, *C;
    const float *h;      // (states, lanes)  state before the chunk
    const float *dy;     // (count, lanes)
    float *dh;           // (states, lanes)  gradient of the state after the chunk, then of the one before it
    float *dinput;       // (count, lanes)   gradient of delta u: dh.B
    float *ddelta_log2e; // (count, lanes)   gradient of delta through the decay, times log2(e)
    float *dA;           // (states, lanes)  is added to
    float *dB, *dC;      // (count, states)  sums over the block's channels are added
    float *saved;        // saved_floats of scratch
};
void walk_backward(const BackwardSteps& steps);

// What backward keeps of a quad of states at every step of a chunk, decay and what is left of the state before: 16 KB
// with AVX-512, which stay in the first-level cache. And, for all quads of `lanes` states, sums over channels halfway.
constexpr int quad = 4;
constexpr int64_t saved_floats = 2 * chunk_steps * quad * lanes + 2 * chunk_steps * (lanes / quad) * lanes;

constexpr float log2e = 1.44269504f, ln2 = 0.69314718f;

// y += x, where x is what other tasks added up apart.
void add_copy(mm_stream* stream, float* y, const float* x, int64_t count);

// 2^x for x clamped to [-126, 126], where it neither underflows nor overflows; relative error 1.5e-7 at most, and
// exact at zero, so that a slow decay does not drift. Who knows that x lies in between may leave the clamping out.
//
// It differs from exp2 of simd.h in what bounds the scan, instructions on the multiply ports: 2^n comes by integer
// arithmetic, and where a register can be permuted by another, x = n + j / lanes + f takes 2^(j / lanes) from a
// register and leaves a cubic polynomial for 2^f.
constexpr float most_decay = 126.0f;
#if defined(__AVX2__)
template <bool clamped = true>
inline vfloat decay_exp2(vfloat x) {
    // `roots` are the bits of 2^(j / lanes), less j << root_shift, which the shifted sum below puts there again.
#if defined(__AVX512F__)
    constexpr int root_shift = 19;
    constexpr float cubic = 5.550213640e-2f, square = 2.402342880e-1f, linear = 6.931471827e-1f;
    const vint roots = {
        0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
        0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};
    const auto look_up = [&](vint j) {
        return (vint)_mm512_maskz_permutexvar_epi32(0xffff, (__m512i)j, (__m512i)roots);
    };
    // The smaller magnitude, in one instruction. It takes NaN for 126; the input term carries a NaN of delta on.
    if (clamped) x = (vfloat)_mm512_maskz_range_ps(0xffff, (__m512)x, (__m512)broadcast(most_decay), 2);
#else
    constexpr int root_shift = 20;
    constexpr float cubic = 5.549622169e-2f, square = 2.402576298e-1f, linear = 6.931472143e-1f;
    const vint roots = {
        0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};
    const auto look_up = [&](vint j) { return (vint)_mm256_permutevar8x32_epi32((__m256i)roots, (__m256i)j); };
    if (clamped) x = min(broadcast(most_decay), max(broadcast(-most_decay), x));
#endif
    const vfloat to_fraction = broadcast(1.5f * (1 << root_shift));  // adding it leaves round(lanes x) in the low bits
    const vfloat rounded = x + to_fraction;
    const vfloat f = x - (rounded - to_fraction);
    const vfloat p = ((f * cubic + square) * f + linear) * f + 1.0f;
    return p * from_bits(look_up(bits(rounded)) + (bits(rounded) << root_shift));
}
#else
template <bool clamped = true>
inline vfloat decay_exp2(vfloat x) {
    if (clamped) x = min(broadcast(most_decay), max(broadcast(-most_decay), x));
    const vfloat to_integer = broadcast(1.5f * (1 << 23));
    const vfloat rounded = x + to_integer;
    const vfloat f = x - (rounded - to_integer);
    vfloat p = broadcast(1.326472721e-3f);
    p = p * f + 9.671512639e-3f;
    p = p * f + 5.550733743e-2f;
    p = p * f + 2.402224209e-1f;
    p = p * f + 6.931469776e-1f;
    p = p * f + 1.0f;
    return from_bits(bits(p) + (bits(rounded) << 23));
}
#endif

// softplus(x) = max(x, 0) + log1p(w) with w = exp(-|x|), and log1p(w) / w a polynomial on 0..1 (3e-8): the
// relative error stays small where delta is, far to the left. The slope is sigmoid(x), from the same w.
struct Softplus {
    vfloat value, w;
    explicit Softplus(vfloat x) : w(decay_exp2(abs(x) * -log2e)) {
        vfloat p = broadcast(5.364822544e-3f);
        p = p * w - 3.006578552e-2f;
        p = p * w + 7.920452550e-2f;
        p = p * w - 1.375380160e-1f;
        p = p * w + 1.915365467e-1f;
        p = p * w - 2.485716363e-1f;
        p = p * w + 3.332132262e-1f;
        p = p * w - 4.999964796e-1f;
        p = p * w + 1.0f;
        value = p * w + max(vfloat{}, x);
    }
    vfloat slope(vfloat x) const { return (x > 0.0f ? broadcast(1.0f) : w) / (w + 1.0f); }
};

}  // namespace medmamba::cpu::MM_SIMD
