// Normalisation and the end of the block against their definitions in double, on odd shapes.
#include "support/kept.h"
#include "support/kernel_case.h"
#include "support/naive.h"
#include "support/norms.h"

namespace {

constexpr double eps = 1e-5;

std::string shape_text(int64_t rows, int64_t channels) {
    return std::to_string(rows) + " x " + std::to_string(channels);
}

// A matrix that lies in wider rows, when `row` is more than `channels`.
struct Rows {
    int64_t row;
    Floats values;

    Rows(int64_t rows, int64_t channels, int64_t padding, uint32_t seed, float mean = 0)
        : row(channels + padding), values(normal_floats(rows * row, seed, mean)) {}
    double at(int64_t r, int64_t c) const { return values[(size_t)(r * row + c)]; }
    float* data() { return values.data(); }
    Floats dense(int64_t channels) const { return ::dense(values, row, channels); }
};

void layer_norm_case(Kernels& kernels, int64_t rows, int64_t channels, int64_t padding, bool gated, float mean,
                     Recorded& results) {
    const std::string name = "layer_norm " + shape_text(rows, channels) + (gated ? " gated" : "") +
                             (mean != 0 ? " far from zero" : "") + ": ";
    Rows x(rows, channels, padding, 1, mean), gate(rows, channels, padding + 1, 2), dy(rows, channels, 0, 3);
    const Floats weight = normal_floats(channels, 4, 1), bias = normal_floats(channels, 5);
    Rows y(rows, channels, padding, 6), dx(rows, channels, padding, 7), dgate(rows, channels, padding, 8);
    Floats statistics((size_t)rows * 2), dweight((size_t)channels), dbias((size_t)channels);
    const Rows dx_before = dx, y_before = y;

    Doubles want_y, want_means, want_inverses, want_dx, want_dgate;
    Doubles want_dweight((size_t)channels), want_dbias((size_t)channels);
    double largest = 0, largest_term = 1, largest_dgate = 1;  // largest_term: of those dx is a difference of
    for (int64_t r = 0; r < rows; ++r) {
        double m = 0, variance = 0;
        for (int64_t c = 0; c < channels; ++c) m += x.at(r, c) / (double)channels;
        for (int64_t c = 0; c < channels; ++c) variance += (x.at(r, c) - m) * (x.at(r, c) - m) / (double)channels;
        const double inverse = 1 / std::sqrt(variance + eps);
        want_means.push_back(m);
        want_inverses.push_back(inverse);
        Doubles n, g;
        double along_bias = 0, along_weight = 0;
        for (int64_t c = 0; c < channels; ++c) {
            const double w = weight[(size_t)c], b = bias[(size_t)c], z = gated ? gate.at(r, c) : 0;
            const double s = naive_sigmoid(z), factor = gated ? z * s : 1;
            n.push_back((x.at(r, c) - m) * inverse);
            g.push_back(dy.at(r, c) * factor);
            want_y.push_back((n.back() * w + b) * factor);
            want_dgate.push_back(dy.at(r, c) * (n.back() * w + b) * (s + z * s * (1 - s)));
            largest_dgate = std::fmax(largest_dgate, std::fabs(want_dgate.back()));
            want_dweight[(size_t)c] += g.back() * n.back();
            want_dbias[(size_t)c] += g.back();
            along_bias += g.back() * w / (double)channels;
            along_weight += g.back() * w * n.back() / (double)channels;
            largest = std::fmax(largest, std::fabs(x.at(r, c)));
            largest_term = std::fmax(largest_term, std::fabs(inverse * g.back() * w));
        }
        for (int64_t c = 0; c < channels; ++c) {
            want_dx.push_back(dx_before.at(r, c) + inverse * (g[(size_t)c] * weight[(size_t)c] - along_bias -
                                                              n[(size_t)c] * along_weight));
        }
    }

    const LayerNorm norm{rows, channels, x.row, y.row, gate.row, dy.row, dgate.row, (float)eps, x.data(),
                         weight.data(), bias.data(), gated ? gate.data() : nullptr, dy.data()};
    that(kernels.layer_norm_forward(norm.forward(y.data(), statistics.data())) == MM_OK, name + "status");
    close(name + "y", y.dense(channels), want_y, 2e-6);
    Floats means, inverses;
    for (size_t r = 0; r < (size_t)rows; ++r) {
        means.push_back(statistics[2 * r]), inverses.push_back(statistics[2 * r + 1]);
    }
    close_beside(name + "mean", means, want_means, largest, 1e-6);
    close(name + "inverse_std", inverses, want_inverses, 1e-6);
    if (padding > 0) that(y.values[(size_t)channels] == y_before.values[(size_t)channels], name + "padding");
    kernels.layer_norm_forward(norm.forward(y.data(), nullptr));

    that(kernels.layer_norm_backward(norm.backward(statistics.data(), dx.data(), dweight.data(), dbias.data(),
                                                   gated ? dgate.data() : nullptr, true)) == MM_OK,
         name + "status");
    // Backward is given the mean rounded to float: at a mean of 1000 that is 3e-5 of a spread of 1.
    const double tolerance = mean != 0 ? 1e-4 : 3e-6;
    close_beside(name + "dx", dx.dense(channels), want_dx, largest_term, tolerance);
    if (gated) close_beside(name + "dgate", dgate.dense(channels), want_dgate, largest_dgate, tolerance);
    close(name + "dweight", dweight, want_dweight, tolerance);
    close(name + "dbias", dbias, want_dbias, 2e-6);
    results.keep(name, y.values, statistics, dx.values, dgate.values, dweight, dbias);

    kernels.layer_norm_backward(
        norm.backward(statistics.data(), dx.data(), nullptr, nullptr, gated ? dgate.data() : nullptr, false));
    for (int64_t r = 0, i = 0; r < rows; ++r) {
        for (int64_t c = 0; c < channels; ++c, ++i) want_dx[(size_t)i] -= dx_before.at(r, c);
    }
    close_beside(name + "dx alone", dx.dense(channels), want_dx, largest_term, tolerance);
}

#if defined(MM_TEST_CUDA)
// Rows that come as four copies: the bits of their sum's rows, added in their order and rounded as they are stored; and
// that sum.
void copies_case(Kernels& kernels, int64_t rows, int64_t channels, int32_t dtype, Recorded& results) {
    const std::string name = "layer_norm of copies " + shape_text(rows, channels) +
                             (dtype == MM_BFLOAT16 ? " bfloat16" : "") + ": ";
    constexpr int64_t copies = 4;
    const int64_t each = rows * channels;
    Kept apart(dtype, normal_floats(copies * each, 1, 10)), gate(dtype, normal_floats(each, 2));
    const Floats weight = normal_floats(channels, 4, 1), bias = normal_floats(channels, 5), values = apart.values();
    Floats sum((size_t)each);
    for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] = values[i];
        for (size_t k = 1; k < copies; ++k) sum[i] += values[k * sum.size() + i];
        if (dtype == MM_BFLOAT16) sum[i] = to_bfloat16(sum[i]);
    }
    const auto run = [&](Kept& x, int64_t x_copies, float* sum_out, Floats& statistics) {
        Kept y(dtype, each);
        const LayerNorm norm{rows, channels, 0, 0, 0, 0, 0, (float)eps, x.data(), weight.data(), bias.data(), gate.data(),
                             nullptr, dtype, dtype};
        mm_layer_norm_forward_params params = norm.forward(y.data(), statistics.data());
        params.x_copies = x_copies;
        params.sum = sum_out;
        that(kernels.layer_norm_forward(params) == MM_OK, name + "status");
        return y.values();
    };
    Kept whole(dtype, sum), written(dtype, each);
    Floats of_sum((size_t)rows * 2), of_copies((size_t)rows * 2), alone((size_t)rows * 2);
    const Floats want = run(whole, 0, nullptr, of_sum), got = run(apart, copies, written.data(), of_copies);
    same_bits(name + "y", got, want);
    same_bits(name + "statistics", of_copies, of_sum);
    same_bits(name + "sum", written.values(), sum);
    same_bits(name + "y without the sum", run(apart, copies, nullptr, alone), want);
    results.keep(name, got, of_copies);
}
#endif

