// Softmax and the losses against plain double-precision formulas, gradients against difference quotients of them.
#include <cmath>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "check.h"
#include "simd_level.h"

using namespace medmamba::cpu::MM_SIMD;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;

namespace {

TestStream one_thread(1), two_threads(2);

Floats random_floats(int64_t count, float scale) {
    Floats values((size_t)count);
    for (float& v : values) v = scale * ((float)std::rand() / (float)RAND_MAX * 2.0f - 1.0f);
    return values;
}

// Runs an operation on one thread and on two; the outputs must have the same bits.
template <class Params>
void run(const char* name, mm_status (*operation)(mm_stream*, const Params*), Params params, float* Params::*output,
         Floats& y) {
    Floats again(y.size(), -1.0f);
    params.*output = again.data();
    check::that(operation(&two_threads, &params) == MM_OK, name);
    params.*output = y.data();
    check::that(operation(&one_thread, &params) == MM_OK, name);
    check::same_bits(name, y.data(), again.data(), (int64_t)(y.size() * sizeof(float)));
}

Doubles naive_softmax(const Floats& x, int64_t rows, int64_t classes, bool logarithm) {
    Doubles y(x.size());
    for (int64_t n = 0; n < rows; ++n) {
        double largest = -INFINITY, total = 0.0;
        for (int64_t c = 0; c < classes; ++c) largest = std::fmax(largest, x[n * classes + c]);
        for (int64_t c = 0; c < classes; ++c) total += std::exp(x[n * classes + c] - largest);
        for (int64_t c = 0; c < classes; ++c) {
            const double log_p = x[n * classes + c] - largest - std::log(total);
            y[n * classes + c] = logarithm ? log_p : std::exp(log_p);
        }
    }
    return y;
}

void test_softmax(int64_t rows, int64_t channels, float scale) {
    const std::string shape = " " + std::to_string(rows) + "x" + std::to_string(channels);
    const Floats x = random_floats(rows * channels, scale), dy = random_floats(rows * channels, 1.0f);
    for (int32_t logarithm : {0, 1}) {
        Floats y(x.size()), dx(x.size());
        const std::string name = (logarithm ? "log_softmax" : "softmax") + shape;
        run(name.c_str(), softmax_forward, {rows, channels, logarithm, x.data(), nullptr},
            &mm_softmax_forward_params::y, y);
        check::close(name.c_str(), y.data(), naive_softmax(x, rows, channels, logarithm).data(), rows * channels,
                     1e-6);

        run(name.c_str(), softmax_backward, {rows, channels, logarithm, y.data(), dy.data(), nullptr},
            &mm_softmax_backward_params::dx, dx);
        Doubles expected(x.size());
        const Doubles p = naive_softmax(x, rows, channels, false);
        for (int64_t n = 0; n < rows; ++n) {
            double total = 0.0;
            for (int64_t c = n * channels; c < (n + 1) * channels; ++c) total += logarithm ? dy[c] : dy[c] * p[c];
            for (int64_t c = n * channels; c < (n + 1) * channels; ++c)
                expected[c] = logarithm ? dy[c] - p[c] * total : p[c] * (dy[c] - total);
        }
        // A row of one channel has the gradient zero, up to the rounding of its sum.
        const std::string backward = name + " backward";
        if (channels > 1) check::close(backward.c_str(), dx.data(), expected.data(), rows * channels, 1e-5);
    }
}

void test_softmax_of_extremes() {
    const float infinity = INFINITY;
    const Floats x = {1e4f, 1e4f - 1.0f, -infinity, -1e30f, -1e4f,     // large, and masked by -infinity
                      -2e4f, -2e4f, -2e4f, -2e4f, -2e4f,              // far below zero, all the same
                      -infinity, -infinity, -infinity, -infinity, -infinity,
                      0.0f, NAN, 0.0f, 0.0f, 0.0f,
                      0.0f, infinity, 0.0f, 0.0f, 0.0f};
    Floats y(x.size()), log_y(x.size());
    run("extremes", softmax_forward, {5, 5, 0, x.data(), nullptr}, &mm_softmax_forward_params::y, y);
    run("extremes", softmax_forward, {5, 5, 1, x.data(), nullptr}, &mm_softmax_forward_params::y, log_y);
    const double e = std::exp(-1.0);
    const Doubles expected = {1 / (1 + e), e / (1 + e), 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.2};
    check::close("softmax of large logits", y.data(), expected.data(), 10, 1e-6);
    check::that(log_y[2] == -infinity, "log_softmax keeps -infinity");
    check::close("log_softmax of large logits", log_y.data() + 5, Doubles(5, std::log(0.2)).data(), 5, 1e-6);
    for (size_t i = 10; i < x.size(); ++i)
        check::that(std::isnan(y[i]) && std::isnan(log_y[i]), "a row without a finite sum is NaN");
}

// The gradient of a scalar function by a central difference, in double.
Doubles difference_quotient(const std::function<double(const Doubles&)>& loss, const Floats& at, double factor) {
    Doubles x(at.begin(), at.end()), gradient(at.size());
    const double h = 1e-5;
    for (size_t i = 0; i < x.size(); ++i) {
        const double value = x[i];
        x[i] = value + h;
        const double above = loss(x);
        x[i] = value - h;
        gradient[i] = factor * (above - loss(x)) / (2 * h);
        x[i] = value;
    }
    return gradient;
}

double log_probability(const Doubles& x, int64_t row, int64_t classes, int64_t label) {
    double total = 0.0;
    for (int64_t c = 0; c < classes; ++c) total += std::exp(x[row * classes + c]);
    return x[row * classes + label] - std::log(total);
}

void test_class_losses(int64_t rows, int64_t classes, bool weighted, float smoothing, float gamma) {
    const Floats x = random_floats(rows * classes, 3.0f);
    Floats weights((size_t)classes);
    for (int64_t c = 0; c < classes; ++c) weights[c] = 0.25f + 0.5f * (float)(c % 5);
    std::vector<int64_t> labels((size_t)rows);
    for (int64_t& label : labels) label = std::rand() % classes;
    const float* class_weights = weighted ? weights.data() : nullptr;
    const auto weight = [&](int64_t c) { return weighted ? (double)weights[c] : 1.0; };
    const float dloss = 1.7f;
    const Doubles exact(x.begin(), x.end());
    const std::string shape = " " + std::to_string(rows) + "x" + std::to_string(classes);

    const auto cross_entropy = [&](const Doubles& at) {
        double total = 0.0, total_weight = 0.0;
        for (int64_t n = 0; n < rows; ++n) {
            total_weight += weight(labels[n]);
            total -= (1.0 - smoothing) * weight(labels[n]) * log_probability(at, n, classes, labels[n]);
            for (int64_t c = 0; c < classes; ++c)
                total -= smoothing / (double)classes * weight(c) * log_probability(at, n, classes, c);
        }
        return total / total_weight;
    };
    const auto focal = [&](const Doubles& at) {
        double total = 0.0;
        for (int64_t n = 0; n < rows; ++n) {
            const double log_p = log_probability(at, n, classes, labels[n]);
            total -= weight(labels[n]) * std::pow(1.0 - std::exp(log_p), gamma) * log_p;
        }
        return total / (double)rows;
    };

    Floats loss(1), probabilities(x.size()), dx(x.size());
    run("cross_entropy", cross_entropy_forward,
        {rows, classes, smoothing, x.data(), labels.data(), class_weights, nullptr, probabilities.data()},
        &mm_cross_entropy_forward_params::loss, loss);
    double expected = cross_entropy(exact);
    check::close(("cross_entropy" + shape).c_str(), loss.data(), &expected, 1, 1e-6);
    check::close("probabilities", probabilities.data(), naive_softmax(x, rows, classes, false).data(), rows * classes,
                 1e-6);
    run("cross_entropy backward", cross_entropy_backward,
        {rows, classes, smoothing, probabilities.data(), labels.data(), class_weights, &dloss, nullptr},
        &mm_cross_entropy_backward_params::dlogits, dx);
    if (rows * classes <= 2000)
        check::close(("cross_entropy backward" + shape).c_str(), dx.data(),
                     difference_quotient(cross_entropy, x, dloss).data(), rows * classes, 2e-6);

    run("focal_loss", focal_loss_forward,
        {rows, classes, gamma, x.data(), labels.data(), class_weights, nullptr, probabilities.data()},
        &mm_focal_loss_forward_params::loss, loss);
    expected = focal(exact);
    check::close(("focal_loss" + shape).c_str(), loss.data(), &expected, 1, 2e-6);
    run("focal_loss backward", focal_loss_backward,
        {rows, classes, gamma, probabilities.data(), labels.data(), class_weights, &dloss, nullptr},
        &mm_focal_loss_backward_params::dlogits, dx);
    if (rows * classes <= 2000)
        check::close(("focal_loss backward" + shape).c_str(), dx.data(), difference_quotient(focal, x, dloss).data(),
                     rows * classes, 1e-5);
}

// A sure prediction, right or wrong, and one that is certain to float's precision, stay finite.
void test_focal_loss_of_certainties() {
    const Floats x = {200.0f, 0.0f, 0.0f, 0.0f, 200.0f, 0.0f, 20.0f, 0.0f, -1.0f};
    const std::vector<int64_t> labels = {0, 0, 0};
    const float dloss = 1.0f;
    for (float gamma : {0.0f, 0.5f, 1.0f, 2.0f}) {
        Floats loss(1), probabilities(9), dx(9);
        run("focal certainties", focal_loss_forward,
            {3, 3, gamma, x.data(), labels.data(), nullptr, nullptr, probabilities.data()},
            &mm_focal_loss_forward_params::loss, loss);
        run("focal certainties", focal_loss_backward,
            {3, 3, gamma, probabilities.data(), labels.data(), nullptr, &dloss, nullptr},
            &mm_focal_loss_backward_params::dlogits, dx);
        const double q = std::exp(-20.0) * (1.0 + std::exp(-1.0)) / (1.0 + std::exp(-20.0) * (1.0 + std::exp(-1.0)));
        const double expected = (200.0 - std::pow(q, gamma) * std::log1p(-q)) / 3.0;
        check::close("focal_loss of certainties", loss.data(), &expected, 1, 1e-6);
        const double slope = gamma * std::pow(q, gamma - 1.0) * (1.0 - q) * std::log1p(-q) - std::pow(q, gamma);
        const double sure = slope * q / 3.0, wrong[3] = {-1.0 / 3.0, 1.0 / 3.0, 0.0};
        check::close("focal_loss backward, sure and right", dx.data() + 6, &sure, 1, 1e-5);
        check::close("focal_loss backward, sure and wrong", dx.data() + 3, wrong, 3, 1e-6);
    }
}

void test_element_losses(int64_t count, float positive_weight) {
    const Floats x = random_floats(count, 8.0f), signed_targets = random_floats(count, 1.0f);
    Floats targets(signed_targets), loss(1), dx(x.size());
    for (float& t : targets) t = std::fabs(t);
    const float dloss = 0.6f;
    double expected = 0.0;
    Doubles gradient(x.size());
    for (int64_t i = 0; i < count; ++i) {
        const double s = 1.0 / (1.0 + std::exp(-(double)x[i])), t = targets[i];
        expected -= (positive_weight * t * std::log(s) + (1 - t) * std::log1p(-s)) / (double)count;
        gradient[i] = dloss * ((1 - t) * s - positive_weight * t * (1 - s)) / (double)count;
    }
    run("binary_cross_entropy", binary_cross_entropy_forward,
        {count, positive_weight, x.data(), targets.data(), nullptr},
        &mm_binary_cross_entropy_forward_params::loss, loss);
    check::close("binary_cross_entropy", loss.data(), &expected, 1, 1e-6);
    run("binary_cross_entropy backward", binary_cross_entropy_backward,
        {count, positive_weight, x.data(), targets.data(), &dloss, nullptr},
        &mm_binary_cross_entropy_backward_params::dlogits, dx);
    check::close("binary_cross_entropy backward", dx.data(), gradient.data(), count, 1e-6);

    expected = 0.0;
    for (int64_t i = 0; i < count; ++i) {
        const double error = (double)x[i] - signed_targets[i];
        expected += error * error / (double)count;
        gradient[i] = 2.0 * dloss * error / (double)count;
    }
    run("mse", mse_forward, {count, x.data(), signed_targets.data(), nullptr}, &mm_mse_forward_params::loss, loss);
    check::close("mse", loss.data(), &expected, 1, 1e-6);
    run("mse backward", mse_backward, {count, x.data(), signed_targets.data(), &dloss, nullptr},
        &mm_mse_backward_params::dx, dx);
    check::close("mse backward", dx.data(), gradient.data(), count, 1e-6);
}

void test_extreme_logits_of_binary_cross_entropy() {
    const Floats x = {1000.0f, -1000.0f, 1000.0f, -1000.0f}, targets = {1.0f, 0.0f, 0.0f, 1.0f};
    Floats loss(1);
    run("binary_cross_entropy", binary_cross_entropy_forward, {4, 1.0f, x.data(), targets.data(), nullptr},
        &mm_binary_cross_entropy_forward_params::loss, loss);
    const double expected = 500.0;
    check::close("binary_cross_entropy of large logits", loss.data(), &expected, 1, 1e-6);
    const Floats with_nan = {0.0f, NAN};
    run("binary_cross_entropy", binary_cross_entropy_forward, {2, 1.0f, with_nan.data(), targets.data(), nullptr},
        &mm_binary_cross_entropy_forward_params::loss, loss);
    check::that(std::isnan(loss[0]), "a NaN logit gives a NaN loss");
}

void test_labels_out_of_range() {
    const Floats x(20, 0.5f);
    const float dloss = 1.0f;
    for (int64_t wrong : {(int64_t)5, (int64_t)-1, INT64_MIN}) {
        const std::vector<int64_t> labels = {0, 1, 2, wrong};
        Floats loss(1, 9.0f), y(20, 9.0f);
        const mm_cross_entropy_forward_params forward = {
            4, 5, 0.1f, x.data(), labels.data(), nullptr, loss.data(), y.data()};
        check::that(finished(one_thread, cross_entropy_forward(&one_thread, &forward)) == MM_INVALID_ARGUMENT, "label out of range");
        const std::string message =
            "cross_entropy: label " + std::to_string(wrong) + " of row 3 is not in 0..4";
        check::that(message == one_thread.last_error, one_thread.last_error);
        const mm_cross_entropy_backward_params backward = {
            4, 5, 0.1f, x.data(), labels.data(), nullptr, &dloss, y.data()};
        check::that(finished(one_thread, cross_entropy_backward(&one_thread, &backward)) == MM_INVALID_ARGUMENT, "label out of range");
        const mm_focal_loss_forward_params focal = {
            4, 5, 2.0f, x.data(), labels.data(), nullptr, loss.data(), y.data()};
        check::that(finished(one_thread, focal_loss_forward(&one_thread, &focal)) == MM_INVALID_ARGUMENT, "label out of range");
        const mm_focal_loss_backward_params focal_backward = {
            4, 5, 2.0f, x.data(), labels.data(), nullptr, &dloss, y.data()};
        check::that(finished(one_thread, focal_loss_backward(&one_thread, &focal_backward)) == MM_INVALID_ARGUMENT, "label out of range");
        check::that(loss[0] == 9.0f && y == Floats(20, 9.0f), "outputs are untouched");
    }
}

}  // namespace

int main() {
    if (!simd_level_runs_here()) return 0;
    for (int64_t channels : {1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 1000})
        for (int64_t rows : {1, 7}) test_softmax(rows, channels, 3.0f);
    test_softmax(20000, 3, 10.0f);
    test_softmax_of_extremes();
    for (int64_t classes : {2, 3, 7, 16, 17, 40})
        for (bool weighted : {false, true})
            for (float smoothing : {0.0f, 0.1f, 1.0f})
                test_class_losses(9, classes, weighted, smoothing, 20 * smoothing);
    test_class_losses(1, 2, true, 0.1f, 1.5f);
    test_class_losses(30011, 5, true, 0.1f, 1.5f);
    test_focal_loss_of_certainties();
    for (int64_t count : {1, 3, 16, 31, 50001})
        for (float positive_weight : {1.0f, 3.5f}) test_element_losses(count, positive_weight);
    test_extreme_logits_of_binary_cross_entropy();
    test_labels_out_of_range();
    return check::report();
}
