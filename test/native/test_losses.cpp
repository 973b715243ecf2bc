// Softmax and the losses against plain double-precision formulas, gradients against difference quotients of them.
#include <cmath>

#include "support/kernel_case.h"

namespace {

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

void softmax_case(Kernels& kernels, Recorded& results, int64_t rows, int64_t channels, float largest) {
    const std::string shape = " " + std::to_string(rows) + "x" + std::to_string(channels);
    const Floats x = uniform_floats(rows * channels, 1, largest), dy = uniform_floats(rows * channels, 2);
    for (int32_t logarithm : {0, 1}) {
        Floats y(x.size()), dx(x.size());
        const std::string name = (logarithm ? "log_softmax" : "softmax") + shape;
        that(kernels.softmax_forward({rows, channels, logarithm, x.data(), y.data()}) == MM_OK, name);
        close(name, y, naive_softmax(x, rows, channels, logarithm), 1e-6);
        that(kernels.softmax_backward({rows, channels, logarithm, y.data(), dy.data(), dx.data()}) == MM_OK, name);
        results.keep(name, y, dx);

        Doubles expected(x.size());
        const Doubles p = naive_softmax(x, rows, channels, false);
        for (int64_t n = 0; n < rows; ++n) {
            double total = 0.0;
            for (int64_t c = n * channels; c < (n + 1) * channels; ++c) total += logarithm ? dy[c] : dy[c] * p[c];
            for (int64_t c = n * channels; c < (n + 1) * channels; ++c)
                expected[c] = logarithm ? dy[c] - p[c] * total : p[c] * (dy[c] - total);
        }
        // A row of one channel has the gradient zero, up to the rounding of its sum.
        if (channels > 1) close(name + " backward", dx, expected, 1e-5);
    }
}

void softmax_of_extremes(Kernels& kernels, Recorded& results) {
    const float infinity = INFINITY;
    const Floats x = {1e4f, 1e4f - 1.0f, -infinity, -1e30f, -1e4f,     // large, and masked by -infinity
                      -2e4f, -2e4f, -2e4f, -2e4f, -2e4f,              // far below zero, all the same
                      -infinity, -infinity, -infinity, -infinity, -infinity,
                      0.0f, NAN, 0.0f, 0.0f, 0.0f,
                      0.0f, infinity, 0.0f, 0.0f, 0.0f};
    Floats y(x.size()), log_y(x.size());
    that(kernels.softmax_forward({5, 5, 0, x.data(), y.data()}) == MM_OK, "extremes");
    that(kernels.softmax_forward({5, 5, 1, x.data(), log_y.data()}) == MM_OK, "extremes");
    results.keep("extremes", y, log_y);
    const double e = std::exp(-1.0);
    close("softmax of large logits", y, {1 / (1 + e), e / (1 + e), 0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.2}, 1e-6);
    that(log_y[2] == -infinity, "log_softmax keeps -infinity");
    close("log_softmax of large logits", Floats(log_y.begin() + 5, log_y.end()), Doubles(5, std::log(0.2)), 1e-6);
    for (size_t i = 10; i < x.size(); ++i)
        that(std::isnan(y[i]) && std::isnan(log_y[i]), "a row without a finite sum is NaN");
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

void class_losses_case(Kernels& kernels, Recorded& results, int64_t rows, int64_t classes, bool weighted,
                       float smoothing, float gamma) {
    const Floats x = uniform_floats(rows * classes, 1, 3.0f);
    Floats weights((size_t)classes);
    for (int64_t c = 0; c < classes; ++c) weights[c] = 0.25f + 0.5f * (float)(c % 5);
    const std::vector<int64_t> labels = uniform_integers<int64_t>(rows, 2, classes - 1);
    const float* class_weights = weighted ? weights.data() : nullptr;
    const auto weight = [&](int64_t c) { return weighted ? (double)weights[c] : 1.0; };
    const Floats dloss = {1.7f};
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

    const bool differentiate = rows * classes <= 2000;
    Floats loss(1), probabilities(x.size()), dx(x.size());
    that(kernels.cross_entropy_forward({rows, classes, smoothing, x.data(), labels.data(), class_weights, loss.data(),
                                        probabilities.data()}) == MM_OK,
         "cross_entropy");
    close("cross_entropy" + shape, loss, {cross_entropy(exact)}, 1e-6);
    close("probabilities", probabilities, naive_softmax(x, rows, classes, false), 1e-6);
    that(kernels.cross_entropy_backward({rows, classes, smoothing, probabilities.data(), labels.data(), class_weights,
                                         dloss.data(), dx.data()}) == MM_OK,
         "cross_entropy backward");
    if (differentiate)
        close("cross_entropy backward" + shape, dx, difference_quotient(cross_entropy, x, dloss[0]), 2e-6);
    results.keep("cross_entropy" + shape, loss, probabilities, dx);

    that(kernels.focal_loss_forward({rows, classes, gamma, x.data(), labels.data(), class_weights, loss.data(),
                                     probabilities.data()}) == MM_OK,
         "focal_loss");
    close("focal_loss" + shape, loss, {focal(exact)}, 2e-6);
    that(kernels.focal_loss_backward({rows, classes, gamma, probabilities.data(), labels.data(), class_weights,
                                      dloss.data(), dx.data()}) == MM_OK,
         "focal_loss backward");
    if (differentiate) close("focal_loss backward" + shape, dx, difference_quotient(focal, x, dloss[0]), 1e-5);
    results.keep("focal_loss" + shape, loss, probabilities, dx);
}

// A sure prediction, right or wrong, and one that is certain to float's precision, stay finite.
void focal_loss_of_certainties(Kernels& kernels, Recorded& results) {
    const Floats x = {200.0f, 0.0f, 0.0f, 0.0f, 200.0f, 0.0f, 20.0f, 0.0f, -1.0f};
    const std::vector<int64_t> labels = {0, 0, 0};
    const Floats dloss = {1.0f};
    for (float gamma : {0.0f, 0.5f, 1.0f, 2.0f}) {
        Floats loss(1), probabilities(9), dx(9);
        that(kernels.focal_loss_forward(
                 {3, 3, gamma, x.data(), labels.data(), nullptr, loss.data(), probabilities.data()}) == MM_OK,
             "focal certainties");
        that(kernels.focal_loss_backward(
                 {3, 3, gamma, probabilities.data(), labels.data(), nullptr, dloss.data(), dx.data()}) == MM_OK,
             "focal certainties");
        results.keep("focal certainties", loss, probabilities, dx);
        const double q = std::exp(-20.0) * (1.0 + std::exp(-1.0)) / (1.0 + std::exp(-20.0) * (1.0 + std::exp(-1.0)));
        close("focal_loss of certainties", loss, {(200.0 - std::pow(q, gamma) * std::log1p(-q)) / 3.0}, 1e-6);
        const double slope = gamma * std::pow(q, gamma - 1.0) * (1.0 - q) * std::log1p(-q) - std::pow(q, gamma);
        const double sure = slope * q / 3.0, wrong[3] = {-1.0 / 3.0, 1.0 / 3.0, 0.0};
        check::close("focal_loss backward, sure and right", dx.data() + 6, &sure, 1, 1e-5);
        check::close("focal_loss backward, sure and wrong", dx.data() + 3, wrong, 3, 1e-6);
    }
}

void element_losses_case(Kernels& kernels, Recorded& results, int64_t count, float positive_weight) {
    const Floats x = uniform_floats(count, 1, 8.0f), signed_targets = uniform_floats(count, 2);
    Floats targets(signed_targets), loss(1), dx(x.size());
    for (float& t : targets) t = std::fabs(t);
    const Floats dloss = {0.6f};
    double expected = 0.0;
    Doubles gradient(x.size());
    for (int64_t i = 0; i < count; ++i) {
        const double s = 1.0 / (1.0 + std::exp(-(double)x[i])), t = targets[i];
        expected -= (positive_weight * t * std::log(s) + (1 - t) * std::log1p(-s)) / (double)count;
        gradient[i] = dloss[0] * ((1 - t) * s - positive_weight * t * (1 - s)) / (double)count;
    }
    that(kernels.binary_cross_entropy_forward({count, positive_weight, x.data(), targets.data(), loss.data()}) == MM_OK,
         "binary_cross_entropy");
    close("binary_cross_entropy", loss, {expected}, 1e-6);
    that(kernels.binary_cross_entropy_backward(
             {count, positive_weight, x.data(), targets.data(), dloss.data(), dx.data()}) == MM_OK,
         "binary_cross_entropy backward");
    close("binary_cross_entropy backward", dx, gradient, 1e-6);
    results.keep("binary_cross_entropy", loss, dx);

    expected = 0.0;
    for (int64_t i = 0; i < count; ++i) {
        const double error = (double)x[i] - signed_targets[i];
        expected += error * error / (double)count;
        gradient[i] = 2.0 * dloss[0] * error / (double)count;
    }
    that(kernels.mse_forward({count, x.data(), signed_targets.data(), loss.data()}) == MM_OK, "mse");
    close("mse", loss, {expected}, 1e-6);
    that(kernels.mse_backward({count, x.data(), signed_targets.data(), dloss.data(), dx.data()}) == MM_OK,
         "mse backward");
    close("mse backward", dx, gradient, 1e-6);
    results.keep("mse", loss, dx);
}

void extreme_logits_of_binary_cross_entropy(Kernels& kernels, Recorded& results) {
    const Floats x = {1000.0f, -1000.0f, 1000.0f, -1000.0f}, targets = {1.0f, 0.0f, 0.0f, 1.0f};
    Floats loss(1);
    that(kernels.binary_cross_entropy_forward({4, 1.0f, x.data(), targets.data(), loss.data()}) == MM_OK,
         "binary_cross_entropy");
    close("binary_cross_entropy of large logits", loss, {500.0}, 1e-6);
    const Floats with_nan = {0.0f, NAN};
    results.keep("binary_cross_entropy of large logits", loss);
    that(kernels.binary_cross_entropy_forward({2, 1.0f, with_nan.data(), targets.data(), loss.data()}) == MM_OK,
         "binary_cross_entropy");
    that(std::isnan(loss[0]), "a NaN logit gives a NaN loss");
    results.keep("binary_cross_entropy of NaN", loss);
}

void labels_out_of_range(Kernels& kernels) {
    const Floats x(20, 0.5f);
    const Floats dloss = {1.0f};
    for (int64_t wrong : {(int64_t)5, (int64_t)-1, INT64_MIN}) {
        const std::vector<int64_t> labels = {0, 1, 2, wrong};
        Floats loss(1, 9.0f), y(20, 9.0f);
        const auto refused = [](mm_status status) { that(status == MM_INVALID_ARGUMENT, "label out of range"); };
        refused(kernels.cross_entropy_forward(
            {4, 5, 0.1f, x.data(), labels.data(), nullptr, loss.data(), y.data()}));
        const std::string message = "cross_entropy: label " + std::to_string(wrong) + " of row 3 is not in 0..4";
        that(message == kernels.last_error(), kernels.last_error());
        refused(kernels.cross_entropy_backward(
            {4, 5, 0.1f, x.data(), labels.data(), nullptr, dloss.data(), y.data()}));
        refused(kernels.focal_loss_forward({4, 5, 2.0f, x.data(), labels.data(), nullptr, loss.data(), y.data()}));
        refused(kernels.focal_loss_backward(
            {4, 5, 2.0f, x.data(), labels.data(), nullptr, dloss.data(), y.data()}));
        that(loss[0] == 9.0f && y == Floats(20, 9.0f), "outputs are untouched");
    }
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        for (int64_t channels : {1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 1000})
            for (int64_t rows : {1, 7}) softmax_case(kernels, results, rows, channels, 3.0f);
        softmax_case(kernels, results, 20000, 3, 10.0f);
        softmax_of_extremes(kernels, results);
        for (int64_t classes : {2, 3, 7, 16, 17, 40})
            for (bool weighted : {false, true})
                for (float smoothing : {0.0f, 0.1f, 1.0f})
                    class_losses_case(kernels, results, 9, classes, weighted, smoothing, 20 * smoothing);
        class_losses_case(kernels, results, 1, 2, true, 0.1f, 1.5f);
        class_losses_case(kernels, results, 30011, 5, true, 0.1f, 1.5f);
        focal_loss_of_certainties(kernels, results);
        for (int64_t count : {1, 3, 16, 31, 50001})
            for (float positive_weight : {1.0f, 3.5f}) element_losses_case(kernels, results, count, positive_weight);
        extreme_logits_of_binary_cross_entropy(kernels, results);
        labels_out_of_range(kernels);
    });
}
