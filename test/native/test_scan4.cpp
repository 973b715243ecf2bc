// The four-direction scan and its gradient against the scan of each channel in double.
#include "support/kernel_case.h"
#include "support/naive_scan.h"
#include "support/scan4.h"

namespace {

struct Case {
    int64_t batch, height, width, channels, states, rank;
    int64_t pixels = height * width, columns = rank + 2 * states;
    Floats u, projected, dt_weight, dt_bias, A_log, skip, dy;

    Case(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states, int64_t rank)
        : batch(batch), height(height), width(width), channels(channels), states(states), rank(rank),
          u(normal_floats(batch * pixels * channels, 1)), projected(normal_floats(batch * pixels * 4 * columns, 2)),
          dt_weight(normal_floats(4 * channels * rank, 3, 0, 0.5f)), dt_bias(normal_floats(4 * channels, 4, -4, 1)),
          A_log(normal_floats(4 * channels * states, 5, 1, 1)), skip(normal_floats(4 * channels, 6)),
          dy(normal_floats(batch * pixels * channels, 7)) {}

    Scan4 operation() const {
        return {batch, height, width, channels, states, rank, u.data(), projected.data(), dt_weight.data(),
                dt_bias.data(), A_log.data(), skip.data(), dy.data()};
    }

    int64_t visited(int64_t direction, int64_t step) const {
        if (direction >= 2) step = pixels - 1 - step;
        return direction % 2 == 0 ? step : step % height * width + step / height;
    }
};

struct Expected {
    Doubles y, du, dprojected, ddt_weight, ddt_bias, dA_log, dskip;

    explicit Expected(const Case& c)
        : y(c.u.size()), du(c.u.size()), dprojected(c.projected.size()), ddt_weight(c.dt_weight.size()),
          ddt_bias(c.dt_bias.size()), dA_log(c.A_log.size()), dskip(c.skip.size()) {
        NaiveScan scan(c.pixels, c.states);
        Doubles pre((size_t)c.pixels);
        for (int64_t image = 0; image < c.batch; ++image)
            for (int64_t k = 0; k < 4; ++k)
                for (int64_t d = 0; d < c.channels; ++d) add(c, scan, pre, image, k, d);
    }

    void add(const Case& c, NaiveScan& scan, Doubles& pre, int64_t image, int64_t k, int64_t d) {
        const int64_t channel = k * c.channels + d, N = c.states, R = c.rank;
        scan.reset();
        const auto place = [&](int64_t t) { return (image * c.pixels + c.visited(k, t)) * c.channels + d; };
        const auto row = [&](int64_t t) { return ((image * c.pixels + c.visited(k, t)) * 4 + k) * c.columns; };
        for (int64_t n = 0; n < N; ++n) scan.A[n] = -std::exp((double)c.A_log[channel * N + n]);
        for (int64_t t = 0; t < c.pixels; ++t) {
            pre[t] = c.dt_bias[channel];
            for (int64_t r = 0; r < R; ++r) pre[t] += (double)c.dt_weight[channel * R + r] * c.projected[row(t) + r];
            scan.delta[t] = naive_softplus(pre[t]);
            scan.u[t] = c.u[place(t)];
            scan.dy[t] = c.dy[place(t)];
            for (int64_t n = 0; n < N; ++n) {
                scan.B[t * N + n] = c.projected[row(t) + R + n];
                scan.C[t * N + n] = c.projected[row(t) + R + N + n];
            }
        }
        scan.forward();
        scan.backward();
        for (int64_t n = 0; n < N; ++n) dA_log[channel * N + n] += scan.dA[n] * scan.A[n];
        for (int64_t t = 0; t < c.pixels; ++t) {
            y[place(t)] += scan.y[t] + c.skip[channel] * scan.u[t];
            du[place(t)] += scan.du[t] + c.skip[channel] * scan.dy[t];
            dskip[channel] += scan.dy[t] * scan.u[t];
            const double dpre = scan.ddelta[t] * naive_sigmoid(pre[t]);
            ddt_bias[channel] += dpre;
            for (int64_t r = 0; r < R; ++r) {
                ddt_weight[channel * R + r] += dpre * c.projected[row(t) + r];
                dprojected[row(t) + r] += dpre * c.dt_weight[channel * R + r];
            }
            for (int64_t n = 0; n < N; ++n) {
                dprojected[row(t) + R + n] += scan.dB[t * N + n];
                dprojected[row(t) + R + N + n] += scan.dC[t * N + n];
            }
        }
    }
};

// Results are one float longer than they should be: what lies behind them must stay as it was.
Floats unwritten(size_t count) { return Floats(count + 1, 7.0f); }

struct Results {
    Floats y, checkpoints, du, dprojected, ddt_weight, ddt_bias, dA_log, dskip;