void batch_norm_case(Kernels& kernels, int64_t rows, int64_t channels, int64_t padding, float mean, Recorded& results) {
    const std::string name = "batch_norm " + shape_text(rows, channels) + (mean != 0 ? " far from zero" : "") + ": ";
    Rows x(rows, channels, padding, 1, mean), dy(rows, channels, padding + 2, 2);
    const size_t count = (size_t)channels;
    const Floats weight = normal_floats(channels, 4, 1), bias = normal_floats(channels, 5);
    Floats running_mean = normal_floats(channels, 6), running_variance(count, 2.0f);
    const Floats mean_before = running_mean;
    Floats statistics(2 * count), scale(count), shift(count);
    std::vector<int64_t> batches = {41};
    const BatchNorm norm{rows, channels, x.row, x.row, dy.row, (float)eps, x.data(), weight.data(), bias.data(),
                         dy.data()};
    mm_batch_norm_statistics_params params = norm.of_batch(statistics.data(), scale.data(), shift.data());
    params.running_mean = running_mean.data();
    params.running_variance = running_variance.data();
    params.batches_tracked = batches.data();
    that(kernels.batch_norm_statistics(params) == MM_OK && batches[0] == 42, name + "status");

    Doubles means(count), inverses(count), variances(count), scales, shifts, want_mean, want_variance;
    for (size_t c = 0; c < count; ++c) {
        for (int64_t r = 0; r < rows; ++r) means[c] += x.at(r, (int64_t)c) / (double)rows;
        for (int64_t r = 0; r < rows; ++r) {
            variances[c] += (x.at(r, (int64_t)c) - means[c]) * (x.at(r, (int64_t)c) - means[c]) / (double)rows;
        }
        inverses[c] = 1 / std::sqrt(variances[c] + eps);
        scales.push_back(weight[c] * inverses[c]);
        shifts.push_back(bias[c] - means[c] * scales[c]);
        const double unbiased = rows > 1 ? variances[c] * (double)rows / (double)(rows - 1) : variances[c];
        want_mean.push_back(0.9 * mean_before[c] + 0.1 * means[c]);
        want_variance.push_back(0.9 * 2 + 0.1 * unbiased);
    }
    close_beside(name + "mean", Floats(statistics.begin(), statistics.begin() + channels), means,
                 std::fmax(1, mean), 3e-7);
    close(name + "inverse_std", Floats(statistics.begin() + channels, statistics.end()), inverses, 1e-6);
    close(name + "scale", scale, scales, 1e-6);
    close(name + "shift", shift, shifts, 1e-6);
    close(name + "running mean", running_mean, want_mean, 1e-6);
    close(name + "running variance", running_variance, want_variance, 1e-6);

    results.keep(name, statistics, scale, shift, running_mean, running_variance);
    for (int relu : {0, 1}) {
        // ReLU's mask is a matter of rounding at its edge: what follows takes the float statistics as given.
        Rows y(rows, channels, padding, 7);
        that(kernels.channel_affine(norm.applied(scale.data(), shift.data(), y.data(), relu)) == MM_OK,
             name + "status");
        Doubles want_y, along_weight(count), along_bias(count), g;
        double largest = 0;
        for (int64_t r = 0; r < rows; ++r) {
            for (size_t c = 0; c < count; ++c) {
                const double value = x.at(r, (int64_t)c) * (double)scale[c] + (double)shift[c];
                want_y.push_back(relu && value < 0 ? 0 : value);
                largest = std::fmax(largest, std::fabs(x.at(r, (int64_t)c) * (double)scale[c]));
                g.push_back(relu && y.at(r, (int64_t)c) == 0 ? 0 : dy.at(r, (int64_t)c));
                along_bias[c] += g.back();
                along_weight[c] += g.back() * (x.at(r, (int64_t)c) - (double)statistics[c]);
            }
        }
        const Floats dense = y.dense(channels);
        double worst = 0;
        for (size_t i = 0; i < dense.size(); ++i) worst = std::fmax(worst, std::fabs(dense[i] - want_y[i]));
        that(worst <= 2e-7 * largest, name + "channel_affine");
        for (int training : {0, 1}) {
            Rows dx(rows, channels, padding, 8);
            const Rows before = dx;
            const int accumulate = relu;
            Floats dweight(count), dbias(count);
            that(kernels.batch_norm_backward(norm.backward(statistics.data(), scale.data(), shift.data(), dx.data(),
                                                           dweight.data(), dbias.data(), training, relu,
                                                           accumulate)) == MM_OK,
                 name + "status");
            Doubles want_dx, want_dweight;
            double largest_term = 1;
            for (int64_t r = 0, i = 0; r < rows; ++r) {
                for (size_t c = 0; c < count; ++c, ++i) {
                    const double inverse = statistics[count + c];
                    const double n = (x.at(r, (int64_t)c) - (double)statistics[c]) * inverse;
                    double value = g[(size_t)i];
                    largest_term = std::fmax(largest_term, std::fabs(value * (double)scale[c]));
                    if (training) value -= (along_bias[c] + n * along_weight[c] * inverse) / (double)rows;
                    want_dx.push_back((accumulate ? before.at(r, (int64_t)c) : 0) + value * (double)scale[c]);
                }
            }
            for (size_t c = 0; c < count; ++c) want_dweight.push_back(along_weight[c] * statistics[count + c]);
            const std::string mode = name + (relu ? "relu " : "") + (training ? "training " : "");
            close_beside(mode + "dx", dx.dense(channels), want_dx, largest_term, 1e-6);
            close(mode + "dweight", dweight, want_dweight, 1e-6);
            close(mode + "dbias", dbias, along_bias, 1e-6);
            results.keep(mode, y.values, dx.values, dweight, dbias);
        }
    }
}

