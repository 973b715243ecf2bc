// What convolutions and products leave for the BatchNorm behind them, and what it makes of that: the same as of the rows
// themselves, by the definition in double. A backend that leaves nothing (its moments have no floats) reads the rows.
//
// Values are taken as they are stored, so results are compared with what was written, not with an exact convolution.
#include "support/convolution.h"
#include "support/kept.h"
#include "support/kernel_case.h"
#include "support/matrix_product.h"
#include "support/norms.h"

namespace {

constexpr float eps = 1e-5f;

// Room for the moments of (rows, channels), full of NaN and with what may not be written behind it; null for no room.
class MomentRoom {
public:
    MomentRoom(int64_t rows, int64_t channels) : count_((size_t)moment_count(rows, channels)), floats_(count_ + 8, NAN) {
        std::fill(floats_.begin() + (int64_t)count_, floats_.end(), untouched);
    }
    float* data() { return count_ > 0 ? floats_.data() : nullptr; }
    void check(const std::string& name) const {
        for (size_t i = count_; i < floats_.size(); ++i) that(floats_[i] == untouched, name + "nothing behind them");
    }

private:
    size_t count_;
    Floats floats_;
};

// Rows of an activation, with what is at (r, c).
struct Rows {
    int64_t row;
    Floats values;
    double at(int64_t r, int64_t c) const { return values[(size_t)(r * row + c)]; }
};

// ---- statistics of what a convolution writes -------------------------------------------------------------------

struct StatisticsCase {
    Image image;
    int64_t in, out, gap;
    float mean;  // of a convolution's output: its bias
    int32_t dtype = MM_FLOAT32;
    bool relu = false;
};

void statistics_case(Kernels& kernels, Recorded& results, const StatisticsCase& c) {
    const int64_t rows = c.image.pixels();
    const std::string name = "moments of conv3x3 " + std::to_string(rows) + " x " + std::to_string(c.out) +
                             (c.dtype == MM_BFLOAT16 ? " bfloat16" : "") + (c.mean != 0 ? " far from zero" : "") + ": ";
    const Floats weight = uniform_floats(c.out * c.in * 9, 1, 0.2f), bias = normal_floats(c.out, 2, c.mean);
    Kept x(c.dtype, normal_floats(rows * c.in, 3)), y(c.dtype, rows * (c.out + c.gap));
    MomentRoom moments(rows, c.out);
    Conv3x3 conv{c.image, c.in, c.out, 0, c.out + c.gap, x.data(), weight.data(), bias.data()};
    conv.x_dtype = conv.y_dtype = c.dtype;
    conv.relu = c.relu;
    mm_conv3x3_forward_params forward = conv.forward(y.data());
    forward.moments = moments.data();
    kernels.fill_scratch_with_nan();
    that(kernels.conv3x3_forward(forward) == MM_OK, name + "conv3x3");
    moments.check(name);

    const size_t count = (size_t)c.out;
    const Floats gamma = normal_floats(c.out, 4, 1), beta = normal_floats(c.out, 5);
    Floats statistics(2 * count), scale(count), shift(count);
    // What has moments is not read again.
    Kept not_read(c.dtype, Floats((size_t)(rows * (c.out + c.gap)), NAN));
    const BatchNorm norm{rows, c.out, c.out + c.gap, 0, 0, eps, moments.data() ? not_read.data() : y.data(),
                         gamma.data(), beta.data(), nullptr, c.dtype, c.dtype};
    mm_batch_norm_statistics_params params = norm.of_batch(statistics.data(), scale.data(), shift.data());
    params.moments = moments.data();
    that(kernels.batch_norm_statistics(params) == MM_OK, name + "batch_norm_statistics");

    const Rows stored{c.out + c.gap, y.values()};
    Doubles means(count), inverses, scales, shifts;
    double largest = std::fmax(1, c.mean);
    for (int64_t channel = 0; channel < c.out; ++channel) {
        double& mean = means[(size_t)channel];
        double variance = 0;
        for (int64_t r = 0; r < rows; ++r) mean += stored.at(r, channel) / (double)rows;
        for (int64_t r = 0; r < rows; ++r)
            variance += (stored.at(r, channel) - mean) * (stored.at(r, channel) - mean) / (double)rows;
        largest = std::fmax(largest, std::sqrt(variance));
        inverses.push_back(1 / std::sqrt(variance + (double)eps));
        scales.push_back(gamma[(size_t)channel] * inverses.back());
        shifts.push_back(beta[(size_t)channel] - mean * scales.back());
    }
    close_beside(name + "mean", Floats(statistics.begin(), statistics.begin() + c.out), means, largest, 3e-7);
    close(name + "inverse_std", Floats(statistics.begin() + c.out, statistics.end()), inverses, 1e-6);
    close(name + "scale", scale, scales, 1e-6);
    close(name + "shift", shift, shifts, 2e-6);
    results.keep(name, statistics, scale, shift);
}

// ---- gradients that a convolution or a product writes ------------------------------------------------------------

// A norm over x, of which a gradient is written.
struct NormOfGradient {
    int64_t rows, channels, gap;
    bool relu;
    int32_t x_dtype, dy_dtype;
    Kept x;
    Floats statistics, scale, shift;

