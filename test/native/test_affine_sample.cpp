// affine_sample against bilinear interpolation in double, and maps whose result is known to the bit.
#include <algorithm>
#include <cmath>

#include "support/kernel_case.h"

namespace {

struct Sample {
    int64_t batch, channels, in_height, in_width, out_height, out_width;
    std::vector<uint8_t> bytes;
    Floats floats, matrix, gain, offset, channel_scale, channel_shift;

    Sample(int64_t batch, int64_t channels, int64_t in_height, int64_t in_width, int64_t out_height,
           int64_t out_width)
        : batch(batch), channels(channels), in_height(in_height), in_width(in_width), out_height(out_height),
          out_width(out_width), bytes(uniform_integers<uint8_t>(batch * channels * in_height * in_width, 1, 255)),
          gain((size_t)batch, 1.0f), offset((size_t)batch, 0.0f), channel_scale((size_t)channels, 1.0f),
          channel_shift((size_t)channels, 0.0f) {
        for (uint8_t v : bytes) floats.push_back((float)v / 255.0f);
    }

    int64_t outputs() const { return batch * channels * out_height * out_width; }

    Floats run(Kernels& kernels, Recorded& results, int32_t dtype) const {
        Floats y((size_t)outputs(), -9.0f);
        const void* x = dtype == MM_UINT8 ? (const void*)bytes.data() : (const void*)floats.data();
        const mm_status status = kernels.affine_sample({batch, channels, in_height, in_width, out_height, out_width,
                                                        dtype, x, matrix.data(), gain.data(), offset.data(),
                                                        channel_scale.data(), channel_shift.data(), y.data()});
        that(status == MM_OK, "affine_sample");
        results.keep("affine_sample", y);
        return y;
    }

    Doubles naive() const {
        Doubles y;
        for (int64_t n = 0; n < batch; ++n)
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t i = 0; i < out_height; ++i)
                    for (int64_t j = 0; j < out_width; ++j) {
                        const float* m = &matrix[(size_t)n * 6];
                        const double down = i + 0.5, along = j + 0.5;
                        const double y_place = m[0] * down + m[1] * along + m[2] - 0.5;
                        const double x_place = m[3] * down + m[4] * along + m[5] - 0.5;
                        const double row = std::clamp(y_place, 0.0, in_height - 1.0);
                        const double column = std::clamp(x_place, 0.0, in_width - 1.0);
                        const int64_t r = (int64_t)row, k = (int64_t)column;
                        const auto at = [&](int64_t a, int64_t b) {
                            a = std::min(a, in_height - 1);
                            b = std::min(b, in_width - 1);
                            return (double)floats[(size_t)(((n * channels + c) * in_height + a) * in_width + b)];
                        };
                        const double fr = row - (double)r, fc = column - (double)k;
                        const double value = (1 - fr) * ((1 - fc) * at(r, k) + fc * at(r, k + 1)) +
                                             fr * ((1 - fc) * at(r + 1, k) + fc * at(r + 1, k + 1));
                        const double adjusted = std::clamp(value * gain[n] + offset[n], 0.0, 1.0);
                        y.push_back(adjusted * channel_scale[c] + channel_shift[c]);
                    }
        return y;
    }
};

void rotation_case(Kernels& kernels, Recorded& results, Sample sample) {
    for (int64_t n = 0; n < sample.batch; ++n) {
        const double angle = 0.3 + (double)n, zoom = 0.8 + 0.1 * (double)n;
        const float s = (float)(zoom * std::sin(angle)), c = (float)(zoom * std::cos(angle));
        for (float v : {c, -s, 1.3f, s, c, -0.7f}) sample.matrix.push_back(v);
        sample.gain[n] = 1.4f - 0.2f * (float)n;
        sample.offset[n] = -0.2f + 0.1f * (float)n;
    }
    for (int64_t c = 0; c < sample.channels; ++c) {
        sample.channel_scale[c] = 4.0f + (float)c;
        sample.channel_shift[c] = -2.0f - (float)c;
    }
    const auto expected = sample.naive();
    close("affine_sample of float32", sample.run(kernels, results, MM_FLOAT32), expected, 2e-5);
    close("affine_sample of uint8", sample.run(kernels, results, MM_UINT8), expected, 2e-5);
}

// The identity and a flip copy pixels exactly.
void exact_map_case(Kernels& kernels, Recorded& results, int64_t height, int64_t width) {
    Sample sample(2, 3, height, width, height, width);
    sample.matrix = {1, 0, 0, 0, 1, 0, 1, 0, 0, 0, -1, (float)width};
    Floats expected;
    for (int64_t plane = 0; plane < 6; ++plane)
        for (int64_t i = 0; i < height; ++i)
            for (int64_t j = 0; j < width; ++j)
                expected.push_back(
                    sample.floats[(size_t)((plane * height + i) * width + (plane < 3 ? j : width - 1 - j))]);
    same_bits("identity and flip of float32", sample.run(kernels, results, MM_FLOAT32), expected);
    same_bits("identity and flip of uint8", sample.run(kernels, results, MM_UINT8), expected);
}

void numbers_that_are_none(Kernels& kernels, Recorded& results) {
    Sample sample(1, 1, 4, 4, 3, 21);
    for (float bad : {NAN, INFINITY, -INFINITY, 1e30f}) {
        sample.matrix = {bad, bad, bad, -bad, 1, 0};
        for (float v : sample.run(kernels, results, MM_FLOAT32))
            that(v >= 0.0f && v <= 1.0f, "a place that is none is clamped");
    }
    sample.matrix = {1, 0, 0, 0, 1, 0};
    sample.floats[0] = NAN;
    that(std::isnan(sample.run(kernels, results, MM_FLOAT32)[0]), "a NaN pixel stays NaN");
}

void invalid_arguments(Kernels& kernels) {
    Floats y(1);
    mm_affine_sample_params params{};
    params.batch = params.channels = params.out_height = params.out_width = 1;
    params.in_width = 5, params.x_dtype = MM_FLOAT32, params.y = y.data();
    that(kernels.affine_sample(params) == MM_INVALID_ARGUMENT, "an empty image");
    params.in_height = params.in_width = 100000;
    that(kernels.affine_sample(params) == MM_UNSUPPORTED, "an image too large");
    params.x_dtype = MM_INT32;
    that(kernels.affine_sample(params) == MM_INVALID_ARGUMENT, "an image of integers");
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        rotation_case(kernels, results, Sample(1, 1, 1, 1, 1, 1));
        rotation_case(kernels, results, Sample(2, 3, 1, 7, 5, 3));
        rotation_case(kernels, results, Sample(3, 1, 9, 1, 2, 17));
        rotation_case(kernels, results, Sample(3, 3, 13, 17, 31, 33));
        rotation_case(kernels, results, Sample(2, 3, 64, 48, 224, 200));
        exact_map_case(kernels, results, 1, 1);
        exact_map_case(kernels, results, 7, 19);
        exact_map_case(kernels, results, 32, 32);
        numbers_that_are_none(kernels, results);
        invalid_arguments(kernels);
    });
}