void fold_case(Kernels& kernels, int64_t channels) {
    const Floats weight = normal_floats(channels, 1), bias = normal_floats(channels, 2);
    const Floats mean = normal_floats(channels, 3), variance = normal_floats(channels, 4, 3, 0.3f);
    const size_t count = (size_t)channels;
    Floats statistics(2 * count), scale(count), shift(count);
    kernels.batch_norm_fold({channels, (float)eps, weight.data(), bias.data(), mean.data(), variance.data(),
                           statistics.data(), scale.data(), shift.data()});
    Doubles scales, shifts;
    for (size_t c = 0; c < count; ++c) {
        scales.push_back(weight[c] / std::sqrt(variance[c] + eps));
        shifts.push_back(bias[c] - mean[c] * scales[c]);
    }
    close("batch_norm_fold: scale", scale, scales, 1e-6);
    close("batch_norm_fold: shift", shift, shifts, 1e-6);
}

void shuffle_case(Kernels& kernels, int64_t batch, int64_t pixels, int64_t half, bool drop_path, Recorded& results) {
    const std::string name =
        "shuffle_residual " + std::to_string(batch) + " x " + shape_text(pixels, 2 * half) + ": ";
    const int64_t pairs = batch * pixels * half;
    Floats left = normal_floats(pairs, 1);
    for (float& value : left) value = std::fmax(value, 0.0f);  // it ends in a ReLU: zeros pass no gradient
    const Floats right = normal_floats(pairs, 2), x = normal_floats(2 * pairs, 3);
    const Floats path_scale = normal_floats(batch, 4), dy = normal_floats(2 * pairs, 5);
    Floats y((size_t)(2 * pairs)), dx(y.size()), dleft((size_t)pairs), dright((size_t)pairs);
    const float* scale = drop_path ? path_scale.data() : nullptr;
    that(kernels.shuffle_residual_forward({batch, pixels, 2 * half, left.data(), right.data(), x.data(), scale,
                                                y.data(), MM_FLOAT32}) == MM_OK, name + "status");
    that(kernels.shuffle_residual_backward({batch, pixels, 2 * half, left.data(), scale, dy.data(), dleft.data(),
                                                 dright.data(), dx.data(), MM_FLOAT32}) == MM_OK, name + "status");
    Doubles want_y, want_dleft, want_dright;
    for (size_t i = 0; i < (size_t)pairs; ++i) {
        const double path = drop_path ? path_scale[i / (size_t)(pixels * half)] : 1;
        want_y.push_back((double)left[i] + x[2 * i]);
        want_y.push_back(right[i] * path + x[2 * i + 1]);
        want_dleft.push_back(left[i] > 0 ? dy[2 * i] : 0);
        want_dright.push_back(dy[2 * i + 1] * path);
    }
    close(name + "y", y, want_y, 2e-7);
    close(name + "dleft", dleft, want_dleft, 0);
    close(name + "dright", dright, want_dright, 1e-7);
    same_bits(name + "dx", dx, dy);
    results.keep(name, y, dleft, dright, dx);
}

