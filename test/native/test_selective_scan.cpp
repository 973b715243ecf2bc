// The general selective scan and its gradient against the scan of each channel in double.
#include "support/kernel_case.h"
#include "support/naive_scan.h"

namespace {

struct Options {
    bool D, z, delta_bias, softplus, last_state;
};

struct Case {
    int64_t batch, channels, length, states, groups;
    Options with;
    int64_t chunks = (length + MM_SCAN_CHUNK - 1) / MM_SCAN_CHUNK;
    Floats u, delta, A, B, C, D, z, delta_bias, dy, dlast_state;

    Case(int64_t batch, int64_t channels, int64_t length, int64_t states, int64_t groups, Options with)
        : batch(batch), channels(channels), length(length), states(states), groups(groups), with(with),
          u(normal_floats(batch * channels * length, 1)), delta(normal_floats(batch * channels * length, 2, -1)),
          A(normal_floats(channels * states, 3)), B(normal_floats(batch * groups * states * length, 4)),
          C(normal_floats(batch * groups * states * length, 5)), D(normal_floats(channels, 6)),
          z(normal_floats(batch * channels * length, 7)), delta_bias(normal_floats(channels, 8)),
          dy(normal_floats(batch * channels * length, 9)), dlast_state(normal_floats(batch * channels * states, 10)) {
        for (float& a : A) a = -0.05f - std::fabs(a) * 3;
        if (!with.softplus)
            for (Floats* steps : {&delta, &delta_bias})
                for (float& step : *steps) step = std::fabs(step) * 0.3f;
    }
};

struct Expected {
    Doubles y, last_state, checkpoints, du, ddelta, dA, dB, dC, dD, dz, ddelta_bias;

    explicit Expected(const Case& c)
        : y(c.u.size()), last_state(c.dlast_state.size()),
          checkpoints((size_t)(c.batch * c.channels * c.chunks * c.states)), du(c.u.size()), ddelta(c.u.size()),
          dA(c.A.size()), dB(c.B.size()), dC(c.C.size()), dD(c.D.size()), dz(c.z.size()),
          ddelta_bias(c.delta_bias.size()) {
        for (int64_t image = 0; image < c.batch; ++image)
            for (int64_t channel = 0; channel < c.channels; ++channel) add(c, image, channel);
    }

