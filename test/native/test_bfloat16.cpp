// Activations that are kept as bfloat16: an operation on them gives what it gives on the same values kept as float32,
// up to one rounding of each result. (That the operations are right on float32, the other tests say.)
#include "support/convolution.h"
#include "support/kept.h"
#include "support/kernel_case.h"
#include "support/matrix_product.h"
#include "support/norms.h"
#include "support/scan4.h"

namespace {

using Outcome = std::vector<Floats>;

// `run` makes everything anew and answers with all results; sums that an operation takes differ by their order.
template <class Run>
void compare(const std::string& name, Recorded& results, Run&& run, double of_sums = 1e-5) {
    const Outcome wanted = run(MM_FLOAT32), actual = run(MM_BFLOAT16);
    for (size_t i = 0; i < wanted.size(); ++i) {
        double largest = 0;
        for (float value : wanted[i]) largest = std::fmax(largest, std::fabs(value));
        bool right = actual[i].size() == wanted[i].size() && largest > 0;
        for (size_t j = 0; j < wanted[i].size() && right; ++j) {
            const double error = std::fabs((double)actual[i][j] - (double)wanted[i][j]);
            right = error <= std::fabs(wanted[i][j]) / 256 + of_sums * largest;
            if (!right)
                std::printf("element %zu of result %zu is %g, expected %g\n", j, i, actual[i][j], wanted[i][j]);
        }
        that(right, name);
        results.keep(name, actual[i]);
    }
}

// ---- products ------------------------------------------------------------------------------------------------

// Which of b and c are kept as bfloat16; a always is.
struct Kinds {
    bool b, c;
};

void matmul_case(Kernels& kernels, const MatrixProduct& shape, Kinds kept, Recorded& results) {
    const std::string name = shape.name();
    compare(name, results, [&](int32_t dtype) {
        MatrixProduct product = shape;
        product.a_dtype = dtype;
        product.b_dtype = kept.b ? dtype : MM_FLOAT32;
        product.c_dtype = kept.c ? dtype : MM_FLOAT32;
        Kept a(product.a_dtype, representable(shape.all_a_rows() * shape.a_row(), 1));
        Kept b(product.b_dtype, representable(shape.all_b_rows() * shape.b_row(), 2));
        Kept y(product.c_dtype, representable(shape.all_c_rows() * shape.c_row(), 3));
        const Floats bias = normal_floats(shape.n, 4);
        that(kernels.matmul(product.parameters(a.data(), b.data(), shape.accumulate ? nullptr : bias.data(),
                                               y.data())) == MM_OK,
             name);
        return Outcome{y.values()};
    });
}

MatrixProduct accumulating_with_relu(MatrixProduct product) { return product.accumulate = product.relu = true, product; }

void convolution_case(Kernels& kernels, int64_t in, int64_t out, bool norm_in_front, bool x_is_kept,
                      Recorded& results) {
    constexpr int64_t gap = 3;
    const Image image{2, 7, 5};
    const int64_t pixels = image.pixels();
    const std::string name = "conv3x3 " + std::to_string(in) + " to " + std::to_string(out) + ": ";
    Floats scale = representable(in, 11), shift = representable(in, 12);
    // f(x) is rounded as well: here it is a value that needs no rounding.
    for (int64_t i = 0; i < in; ++i) scale[(size_t)i] = i % 2 ? 2.0f : -1.0f, shift[(size_t)i] = 0;
    const Floats weight = representable(in * out * 9, 13), bias = normal_floats(out, 14);
    const Floats x_values = representable(pixels * (in + gap), 15);
    const Floats dy_values = representable(pixels * (out + gap), 16);

    Conv3x3 conv{image, in, out, in + gap, out + gap, nullptr, weight.data(), bias.data()};
    conv.input_relu = norm_in_front;
    if (norm_in_front) conv.input_scale = scale.data(), conv.input_shift = shift.data();
    compare(name + "forward", results, [&](int32_t dtype) {
        conv.x_dtype = x_is_kept ? dtype : MM_FLOAT32;
        conv.y_dtype = dtype;
        Kept x(conv.x_dtype, x_values), y(dtype, pixels * (out + gap));
        conv.x = x.data();
        that(kernels.conv3x3_forward(conv.forward(y.data())) == MM_OK, name + "status");
        return Outcome{y.values()};
    }, x_is_kept ? 1e-5 : 1e-2);  // of float32 x, this stream multiplies float32
    compare(name + "backward data", results, [&](int32_t dtype) {
        conv.x_dtype = conv.y_dtype = dtype;
        Kept dy(dtype, dy_values), dx(dtype, pixels * (in + gap));
        conv.dy = dy.data();
        that(kernels.conv3x3_backward_data(conv.backward_data(dx.data())) == MM_OK, name + "status");
        return Outcome{dx.values()};
    });
    compare(name + "backward weight", results, [&](int32_t dtype) {
        conv.x_dtype = x_is_kept ? dtype : MM_FLOAT32;
        conv.y_dtype = dtype;
        Kept x(conv.x_dtype, x_values), dy(dtype, dy_values);
        Floats dweight(weight.size()), dbias((size_t)out);
        conv.x = x.data(), conv.dy = dy.data();
        that(kernels.conv3x3_backward_weight(conv.backward_weight(dweight.data(), dbias.data())) == MM_OK,
             name + "status");
        return Outcome{dweight, dbias};
    });
}

void depthwise_case(Kernels& kernels, int64_t channels, int64_t gap, Recorded& results) {
    const Image image{2, 5, 19};
    const int64_t pixels = image.pixels();
    const std::string name = "depthwise3x3 " + std::to_string(channels);
    const Floats weight = normal_floats(channels * 9, 1), bias = normal_floats(channels, 2);
    Depthwise3x3 conv{image, channels, channels + gap, 0, nullptr, weight.data(), bias.data()};
    conv.silu = true;
    compare(name + " forward", results, [&](int32_t dtype) {
        Kept x(dtype, representable(pixels * (channels + gap), 3)), y(dtype, pixels * channels);
        conv.x = x.data(), conv.dtype = dtype;
        that(kernels.depthwise3x3_forward(conv.forward(y.data())) == MM_OK, name);
        return Outcome{y.values()};
    });
    // The gradient before the SiLU is kept on the way, rounded too.
    compare(name + " backward", results, [&](int32_t dtype) {
        Kept x(dtype, representable(pixels * (channels + gap), 3)), dy(dtype, representable(pixels * channels, 4));
        Kept dx(dtype, pixels * (channels + gap));
        Floats dweight(weight.size()), dbias(bias.size());
        conv.x = x.data(), conv.dy = dy.data(), conv.dtype = dtype;
        that(kernels.depthwise3x3_backward(conv.backward(dx.data(), dweight.data(), dbias.data())) == MM_OK, name);
        return Outcome{dx.values(), dweight, dbias};
    }, 4e-3);
}

// ---- norms ---------------------------------------------------------------------------------------------------

void layer_norm_case(Kernels& kernels, int64_t channels, bool gated, Recorded& results) {
    const int64_t rows = 21, row = 2 * channels;
    const std::string name = "layer_norm " + std::to_string(channels) + (gated ? " gated" : "");
    const Floats weight = normal_floats(channels, 1, 1), bias = normal_floats(channels, 2);
    compare(name, results, [&](int32_t dtype) {
        // Without a gate x is the residual stream, which is float32.
        const int32_t x_dtype = gated ? dtype : MM_FLOAT32;
        Kept x(x_dtype, representable(rows * row, 3)), gate(dtype, representable(rows * row, 4));
        Kept y(dtype, rows * row), dy(dtype, representable(rows * row, 5)), dgate(dtype, rows * row);
        Kept dx(x_dtype, representable(rows * row, 6));
        Floats statistics((size_t)rows * 2), dweight((size_t)channels), dbias((size_t)channels);
        const LayerNorm norm{rows, channels, row, row, row, row, row, 1e-5f, x.after(channels), weight.data(),
                             bias.data(), gated ? gate.after(channels) : nullptr, dy.data(), x_dtype, dtype};
        that(kernels.layer_norm_forward(norm.forward(y.data(), statistics.data())) == MM_OK, name);
        that(kernels.layer_norm_backward(norm.backward(statistics.data(), dx.after(channels), dweight.data(),
                                                       dbias.data(), gated ? dgate.after(channels) : nullptr,
                                                       !gated)) == MM_OK,
             name);
        return Outcome{y.values(), dx.values(), dgate.values(), statistics, dweight, dbias};
    });
}

void batch_norm_case(Kernels& kernels, int64_t channels, bool x_is_kept, Recorded& results) {
    const int64_t rows = 300, row = channels + (channels % 4 ? 1 : 4);
    const std::string name = "batch_norm " + std::to_string(channels);
    const Floats weight = normal_floats(channels, 1, 1), bias = normal_floats(channels, 2);
    compare(name, results, [&](int32_t dtype) {
        const int32_t x_dtype = x_is_kept ? dtype : MM_FLOAT32;
        Kept x(x_dtype, representable(rows * row, 3)), y(dtype, rows * channels);
        Kept dy(dtype, representable(rows * channels, 4)), dx(x_dtype, representable(rows * row, 5));
        Floats statistics(2 * (size_t)channels), scale(weight.size()), shift(scale), dweight(scale), dbias(scale);
        const BatchNorm norm{rows, channels, row, 0, 0, 1e-5f, x.data(), weight.data(), bias.data(), dy.data(),
                             x_dtype, dtype};
        that(kernels.batch_norm_statistics(norm.of_batch(statistics.data(), scale.data(), shift.data())) == MM_OK,
             name);
        that(kernels.channel_affine(norm.applied(scale.data(), shift.data(), y.data(), true)) == MM_OK, name);
        that(kernels.batch_norm_backward(norm.backward(statistics.data(), scale.data(), shift.data(), dx.data(),
                                                       dweight.data(), dbias.data(), true, true, !x_is_kept)) == MM_OK,
             name);
        return Outcome{statistics, scale, shift, y.values(), dx.values(), dweight, dbias};
    });
}

void reduce_case(Kernels& kernels, int64_t outer, int64_t reduced, int64_t inner, Recorded& results) {
    compare("reduce", results, [&](int32_t dtype) {
        Kept x(dtype, representable(outer * reduced * inner, 1));
        Floats y((size_t)(outer * inner));
        that(kernels.reduce({outer, reduced, inner, 0.5f, x.data(), y.data(), dtype}) == MM_OK, "reduce");
        return Outcome{y};
    });
}

void shuffle_case(Kernels& kernels, int64_t pixels, int64_t half, Recorded& results) {
    const int64_t batch = 2, pairs = batch * pixels * half;
    const Floats x = normal_floats(2 * pairs, 1), path_scale = {0.0f, 2.0f};
    compare("shuffle_residual", results, [&](int32_t dtype) {
        Kept left(dtype, representable(pairs, 2)), right(dtype, representable(pairs, 3));
        Kept dleft(dtype, pairs), dright(dtype, pairs);
        Floats y(x.size()), dx(x.size());
        that(kernels.shuffle_residual_forward({batch, pixels, 2 * half, left.data(), right.data(), x.data(),
                                               path_scale.data(), y.data(), dtype}) == MM_OK, "shuffle_residual");
        that(kernels.shuffle_residual_backward({batch, pixels, 2 * half, left.data(), path_scale.data(), x.data(),
                                                dleft.data(), dright.data(), dx.data(), dtype}) == MM_OK,
             "shuffle_residual_backward");
        return Outcome{y, dx, dleft.values(), dright.values()};
    });
}

// ---- the scan ------------------------------------------------------------------------------------------------

void scan_case(Kernels& kernels, int64_t height, int64_t width, int64_t channels, int64_t states, int64_t rank,
               Recorded& results, int64_t batch = 2) {
    const int64_t pixels = height * width, columns = rank + 2 * states;
    const std::string name = "scan4 " + std::to_string(batch) + " x " + std::to_string(height) + " x " + std::to_string(width) + ", " +
                             std::to_string(channels) + " channels, " + std::to_string(states) + " states";
    const Floats dt_weight = normal_floats(4 * channels * rank, 3, 0, 0.5f);
    const Floats dt_bias = normal_floats(4 * channels, 4, -4, 1), skip = normal_floats(4 * channels, 6);
    const Floats A_log = normal_floats(4 * channels * states, 5, 1, 1);
    // The directions' parts of y, du and dprojected are kept before they are added.
    compare(name, results, [&](int32_t dtype) {
        Kept u(dtype, representable(batch * pixels * channels, 1)), y(dtype, batch * pixels * channels);
        Kept projected(dtype, representable(batch * pixels * 4 * columns, 2));
        Kept dy(dtype, representable(batch * pixels * channels, 7)), du(dtype, batch * pixels * channels);
        Kept dprojected(dtype, batch * pixels * 4 * columns);
        Floats checkpoints((size_t)checkpoint_count(batch, height, width, channels, states));
        Floats ddt_weight(dt_weight.size()), ddt_bias(dt_bias.size()), dA_log(A_log.size()), dskip(skip.size());
        const Scan4 scan{batch, height, width, channels, states, rank, u.data(), projected.data(), dt_weight.data(),
                         dt_bias.data(), A_log.data(), skip.data(), dy.data(), dtype};
        that(kernels.scan4_forward(scan.forward(y.data(), checkpoints.data())) == MM_OK, name);
        that(kernels.scan4_backward(scan.backward(checkpoints.data(), du.data(), dprojected.data(), ddt_weight.data(),
                                                  ddt_bias.data(), dA_log.data(), dskip.data())) == MM_OK,
             name);
        return Outcome{y.values(),  du.values(), dprojected.values(), checkpoints,
                       ddt_weight,  ddt_bias,    dA_log,              dskip};
    }, 4e-3);
    // The states are float32, of inputs that are the same: only delta differs, by 6e-5 of its softplus.
    Floats states_of[2];
    for (const int32_t dtype : {MM_FLOAT32, MM_BFLOAT16}) {
        Kept u(dtype, representable(batch * pixels * channels, 1)), y(dtype, batch * pixels * channels);
        Kept projected(dtype, representable(batch * pixels * 4 * columns, 2));
        Floats& checkpoints = states_of[dtype == MM_BFLOAT16];
        checkpoints.resize((size_t)checkpoint_count(batch, height, width, channels, states));
        const Scan4 scan{batch, height, width, channels, states, rank, u.data(), projected.data(), dt_weight.data(),
                         dt_bias.data(), A_log.data(), skip.data(), nullptr, dtype};
        that(kernels.scan4_forward(scan.forward(y.data(), checkpoints.data())) == MM_OK, name);
    }
    double error = 0, largest = 0;
    for (size_t i = 0; i < states_of[0].size(); ++i) {
        error = std::fmax(error, std::fabs((double)states_of[0][i] - (double)states_of[1][i]));
        largest = std::fmax(largest, std::fabs((double)states_of[0][i]));
    }
    that(error <= 6e-5 * largest, name + ": checkpoints");
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Recorded& results) {
        for (const bool transpose_a : {false, true}) {
            for (const bool transpose_b : {false, true}) {
                // In this layout.
                const auto product = [&](int64_t batch, int64_t m, int64_t n, int64_t k, int64_t gap = 0) {
                    return MatrixProduct{batch, m, n, k, transpose_a, transpose_b, gap};
                };
                const auto accumulating = [](MatrixProduct c) { return c.accumulate = true, c; };
                // Rows at multiples of 16, 8, 4 and 2 bytes; one and several tiles and steps of k; the sum in ranges.
                matmul_case(kernels, product(1, 70, 96, 48), {false, true}, results);
                matmul_case(kernels, product(1, 140, 72, 140), {true, false}, results);
                matmul_case(kernels, accumulating(product(2, 34, 22, 38)), {true, true}, results);
                matmul_case(kernels, accumulating(product(2, 33, 67, 75, 4)), {false, true}, results);
                matmul_case(kernels, product(1, 9, 21, 1500, 1), {true, true}, results);
            }
        }
        matmul_case(kernels, {1, 2200, 500, 24, false, true}, {false, true}, results);  // tiles of 128 rows
        // Hopper's tiles of every width; several matrices with a B of their own, and with one for all.
        for (const int64_t n : {40, 64, 90, 128, 180}) matmul_case(kernels, {1, 70, n, 520, false, true}, {false, true}, results);
        matmul_case(kernels, {3, 70, 50, 96, false, false, 8}, {true, false}, results);
        matmul_case(kernels, accumulating_with_relu({5, 30, 50, 72, false, true, 8, true}), {false, true}, results);
        matmul_case(kernels, {1, 3, 5, 0}, {false, true}, results);
        for (const bool norm_in_front : {false, true}) {
            convolution_case(kernels, 16, 24, norm_in_front, true, results);
            convolution_case(kernels, 11, 7, norm_in_front, true, results);
            convolution_case(kernels, 20, 12, norm_in_front, false, results);
        }
        for (const int64_t channels : {64, 34, 7}) depthwise_case(kernels, channels, channels, results);
        depthwise_case(kernels, 8, 1, results);
        for (const int64_t channels : {6, 33, 96, 384, 1100}) {
            layer_norm_case(kernels, channels, false, results);
            layer_norm_case(kernels, channels, true, results);
        }
        for (const int64_t channels : {7, 48, 70}) {
            batch_norm_case(kernels, channels, true, results);
            batch_norm_case(kernels, channels, false, results);
        }
        reduce_case(kernels, 1, 700, 40, results);
        reduce_case(kernels, 3, 50, 1, results);
        reduce_case(kernels, 2, 1500, 1, results);
        shuffle_case(kernels, 6, 8, results);
        shuffle_case(kernels, 5, 3, results);
        scan_case(kernels, 7, 6, 96, 16, 3, results);
        scan_case(kernels, 5, 7, 48, 16, 8, results);
        scan_case(kernels, 9, 8, 20, 16, 1, results);
        scan_case(kernels, 5, 7, 7, 5, 2, results);
        scan_case(kernels, 4, 9, 33, 20, 5, results);
        scan_case(kernels, 37, 11, 8, 16, 1, results);
        // Enough channels for a GPU to give a thread more of them.
        scan_case(kernels, 5, 7, 96, 16, 6, results, 86);
        scan_case(kernels, 5, 7, 64, 16, 9, results, 128);
    });
}
