// Random numbers by Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//
// A counter goes in, four random words come out: element i of a tensor is word i % 4 of counter offset + i / 4,
// so that any element can be made anywhere, by any thread or device, without a state to pass on. Dropout keeps
// no mask for backward: it makes the same words again. The key is the seed, the counter fills words 0 and 1 of
// Philox's four, the others are zero; the words are those of Random123 and of PyTorch's CUDA generator, and the
// numbers those of the CPU.
//
// A thread has one counter and so four neighbouring elements: 16 bytes. The ten rounds, of two wide products each,
// take less time than memory takes for the result.
#include <cmath>

#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

struct Words {
    uint32_t word[4];
};

__device__ __forceinline__ Words philox(uint64_t key, uint64_t counter) {
    Words x = {{(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0}};
    uint32_t key0 = (uint32_t)key, key1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = (uint64_t)0xD2511F53u * x.word[0], b = (uint64_t)0xCD9E8D57u * x.word[2];
        x = {{(uint32_t)(b >> 32) ^ x.word[1] ^ key0, (uint32_t)b, (uint32_t)(a >> 32) ^ x.word[3] ^ key1,
              (uint32_t)a}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return x;
}

// 24 bits of a word as a float in [0, 1): every value is a multiple of 2^-24, and exact.
__device__ __forceinline__ float unit(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

// A distribution makes four values of four words; those of one value a word do it four times.
template <class Value>
__device__ __forceinline__ Floats<4> each_word(const Words& words, const Value& value) {
    Floats<4> v;
    for (int w = 0; w < 4; ++w) v.lane[w] = value(words.word[w]);
    return v;
}

struct Uniform {
    float low, width;
    // One rounding, as on a CPU with fused multiply-add.
    __device__ float operator()(uint32_t word) const { return fmaf(width, unit(word), low); }
    __device__ Floats<4> operator()(const Words& words) const { return each_word(words, *this); }
};

// 0 with probability `rate`, else 1 / (1 - rate): the factor of dropout.
struct KeptScale {
    float rate, scale;
    explicit KeptScale(float rate) : rate(rate), scale(rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f) {}
    __device__ float operator()(uint32_t word) const { return unit(word) < rate ? 0.0f : scale; }
    __device__ Floats<4> operator()(const Words& words) const { return each_word(words, *this); }
};

// sin and cos of 2 pi u for u in [0, 1): a quarter turn at most half is left (Cephes' polynomials), then the
// quadrant swaps and signs.
__device__ __forceinline__ void sine_cosine_of_turn(float u, float* sine, float* cosine) {
    const float quadrant = rintf(u * 4.0f), x = (u * 4.0f - quadrant) * 1.57079633f, z = x * x;
    const float s = ((z * -1.9515295891e-4f + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
    const float c = ((z * 2.443315711809948e-5f - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
                    0.5f * z + 1.0f;
    const int q = (int)quadrant;
    const float swapped_sine = q & 1 ? c : s, swapped_cosine = q & 1 ? s : c;
    *sine = q & 2 ? -swapped_sine : swapped_sine;
    *cosine = (q + 1) & 2 ? -swapped_cosine : swapped_cosine;
}

// Box and Muller: of two uniform words, r = sqrt(-2 log(1 - u0)), the normal pair r cos(2 pi u1), r sin(2 pi u1).
// 1 - u0 is in (0, 1], so the logarithm is finite; the largest |value| is 5.77.
struct Normal {
    float mean, deviation;
    __device__ Floats<4> operator()(const Words& words) const {
        Floats<4> v;
        for (int pair = 0; pair < 4; pair += 2) {
            const float radius = sqrtf(-2.0f * logf(1.0f - unit(words.word[pair])));
            float sine, cosine;
            sine_cosine_of_turn(unit(words.word[pair + 1]), &sine, &cosine);
            v.lane[pair] = mean + deviation * (radius * cosine);
            v.lane[pair + 1] = mean + deviation * (radius * sine);
        }
        return v;
    }
};

// Normal distribution cut to -2..2 by its inverse function, as PyTorch's trunc_normal_(mean, std): with Phi the
// normal distribution function, value = mean + std Phi^-1(p), p uniform between Phi(-2) and Phi(2) of the units.
// All 32 bits are used, at the middle of their interval, so that p is never 0 or 1: (word + 1/2) 2^-32.
struct TruncatedNormal {
    double low, width;
    float mean, factor;

    TruncatedNormal(double mean, double deviation) : mean((float)mean), factor((float)(deviation * std::sqrt(2.0))) {
        const double root = std::sqrt(0.5);
        low = 0.5 * std::erfc((2.0 + mean) / deviation * root);
        width = 0.5 * std::erfc((mean - 2.0) / deviation * root) - low;
    }

    // Phi^-1(p) = sqrt 2 erfinv(2p - 1), Giles' single-precision erfinv ("Approximating the erfinv function",
    // 2010), which asks for w = -log(1 - x^2) = -log(4 p (1 - p)): the smaller of p and 1 - p is formed in double,
    // so that the tails keep their digits.
    __device__ float operator()(uint32_t word) const {
        const double p = low + width * ((word + 0.5) * 0x1p-32);
        const float tail = (float)(p < 0.5 ? p : 1.0 - p), x = (float)(2.0 * p - 1.0);
        const float w = -logf(fmaxf(4.0f * tail * (1.0f - tail), 1e-37f));
        const float inverse = x * (w < 5.0f ? centre(w - 2.5f) : tails(sqrtf(w) - 3.0f));
        return fminf(2.0f, fmaxf(-2.0f, mean + factor * inverse));
    }
    __device__ Floats<4> operator()(const Words& words) const { return each_word(words, *this); }

private:
    __device__ static float centre(float w) {
        float p = w * 2.81022636e-08f + 3.43273939e-07f;
        p = p * w - 3.5233877e-06f;
        p = p * w - 4.39150654e-06f;
        p = p * w + 0.00021858087f;
        p = p * w - 0.00125372503f;
        p = p * w - 0.00417768164f;
        p = p * w + 0.246640727f;
        return p * w + 1.50140941f;
    }
    __device__ static float tails(float w) {
        float p = w * -0.000200214257f + 0.000100950558f;
        p = p * w + 0.00134934322f;
        p = p * w - 0.00367342844f;
        p = p * w + 0.00573950773f;
        p = p * w - 0.0076224613f;
        p = p * w + 0.00943887047f;
        p = p * w + 1.00167406f;
        return p * w + 2.83297682f;
    }
};

// y[i] = value of element i, times x[i] where there is an x.
template <class Distribution>
__global__ void __launch_bounds__(threads_per_block)
generate_kernel(int64_t count, bool vectorized, uint64_t seed, uint64_t offset, Distribution values, const float* x,
                float* y) {
    const int64_t threads = threads_of_grid();
    for (int64_t i = thread_of_grid(); 4 * i < count; i += threads) {
        Floats<4> v = values(philox(seed, offset + (uint64_t)i));
        const int64_t first = 4 * i;
        if (vectorized && first + 4 <= count) {
            if (x) {
                const Floats<4> factor = load(x + first, Width<4>{});
                for (int w = 0; w < 4; ++w) v.lane[w] *= factor.lane[w];
            }
            store(y + first, v);
        } else {
            for (int w = 0; w < 4; ++w) {
                if (first + w < count) y[first + w] = x ? x[first + w] * v.lane[w] : v.lane[w];
            }
        }
    }
}

template <class Distribution>
mm_status generate(mm_stream* stream, const char* what, int64_t count, int64_t seed, int64_t offset,
                   Distribution values, const float* x, float* y) {
    return launch(stream, what, generate_kernel<Distribution>, blocks_for_pass(stream, ceil_div(count, 4)),
                  threads_per_block, 0, count, vector_width(x, y) >= 4, (uint64_t)seed, (uint64_t)offset, values, x,
                  y);
}

mm_status check_rate(mm_stream* stream, const char* operation, float rate) {
    if (rate >= 0.0f && rate <= 1.0f) return MM_OK;
    return stream->fail(MM_INVALID_ARGUMENT, "%s: rate %g is not in 0..1", operation, (double)rate);
}

}  // namespace

mm_status random(mm_stream* stream, const mm_random_params* p) {
    const auto fill = [&](auto values) {
        return generate(stream, "random", p->count, p->seed, p->offset, values, nullptr, p->y);
    };
    if ((p->distribution == MM_NORMAL || p->distribution == MM_TRUNCATED_NORMAL) && !(p->high >= 0.0f))
        return stream->fail(MM_INVALID_ARGUMENT, "random: standard deviation %g is negative", (double)p->high);

    switch (p->distribution) {
        case MM_UNIFORM: return fill(Uniform{p->low, p->high - p->low});
        case MM_NORMAL: return fill(Normal{p->low, p->high});
        case MM_TRUNCATED_NORMAL: return fill(TruncatedNormal(p->low, p->high));
        case MM_BERNOULLI_SCALE: {
            const mm_status status = check_rate(stream, "random", p->low);
            return status == MM_OK ? fill(KeptScale(p->low)) : status;
        }
    }
    return stream->fail(MM_INVALID_ARGUMENT, "random: distribution %d does not exist", (int)p->distribution);
}

mm_status dropout(mm_stream* stream, const mm_dropout_params* p) {
    const mm_status status = check_rate(stream, "dropout", p->rate);
    if (status != MM_OK) return status;
    return generate(stream, "dropout", p->count, p->seed, p->offset, KeptScale(p->rate), p->x, p->y);
}

}  // namespace medmamba::cuda
