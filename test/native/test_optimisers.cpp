// The optimisers over several steps against their formulas in double, on tensors whose sizes cut across tasks.
#include <cmath>

#include "support/kernel_case.h"

namespace {

// A few tensors that fill tasks of their own, then more small ones than a launch on a GPU takes.
const std::vector<int64_t> counts = [] {
    std::vector<int64_t> sizes = {1, 0, 16384, 3, 40007, 17, 1, 0, 1000, 16, 33000};
    for (int64_t i = 0; i < 130; ++i) sizes.push_back(i % 7 * 5 + i % 2);
    return sizes;
}();

// One float tensor of each count; every tensor is its own allocation, so that a write past its end is found.
struct Tensors {
    std::vector<Floats> values;
    std::vector<float*> pointers;

    // Uniform up to `largest`.
    Tensors(float largest, uint32_t seed) {
        for (int64_t count : counts) values.push_back(uniform_floats(count, seed++, largest));
        for (auto& v : values) pointers.push_back(v.data());
    }
};

using Exact = std::vector<Doubles>;

Exact exact(const Tensors& tensors) {
    Exact values;
    for (const auto& tensor : tensors.values) values.emplace_back(tensor.begin(), tensor.end());
    return values;
}

const mm_tensor_list list = {(int64_t)counts.size(), counts.data()};

// Within `tolerance` of a tensor's largest value, or of `terms`, the size of what values are made of, where they
// cancel.
void compare(Recorded& results, const std::string& name, const Tensors& actual, const Exact& expected,
             double tolerance, double terms = 0) {
    for (size_t t = 0; t < counts.size(); ++t) {
        if (counts[t] == 0) continue;
        double scale = terms;
        for (double value : expected[t]) scale = std::fmax(scale, std::fabs(value));
        close_beside(name, actual.values[t], expected[t], scale, tolerance);
        results.keep(name, actual.values[t]);
    }
}

// update(tensor, element) for all elements.
template <class Update>
void for_elements(Update&& update) {
    for (size_t t = 0; t < counts.size(); ++t)
        for (size_t i = 0; i < (size_t)counts[t]; ++i) update(t, i);
}

void sgd_case(Kernels& kernels, Recorded& results, float momentum, float dampening, float weight_decay, bool nesterov,
              const float* gradient_scale) {
    Tensors parameters(1.0f, 1), buffers(0.0f, 2);
    Exact p = exact(parameters), b = exact(buffers);
    const float rate = 0.1f;
    const bool has_momentum = momentum != 0.0f;
    for (int step = 1; step <= 4; ++step) {
        const Tensors gradients(0.5f, 1000u * (uint32_t)step);
        that(kernels.sgd({list, parameters.pointers.data(), gradients.pointers.data(),
                          has_momentum ? buffers.pointers.data() : nullptr, rate, momentum, dampening, weight_decay,
                          nesterov, step == 1, gradient_scale}) == MM_OK,
             "sgd");
        for_elements([&](size_t t, size_t i) {
            double g = gradients.values[t][i] * (gradient_scale ? *gradient_scale : 1.0) + weight_decay * p[t][i];
            if (has_momentum) {
                b[t][i] = step == 1 ? g : momentum * b[t][i] + (1.0 - dampening) * g;
                g = nesterov ? g + momentum * b[t][i] : b[t][i];
            }
            p[t][i] -= rate * g;
        });
    }
    compare(results, "sgd parameters", parameters, p, 2e-6, 0.5);
    if (has_momentum) compare(results, "sgd momentum", buffers, b, 2e-6, 0.5);
}

void adam_case(Kernels& kernels, Recorded& results, bool decoupled, float weight_decay, float beta1,
               const float* gradient_scale) {
    Tensors parameters(1.0f, 1), first(0.0f, 2), second(0.0f, 3);
    Exact p = exact(parameters), m = exact(first), v = exact(second);
    const float rate = 0.01f, eps = 1e-8f, beta2 = 0.999f;
    for (int64_t step = 1; step <= 5; ++step) {
        const Tensors gradients(0.5f, 1000u * (uint32_t)step);
        that(kernels.adam({list, parameters.pointers.data(), gradients.pointers.data(), first.pointers.data(),
                           second.pointers.data(), rate, beta1, beta2, eps, weight_decay, decoupled, step,
                           gradient_scale}) == MM_OK,
             "adam");
        for_elements([&](size_t t, size_t i) {
            double g = gradients.values[t][i] * (gradient_scale ? *gradient_scale : 1.0);
            if (decoupled)
                p[t][i] *= 1.0 - (double)rate * weight_decay;
            else
                g += weight_decay * p[t][i];
            m[t][i] += (1.0 - beta1) * (g - m[t][i]);
            v[t][i] = beta2 * v[t][i] + (1.0 - beta2) * g * g;
            const double correction = std::sqrt(1.0 - std::pow((double)beta2, (double)step));
            const double corrected = std::sqrt(v[t][i]) / correction + eps;
            p[t][i] -= rate / (1.0 - std::pow((double)beta1, (double)step)) * m[t][i] / corrected;
        });
    }
    compare(results, "adam parameters", parameters, p, 5e-6, 0.5);
    compare(results, "adam first moments", first, m, 3e-6, 0.1);
    compare(results, "adam second moments", second, v, 3e-6);
}

void gradient_norm_case(Kernels& kernels, Recorded& results, float largest, float max_norm) {
    const Tensors gradients(largest, 1);
    double squares = 0.0;
    for_elements([&](size_t t, size_t i) { squares += (double)gradients.values[t][i] * gradients.values[t][i]; });
    Floats norm(1), scale(1);
    that(kernels.gradient_norm({list, gradients.pointers.data(), max_norm, norm.data(), scale.data()}) == MM_OK,
         "gradient_norm");
    const double expected = std::sqrt(squares);
    close("norm", norm, {expected}, 1e-7);
    close("scale", scale, {std::fmin(1.0, max_norm / (expected + 1e-6))}, 2e-7);
    results.keep("norm and scale", norm, scale);
}

void gradients_that_are_no_numbers(Kernels& kernels) {
    Floats values = {1.0f, NAN, 2.0f}, norm(1), scale(1);
    float* pointer = values.data();
    const int64_t count = 3;
    const mm_gradient_norm_params params = {{1, &count}, &pointer, 1.0f, norm.data(), scale.data()};
    kernels.gradient_norm(params);
    that(std::isnan(norm[0]) && std::isnan(scale[0]), "a NaN gradient shows in norm and scale");
    values[1] = INFINITY;
    kernels.gradient_norm(params);
    that(std::isinf(norm[0]) && scale[0] == 0.0f, "an infinite gradient gives an infinite norm");
    const mm_status status = kernels.gradient_norm({{0, nullptr}, nullptr, 1.0f, norm.data(), scale.data()});
    that(status == MM_OK && norm[0] == 0.0f && scale[0] == 1.0f, "no tensors");
}

void moving_average_case(Kernels& kernels, Recorded& results) {
    const Tensors parameters(1.0f, 1);
    Tensors averages(1.0f, 1000);
    Exact expected = exact(averages);
    that(kernels.moving_average({list, parameters.pointers.data(), averages.pointers.data(), 0.99f}) == MM_OK,
         "moving_average");
    for_elements([&](size_t t, size_t i) {
        expected[t][i] = (double)0.99f * expected[t][i] + (1.0 - (double)0.99f) * parameters.values[t][i];
    });
    compare(results, "moving_average", averages, expected, 3e-7, 0.5);
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        const Floats gradient_scale = {0.3f};
        sgd_case(kernels, results, 0.0f, 0.0f, 0.0f, false, nullptr);
        sgd_case(kernels, results, 0.0f, 0.0f, 0.1f, false, gradient_scale.data());
        sgd_case(kernels, results, 0.9f, 0.2f, 0.1f, false, gradient_scale.data());
        sgd_case(kernels, results, 0.9f, 0.0f, 0.1f, true, nullptr);
        for (bool decoupled : {false, true})
            for (float weight_decay : {0.0f, 0.05f})
                for (float beta1 : {0.9f, 0.4f, 0.0f})
                    adam_case(kernels, results, decoupled, weight_decay, beta1, gradient_scale.data());
        adam_case(kernels, results, true, 0.05f, 0.9f, nullptr);
        gradient_norm_case(kernels, results, 1.0f, 5.0f);
        gradient_norm_case(kernels, results, 1e-4f, 5.0f);
        gradient_norm_case(kernels, results, 1e25f, 5.0f);
        gradients_that_are_no_numbers(kernels);
        moving_average_case(kernels, results);
    });
}
