// What the microkernel multiplies: 32-bit words, each a float or a pair of bfloat16.
//
//     float32     word k of a row is element k
//     bfloat16    word k of a row is its elements 2 k (lower half) and 2 k + 1 (upper half); a step multiplies both
//                 with their partners of the other factor and adds the two products to one sum in float32
//
// So a product in bfloat16 is one in float32 of half the length: tiles, panels, distances and loops are the same, and
// only what is in this file differs. Elements are rounded to bfloat16 (nearest even; below 2^-126 to zero) where they
// are packed, which every element is. An odd last element has a zero for a partner, and zeros fill the last step where
// one takes several words.
#pragma once

#include "each_vector.h"

namespace medmamba::cpu::MM_SIMD {

// As many as registers hold (microkernel.h).
#if defined(__AVX512F__)
constexpr int64_t vector_tile_rows = 9;
#elif defined(MM_NEON)
constexpr int64_t vector_tile_rows = 7;  // of 8, GCC spills three sums a step
#else
constexpr int64_t vector_tile_rows = 4;
#endif

inline vfloat broadcast_word(const float* p) {
    int32_t word;
    std::memcpy(&word, p, sizeof word);
    return from_bits(word - vint{});
}

struct Float32 {
    static constexpr int64_t depth = 1;         // elements of a word
    static constexpr int64_t step_words = 1;    // words of each row that one step multiplies
    static constexpr int64_t rows_at_once = 1;  // fewer of A cost as much
    static constexpr int64_t tile_rows = vector_tile_rows;
    struct Task {};  // stands around the products of one task: what they ask of the thread

#if defined(MM_NEON)  // whose multiply-add takes one lane for all: a word is loaded, and never broadcast
    static float word(const float* p) { return *p; }
    static vfloat multiply_add(vfloat sum, float a, vfloat b) { return (vfloat)vfmaq_n_f32(sum, b, a); }
#else
    static vfloat word(const float* p) { return broadcast_word(p); }
    static vfloat multiply_add(vfloat sum, vfloat a, vfloat b) { return sum + a * b; }
#endif
};

#if defined(__AVX512F__)

// Its two instructions are written as such: only streams that were asked for bfloat16 come here, and they exist only
// on processors that have AVX512-BF16 (backend.cpp), which the compiler must not take for granted elsewhere.
struct BFloat16 {
    static constexpr int64_t depth = 2, step_words = 1, rows_at_once = 1, tile_rows = vector_tile_rows;
    struct Task {};

    static vfloat word(const float* p) { return broadcast_word(p); }
    static vfloat multiply_add(vfloat sum, vfloat a, vfloat b) {
        asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
        return sum;
    }
    // Words of `2 * lanes` consecutive elements, which are the first and the second register.
    static vfloat pair_along(vfloat first, vfloat second) {
        vfloat words;
        asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(words) : "v"(first), "v"(second));
        return words;
    }
    // Words of which lane i holds element i of both.
    static vfloat pair_across(vfloat lower, vfloat upper) {
        const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,  //
                                               23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        return (vfloat)_mm512_permutexvar_epi16(order, (__m512i)pair_along(lower, upper));
    }
};

// The same words, multiplied by AMX (microkernel_amx.cpp), for which those of a row of A have to lie side by side.
struct AmxBFloat16 : BFloat16 {
    static constexpr int64_t step_words = 16, rows_at_once = 16, tile_rows = 32;
    struct Task {
        Task();
        ~Task();
        Task(const Task&) = delete;
        Task& operator=(const Task&) = delete;
    };
};

#endif

// Calls body with the factor that the stream was asked to multiply: Float32{}, BFloat16{} or AmxBFloat16{}.
template <class Body>
void with_factor([[maybe_unused]] const mm_stream* stream, Body&& body) {
#if defined(__AVX512F__)
    if (stream->bfloat16_products) return stream->amx_products ? body(AmxBFloat16{}) : body(BFloat16{});
#endif
    body(Float32{});
}

// Of so many elements: whole steps.
template <class Factor>
constexpr int64_t words(int64_t elements) {
    return ceil_div(elements, Factor::depth * Factor::step_words) * Factor::step_words;
}

// Words [i, i + count) of a run of `elements` consecutive elements, count = min(lanes, words<Factor>(elements) - i).
// `map` is applied to the elements of each register: map(values, first element, Whole or Part).
template <class Factor, class Map>
inline vfloat load_words(const float* run, int64_t elements, int64_t i, Map&& map) {
    const auto load_at = [&](int64_t element) {
        const int64_t left = elements - element;
        if (left >= lanes) return map(load(run + element), element, Whole{});
        return left > 0 ? map(load_partial(run + element, left), element, Part{left}) : vfloat{};
    };
    if constexpr (Factor::depth == 1) {
        return load_at(i);
    } else {
        return Factor::pair_along(load_at(2 * i), load_at(2 * i + lanes));
    }
}

// The same of a whole register of words, from element `first` on.
template <class Factor, class Map>
inline vfloat load_whole_words(const float* run, int64_t first, Map&& map) {
    const auto load_at = [&](int64_t element) { return map(load(run + element), element, Whole{}); };
    if constexpr (Factor::depth == 1)
        return load_at(first);
    else
        return Factor::pair_along(load_at(first), load_at(first + lanes));
}

template <class Factor>
inline vfloat load_words(const float* run, int64_t elements, int64_t i) {
    return load_words<Factor>(run, elements, i, [](vfloat v, int64_t, auto) { return v; });
}

}  // namespace medmamba::cpu::MM_SIMD
