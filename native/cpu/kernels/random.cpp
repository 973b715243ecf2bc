// Random numbers by Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//
// A counter goes in, four random words come out: element i of a tensor is word i % 4 of counter offset + i / 4,
// so that any element can be made anywhere, by any thread or device, without a state to pass on. Dropout keeps
// no mask for backward: it makes the same words again. The key is the seed, the counter fills words 0 and 1 of
// Philox's four, the others are zero; the words are those of Random123 and of PyTorch's CUDA generator.
//
// A register holds the same word of `lanes` consecutive counters.
#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// What `lanes` consecutive counters give: elements 4 * lane + word of a block.
constexpr int64_t block_elements = 4 * lanes;
struct Words {
    alignas(64) uint32_t word[4][lanes];
};

Words philox(uint64_t key, uint64_t counter) {
    Words x{};
    for (int lane = 0; lane < lanes; ++lane) {
        x.word[0][lane] = (uint32_t)(counter + (uint64_t)lane);
        x.word[1][lane] = (uint32_t)((counter + (uint64_t)lane) >> 32);
    }
    uint32_t key0 = (uint32_t)key, key1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; ++round) {
        for (int lane = 0; lane < lanes; ++lane) {
            const uint64_t a = (uint64_t)0xD2511F53u * x.word[0][lane], b = (uint64_t)0xCD9E8D57u * x.word[2][lane];
            x.word[0][lane] = (uint32_t)(b >> 32) ^ x.word[1][lane] ^ key0;
            x.word[1][lane] = (uint32_t)b;
            x.word[2][lane] = (uint32_t)(a >> 32) ^ x.word[3][lane] ^ key1;
            x.word[3][lane] = (uint32_t)a;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return x;
}

// 24 bits of a word as a float in [0, 1): every value is a multiple of 2^-24, and exact.
vfloat unit(const uint32_t* words) {
    vint w;
    std::memcpy(&w, words, sizeof w);
    return __builtin_convertvector((w >> 8) & 0xffffff, vfloat) * 0x1p-24f;
}

// Elements 4 * lane + word of a block from the register of each word.
void interleave(const vfloat (&word)[4], float* y) {
    float separate[4][lanes];
    for (int w = 0; w < 4; ++w) store(separate[w], word[w]);
    for (int lane = 0; lane < lanes; ++lane)
        for (int w = 0; w < 4; ++w) y[4 * lane + w] = separate[w][lane];
}

// sin and cos of 2 pi u for u in [0, 1): a quarter turn at most half is left (Cephes' polynomials), then the
// quadrant swaps and signs.
void sine_cosine_of_turn(vfloat u, vfloat& sine, vfloat& cosine) {
    const vfloat quadrant = round_to_integer(u * 4.0f), x = (u * 4.0f - quadrant) * 1.57079633f, z = x * x;
    const vfloat s = ((z * -1.9515295891e-4f + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
    const vfloat c = ((z * 2.443315711809948e-5f - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
                     0.5f * z + 1.0f;
    const vint q = __builtin_convertvector(quadrant, vint), swapped = (q & 1) != 0;
    sine = swapped ? c : s;
    cosine = swapped ? s : c;
    sine = (q & 2) != 0 ? -sine : sine;
    cosine = ((q + 1) & 2) != 0 ? -cosine : cosine;
}

// Box and Muller: of two uniform words, r = sqrt(-2 log(1 - u0)), the normal pair r cos(2 pi u1), r sin(2 pi u1).
// 1 - u0 is in (0, 1], so the logarithm is finite; the largest |value| is 5.77.
void normal_pair(const uint32_t* word0, const uint32_t* word1, vfloat& first, vfloat& second) {
    const vfloat radius = sqrt(-2.0f * log(1.0f - unit(word0)));
    vfloat sine, cosine;
    sine_cosine_of_turn(unit(word1), sine, cosine);
    first = radius * cosine;
    second = radius * sine;
}

// Normal distribution cut to -2..2 by its inverse function, as PyTorch's trunc_normal_(mean, std): with Phi the
// normal distribution function, value = mean + std Phi^-1(p), p uniform between Phi(-2) and Phi(2) of the units.
// All 32 bits are used, at the middle of their interval, so that p is never 0 or 1: (word + 1/2) 2^-32.
struct TruncatedNormal {
    double mean, deviation, low, width;

    TruncatedNormal(double mean, double deviation) : mean(mean), deviation(deviation) {
        const double root = std::sqrt(0.5);
        low = 0.5 * std::erfc((2.0 + mean) / deviation * root);
        width = 0.5 * std::erfc((mean - 2.0) / deviation * root) - low;
    }

    // Phi^-1(p) = sqrt 2 erfinv(2p - 1), Giles' single-precision erfinv ("Approximating the erfinv function",
    // 2010), which asks for w = -log(1 - x^2) = -log(4 p (1 - p)): the smaller of p and 1 - p is formed in double,
    // so that the tails keep their digits.
    vfloat operator()(const uint32_t* words) const {
        float tails_of[lanes], x_of[lanes];
        for (int lane = 0; lane < lanes; ++lane) {
            const double p = low + width * ((words[lane] + 0.5) * 0x1p-32);
            tails_of[lane] = (float)(p < 0.5 ? p : 1.0 - p);
            x_of[lane] = (float)(2.0 * p - 1.0);
        }
        const vfloat tail = load(tails_of), x = load(x_of);
        const vfloat w = -log(max(4.0f * tail * (1.0f - tail), broadcast(1e-37f)));
        const vfloat inverse = x * (w < 5.0f ? centre(w - 2.5f) : tails(sqrt(w) - 3.0f));
        const vfloat y = (float)mean + (float)(deviation * std::sqrt(2.0)) * inverse;
        return min(broadcast(2.0f), max(broadcast(-2.0f), y));
    }

private:
    static vfloat centre(vfloat w) {
        vfloat p = w * 2.81022636e-08f + 3.43273939e-07f;
        p = p * w - 3.5233877e-06f;
        p = p * w - 4.39150654e-06f;
        p = p * w + 0.00021858087f;
        p = p * w - 0.00125372503f;
        p = p * w - 0.00417768164f;
        p = p * w + 0.246640727f;
        return p * w + 1.50140941f;
    }
    static vfloat tails(vfloat w) {
        vfloat p = w * -0.000200214257f + 0.000100950558f;
        p = p * w + 0.00134934322f;
        p = p * w - 0.00367342844f;
        p = p * w + 0.00573950773f;
        p = p * w - 0.0076224613f;
        p = p * w + 0.00943887047f;
        p = p * w + 1.00167406f;
        return p * w + 2.83297682f;
    }
};

// y[i] = values(words)[i], block by block; a task owns whole blocks. `values` writes a block of floats.
template <class Values, class Write>
void generate(mm_stream* stream, int64_t count, int64_t seed, int64_t offset, Values&& values, Write&& write) {
    static_assert(elements_per_task % block_elements == 0, "a task starts at a counter");
    parallel_ranges(stream, count, elements_per_task, [&](int64_t first, int64_t last, int) {
        for (int64_t i = first; i < last; i += block_elements) {
            alignas(64) float block[block_elements];
            values(philox((uint64_t)seed, (uint64_t)offset + (uint64_t)i / 4), block);
            write(i, std::min(block_elements, last - i), block);
        }
    });
}

// Values of a function of one word.
template <class Value>
auto each_word(Value value) {
    return [value](const Words& words, float* block) {
        vfloat v[4];
        for (int w = 0; w < 4; ++w) v[w] = value(words.word[w]);
        interleave(v, block);
    };
}

// 0 with probability `rate`, else 1 / (1 - rate): the factor of dropout.
auto kept_scale(float rate) {
    const float scale = rate < 1.0f ? 1.0f / (1.0f - rate) : 0.0f;
    return each_word([=](const uint32_t* word) { return unit(word) < rate ? vfloat{} : broadcast(scale); });
}

mm_status check_rate(mm_stream* stream, const char* operation, float rate) {
    if (rate >= 0.0f && rate <= 1.0f) return MM_OK;
    return stream->fail(MM_INVALID_ARGUMENT, "%s: rate %g is not in 0..1", operation, (double)rate);
}

}  // namespace

mm_status random(mm_stream* stream, const mm_random_params* p) {
    const float low = p->low, high = p->high;
    const auto write = [p](int64_t i, int64_t count, const float* block) {
        std::memcpy(p->y + i, block, (size_t)count * sizeof(float));
    };
    const auto fill = [&](auto&& values) {
        generate(stream, p->count, p->seed, p->offset, values, write);
        return MM_OK;
    };
    if ((p->distribution == MM_NORMAL || p->distribution == MM_TRUNCATED_NORMAL) && !(high >= 0.0f))
        return stream->fail(MM_INVALID_ARGUMENT, "random: standard deviation %g is negative", (double)high);

    switch (p->distribution) {
        case MM_UNIFORM:
            return fill(each_word([=](const uint32_t* word) { return low + (high - low) * unit(word); }));
        case MM_NORMAL:
            return fill([=](const Words& words, float* block) {
                vfloat v[4];
                normal_pair(words.word[0], words.word[1], v[0], v[1]);
                normal_pair(words.word[2], words.word[3], v[2], v[3]);
                for (vfloat& x : v) x = low + high * x;
                interleave(v, block);
            });
        case MM_TRUNCATED_NORMAL:
            return fill(each_word(TruncatedNormal(low, high)));
        case MM_BERNOULLI_SCALE: {
            const mm_status status = check_rate(stream, "random", low);
            return status == MM_OK ? fill(kept_scale(low)) : status;
        }
    }
    return stream->fail(MM_INVALID_ARGUMENT, "random: distribution %d does not exist", (int)p->distribution);
}

mm_status dropout(mm_stream* stream, const mm_dropout_params* p) {
    const mm_status status = check_rate(stream, "dropout", p->rate);
    if (status != MM_OK) return status;
    generate(stream, p->count, p->seed, p->offset, kept_scale(p->rate),
             [p](int64_t i, int64_t count, const float* block) {
                 each_vector(count, [&](int64_t j, auto part) {
                     store(p->y + i + j, load(p->x + i + j, part) * load(block + j, part), part);
                 });
             });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