    Results(Kernels& kernels, const Case& c)
        : y(unwritten(c.u.size())),
          checkpoints(unwritten((size_t)checkpoint_count(c.batch, c.height, c.width, c.channels, c.states))),
          du(y), dprojected(unwritten(c.projected.size())), ddt_weight(unwritten(c.dt_weight.size())),
          ddt_bias(unwritten(c.dt_bias.size())), dA_log(unwritten(c.A_log.size())), dskip(unwritten(c.skip.size())) {
        const Scan4 scan = c.operation();
        that(kernels.scan4_forward(scan.forward(y.data(), nullptr)) == MM_OK, "scan4_forward");
        const Floats inference = y;
        that(kernels.scan4_forward(scan.forward(y.data(), checkpoints.data())) == MM_OK, "scan4_forward");
        that(std::memcmp(y.data(), inference.data(), y.size() * sizeof(float)) == 0, "checkpoints do not change y");
        that(kernels.scan4_backward(scan.backward(checkpoints.data(), du.data(), dprojected.data(), ddt_weight.data(),
                                                  ddt_bias.data(), dA_log.data(), dskip.data())) == MM_OK,
             "scan4_backward");
        for (const Floats* result : {&y, &checkpoints, &du, &dprojected, &ddt_weight, &ddt_bias, &dA_log, &dskip})
            that(result->back() == 7.0f, "nothing is written behind a result");
    }
};

void compare(Kernels& kernels, Recorded& results, const Case& c) {
    const Results got(kernels, c);
    const Expected want(c);
    const std::string name = "scan4 " + std::to_string(c.batch) + "x" + std::to_string(c.height) + "x" +
                             std::to_string(c.width) + "x" + std::to_string(c.channels) + ", " +
                             std::to_string(c.states) + " states, rank " + std::to_string(c.rank) + ": ";
    close(name + "y", got.y, want.y, 2e-6);
    close(name + "du", got.du, want.du, 5e-6);
    close(name + "dprojected", got.dprojected, want.dprojected, 5e-6);
    close(name + "ddt_weight", got.ddt_weight, want.ddt_weight, 5e-6);
    close(name + "ddt_bias", got.ddt_bias, want.ddt_bias, 5e-6);
    close(name + "dA_log", got.dA_log, want.dA_log, 5e-6);
    close(name + "dskip", got.dskip, want.dskip, 5e-6);
    results.keep(name + "results", got.y, got.du, got.dprojected, got.ddt_weight, got.ddt_bias, got.dA_log,
                 got.dskip);
}

// A step that is not a number spoils what comes after it in its own image, and nothing else.
void not_a_number(Kernels& kernels, Recorded&) {
    Case c(2, 3, 3, 20, 16, 2);
    c.u[4 * c.channels] = NAN;
    const Results got(kernels, c);
    that(std::isnan(got.y[0]), "NaN reaches pixels of its channel");
    that(!std::isnan(got.y[1]), "NaN stays in its channel");
    that(!std::isnan(got.y[(size_t)(c.pixels * c.channels)]), "NaN stays in its image");
    // A gradient that is not a number may spoil dB and dC of steps beside its own, but never without a sign: the
    // gradients of its channel's parameters are spoiled as well, and nothing of another image is.
    Case d(2, 5, 7, 20, 16, 2);
    d.dy[17 * d.channels + 3] = NAN;
    const Results gradients(kernels, d);
    for (int64_t k = 0; k < 4; ++k) {
        const int64_t channel = k * d.channels + 3;
        that(std::isnan(gradients.dA_log[(size_t)(channel * d.states)]), "NaN reaches dA_log of its channel");
        that(std::isnan(gradients.ddt_weight[(size_t)(channel * d.rank)]), "NaN reaches ddt_weight of its channel");
        that(std::isnan(gradients.ddt_bias[(size_t)channel]), "NaN reaches ddt_bias of its channel");
        that(!std::isnan(gradients.dA_log[(size_t)((channel + 1) * d.states)]), "NaN stays in its channel's dA_log");
        that(!std::isnan(gradients.ddt_weight[(size_t)((channel + 1) * d.rank)]), "NaN stays in its channel's ddt_weight");
        that(!std::isnan(gradients.ddt_bias[(size_t)channel + 1]), "NaN stays in its channel's ddt_bias");
    }
    bool other_image = true;
    for (size_t i = d.projected.size() / 2; i < d.projected.size(); ++i)
        other_image = other_image && !std::isnan(gradients.dprojected[i]);
    that(other_image, "NaN stays in its image's dprojected");
    for (float extreme : {INFINITY, -INFINITY, 1e30f, -1e30f}) {
        c.projected.assign(c.projected.size(), extreme);
        Results(kernels, c);
    }
}

// Some channels and steps decay to nothing, or nearly: exponents on both sides of where exp2 has to be clamped.
Case with_fast_decays(Case c) {
    for (size_t i = 0; i < c.A_log.size(); i += 7) c.A_log[i] += 4;
    for (size_t i = 0; i < c.dt_bias.size(); i += 3) c.dt_bias[i] += 8;
    return c;
}

#if defined(MM_TEST_CUDA)
// A copy of y for each direction, for the norm behind to add: their sum, in their order, has the bits of y.
void copies(Kernels& kernels, Recorded& results, const Case& c) {
    const std::string name = "copies of scan4 " + std::to_string(c.batch) + " x " + std::to_string(c.channels) + ": ";
    const int64_t count = copy_count(c.batch, c.height, c.width, c.channels, MM_FLOAT32), each = (int64_t)c.u.size();
    that(count == 4, name + "four of them");
    Floats y((size_t)each), apart((size_t)(count * each)), sum((size_t)each);
    that(kernels.scan4_forward(c.operation().forward(y.data(), nullptr)) == MM_OK, name + "sum");
    mm_scan4_forward_params params = c.operation().forward(apart.data(), nullptr);
    params.y_copies = count;
    that(kernels.scan4_forward(params) == MM_OK, name + "apart");
    for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] = apart[i];
        for (size_t k = 1; k < (size_t)count; ++k) sum[i] += apart[k * sum.size() + i];
    }
    same_bits(name + "their sum", sum, y);
    results.keep(name, apart);
    params.y_copies = 3;
    that(kernels.scan4_forward(params) == MM_UNSUPPORTED, name + "as many as there are, or one");
}

