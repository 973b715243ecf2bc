// The optimisers over several steps against their formulas in double, on tensors whose sizes cut across tasks.
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "check.h"
#include "simd_level.h"

using namespace medmamba::cpu::MM_SIMD;

namespace {

TestStream one_thread(1), two_threads(2);

// A few tensors that fill tasks of their own, then more small ones than a launch on a GPU takes.
const std::vector<int64_t> counts = [] {
    std::vector<int64_t> sizes = {1, 0, 16384, 3, 40007, 17, 1, 0, 1000, 16, 33000};
    for (int64_t i = 0; i < 130; ++i) sizes.push_back(i % 7 * 5 + i % 2);
    return sizes;
}();

// One float tensor of each count; every tensor is its own allocation, so that a write past its end is found.
struct Tensors {
    std::vector<std::vector<float>> values;
    std::vector<float*> pointers;

    explicit Tensors(float scale) {
        for (int64_t count : counts) {
            values.emplace_back((size_t)count);
            for (float& v : values.back()) v = scale * ((float)std::rand() / (float)RAND_MAX * 2.0f - 1.0f);
        }
        for (auto& v : values) pointers.push_back(v.data());
    }
    Tensors(const Tensors& other) : values(other.values) {
        for (auto& v : values) pointers.push_back(v.data());
    }
};

using Exact = std::vector<std::vector<double>>;

Exact exact(const Tensors& tensors) {
    Exact values;
    for (const auto& tensor : tensors.values) values.emplace_back(tensor.begin(), tensor.end());
    return values;
}

const mm_tensor_list list = {(int64_t)counts.size(), counts.data()};

// Within `tolerance` of a tensor's largest value, or of `terms`, the size of what values are made of, where they cancel.
void compare(const std::string& name, const Tensors& one, const Tensors& two, const Exact& expected, double tolerance,
             double terms = 0) {
    for (size_t t = 0; t < counts.size(); ++t) {
        if (counts[t] == 0) continue;
        double scale = terms;
        for (double value : expected[t]) scale = std::fmax(scale, std::fabs(value));
        check::within(name.c_str(), one.values[t].data(), expected[t].data(), counts[t], tolerance * scale);
        check::same_bits(name.c_str(), one.values[t].data(), two.values[t].data(),
                         counts[t] * (int64_t)sizeof(float));
    }
}

// update(tensor, element) for all elements.
template <class Update>
void for_elements(Update&& update) {
    for (size_t t = 0; t < counts.size(); ++t)
        for (size_t i = 0; i < (size_t)counts[t]; ++i) update(t, i);
}

void test_sgd(float momentum, float dampening, float weight_decay, bool nesterov, const float* gradient_scale) {
    Tensors parameters(1.0f), buffers(0.0f), parameters2(parameters), buffers2(buffers);
    Exact p = exact(parameters), b = exact(buffers);
    const float rate = 0.1f;
    const bool has_momentum = momentum != 0.0f;
    for (int step = 1; step <= 4; ++step) {
        const Tensors gradients(0.5f);
        mm_sgd_params params = {list, parameters.pointers.data(), gradients.pointers.data(),
                                has_momentum ? buffers.pointers.data() : nullptr, rate, momentum, dampening,
                                weight_decay, nesterov, step == 1, gradient_scale};
        check::that(sgd(&one_thread, &params) == MM_OK, "sgd");
        params.parameters = parameters2.pointers.data();
        params.momentum_buffers = has_momentum ? buffers2.pointers.data() : nullptr;
        check::that(sgd(&two_threads, &params) == MM_OK, "sgd");
        for_elements([&](size_t t, size_t i) {
            double g = gradients.values[t][i] * (gradient_scale ? *gradient_scale : 1.0) + weight_decay * p[t][i];
            if (has_momentum) {
                b[t][i] = step == 1 ? g : momentum * b[t][i] + (1.0 - dampening) * g;
                g = nesterov ? g + momentum * b[t][i] : b[t][i];
            }
            p[t][i] -= rate * g;
        });
    }
    compare("sgd parameters", parameters, parameters2, p, 2e-6, 0.5);
    if (has_momentum) compare("sgd momentum", buffers, buffers2, b, 2e-6, 0.5);
}

void test_adam(bool decoupled, float weight_decay, float beta1, const float* gradient_scale) {
    Tensors parameters(1.0f), first(0.0f), second(0.0f), parameters2(parameters), first2(first), second2(second);
    Exact p = exact(parameters), m = exact(first), v = exact(second);
    const float rate = 0.01f, eps = 1e-8f, beta2 = 0.999f;
    for (int64_t step = 1; step <= 5; ++step) {
        const Tensors gradients(0.5f);
        mm_adam_params params = {list, parameters.pointers.data(), gradients.pointers.data(), first.pointers.data(),
                                 second.pointers.data(), rate, beta1, beta2, eps, weight_decay, decoupled, step,
                                 gradient_scale};
        check::that(adam(&one_thread, &params) == MM_OK, "adam");
        params.parameters = parameters2.pointers.data();
        params.first_moments = first2.pointers.data();
        params.second_moments = second2.pointers.data();
        check::that(adam(&two_threads, &params) == MM_OK, "adam");
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
    compare("adam parameters", parameters, parameters2, p, 5e-6, 0.5);
    compare("adam first moments", first, first2, m, 3e-6, 0.1);
    compare("adam second moments", second, second2, v, 3e-6);
}

void test_gradient_norm(float scale, float max_norm) {
    const Tensors gradients(scale);
    double squares = 0.0;
    for_elements([&](size_t t, size_t i) { squares += (double)gradients.values[t][i] * gradients.values[t][i]; });
    float norm[2], factor[2];
    mm_gradient_norm_params params = {list, gradients.pointers.data(), max_norm, &norm[0], &factor[0]};
    check::that(gradient_norm(&one_thread, &params) == MM_OK, "gradient_norm");
    params.norm = &norm[1];
    params.scale = &factor[1];
    check::that(gradient_norm(&two_threads, &params) == MM_OK, "gradient_norm");
    const double expected = std::sqrt(squares), expected_factor = std::fmin(1.0, max_norm / (expected + 1e-6));
    check::close("norm", norm, &expected, 1, 1e-7);
    check::close("scale", factor, &expected_factor, 1, 2e-7);
    check::same_bits("norm on two threads", &norm[0], &norm[1], sizeof(float));
}

void test_gradients_that_are_no_numbers() {
    float values[3] = {1.0f, NAN, 2.0f}, norm = 0.0f, factor = 0.0f;
    float* pointer = values;
    const int64_t count = 3;
    const mm_gradient_norm_params params = {{1, &count}, &pointer, 1.0f, &norm, &factor};
    gradient_norm(&one_thread, &params);
    check::that(std::isnan(norm) && std::isnan(factor), "a NaN gradient shows in norm and scale");
    values[1] = INFINITY;
    gradient_norm(&one_thread, &params);
    check::that(std::isinf(norm) && factor == 0.0f, "an infinite gradient gives an infinite norm");
    const mm_gradient_norm_params nothing = {{0, nullptr}, nullptr, 1.0f, &norm, &factor};
    check::that(gradient_norm(&one_thread, &nothing) == MM_OK && norm == 0.0f && factor == 1.0f, "no tensors");
}

void test_moving_average() {
    const Tensors parameters(1.0f);
    Tensors averages(1.0f), averages2(averages);
    Exact expected = exact(averages);
    mm_moving_average_params params = {list, parameters.pointers.data(), averages.pointers.data(), 0.99f};
    check::that(moving_average(&one_thread, &params) == MM_OK, "moving_average");
    params.averages = averages2.pointers.data();
    check::that(moving_average(&two_threads, &params) == MM_OK, "moving_average");
    for_elements([&](size_t t, size_t i) {
        expected[t][i] = (double)0.99f * expected[t][i] + (1.0 - (double)0.99f) * parameters.values[t][i];
    });
    compare("moving_average", averages, averages2, expected, 3e-7, 0.5);
}

}  // namespace

int main() {
    if (!simd_level_runs_here()) return 0;
    const float gradient_scale = 0.3f;
    test_sgd(0.0f, 0.0f, 0.0f, false, nullptr);
    test_sgd(0.0f, 0.0f, 0.1f, false, &gradient_scale);
    test_sgd(0.9f, 0.2f, 0.1f, false, &gradient_scale);
    test_sgd(0.9f, 0.0f, 0.1f, true, nullptr);
    for (bool decoupled : {false, true})
        for (float weight_decay : {0.0f, 0.05f})
            for (float beta1 : {0.9f, 0.4f, 0.0f}) test_adam(decoupled, weight_decay, beta1, &gradient_scale);
    test_adam(true, 0.05f, 0.9f, nullptr);
    test_gradient_norm(1.0f, 5.0f);
    test_gradient_norm(1e-4f, 5.0f);
    test_gradient_norm(1e25f, 5.0f);
    test_gradients_that_are_no_numbers();
    test_moving_average();
    return check::report();
}
