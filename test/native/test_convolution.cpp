// The 3x3 convolutions, full and depthwise, and their gradients against the definition in double precision: odd
// sizes, channel counts that fill no register, rows wider than the channels, with NaN behind these and in scratch
// memory; the same bits from one thread and two. Where the level has products in bfloat16, the full ones once more with
// those, and by AMX.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "simd_level.h"

using namespace medmamba::cpu::MM_SIMD;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

namespace {

constexpr float untouched = 77.0f;  // behind the channels of a row, where nothing may be written

TestStream one_thread(1), two_threads(2);
bool bfloat16 = false, amx = false;
std::mt19937 generator(7);

struct Case {
    int64_t batch, height, width, in_channels, out_channels;
    int64_t gap;     // floats between the channels of one pixel and those of the next
    bool prologue;   // normalisation and ReLU in front, where there is one
    bool last_relu;  // or SiLU, for depthwise
};

// What a product makes of an element before it multiplies.
double factor(float x) { return bfloat16 ? to_bfloat16(x) : x; }

int64_t pixels_of(const Case& c) { return c.batch * c.height * c.width; }

std::string name_of(const char* operation, const Case& c) {
    return std::string(amx ? "AMX " : bfloat16 ? "bfloat16 " : "") + operation + " " + std::to_string(c.batch) + "x" +
           std::to_string(c.height) + "x" + std::to_string(c.width) + " " + std::to_string(c.in_channels) + "->" +
           std::to_string(c.out_channels);
}

Floats random_floats(int64_t count) {
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    Floats values((size_t)count);
    for (float& v : values) v = uniform(generator);
    return values;
}

// Rows wider than the channels, and NaN behind these.
Floats random_rows(int64_t rows, int64_t channels, int64_t row) {
    Floats values = random_floats(rows * row);
    for (int64_t i = 0; i < rows; ++i)
        std::fill_n(values.data() + i * row + channels, row - channels, std::numeric_limits<float>::quiet_NaN());
    return values;
}

// Dense rows out of a matrix whose rows are `row` apart, checking that what lies between was left alone.
Floats dense(const std::string& name, const Floats& wide, int64_t row, int64_t channels) {
    Floats values;
    bool kept = true;
    for (size_t i = 0; i < wide.size(); ++i) {
        if ((int64_t)i % row < channels)
            values.push_back(wide[i]);
        else
            kept &= wide[i] == untouched;
    }
    check::that(kept, (name + ": floats between the rows are left alone").c_str());
    return values;
}

// Calls visit(output pixel, input pixel, tap) for every pair of pixels inside the same image.
template <class Visit>
void each_tap(const Case& c, Visit visit) {
    for (int64_t image = 0; image < c.batch; ++image)
        for (int64_t y = 0; y < c.height; ++y)
            for (int64_t x = 0; x < c.width; ++x)
                for (int64_t tap = 0; tap < 9; ++tap) {
                    const int64_t sy = y + tap / 3 - 1, sx = x + tap % 3 - 1;
                    if (sy < 0 || sy >= c.height || sx < 0 || sx >= c.width) continue;
                    visit((image * c.height + y) * c.width + x, (image * c.height + sy) * c.width + sx, tap);
                }
}

// Runs an operation on one thread and on two and returns the rows it wrote, which must be the same bits.
template <class Params>
Floats run(const std::string& name, mm_status (*operation)(mm_stream*, const Params*), Params p, float* Params::*output,
           int64_t rows, int64_t row, int64_t channels) {
    Floats one((size_t)(rows * row), untouched), two = one;
    for (TestStream* stream : {&one_thread, &two_threads}) fill_scratch_with_nan(*stream);
    p.*output = one.data();
    check::that(operation(&one_thread, &p) == MM_OK, name.c_str());
    p.*output = two.data();
    check::that(operation(&two_threads, &p) == MM_OK, name.c_str());
    check::same_bits(name.c_str(), one.data(), two.data(), (int64_t)(one.size() * sizeof(float)));
    return dense(name, one, row, channels);
}

void compare(const std::string& name, const Floats& actual, const Doubles& expected, double tolerance) {
    check::that(actual.size() == expected.size(), name.c_str());
    check::close(name.c_str(), actual.data(), expected.data(), (int64_t)expected.size(), tolerance);
}

void test_conv3x3(const Case& c) {
    const int64_t pixels = pixels_of(c), in = c.in_channels, out = c.out_channels;
    const int64_t x_row = in + c.gap, y_row = out + c.gap;
    const Floats x = random_rows(pixels, in, x_row), dy = random_rows(pixels, out, y_row);
    const Floats weight = random_floats(out * in * 9), bias = random_floats(out);
    const Floats scale = random_floats(in), shift = random_floats(in);
    const auto f = [&](int64_t pixel, int64_t i) -> double {
        const float value = x[(size_t)(pixel * x_row + i)];
        if (!c.prologue) return factor(value);
        if (bfloat16) return factor(std::fmax(0.0f, std::fma(value, scale[(size_t)i], shift[(size_t)i])));
        return std::fmax(0.0, (double)value * scale[(size_t)i] + shift[(size_t)i]);
    };

    Doubles y((size_t)(pixels * out)), dx((size_t)(pixels * in)), dweight(weight.size()), dbias((size_t)out);
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
        for (int64_t o = 0; o < out; ++o) {
            y[(size_t)(pixel * out + o)] = c.prologue ? 0.0 : bias[(size_t)o];
            dbias[(size_t)o] += dy[(size_t)(pixel * y_row + o)];
        }
    each_tap(c, [&](int64_t to, int64_t from, int64_t tap) {
        for (int64_t i = 0; i < in; ++i) {
            const double value = f(from, i);
            for (int64_t o = 0; o < out; ++o) {
                const size_t w = (size_t)((o * in + i) * 9 + tap);
                const double d = factor(dy[(size_t)(to * y_row + o)]), of_weight = factor(weight[w]);
                y[(size_t)(to * out + o)] += value * of_weight;
                dx[(size_t)(from * in + i)] += d * of_weight;
                dweight[w] += d * value;
            }
        }
    });
    if (c.last_relu)
        for (double& value : y) value = std::fmax(0.0, value);

    mm_conv3x3_forward_params forward{};
    forward.batch = c.batch;
    forward.height = c.height;
    forward.width = c.width;
    forward.in_channels = in;
    forward.out_channels = out;
    forward.x_row = x_row;
    forward.y_row = y_row;
    forward.input_relu = c.prologue;
    forward.relu = c.last_relu;
    forward.x = x.data();
    forward.input_scale = c.prologue ? scale.data() : nullptr;
    forward.input_shift = c.prologue ? shift.data() : nullptr;
    forward.weight = weight.data();
    forward.bias = c.prologue ? nullptr : bias.data();
    const std::string forward_name = name_of("conv3x3_forward", c);
    compare(forward_name, run(forward_name, conv3x3_forward, forward, &mm_conv3x3_forward_params::y, pixels, y_row, out),
            y, 2e-6);

    mm_conv3x3_backward_data_params data{};
    data.batch = c.batch;
    data.height = c.height;
    data.width = c.width;
    data.in_channels = in;
    data.out_channels = out;
    data.dy_row = y_row;
    data.dx_row = x_row;
    data.dy = dy.data();
    data.weight = weight.data();
    const std::string data_name = name_of("conv3x3_backward_data", c);
    compare(data_name,
            run(data_name, conv3x3_backward_data, data, &mm_conv3x3_backward_data_params::dx, pixels, x_row, in), dx,
            2e-6);

    Floats dbias_one((size_t)out, untouched);
    mm_conv3x3_backward_weight_params gradient{};
    gradient.batch = c.batch;
    gradient.height = c.height;
    gradient.width = c.width;
    gradient.in_channels = in;
    gradient.out_channels = out;
    gradient.x_row = x_row;
    gradient.dy_row = y_row;
    gradient.input_relu = c.prologue;
    gradient.x = x.data();
    gradient.input_scale = forward.input_scale;
    gradient.input_shift = forward.input_shift;
    gradient.dy = dy.data();
    gradient.dbias = c.last_relu ? nullptr : dbias_one.data();
    const std::string gradient_name = name_of("conv3x3_backward_weight", c);
    compare(gradient_name,
            run(gradient_name, conv3x3_backward_weight, gradient, &mm_conv3x3_backward_weight_params::dweight, out * in,
                9, 9),
            dweight, 2e-6);
    if (gradient.dbias) compare(gradient_name + " dbias", dbias_one, dbias, 2e-6);
}

void test_depthwise3x3(const Case& c) {
    const int64_t pixels = pixels_of(c), channels = c.in_channels;
    const int64_t x_row = channels + c.gap, y_row = channels + 2 * c.gap;
    const Floats x = random_rows(pixels, channels, x_row), dy = random_rows(pixels, channels, y_row);
    const Floats weight = random_floats(channels * 9), bias = random_floats(channels);
    const auto silu = [](double v) { return v / (1.0 + std::exp(-v)); };
    const auto slope = [](double v) {
        const double s = 1.0 / (1.0 + std::exp(-v));
        return s * (1.0 + v * (1.0 - s));
    };

    Doubles y((size_t)(pixels * channels)), d(y.size()), dx(y.size()), dweight(weight.size()), dbias((size_t)channels);
    for (size_t i = 0; i < y.size(); ++i) y[i] = c.prologue ? 0.0 : bias[i % (size_t)channels];
    each_tap(c, [&](int64_t to, int64_t from, int64_t tap) {
        for (int64_t i = 0; i < channels; ++i)
            y[(size_t)(to * channels + i)] += (double)x[(size_t)(from * x_row + i)] * weight[(size_t)(i * 9 + tap)];
    });
    for (int64_t pixel = 0; pixel < pixels; ++pixel)
        for (int64_t i = 0; i < channels; ++i) {
            const size_t at = (size_t)(pixel * channels + i);
            d[at] = dy[(size_t)(pixel * y_row + i)] * (c.last_relu ? slope(y[at]) : 1.0);
            dbias[(size_t)i] += d[at];
            if (c.last_relu) y[at] = silu(y[at]);
        }
    each_tap(c, [&](int64_t to, int64_t from, int64_t tap) {
        for (int64_t i = 0; i < channels; ++i) {
            dx[(size_t)(from * channels + i)] += d[(size_t)(to * channels + i)] * weight[(size_t)(i * 9 + tap)];
            dweight[(size_t)(i * 9 + tap)] += d[(size_t)(to * channels + i)] * x[(size_t)(from * x_row + i)];
        }
    });

    mm_depthwise3x3_forward_params forward{};
    forward.batch = c.batch;
    forward.height = c.height;
    forward.width = c.width;
    forward.channels = channels;
    forward.x_row = x_row;
    forward.y_row = y_row;
    forward.silu = c.last_relu;
    forward.x = x.data();
    forward.weight = weight.data();
    forward.bias = c.prologue ? nullptr : bias.data();
    const std::string forward_name = name_of("depthwise3x3_forward", c);
    compare(forward_name,
            run(forward_name, depthwise3x3_forward, forward, &mm_depthwise3x3_forward_params::y, pixels, y_row,
                channels),
            y, 2e-6);

    Floats dweight_one(weight.size(), untouched), dbias_one((size_t)channels, untouched);
    mm_depthwise3x3_backward_params backward{};
    backward.batch = c.batch;
    backward.height = c.height;
    backward.width = c.width;
    backward.channels = channels;
    backward.x_row = x_row;
    backward.dy_row = y_row;
    backward.dx_row = x_row;
    backward.silu = c.last_relu;
    backward.x = x.data();
    backward.weight = weight.data();
    backward.bias = forward.bias;
    backward.dy = dy.data();
    backward.dbias = dbias_one.data();
    backward.dweight = dweight_one.data();
    const std::string name = name_of("depthwise3x3_backward", c);
    compare(name, run(name, depthwise3x3_backward, backward, &mm_depthwise3x3_backward_params::dx, pixels, x_row,
                      channels),
            dx, 2e-6);
    compare(name + " dweight", dweight_one, dweight, 2e-6);
    compare(name + " dbias", dbias_one, dbias, 2e-6);

    // Without dx, the sums alone, and these from both numbers of threads.
    backward.dx = nullptr;
    backward.dbias = nullptr;
    const Floats alone = run(name + " dweight", depthwise3x3_backward, backward,
                             &mm_depthwise3x3_backward_params::dweight, channels, 9, 9);
    check::same_bits((name + " dweight alone").c_str(), alone.data(), dweight_one.data(),
                     (int64_t)(alone.size() * sizeof(float)));
}

// Gradients of no image are zero.
void test_nothing() {
    Floats dweight(4 * 3 * 9, untouched), dbias(4, untouched), zeros(dweight.size());
    mm_conv3x3_backward_weight_params full{};
    full.height = full.width = 5;
    full.in_channels = 3;
    full.out_channels = 4;
    full.dweight = dweight.data();
    full.dbias = dbias.data();
    check::that(conv3x3_backward_weight(&two_threads, &full) == MM_OK, "conv3x3 of no image");
    check::same_bits("conv3x3 dweight of no image", dweight.data(), zeros.data(), 4 * 3 * 9 * 4);
    check::same_bits("conv3x3 dbias of no image", dbias.data(), zeros.data(), 4 * 4);
    mm_depthwise3x3_backward_params depthwise{};
    depthwise.height = depthwise.width = 5;
    depthwise.channels = 12;
    dweight.assign(12 * 9, untouched);
    const Floats weight = random_floats(12 * 9);
    depthwise.weight = weight.data();
    depthwise.dweight = dweight.data();
    check::that(depthwise3x3_backward(&two_threads, &depthwise) == MM_OK, "depthwise3x3 of no image");
    check::same_bits("depthwise3x3 dweight of no image", dweight.data(), zeros.data(), 12 * 9 * 4);
    const mm_conv3x3_forward_params forward{};
    check::that(conv3x3_forward(&two_threads, &forward) == MM_OK, "conv3x3 of nothing");
}

}  // namespace