    void add(const Case& c, int64_t image, int64_t channel) {
        const int64_t row = image * c.channels + channel, N = c.states, L = c.length;
        const int64_t group = (image * c.groups + channel / (c.channels / c.groups)) * N;
        NaiveScan scan(L, N);
        Doubles pre((size_t)L);
        const auto gate = [&](int64_t t) { return c.with.z ? (double)c.z[row * L + t] : 0.0; };
        const auto silu = [&](int64_t t) { return c.with.z ? gate(t) * naive_sigmoid(gate(t)) : 1.0; };
        for (int64_t n = 0; n < N; ++n) {
            scan.A[n] = c.A[channel * N + n];
            if (c.with.last_state) scan.dlast_state[n] = c.dlast_state[row * N + n];
        }
        for (int64_t t = 0; t < L; ++t) {
            pre[t] = c.delta[row * L + t] + (c.with.delta_bias ? (double)c.delta_bias[channel] : 0.0);
            scan.delta[t] = c.with.softplus ? naive_softplus(pre[t]) : pre[t];
            scan.u[t] = c.u[row * L + t];
            scan.dy[t] = c.dy[row * L + t] * silu(t);
            for (int64_t n = 0; n < N; ++n) {
                scan.B[t * N + n] = c.B[(group + n) * L + t];
                scan.C[t * N + n] = c.C[(group + n) * L + t];
            }
        }
        scan.forward();
        scan.backward();
        const double skip = c.with.D ? c.D[channel] : 0.0;
        for (int64_t n = 0; n < N; ++n) {
            dA[channel * N + n] += scan.dA[n];
            last_state[row * N + n] = scan.h[L * N + n];
            for (int64_t k = 0; k < c.chunks; ++k)
                checkpoints[(row * c.chunks + k) * N + n] = scan.h[k * MM_SCAN_CHUNK * N + n];
        }
        for (int64_t t = 0; t < L; ++t) {
            const double out = scan.y[t] + skip * scan.u[t], s = naive_sigmoid(gate(t));
            const double dpre = scan.ddelta[t] * (c.with.softplus ? naive_sigmoid(pre[t]) : 1.0);
            y[row * L + t] = out * silu(t);
            dz[row * L + t] = c.dy[row * L + t] * out * s * (1 + gate(t) * (1 - s));
            du[row * L + t] = scan.du[t] + skip * scan.dy[t];
            ddelta[row * L + t] = dpre;
            dD[channel] += scan.dy[t] * scan.u[t];
            ddelta_bias[channel] += dpre;
            for (int64_t n = 0; n < N; ++n) {
                dB[(group + n) * L + t] += scan.dB[t * N + n];
                dC[(group + n) * L + t] += scan.dC[t * N + n];
            }
        }
    }
};

void compare(Kernels& kernels, Recorded& results, const Case& c) {
    const Expected want(c);
    const auto unwritten = [](const Doubles& like) { return Floats(like.size() + 1, 7.0f); };
    Floats y = unwritten(want.y), last_state = unwritten(want.last_state), checkpoints = unwritten(want.checkpoints);
    Floats du = unwritten(want.du), ddelta = unwritten(want.ddelta), dA = unwritten(want.dA), dB = unwritten(want.dB);
    Floats dC = unwritten(want.dC), dD = unwritten(want.dD), dz = unwritten(want.dz);
    Floats ddelta_bias = unwritten(want.ddelta_bias);
    const float *D = c.with.D ? c.D.data() : nullptr, *z = c.with.z ? c.z.data() : nullptr;
    const float* delta_bias = c.with.delta_bias ? c.delta_bias.data() : nullptr;
    float* wanted_last_state = c.with.last_state ? last_state.data() : nullptr;
    const float* dlast_state = c.with.last_state ? c.dlast_state.data() : nullptr;
    that(kernels.selective_scan_forward({c.batch, c.channels, c.length, c.states, c.groups, c.with.softplus,
                                         c.u.data(), c.delta.data(), c.A.data(), c.B.data(), c.C.data(), D, z,
                                         delta_bias, y.data(), wanted_last_state, checkpoints.data()}) == MM_OK,
         "selective_scan_forward");
    that(kernels.selective_scan_backward(
             {c.batch, c.channels, c.length, c.states, c.groups, c.with.softplus, c.u.data(), c.delta.data(),
              c.A.data(), c.B.data(), c.C.data(), D, z, delta_bias, checkpoints.data(), c.dy.data(), dlast_state,
              du.data(), ddelta.data(), dA.data(), dB.data(), dC.data(), D ? dD.data() : nullptr,
              z ? dz.data() : nullptr, delta_bias ? ddelta_bias.data() : nullptr}) == MM_OK,
         "selective_scan_backward");

    const std::string name = "selective scan " + std::to_string(c.batch) + "x" + std::to_string(c.channels) + "x" +
                             std::to_string(c.length) + ", " + std::to_string(c.states) + " states, " +
                             std::to_string(c.groups) + " groups: ";
    const auto result = [&](const char* what, const Floats& actual, const Doubles& expected, bool present) {
        if (present) close(name + what, actual, expected, 5e-6);
        that((present ? actual.back() : actual[0]) == 7.0f, name + what + " is written outside its bounds");
        results.keep(name + what, actual);
    };
    result("y", y, want.y, true);
    result("last_state", last_state, want.last_state, c.with.last_state);
    result("checkpoints", checkpoints, want.checkpoints, true);
    result("du", du, want.du, true);
    result("ddelta", ddelta, want.ddelta, true);
    result("dA", dA, want.dA, true);
    result("dB", dB, want.dB, true);
    result("dC", dC, want.dC, true);
    result("dD", dD, want.dD, c.with.D);
    result("dz", dz, want.dz, c.with.z);
    result("ddelta_bias", ddelta_bias, want.ddelta_bias, c.with.delta_bias);
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        const Options all = {true, true, true, true, true}, none = {false, false, false, false, false};
        compare(kernels, results, Case(1, 1, 1, 1, 1, all));
        compare(kernels, results, Case(2, 5, 31, 4, 1, none));
        compare(kernels, results, Case(1, 16, 32, 16, 2, all));
        compare(kernels, results, Case(2, 24, 33, 16, 4, {true, false, true, true, false}));
        compare(kernels, results, Case(9, 33, 130, 16, 3, {false, true, false, true, true}));
        compare(kernels, results, Case(1, 40, 65, 20, 1, {true, false, true, false, true}));
        compare(kernels, results, Case(1, 66, 49, 33, 2, all));
        compare(kernels, results, Case(1, 5, 130, 16, 5, none));
        compare(kernels, results, Case(1, 20, 250, 16, 2, all));  // long enough for a GPU to cut it into segments
    });
}