// Infinities and NaN go through: they spoil their row or channel, and nothing else.
void not_a_number_case(Kernels& kernels) {
    const int64_t rows = 6, channels = 37;
    Rows x(rows, channels, 0, 1), y(rows, channels, 0, 2);
    x.values[40] = NAN;
    x.values[80] = INFINITY;
    const Floats weight = normal_floats(channels, 4, 1), bias = normal_floats(channels, 5);
    Floats statistics(12);
    kernels.layer_norm_forward({rows, channels, 0, 0, 0, (float)eps, x.data(), weight.data(), bias.data(), nullptr,
                              y.data(), statistics.data(), MM_FLOAT32, MM_FLOAT32, 0, nullptr});
    for (int64_t r = 0; r < rows; ++r) {
        that(std::isnan(y.at(r, 3)) == (r == 1 || r == 2), "layer_norm: NaN stays in its row");
    }
    Floats batch_statistics(74), scale(37), shift(37);
    kernels.batch_norm_statistics({rows, channels, 0, (float)eps, 0.1f, x.data(), weight.data(), bias.data(), nullptr,
                                 nullptr, nullptr, batch_statistics.data(), scale.data(), shift.data(), MM_FLOAT32, nullptr, nullptr});
    for (size_t c = 0; c < 37; ++c) {
        that(std::isnan(scale[c]) == (c == 3 || c == 6), "batch_norm: NaN stays in its channel");
    }
    that(kernels.batch_norm_statistics({0, channels, 0, (float)eps, 0.1f, x.data(), weight.data(), bias.data(),
                                             nullptr, nullptr, nullptr, batch_statistics.data(), scale.data(),
                                             shift.data(), MM_FLOAT32, nullptr, nullptr}) == MM_INVALID_ARGUMENT,
                "batch_norm: a batch without rows is refused");
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        for (int64_t channels : {1, 2, 3, 7, 16, 17, 48, 63, 96, 100, 130, 300, 1000, 1027, 3072, 5000}) {
            for (int64_t rows : {1, 2, 5, 49, 301}) {
                if (rows * channels > 200000) continue;
                layer_norm_case(kernels, rows, channels, rows % 3, false, 0, results);
                layer_norm_case(kernels, rows, channels, rows % 3, true, 0, results);
                batch_norm_case(kernels, rows, channels, rows % 3, 0, results);
            }
        }
        layer_norm_case(kernels, 37, 96, 0, false, 1000, results);
        layer_norm_case(kernels, 37, 96, 0, true, 1000, results);
        batch_norm_case(kernels, 5000, 19, 0, 1000, results);
#if defined(MM_TEST_CUDA)
        for (int32_t dtype : {MM_FLOAT32, MM_BFLOAT16}) {
            for (int64_t channels : {7, 24, 96, 100, 192, 384, 768}) copies_case(kernels, 37, channels, dtype, results);
            copies_case(kernels, 1, 130, dtype, results);
        }
#endif
        fold_case(kernels, 37);
        for (int64_t half : {1, 3, 8, 17, 48}) {
            shuffle_case(kernels, 1, 1, half, false, results);
            shuffle_case(kernels, 3, 7, half, true, results);
            shuffle_case(kernels, 2, 301, half, true, results);
        }
        not_a_number_case(kernels);
    });
}
