// Elementwise operations, copies and reductions against plain loops, on odd counts, strides and values.
#include <algorithm>
#include <limits>

#include "support/kernel_case.h"
#include "support/naive.h"

namespace {

const std::vector<int64_t> counts = {0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 100, 16384, 40001};

double normal_below(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

double unary_of(int op, double x) {
    switch (op) {
        case MM_RELU: return x > 0 ? x : 0;
        case MM_SILU: return naive_silu(x);
        case MM_GELU: return x * normal_below(x);
        case MM_SIGMOID: return naive_sigmoid(x);
        case MM_EXP: return std::exp(x);
        default: return std::log(x);
    }
}

double slope_of(int op, double x) {
    const double s = naive_sigmoid(x);
    switch (op) {
        case MM_RELU: return x > 0 ? 1 : 0;
        case MM_SILU: return naive_silu_slope(x);
        case MM_GELU: return normal_below(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * M_PI);
        case MM_SIGMOID: return s * (1 - s);
        case MM_EXP: return std::exp(x);
        default: return 1 / x;
    }
}

void maps(Kernels& kernels, Recorded& results) {
    for (int64_t count : counts) {
        const std::string text = " of " + std::to_string(count);
        const Floats x = normal_floats(count, 1, 0, 3), dy = normal_floats(count, 2);
        Floats y((size_t)count + 1, -7.0f);
        kernels.fill({count, 2.5f, y.data()});
        that(std::count(y.begin(), y.end(), 2.5f) == count && y.back() == -7.0f, "fill" + text);
        Doubles want;
        for (float v : x) want.push_back(-1.5 * v + 0.25);
        kernels.affine({count, -1.5f, 0.25f, x.data(), y.data()});
        close("affine" + text, y, want, 1e-7);
        Floats total = dy;
        for (size_t i = 0; i < x.size(); ++i) want[i] = dy[i] + 0.3f * (double)x[i];
        kernels.accumulate({count, 0.3f, x.data(), total.data()});
        close("accumulate" + text, total, want, 1e-7);
        results.keep("fill, affine and accumulate" + text, y, total);

        for (int op = MM_RELU; op <= MM_LOG; ++op) {
            const std::string name = "unary " + std::to_string(op) + text;
            Floats input = x, slope = dy;
            if (op == MM_LOG) {
                for (float& v : input) v = std::fabs(v) + 0.01f;
            }
            Doubles want_slope;
            for (size_t i = 0; i < x.size(); ++i) {
                want[i] = unary_of(op, input[i]);
                want_slope.push_back(dy[i] * slope_of(op, input[i]));
            }
            kernels.unary_backward({op, count, input.data(), slope.data(), slope.data()});
            kernels.unary({op, count, input.data(), input.data()});
            close(name, input, want, 4e-7);
            close(name + " backward", slope, want_slope, 6e-7);
            results.keep(name, input, slope);
        }
    }
    that(kernels.unary({99, 0, nullptr, nullptr}) == MM_INVALID_ARGUMENT, "unary refuses an unknown operation");
}

// Where the functions have limits, and where bits of a float mean something else.
void extremes(Kernels& kernels) {
    constexpr float infinity = INFINITY;
    const Floats x = {infinity, -infinity, NAN, 0.0f, 1e38f, -1e38f, 1e-40f, -1.0f, 1.0f, 88.0f, -87.0f};
    for (int op = MM_RELU; op <= MM_LOG; ++op) {
        Floats y(x.size());
        kernels.unary({op, (int64_t)x.size(), x.data(), y.data()});
        for (size_t i = 0; i < x.size(); ++i) {
            // -infinity times 0 is NaN in SiLU and GELU, as in PyTorch; GELU is cut off at 4 standard deviations.
            if ((op == MM_SILU || op == MM_GELU) && x[i] == -infinity) continue;
            const double want = op == MM_RELU && std::isnan(x[i]) ? NAN : unary_of(op, x[i]);
            const double allowed = 1e-6 * std::fmax(1, std::fabs(want));
            const bool right = std::isnan(want)                 ? std::isnan(y[i])
                               : std::fabs(want) > 3.4028235e38 ? y[i] == (want > 0 ? infinity : -infinity)
                                                                : std::fabs(y[i] - want) <= allowed;
            that(right, "unary " + std::to_string(op) + " of " + std::to_string(x[i]) + " is " + std::to_string(y[i]));
        }
        kernels.unary_backward({op, (int64_t)x.size(), x.data(), x.data(), y.data()});
    }
}

using Axes = std::vector<int64_t>;

int64_t count_of(const Axes& shape) {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    return count;
}

// Where the element lies that is number `index` of a dense tensor.
int64_t place_of(int64_t index, const Axes& shape, const Axes& strides) {
    int64_t place = 0;
    for (size_t axis = shape.size(); axis-- > 0; index /= shape[axis]) place += index % shape[axis] * strides[axis];
    return place;
}

// y is dense; operands lie in memory of their own size, with the strides of a case.
void broadcasts(Kernels& kernels, Recorded& results) {
    struct Case {
        const char* name;
        Axes shape, a_strides, b_strides;
    };
    const std::vector<Case> cases = {
        {"no axes", {}, {}, {}},
        {"empty", {3, 0}, {0, 1}, {0, 1}},
        {"same shape", {3, 5, 7}, {35, 7, 1}, {35, 7, 1}},
        {"scalar right", {3, 5, 7}, {35, 7, 1}, {0, 0, 0}},
        {"scalar left", {1000, 33}, {0, 0}, {33, 1}},
        {"both scalars", {5, 4}, {0, 0}, {0, 0}},
        {"bias", {1000, 33}, {33, 1}, {0, 1}},
        {"bias left", {20, 1}, {0, 1}, {1, 1}},
        {"column", {40, 33}, {33, 1}, {1, 0}},
        {"image and channel", {2, 3, 4, 17}, {204, 68, 17, 1}, {17, 0, 0, 1}},
        {"outer product", {19, 23}, {1, 0}, {0, 1}},
        {"transposed", {19, 23}, {1, 19}, {23, 1}},
        {"channels-first bias", {2, 5, 6}, {30, 6, 1}, {0, 1, 0}},
        {"size-one axes", {1, 8, 1, 9, 1}, {99, 9, 77, 1, 55}, {1, 1, 1, 0, 3}},
    };
    for (const Case& c : cases) {
        mm_binary_params params{};
        params.dimensions = (int64_t)c.shape.size();
        std::copy(c.shape.begin(), c.shape.end(), params.shape);
        std::copy(c.a_strides.begin(), c.a_strides.end(), params.a_strides);
        std::copy(c.b_strides.begin(), c.b_strides.end(), params.b_strides);
        const int64_t count = count_of(c.shape);
        const Floats a = normal_floats(40000, 1, 3), b = normal_floats(40000, 2, 3, 0.3f);
        Floats y((size_t)count);
        params.a = a.data(), params.b = b.data(), params.y = y.data();
        for (int op = MM_ADD; op <= MM_DIVIDE; ++op) {
            params.op = op;
            that(kernels.binary(params) == MM_OK, "binary");
            Doubles want;
            for (int64_t i = 0; i < count; ++i) {
                const double p = a[(size_t)place_of(i, c.shape, c.a_strides)];
                const double q = b[(size_t)place_of(i, c.shape, c.b_strides)];
                want.push_back(op == MM_ADD ? p + q : op == MM_SUBTRACT ? p - q : op == MM_MULTIPLY ? p * q : p / q);
            }
            const std::string name = "binary " + std::to_string(op) + ", " + c.name;
            close(name, y, want, 1e-7);
            results.keep(name, y);
        }
    }
}

template <class Element>
void copies(Kernels& kernels, Recorded& results) {
    struct Case {
        const char* name;
        Axes shape, x_strides, y_strides;
        int64_t x_offset, y_offset;
    };
    const std::vector<Case> cases = {
        {"no axes", {}, {}, {}, 3, 5},
        {"empty", {0, 4}, {4, 1}, {4, 1}, 0, 0},
        {"dense", {7, 11, 13}, {143, 13, 1}, {143, 13, 1}, 0, 0},
        {"slice", {9, 20}, {50, 1}, {20, 1}, 7, 0},
        {"concat", {9, 20}, {20, 1}, {50, 1}, 0, 30},
        {"transpose", {100, 77}, {1, 100}, {77, 1}, 0, 0},
        {"transpose, walked by x", {100, 77}, {77, 1}, {1, 100}, 0, 0},
        {"channels last", {2, 3, 11, 13}, {429, 143, 13, 1}, {429, 1, 39, 3}, 0, 0},
        {"channels first", {2, 3, 11, 13}, {429, 1, 39, 3}, {429, 143, 13, 1}, 0, 0},
        {"patches", {2, 5, 4, 6, 4, 3}, {1440, 288, 72, 12, 3, 1}, {1440, 288, 12, 48, 3, 1}, 0, 0},
        {"every second", {50, 30}, {120, 2}, {30, 1}, 1, 0},
        {"every second, both", {50, 30}, {120, 2}, {60, 2}, 1, 1},
        {"reversed", {40, 30}, {-30, -1}, {30, 1}, 1199, 0},
        {"repeated", {40, 30}, {0, 1}, {30, 1}, 0, 0},
        {"repeated along the last axis", {40, 30}, {1, 0}, {30, 1}, 0, 0},
        {"large", {3, 130, 101}, {13130, 1, 130}, {13130, 101, 1}, 0, 0},
    };
    std::vector<Element> x(40000);
    for (size_t i = 0; i < x.size(); ++i) x[i] = (Element)(i * 2654435761u >> 7);
    for (const Case& c : cases) {
        mm_copy_params params{};
        params.dimensions = (int64_t)c.shape.size(), params.element_size = sizeof(Element);
        params.x_offset = c.x_offset, params.y_offset = c.y_offset;
        std::copy(c.shape.begin(), c.shape.end(), params.shape);
        std::copy(c.x_strides.begin(), c.x_strides.end(), params.x_strides);
        std::copy(c.y_strides.begin(), c.y_strides.end(), params.y_strides);
        const int64_t count = count_of(c.shape);
        std::vector<Element> y(40000, 1), want = y;
        params.x = x.data(), params.y = y.data();
        for (int64_t i = 0; i < count; ++i) {
            const int64_t from = c.x_offset + place_of(i, c.shape, c.x_strides);
            want[(size_t)(c.y_offset + place_of(i, c.shape, c.y_strides))] = x[(size_t)from];
        }
        that(kernels.copy(params) == MM_OK, "copy");
        const std::string name = std::string("copy, ") + c.name + ", " + std::to_string(sizeof(Element)) + " bytes";
        that(y == want, name);
        results.keep(name, y);
    }
}

void reductions(Kernels& kernels, Recorded& results) {
    const int64_t shapes[][3] = {{1, 1, 1}, {1, 0, 3}, {3, 0, 1}, {1, 100000, 1}, {7, 33, 1}, {5000, 10, 1},
                                 {2, 20001, 1}, {1, 5000, 48}, {3, 49, 96}, {2, 7, 1030}, {4, 9, 5}, {1, 40000, 3},
                                 {2, 1, 2000}};
    for (const auto& [outer, reduced, inner] : shapes) {
        for (float mean : {0.0f, 1000.0f}) {
            const Floats x = normal_floats(outer * reduced * inner, 1, mean);
            Floats y((size_t)(outer * inner));
            kernels.reduce({outer, reduced, inner, 0.5f, x.data(), y.data(), MM_FLOAT32});
            Doubles want;
            double largest = 0;
            for (int64_t o = 0; o < outer; ++o) {
                for (int64_t i = 0; i < inner; ++i) {
                    double total = 0, size = 0;
                    for (int64_t r = 0; r < reduced; ++r) {
                        total += x[(size_t)((o * reduced + r) * inner + i)];
                        size += std::fabs(x[(size_t)((o * reduced + r) * inner + i)]);
                    }
                    want.push_back(0.5 * total);
                    largest = std::fmax(largest, 0.5 * size);
                }
            }
            const std::string name = "reduce " + std::to_string(outer) + " x " + std::to_string(reduced) + " x " +
                                     std::to_string(inner);
            close_beside(name, y, want, largest, 2e-7);
            results.keep(name, y);
        }
    }
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        maps(kernels, results);
        extremes(kernels);
        broadcasts(kernels, results);
        copies<uint8_t>(kernels, results);
        copies<uint16_t>(kernels, results);
        copies<uint32_t>(kernels, results);
        copies<uint64_t>(kernels, results);
        mm_copy_params three_bytes{};
        three_bytes.element_size = 3;
        that(kernels.copy(three_bytes) == MM_INVALID_ARGUMENT, "copy refuses elements of three bytes");
        reductions(kernels, results);
    });
}
