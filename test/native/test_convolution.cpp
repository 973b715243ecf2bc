// The 3x3 convolutions, full and depthwise, and their gradients against the definition in double precision: odd
// sizes, channel counts that fill no register, rows wider than the channels, with NaN behind these and in scratch
// memory; the same bits from one thread and two. Where the level has products in bfloat16, the full ones once more with
// those, and by AMX.
#include "support/convolution.h"
#include "support/kernel_case.h"
#include "support/naive.h"

namespace {

struct Case {
    Image image;
    int64_t in_channels, out_channels;
    int64_t gap;     // floats between the channels of one pixel and those of the next
    bool prologue;   // normalisation and ReLU in front, where there is one
    bool last_relu;  // or SiLU, for depthwise
    bool last_norm = false;  // behind the full convolution, in front of ReLU
};

std::string shape_text(const Case& c) {
    return std::to_string(c.image.batch) + "x" + std::to_string(c.image.height) + "x" + std::to_string(c.image.width) +
           " " + std::to_string(c.in_channels) + "->" + std::to_string(c.out_channels);
}

// The rows that `run` writes, `row` apart, are the expected ones.
template <class Run>
void expect_rows(Kernels& kernels, Recorded& results, const std::string& name, const Doubles& expected, int64_t rows,
                 int64_t row, Run run) {
    Floats wide((size_t)(rows * row), untouched);
    kernels.fill_scratch_with_nan();
    that(run(wide.data()) == MM_OK, name);
    results.keep(name, wide);
    const Floats actual = dense_of_untouched(name, wide, row, (int64_t)expected.size() / rows);
    that(actual.size() == expected.size(), name);
    close(name, actual, expected, 2e-6);
}

void conv3x3_case(Kernels& kernels, Recorded& results, const Case& c) {
    const int64_t pixels = c.image.pixels(), in = c.in_channels, out = c.out_channels;
    const int64_t x_row = in + c.gap, y_row = out + c.gap;
    const Floats x = rows_beside_nan(pixels, in, x_row, 1), dy = rows_beside_nan(pixels, out, y_row, 2);
    const Floats weight = uniform_floats(out * in * 9, 3), bias = uniform_floats(out, 4);
    const Floats scale = uniform_floats(in, 5), shift = uniform_floats(in, 6);
    const Floats out_scale = uniform_floats(out, 7), out_shift = uniform_floats(out, 8);
    const auto f = [&](int64_t pixel, int64_t i) -> double {
        const float value = x[(size_t)(pixel * x_row + i)];
        if (!c.prologue) return kernels.factor(value);
        if (kernels.multiplies_in_bfloat16())
            return kernels.factor(std::fmax(0.0f, std::fma(value, scale[(size_t)i], shift[(size_t)i])));
        return std::fmax(0.0, (double)value * scale[(size_t)i] + shift[(size_t)i]);
    };
    const auto d = [&](int64_t pixel, int64_t o) { return kernels.factor(dy[(size_t)(pixel * y_row + o)]); };
    NaiveConv3x3 expected(c.image, in, out, f, [&](int64_t w) { return kernels.factor(weight[(size_t)w]); }, d);
    for (size_t i = 0; i < expected.y.size(); ++i) {
        if (!c.prologue) expected.y[i] += bias[i % (size_t)out];
        if (c.last_norm) expected.y[i] = expected.y[i] * out_scale[i % (size_t)out] + out_shift[i % (size_t)out];
        if (c.last_relu) expected.y[i] = std::fmax(0.0, expected.y[i]);
    }
    Doubles expected_dbias((size_t)out);
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
        for (int64_t o = 0; o < out; ++o) expected_dbias[(size_t)o] += dy[(size_t)(pixel * y_row + o)];

    Conv3x3 conv{c.image, in, out, x_row, y_row, x.data(), weight.data()};
    conv.dy = dy.data();
    conv.bias = c.prologue ? nullptr : bias.data();
    conv.input_scale = c.prologue ? scale.data() : nullptr;
    conv.input_shift = c.prologue ? shift.data() : nullptr;
    conv.input_relu = c.prologue;
    conv.relu = c.last_relu;
    conv.output_scale = c.last_norm ? out_scale.data() : nullptr;
    conv.output_shift = c.last_norm ? out_shift.data() : nullptr;
    const std::string name = kernels.products() + "conv3x3 " + shape_text(c) + " ";
    expect_rows(kernels, results, name + "forward", expected.y, pixels, y_row,
                [&](float* y) { return kernels.conv3x3_forward(conv.forward(y)); });
    expect_rows(kernels, results, name + "backward data", expected.dx, pixels, x_row,
                [&](float* dx) { return kernels.conv3x3_backward_data(conv.backward_data(dx)); });
    Floats dbias((size_t)out, untouched);
    float* wanted_dbias = c.last_relu ? nullptr : dbias.data();
    expect_rows(kernels, results, name + "backward weight", expected.dweight, out * in, 9, [&](float* dweight) {
        return kernels.conv3x3_backward_weight(conv.backward_weight(dweight, wanted_dbias));
    });
    if (wanted_dbias) close(name + "dbias", dbias, expected_dbias, 2e-6);
    results.keep(name + "dbias", dbias);
}

void depthwise3x3_case(Kernels& kernels, Recorded& results, const Case& c) {
    const int64_t pixels = c.image.pixels(), channels = c.in_channels;
    const int64_t x_row = channels + c.gap, y_row = channels + 2 * c.gap;
    const Floats x = rows_beside_nan(pixels, channels, x_row, 1), dy = rows_beside_nan(pixels, channels, y_row, 2);
    const Floats weight = uniform_floats(channels * 9, 3), bias = uniform_floats(channels, 4);

    Doubles y((size_t)(pixels * channels)), d(y.size()), dx(y.size()), dweight(weight.size()), dbias((size_t)channels);
    for (size_t i = 0; i < y.size(); ++i) y[i] = c.prologue ? 0.0 : bias[i % (size_t)channels];
    each_tap(c.image, [&](int64_t to, int64_t from, int64_t tap) {
        for (int64_t i = 0; i < channels; ++i)
            y[(size_t)(to * channels + i)] += (double)x[(size_t)(from * x_row + i)] * weight[(size_t)(i * 9 + tap)];
    });
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
        for (int64_t i = 0; i < channels; ++i) {
            const size_t at = (size_t)(pixel * channels + i);
            d[at] = dy[(size_t)(pixel * y_row + i)] * (c.last_relu ? naive_silu_slope(y[at]) : 1.0);
            dbias[(size_t)i] += d[at];
            if (c.last_relu) y[at] = naive_silu(y[at]);
        }
    each_tap(c.image, [&](int64_t to, int64_t from, int64_t tap) {
        for (int64_t i = 0; i < channels; ++i) {
            dx[(size_t)(from * channels + i)] += d[(size_t)(to * channels + i)] * weight[(size_t)(i * 9 + tap)];
            dweight[(size_t)(i * 9 + tap)] += d[(size_t)(to * channels + i)] * x[(size_t)(from * x_row + i)];
        }
    });

    Depthwise3x3 conv{c.image, channels, x_row, y_row, x.data(), weight.data()};
    conv.bias = c.prologue ? nullptr : bias.data();
    conv.dy = dy.data();
    conv.silu = c.last_relu;
    const std::string name = kernels.products() + "depthwise3x3 " + shape_text(c) + " ";
    expect_rows(kernels, results, name + "forward", y, pixels, y_row,
                [&](float* to) { return kernels.depthwise3x3_forward(conv.forward(to)); });
    Floats dweight_beside_dx(weight.size(), untouched), dbias_beside_dx((size_t)channels, untouched);
    expect_rows(kernels, results, name + "backward", dx, pixels, x_row, [&](float* to) {
        return kernels.depthwise3x3_backward(conv.backward(to, dweight_beside_dx.data(), dbias_beside_dx.data()));
    });
    close(name + "dweight", dweight_beside_dx, dweight, 2e-6);
    close(name + "dbias", dbias_beside_dx, dbias, 2e-6);
    results.keep(name + "sums", dweight_beside_dx, dbias_beside_dx);

    // Without dx, the sums alone.
    Floats alone(weight.size(), untouched);
    expect_rows(kernels, results, name + "dweight alone", dweight, channels, 9, [&](float* to) {
        const mm_status status = kernels.depthwise3x3_backward(conv.backward(nullptr, to, nullptr));
        alone.assign(to, to + alone.size());
        return status;
    });
    same_bits(name + "dweight alone", alone, dweight_beside_dx);
}

// Gradients of no image are zero.
void no_image_case(Kernels& kernels) {
    Floats dweight(4 * 3 * 9, untouched), dbias(4, untouched);
    const Image none{0, 5, 5};
    that(kernels.conv3x3_backward_weight(Conv3x3{none, 3, 4}.backward_weight(dweight.data(), dbias.data())) == MM_OK,
         "conv3x3 of no image");
    same_bits("conv3x3 dweight of no image", dweight, Floats(4 * 3 * 9));
    same_bits("conv3x3 dbias of no image", dbias, Floats(4));
    const Floats weight = uniform_floats(12 * 9, 1);
    dweight.assign(12 * 9, untouched);
    const Depthwise3x3 depthwise{none, 12, 0, 0, nullptr, weight.data()};
    that(kernels.depthwise3x3_backward(depthwise.backward(nullptr, dweight.data(), nullptr)) == MM_OK,
         "depthwise3x3 of no image");
    same_bits("depthwise3x3 dweight of no image", dweight, Floats(12 * 9));
    that(kernels.conv3x3_forward({}) == MM_OK, "conv3x3 of nothing");
}

const Case cases[] = {
    {{1, 1, 1}, 1, 1, 0, false, false}, {{2, 1, 3}, 3, 5, 2, true, true, true},
    {{1, 5, 1}, 17, 9, 0, false, true}, {{3, 2, 2}, 24, 31, 1, true, false},
    {{2, 7, 7}, 48, 48, 48, true, false}, {{8, 7, 7}, 20, 53, 0, false, true, true},
    {{1, 14, 14}, 50, 97, 3, true, true}, {{2, 16, 16}, 8, 8, 8, true, false},
    {{1, 9, 11}, 130, 7, 0, false, false, true}, {{1, 28, 30}, 16, 12, 16, true, false},
    {{1, 2, 470}, 4, 6, 0, true, true}, {{1, 40, 40}, 33, 3, 1, false, false},
    {{5, 3, 4}, 193, 40, 0, true, false, true}, {{3, 14, 13}, 33, 65, 7, false, false},
    {{1, 24, 56}, 96, 80, 0, false, true, true},
};

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        const auto all_full = [&] {
            for (const Case& c : cases) conv3x3_case(kernels, results, c);
        };
        all_full();
        for (const Case& c : cases) depthwise3x3_case(kernels, results, c);
        no_image_case(kernels);
        if (kernels.multiply_in_bfloat16()) all_full();
        if (kernels.multiply_by_amx()) all_full();
    });
}