    NormOfGradient(int64_t rows, int64_t channels, int64_t gap, bool relu, int32_t x_dtype, int32_t dy_dtype)
        : rows(rows), channels(channels), gap(gap), relu(relu), x_dtype(x_dtype), dy_dtype(dy_dtype),
          x(x_dtype, normal_floats(rows * (channels + gap), 11)), statistics(normal_floats(channels, 12)),
          scale(normal_floats(channels, 13)), shift(normal_floats(channels, 14, 0.5f)) {
        for (float inverse : normal_floats(channels, 15)) statistics.push_back(std::fabs(inverse) + 0.5f);
    }

    mm_gradient_moments moments(float* sums) {
        mm_gradient_moments moments{};
        moments.sums = sums;
        moments.x_row = channels + gap;
        moments.x = x.data();
        moments.mean = statistics.data();
        moments.scale = relu ? scale.data() : nullptr;
        moments.shift = relu ? shift.data() : nullptr;
        moments.x_dtype = x_dtype;
        return moments;
    }

    // batch_norm_backward of the dy that was written, from the sums that were left, or of dy.
    void check(Kernels& kernels, Recorded& results, const std::string& name, Kept& dy, int64_t dy_row, const float* sums) {
        Kept dx(x_dtype, rows * (channels + gap));
        const size_t count = (size_t)channels;
        Floats dweight(count), dbias(count);
        const BatchNorm norm{rows, channels, channels + gap, 0, dy_row, eps, x.data(), nullptr, nullptr, dy.data(), x_dtype,
                             dy_dtype};
        mm_batch_norm_backward_params params = norm.backward(statistics.data(), scale.data(), shift.data(), dx.data(),
                                                             dweight.data(), dbias.data(), true, relu, false);
        params.moments = sums;
        that(kernels.batch_norm_backward(params) == MM_OK, name + "batch_norm_backward");

        const Rows at_x{channels + gap, x.values()}, at_dy{dy_row, dy.values()}, at_dx{channels + gap, dx.values()};
        Doubles want_dweight, want_dbias;
        double largest = 1e-30, worst = 0;
        for (int64_t c = 0; c < channels; ++c) {
            const double mean = statistics[(size_t)c], inverse = statistics[count + (size_t)c];
            const auto passed = [&](int64_t r) {
                const float value = std::fma((float)at_x.at(r, c), scale[(size_t)c], shift[(size_t)c]);
                return relu && !(value > 0) ? 0.0 : at_dy.at(r, c);
            };
            double along_weight = 0, along_bias = 0;
            for (int64_t r = 0; r < rows; ++r) {
                along_weight += passed(r) * (at_x.at(r, c) - mean);
                along_bias += passed(r);
            }
            want_dweight.push_back(along_weight * inverse);
            want_dbias.push_back(along_bias);
            for (int64_t r = 0; r < rows; ++r) {
                const double n = (at_x.at(r, c) - mean) * inverse;
                const double want = ((passed(r) - (along_bias + n * along_weight * inverse) / (double)rows)) *
                                    (double)scale[(size_t)c];
                largest = std::fmax(largest, std::fabs(want));
                worst = std::fmax(worst, std::fabs(want - at_dx.at(r, c)) - (x_dtype == MM_BFLOAT16) * std::fabs(want) / 256);
            }
        }
        close(name + "dweight", dweight, want_dweight, 3e-6);
        close(name + "dbias", dbias, want_dbias, 3e-6);
        that(worst <= 1e-5 * largest, name + "dx");
        results.keep(name, dweight, dbias);
    }
};

std::string gradient_name(const char* of, const NormOfGradient& norm) {
    return std::string("moments of a gradient by ") + of + " " + std::to_string(norm.rows) + " x " +
           std::to_string(norm.channels) + (norm.relu ? " relu" : "") +
           (norm.dy_dtype == MM_BFLOAT16 ? norm.x_dtype == MM_BFLOAT16 ? " bfloat16" : " of float32 to bfloat16" : "") + ": ";
}

void conv_gradient_case(Kernels& kernels, Recorded& results, const Image& image, int64_t out, NormOfGradient norm) {
    const std::string name = gradient_name("conv3x3", norm);
    const Floats weight = uniform_floats(out * norm.channels * 9, 1, 0.2f);
    Kept dy(norm.dy_dtype, normal_floats(image.pixels() * out, 2)), dx(norm.dy_dtype, norm.rows * norm.channels);
    MomentRoom moments(norm.rows, norm.channels);
    Conv3x3 conv{image, norm.channels, out, 0, 0, nullptr, weight.data()};
    conv.x_dtype = conv.y_dtype = norm.dy_dtype;
    conv.dy = dy.data();
    mm_conv3x3_backward_data_params params = conv.backward_data(dx.data());
    if (moments.data()) params.moments = norm.moments(moments.data());
    kernels.fill_scratch_with_nan();
    that(kernels.conv3x3_backward_data(params) == MM_OK, name + "conv3x3");
    moments.check(name);
    norm.check(kernels, results, name, dx, norm.channels, moments.data());
}

void product_gradient_case(Kernels& kernels, Recorded& results, int64_t k, int64_t gap, NormOfGradient norm) {
    const std::string name = gradient_name("matmul", norm);
    MatrixProduct product{1, norm.rows, norm.channels, k};
    product.gap = gap;
    product.a_dtype = product.c_dtype = norm.dy_dtype;
    const Floats b = uniform_floats(k * product.b_row(), 1, 0.2f);
    Kept a(norm.dy_dtype, normal_floats(norm.rows * product.a_row(), 2)), c(norm.dy_dtype, norm.rows * product.c_row());
    MomentRoom moments(norm.rows, norm.channels);
    mm_matmul_params params = product.parameters(a.data(), b.data(), nullptr, c.data());
    if (moments.data()) params.moments = norm.moments(moments.data());
    that(kernels.matmul(params) == MM_OK, name + "matmul");
    moments.check(name);
    norm.check(kernels, results, name, c, product.c_row(), moments.data());
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        // One part and many, a last one that is short; columns that fill tiles and vectors, or do not; sums over k that are
        // cut into ranges (many inputs); far from zero.
        for (float mean : {0.0f, 1000.0f}) {
            statistics_case(kernels, results, {{1, 3, 5}, 3, 8, 0, mean});
            statistics_case(kernels, results, {{2, 9, 11}, 24, 48, 0, mean});
            statistics_case(kernels, results, {{1, 13, 17}, 20, 96, 4, mean});
            statistics_case(kernels, results, {{3, 8, 8}, 7, 37, 1, mean});
            statistics_case(kernels, results, {{1, 14, 13}, 130, 24, 0, mean});
        }
        statistics_case(kernels, results, {{2, 9, 11}, 24, 48, 0, 0, MM_FLOAT32, true});
        statistics_case(kernels, results, {{40, 14, 14}, 4, 12, 0, 1000});

        for (bool relu : {false, true}) {
            const auto norm = [&](int64_t rows, int64_t channels, int64_t gap) {
                return NormOfGradient(rows, channels, gap, relu, MM_FLOAT32, MM_FLOAT32);
            };
            conv_gradient_case(kernels, results, {1, 3, 5}, 3, norm(15, 8, 0));
            conv_gradient_case(kernels, results, {2, 9, 11}, 24, norm(198, 48, 48));
            conv_gradient_case(kernels, results, {1, 13, 17}, 20, norm(221, 96, 3));
            conv_gradient_case(kernels, results, {1, 14, 13}, 130, norm(182, 24, 0));
            product_gradient_case(kernels, results, 24, 0, norm(200, 48, 0));
            product_gradient_case(kernels, results, 40, 1, norm(65, 37, 2));
            product_gradient_case(kernels, results, 600, 0, norm(130, 16, 4));
        }
        product_gradient_case(kernels, results, 8, 0, {8500, 80, 0, true, MM_FLOAT32, MM_FLOAT32});
#if defined(MM_TEST_CUDA)
        for (float mean : {0.0f, 1000.0f}) {
            statistics_case(kernels, results, {{2, 9, 11}, 48, 48, 0, mean, MM_BFLOAT16});
            statistics_case(kernels, results, {{1, 13, 17}, 16, 96, 8, mean, MM_BFLOAT16});
            statistics_case(kernels, results, {{1, 13, 5}, 16, 20, 0, mean, MM_BFLOAT16});
            statistics_case(kernels, results, {{1, 14, 13}, 130, 24, 0, mean, MM_BFLOAT16});
        }
        conv_gradient_case(kernels, results, {2, 9, 11}, 24, {198, 48, 0, true, MM_BFLOAT16, MM_FLOAT32});
        for (int32_t x_dtype : {MM_FLOAT32, MM_BFLOAT16}) {
            const auto norm = [&](int64_t rows, int64_t channels, int64_t gap) {
                return NormOfGradient(rows, channels, gap, x_dtype == MM_BFLOAT16, x_dtype, MM_BFLOAT16);
            };
            conv_gradient_case(kernels, results, {2, 9, 11}, 48, norm(198, 48, 48));
            conv_gradient_case(kernels, results, {1, 14, 13}, 130, norm(182, 24, 0));
            conv_gradient_case(kernels, results, {1, 7, 9}, 16, norm(63, 20, 4));
            product_gradient_case(kernels, results, 48, 0, norm(200, 48, 0));
            product_gradient_case(kernels, results, 8, 0, norm(8500, 96, 0));
        }
#endif
    });
}