int main() {
    if (!simd_level_runs_here()) return 0;
    const Case cases[] = {
        {1, 1, 1, 1, 1, 0, false, false},     {2, 1, 3, 3, 5, 2, true, true},   {1, 5, 1, 17, 9, 0, false, true},
        {3, 2, 2, 24, 31, 1, true, false},    {2, 7, 7, 48, 48, 48, true, false}, {8, 7, 7, 20, 53, 0, false, true},
        {1, 14, 14, 50, 97, 3, true, true},   {2, 16, 16, 8, 8, 8, true, false}, {1, 9, 11, 130, 7, 0, false, false},
        {1, 28, 30, 16, 12, 16, true, false}, {1, 2, 470, 4, 6, 0, true, true},  {1, 40, 40, 33, 3, 1, false, false},
        {5, 3, 4, 193, 40, 0, true, false},   {3, 14, 13, 33, 65, 7, false, false}, {1, 24, 56, 96, 80, 0, false, true},
    };
    for (const Case& c : cases) {
        test_conv3x3(c);
        test_depthwise3x3(c);
    }
    test_nothing();
    bfloat16 = multiply_in_bfloat16(one_thread) && multiply_in_bfloat16(two_threads);
    for (const Case& c : cases)
        if (bfloat16) test_conv3x3(c);
    amx = multiply_by_amx(one_thread) && multiply_by_amx(two_threads);
    for (const Case& c : cases)
        if (amx) test_conv3x3(c);
    return check::report();
}
