// How activations lie in memory: as float32 or as bfloat16, the upper half of a float32. In registers they are
// float32 always: these functions are the only way between the two, so that a kernel is written once, over the type
// that is stored.
#pragma once

#include "../backend/backend.h"
#include "device.cuh"

namespace medmamba::cuda {

struct BFloat16 {
    uint16_t upper;
};

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(BFloat16 x) { return __uint_as_float((uint32_t)x.upper << 16); }

// Rounds to the nearest, even where two are.
template <class T>
__device__ __forceinline__ T rounded(float x) {
    if constexpr (sizeof(T) == 2)
        return {(uint16_t)pack_bf16(x, 0.0f)};
    else
        return x;
}

// The two that pack_bf16 packed.
__device__ __forceinline__ float2 unpack_bf16(uint32_t word) {
    return float2{__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u)};
}

template <int width>
struct Floats {
    float lane[width];
};

template <int count>
struct Width {
    static constexpr int value = count;
};

template <int width>
__device__ __forceinline__ Floats<width> load(const float* p, Width<width>) {
    if constexpr (width == 8) {
        const float4 v = *reinterpret_cast<const float4*>(p), w = *reinterpret_cast<const float4*>(p + 4);
        return {{v.x, v.y, v.z, v.w, w.x, w.y, w.z, w.w}};
    } else if constexpr (width == 4) {
        const float4 v = *reinterpret_cast<const float4*>(p);
        return {{v.x, v.y, v.z, v.w}};
    } else if constexpr (width == 2) {
        const float2 v = *reinterpret_cast<const float2*>(p);
        return {{v.x, v.y}};
    } else {
        return {{*p}};
    }
}

// What is loaded some time before it is needed waits as it lay in memory: bfloat16 in half the registers.
template <int width>
struct Words {
    uint32_t word[(width + 1) / 2];
};

template <int width>
__device__ __forceinline__ Floats<width> load_packed(const float* p, Width<width> w) {
    return load(p, w);
}
template <int width>
__device__ __forceinline__ Words<width> load_packed(const BFloat16* p, Width<width>) {
    if constexpr (width == 8) {
        const uint4 v = *reinterpret_cast<const uint4*>(p);
        return {{v.x, v.y, v.z, v.w}};
    } else if constexpr (width == 4) {
        const uint2 v = *reinterpret_cast<const uint2*>(p);
        return {{v.x, v.y}};
    } else if constexpr (width == 2) {
        return {{*reinterpret_cast<const uint32_t*>(p)}};
    } else {
        return {{p->upper}};
    }
}

template <int width>
__device__ __forceinline__ Floats<width> unpack(const Floats<width>& v) {
    return v;
}
template <int width>
__device__ __forceinline__ Floats<width> unpack(const Words<width>& v) {
    Floats<width> floats;
    for (int i = 0; i < width; ++i) {
        const float2 two = unpack_bf16(v.word[i / 2]);
        floats.lane[i] = i % 2 == 0 ? two.x : two.y;
    }
    return floats;
}

template <int width>
__device__ __forceinline__ Floats<width> load(const BFloat16* p, Width<width> w) {
    return unpack(load_packed(p, w));
}

template <int width>
__device__ __forceinline__ void store(float* p, const Floats<width>& v) {
    const auto four = [&](int i) { return make_float4(v.lane[i], v.lane[i + 1], v.lane[i + 2], v.lane[i + 3]); };
    if constexpr (width == 8) {
        *reinterpret_cast<float4*>(p) = four(0);
        *reinterpret_cast<float4*>(p + 4) = four(4);
    } else if constexpr (width == 4) {
        *reinterpret_cast<float4*>(p) = four(0);
    } else if constexpr (width == 2) {
        *reinterpret_cast<float2*>(p) = make_float2(v.lane[0], v.lane[1]);
    } else {
        *p = v.lane[0];
    }
}

template <int width>
__device__ __forceinline__ void store(BFloat16* p, const Floats<width>& v) {
    const auto two = [&](int i) { return pack_bf16(v.lane[i], v.lane[i + 1]); };
    if constexpr (width == 8) {
        *reinterpret_cast<uint4*>(p) = make_uint4(two(0), two(2), two(4), two(6));
    } else if constexpr (width == 4) {
        *reinterpret_cast<uint2*>(p) = make_uint2(two(0), two(2));
    } else if constexpr (width == 2) {
        *reinterpret_cast<uint32_t*>(p) = two(0);
    } else {
        *p = rounded<BFloat16>(v.lane[0]);
    }
}

// What is read again after v was stored as T.
template <class T, int width>
__device__ __forceinline__ Floats<width> rounded_to(const Floats<width>& v) {
    if constexpr (sizeof(T) == 4) {
        return v;
    } else {
        Words<width> words;
        for (int i = 0; i < width; i += 2) words.word[i / 2] = pack_bf16(v.lane[i], i + 1 < width ? v.lane[i + 1] : 0.0f);
        return unpack(words);
    }
}

template <int width>
__device__ __forceinline__ Floats<width> broadcast(float value, Width<width>) {
    Floats<width> v;
    for (int i = 0; i < width; ++i) v.lane[i] = value;
    return v;
}

// What a pointer of the table points to, by the dtype that stands beside it.
template <class T>
__host__ __device__ __forceinline__ const T* stored(const float* p) {
    return reinterpret_cast<const T*>(p);
}
template <class T>
__host__ __device__ __forceinline__ T* stored(float* p) {
    return reinterpret_cast<T*>(p);
}

// How many elements may be read or written at once: the most of 8, 4, 2 and 1 of which all counts (of elements in a
// row, or between two) are multiples, and of whose bytes, up to 16, all addresses are. A null pointer is.
__host__ __device__ constexpr bool is_multiple(int64_t count, int width) { return count % width == 0; }
template <class T>
__host__ __device__ __forceinline__ bool is_multiple(const T* address, int width) {
    const int bytes = width * (int)sizeof(T);
    return reinterpret_cast<uintptr_t>(address) % (bytes < 16 ? bytes : 16) == 0;
}
template <class... CountsAndAddresses>
__host__ __device__ __forceinline__ int vector_width(CountsAndAddresses... all) {
    int width = 8;
    while (width > 1 && !(is_multiple(all, width) && ...)) width /= 2;
    return width;
}

// go(Width) with the first of `widths`, which fall, that is not above `width`, or with the last.
template <int first, int... widths, class Go>
auto with_width(int width, Go&& go) {
    if constexpr (sizeof...(widths) > 0)
        if (width < first) return with_width<widths...>(width, go);
    return go(Width<first>{});
}

// visit(a value of the type that `dtype` stores), or MM_UNSUPPORTED where no activation is stored like that.
template <class Stream, class Visit>
mm_status with_storage(Stream* stream, const char* operation, int32_t dtype, Visit&& visit) {
    switch (dtype) {
        case MM_FLOAT32: return visit(float{});
        case MM_BFLOAT16: return visit(BFloat16{});
        default:
            return stream->fail(MM_UNSUPPORTED, "%s: activations are float32 or bfloat16, not dtype %d", operation,
                                (int)dtype);
    }
}

// The same of x, and of y.
template <class Stream, class Visit>
mm_status with_storages(Stream* stream, const char* operation, int32_t x_dtype, int32_t y_dtype, Visit&& visit) {
    return with_storage(stream, operation, x_dtype, [&](auto x) {
        return with_storage(stream, operation, y_dtype, [&](auto y) { return visit(x, y); });
    });
}

}  // namespace medmamba::cuda