// Batches that are cut into runs of images: 7 in 4 of 1 or 2, long enough for segments, and 172 in 2 of 86, with as many
// channels each as a thread of 16 states wants.
void in_runs(Kernels& kernels, Recorded& results) {
    using medmamba::cuda::ImageRuns, medmamba::cuda::most_run_floats;
    const int64_t before = most_run_floats;
    most_run_floats = 2 * 4 * 14 * 17 * (33 + 2 * (3 + 32)) + 1;
    const Case in_four_runs(7, 14, 17, 33, 16, 3);
    compare(kernels, results, in_four_runs);
    that(copy_count(7, 14, 17, 33, MM_FLOAT32) == 1, "what is cut into runs is added by the scan");
    mm_scan4_forward_params apart = in_four_runs.operation().forward(nullptr, nullptr);
    apart.y_copies = 4;
    that(kernels.scan4_forward(apart) == MM_UNSUPPORTED, "runs leave no copies");
    most_run_floats = 86 * 4 * 2 * 3 * (96 + 3 * (6 + 32)) + 1;
    compare(kernels, results, Case(172, 2, 3, 96, 16, 6));
    // What a run has decides of the kernel, not the batch: its images have the bits that they have as a batch.
    most_run_floats = 43 * 4 * 2 * 3 * 96 + 1;
    const Case batch(86, 2, 3, 96, 16, 6);
    Case half(43, 2, 3, 96, 16, 6);
    half.u.assign(batch.u.begin(), batch.u.begin() + (ptrdiff_t)half.u.size());
    half.dy.assign(batch.dy.begin(), batch.dy.begin() + (ptrdiff_t)half.dy.size());
    half.projected.assign(batch.projected.begin(), batch.projected.begin() + (ptrdiff_t)half.projected.size());
    const Results of_batch(kernels, batch), of_half(kernels, half);
    const auto same = [](const Floats& a, const Floats& b, size_t count) {
        return std::memcmp(a.data(), b.data(), count * sizeof(float)) == 0;
    };
    that(same(of_batch.y, of_half.y, half.u.size()), "a run's y has the bits of a batch like it");
    that(same(of_batch.du, of_half.du, half.u.size()), "a run's du has the bits of a batch like it");
    that(same(of_batch.dprojected, of_half.dprojected, half.projected.size()),
         "a run's dprojected has the bits of a batch like it");
    most_run_floats = before;
    // Stage 1 of MedMamba-T at 224 pixels in bfloat16, batch 128, and twice as wide and high in float32.
    const ImageRuns headline(128, 4 * 56 * 56 * (96 + 3 * 35) / 2), large(128, 4 * 112 * 112 * (96 + 3 * 35));
    that(headline.count == 1, "the headline's batch is one run");
    that(large.count > 1 && large.first(large.count) == 128, "larger images need several runs, which are all of them");
    for (int64_t batch = 1; batch < 40; ++batch) {
        const ImageRuns runs(batch, most_run_floats / 7);
        bool even = runs.first(0) == 0 && runs.first(runs.count) == batch && runs.most_images() <= 7;
        for (int64_t run = 0; run < runs.count; ++run)
            even = even && runs.most_images() - runs.images(run) <= 1 && runs.images(run) <= runs.most_images();
        that(even, "runs of equal size, to an image");
    }
}
#endif

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        compare(kernels, results, Case(1, 1, 1, 1, 16, 1));
        compare(kernels, results, Case(2, 1, 7, 5, 16, 1));
        compare(kernels, results, Case(1, 7, 7, 16, 16, 2));
        compare(kernels, results, Case(1, 5, 11, 24, 16, 3));
        compare(kernels, results, Case(3, 1, 31, 33, 16, 17));
        compare(kernels, results, Case(1, 32, 1, 40, 4, 1));
        compare(kernels, results, Case(9, 3, 11, 17, 5, 2));
        compare(kernels, results, Case(2, 2, 3, 5, 1, 1));
        compare(kernels, results, Case(1, 13, 10, 33, 33, 6));
        compare(kernels, results, Case(1, 14, 17, 33, 16, 3));  // long enough for a GPU to cut it into segments
        compare(kernels, results, Case(1, 16, 14, 48, 16, 3));
        compare(kernels, results, Case(1, 12, 19, 80, 16, 5));
        compare(kernels, results, Case(1, 15, 15, 96, 16, 6));
        // Enough channels for a GPU to give a thread more of them.
        compare(kernels, results, Case(86, 5, 7, 96, 16, 6));
        compare(kernels, results, Case(128, 3, 3, 64, 20, 4));
        compare(kernels, results, Case(0, 3, 3, 4, 16, 1));
        compare(kernels, results, with_fast_decays(Case(1, 9, 8, 40, 16, 2)));
        not_a_number(kernels, results);
#if defined(MM_TEST_CUDA)
        copies(kernels, results, Case(2, 5, 11, 24, 16, 3));
        copies(kernels, results, Case(1, 14, 17, 33, 16, 3));
        copies(kernels, results, Case(86, 3, 2, 96, 16, 6));
        in_runs(kernels, results);
#endif
    });
}
