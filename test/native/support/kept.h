// Activations of a test that lie in memory as float32 or as bfloat16.
#pragma once

#include "kernel_case.h"

// The upper half of the nearest bfloat16, and the float that it is.
inline uint16_t upper_half(float x) {
    const float nearest = to_bfloat16(x);
    uint32_t word;
    std::memcpy(&word, &nearest, sizeof word);
    return (uint16_t)(word >> 16);
}
inline float widened(uint16_t upper) {
    const uint32_t word = (uint32_t)upper << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

// Floats that bfloat16 has.
inline Floats representable(int64_t count, uint32_t seed, float mean = 0, float spread = 1) {
    Floats values = normal_floats(count, seed, mean, spread);
    for (float& value : values) value = to_bfloat16(value);
    return values;
}

// An activation of an operation, as the one or the other.
class Kept {
public:
    Kept(int32_t dtype, const Floats& values) : dtype_(dtype), floats_(dtype == MM_FLOAT32 ? values : Floats()) {
        if (dtype == MM_BFLOAT16)
            for (float value : values) halves_.push_back(upper_half(value));
    }
    Kept(int32_t dtype, int64_t count) : Kept(dtype, Floats((size_t)count, 3.0f)) {}

    float* data() {
        return dtype_ == MM_FLOAT32 ? floats_.data() : reinterpret_cast<float*>(halves_.data());
    }
    float* after(int64_t count) {
        return dtype_ == MM_FLOAT32 ? floats_.data() + count : reinterpret_cast<float*>(halves_.data() + count);
    }
    Floats values() const {
        Floats values = floats_;
        for (uint16_t half : halves_) values.push_back(widened(half));
        return values;
    }

private:
    int32_t dtype_;
    Floats floats_;
    std::vector<uint16_t> halves_;
};
