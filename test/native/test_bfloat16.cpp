// Activations that are kept as bfloat16: an operation on them gives what it gives on the same values kept as float32,
// up to one rounding of each result. (That the operations are right on float32, the other tests say.)
#include "../../native/cuda/storage.cuh"

#include "kernel_case.h"

namespace {

using medmamba::cuda::BFloat16;

// The floats that bfloat16 has.
float nearest(float x) { return medmamba::cuda::to_float(medmamba::cuda::rounded<BFloat16>(x)); }

Floats representable(int64_t count, uint32_t seed, float mean = 0, float spread = 1) {
    Floats values = normal_floats(count, seed, mean, spread);
    for (float& value : values) value = nearest(value);
    return values;
}

// An activation of an operation, as the one or the other.
class Kept {
public:
    Kept(int32_t dtype, const Floats& values) : dtype_(dtype), floats_(dtype == MM_FLOAT32 ? values : Floats()) {
        if (dtype == MM_BFLOAT16)
            for (float value : values) halves_.push_back(medmamba::cuda::rounded<BFloat16>(value));
    }
    Kept(int32_t dtype, int64_t count) : Kept(dtype, Floats((size_t)count, 3.0f)) {}

    float* data() {
        return dtype_ == MM_FLOAT32 ? floats_.data() : reinterpret_cast<float*>(halves_.data());
    }
    float* after(int64_t count) {
        return dtype_ == MM_FLOAT32 ? floats_.data() + count : reinterpret_cast<float*>(halves_.data() + count);
    }
    Floats values() const {
        Floats values = floats_;
        for (BFloat16 half : halves_) values.push_back(medmamba::cuda::to_float(half));
        return values;
    }

private:
    int32_t dtype_;
    Floats floats_;
    std::vector<BFloat16> halves_;
};

using Outcome = std::vector<Floats>;

// `run` makes everything anew and answers with all results; sums that an operation takes differ by their order.
template <class Run>
void compare(const std::string& name, Bytes& results, Run&& run, double of_sums = 1e-5) {
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
        append_bytes(results, actual[i]);
    }
}

// ---- products ------------------------------------------------------------------------------------------------

struct Product {
    int64_t batch, m, n, k, gap;  // gap: elements between the rows of all three
    bool b_is_kept = false, c_is_kept = true, accumulate = false;
};

void matmul_case(Kernels& kernels, const Product& c, bool transpose_a, bool transpose_b, Bytes& results) {
    const std::string name = "matmul (" + std::to_string(c.m) + ", " + std::to_string(c.n) + ", " +
                             std::to_string(c.k) + ")" + (transpose_a ? " A^T" : "") + (transpose_b ? " B^T" : "");
    compare(name, results, [&](int32_t dtype) {
        const int64_t a_rows = transpose_a ? c.k : c.m, b_rows = transpose_b ? c.n : c.k;
        const int64_t a_row = (transpose_a ? c.m : c.k) + c.gap, b_row = (transpose_b ? c.k : c.n) + c.gap;
        const int64_t c_row = c.n + c.gap;
        const int32_t b_dtype = c.b_is_kept ? dtype : MM_FLOAT32, c_dtype = c.c_is_kept ? dtype : MM_FLOAT32;
        Kept a(dtype, representable(c.batch * a_rows * a_row, 1));
        Kept b(b_dtype, representable(c.batch * b_rows * b_row, 2));
        Kept y(c_dtype, representable(c.batch * c.m * c_row, 3));
        const Floats bias = normal_floats(c.n, 4);
        mm_matmul_params p{};
        p.batch = c.batch, p.m = c.m, p.n = c.n, p.k = c.k;
        p.transpose_a = transpose_a, p.transpose_b = transpose_b, p.accumulate = c.accumulate;
        p.a_row = a_row, p.b_row = b_row, p.c_row = c_row;
        p.a_batch = a_rows * a_row, p.b_batch = b_rows * b_row, p.c_batch = c.m * c_row;
        p.a = a.data(), p.b = b.data(), p.c = y.data();
        p.bias = c.accumulate ? nullptr : bias.data();
        p.a_dtype = dtype, p.b_dtype = b_dtype, p.c_dtype = c_dtype;
        that(kernels.matmul(p) == MM_OK, name);
        return Outcome{y.values()};
    });
}

void convolution_case(Kernels& kernels, int64_t in, int64_t out, bool norm_in_front, bool x_is_kept,
                      Bytes& results) {
    const int64_t batch = 2, height = 7, width = 5, pixels = batch * height * width, gap = 3;
    const std::string name = "conv3x3 " + std::to_string(in) + " to " + std::to_string(out) + ": ";
    Floats scale = representable(in, 11), shift = representable(in, 12);
    // f(x) is rounded as well: here it is a value that needs no rounding.
    for (int64_t i = 0; i < in; ++i) scale[(size_t)i] = i % 2 ? 2.0f : -1.0f, shift[(size_t)i] = 0;
    const Floats weight = representable(in * out * 9, 13), bias = normal_floats(out, 14);
    const Floats x_values = representable(pixels * (in + gap), 15);
    const Floats dy_values = representable(pixels * (out + gap), 16);
    compare(name + "forward", results, [&](int32_t dtype) {
        const int32_t x_dtype = x_is_kept ? dtype : MM_FLOAT32;
        Kept x(x_dtype, x_values), y(dtype, pixels * (out + gap));
        mm_conv3x3_forward_params p{};
        p.batch = batch, p.height = height, p.width = width, p.in_channels = in, p.out_channels = out;
        p.x_row = in + gap, p.y_row = out + gap, p.input_relu = norm_in_front;
        p.x = x.data(), p.weight = weight.data(), p.bias = bias.data(), p.y = y.data();
        if (norm_in_front) p.input_scale = scale.data(), p.input_shift = shift.data();
        p.x_dtype = x_dtype, p.y_dtype = dtype;
        that(kernels.conv3x3_forward(p) == MM_OK, name + "status");
        return Outcome{y.values()};
    }, x_is_kept ? 1e-5 : 1e-2);  // of float32 x, this stream multiplies float32
    compare(name + "backward data", results, [&](int32_t dtype) {
        Kept dy(dtype, dy_values), dx(dtype, pixels * (in + gap));
        mm_conv3x3_backward_data_params p{};
        p.batch = batch, p.height = height, p.width = width, p.in_channels = in, p.out_channels = out;
        p.dy_row = out + gap, p.dx_row = in + gap;
        p.dy = dy.data(), p.weight = weight.data(), p.dx = dx.data();
        p.x_dtype = p.y_dtype = dtype;
        that(kernels.conv3x3_backward_data(p) == MM_OK, name + "status");
        return Outcome{dx.values()};
    });
    compare(name + "backward weight", results, [&](int32_t dtype) {
        const int32_t x_dtype = x_is_kept ? dtype : MM_FLOAT32;
        Kept x(x_dtype, x_values), dy(dtype, dy_values);
        Floats dweight(weight.size()), dbias((size_t)out);
        mm_conv3x3_backward_weight_params p{};
        p.batch = batch, p.height = height, p.width = width, p.in_channels = in, p.out_channels = out;
        p.x_row = in + gap, p.dy_row = out + gap, p.input_relu = norm_in_front;
        if (norm_in_front) p.input_scale = scale.data(), p.input_shift = shift.data();
        p.x = x.data(), p.dy = dy.data(), p.dweight = dweight.data(), p.dbias = dbias.data();
        p.x_dtype = x_dtype, p.y_dtype = dtype;
        that(kernels.conv3x3_backward_weight(p) == MM_OK, name + "status");
        return Outcome{dweight, dbias};
    });
}

void depthwise_case(Kernels& kernels, int64_t channels, int64_t gap, Bytes& results) {
    const int64_t batch = 2, height = 5, width = 19, pixels = batch * height * width;
    const std::string name = "depthwise3x3 " + std::to_string(channels);
    const Floats weight = normal_floats(channels * 9, 1), bias = normal_floats(channels, 2);
    compare(name + " forward", results, [&](int32_t dtype) {
        Kept x(dtype, representable(pixels * (channels + gap), 3)), y(dtype, pixels * channels);
        mm_depthwise3x3_forward_params p{};
        p.batch = batch, p.height = height, p.width = width, p.channels = channels, p.x_row = channels + gap;
        p.silu = 1, p.x = x.data(), p.weight = weight.data(), p.bias = bias.data(), p.y = y.data(), p.x_dtype = dtype;
        that(kernels.depthwise3x3_forward(p) == MM_OK, name);
        return Outcome{y.values()};
    });
    // The gradient before the SiLU is kept on the way, rounded too.
    compare(name + " backward", results, [&](int32_t dtype) {
        Kept x(dtype, representable(pixels * (channels + gap), 3)), dy(dtype, representable(pixels * channels, 4));
        Kept dx(dtype, pixels * (channels + gap));
        Floats dweight(weight.size()), dbias(bias.size());
        mm_depthwise3x3_backward_params p{};
        p.batch = batch, p.height = height, p.width = width, p.channels = channels;
        p.x_row = p.dx_row = channels + gap, p.silu = 1, p.x_dtype = dtype;
        p.x = x.data(), p.weight = weight.data(), p.bias = bias.data(), p.dy = dy.data();
        p.dx = dx.data(), p.dweight = dweight.data(), p.dbias = dbias.data();
        that(kernels.depthwise3x3_backward(p) == MM_OK, name);
        return Outcome{dx.values(), dweight, dbias};
    }, 4e-3);
}

// ---- norms ---------------------------------------------------------------------------------------------------

void layer_norm_case(Kernels& kernels, int64_t channels, bool gated, Bytes& results) {
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
        mm_layer_norm_forward_params f{};
        f.rows = rows, f.channels = channels, f.x_row = f.y_row = f.gate_row = row, f.eps = 1e-5f;
        f.x = x.after(channels), f.weight = weight.data(), f.bias = bias.data(), f.y = y.data();
        f.gate = gated ? gate.after(channels) : nullptr, f.statistics = statistics.data();
        f.x_dtype = x_dtype, f.y_dtype = dtype;
        that(kernels.layer_norm_forward(f) == MM_OK, name);
        mm_layer_norm_backward_params b{};
        b.rows = rows, b.channels = channels;
        b.x_row = b.dx_row = b.gate_row = b.dgate_row = b.dy_row = row, b.accumulate_dx = !gated;
        b.x = x.after(channels), b.weight = weight.data(), b.bias = bias.data(), b.statistics = statistics.data();
        b.gate = f.gate, b.dgate = gated ? dgate.after(channels) : nullptr, b.dy = dy.data();
        b.dx = dx.after(channels), b.dweight = dweight.data(), b.dbias = dbias.data();
        b.x_dtype = x_dtype, b.y_dtype = dtype;
        that(kernels.layer_norm_backward(b) == MM_OK, name);
        return Outcome{y.values(), dx.values(), dgate.values(), statistics, dweight, dbias};
    });
}

void batch_norm_case(Kernels& kernels, int64_t channels, bool x_is_kept, Bytes& results) {
    const int64_t rows = 300, row = channels + (channels % 4 ? 1 : 4);
    const std::string name = "batch_norm " + std::to_string(channels);
    const Floats weight = normal_floats(channels, 1, 1), bias = normal_floats(channels, 2);
    compare(name, results, [&](int32_t dtype) {
        const int32_t x_dtype = x_is_kept ? dtype : MM_FLOAT32;
        Kept x(x_dtype, representable(rows * row, 3)), y(dtype, rows * channels);
        Kept dy(dtype, representable(rows * channels, 4)), dx(x_dtype, representable(rows * row, 5));
        Floats statistics(2 * (size_t)channels), scale(weight.size()), shift(scale), dweight(scale), dbias(scale);
        mm_batch_norm_statistics_params s{};
        s.rows = rows, s.channels = channels, s.x_row = row, s.eps = 1e-5f, s.x = x.data(), s.x_dtype = x_dtype;
        s.weight = weight.data(), s.bias = bias.data(), s.statistics = statistics.data();
        s.scale = scale.data(), s.shift = shift.data();
        that(kernels.batch_norm_statistics(s) == MM_OK, name);
        mm_channel_affine_params a{};
        a.rows = rows, a.channels = channels, a.x_row = row, a.relu = 1, a.x = x.data(), a.scale = scale.data();
        a.shift = shift.data(), a.y = y.data(), a.x_dtype = x_dtype, a.y_dtype = dtype;
        that(kernels.channel_affine(a) == MM_OK, name);
        mm_batch_norm_backward_params b{};
        b.rows = rows, b.channels = channels, b.x_row = b.dx_row = row, b.training = b.relu = 1;
        b.accumulate_dx = !x_is_kept, b.x = x.data(), b.statistics = statistics.data(), b.scale = scale.data();
        b.shift = shift.data(), b.dy = dy.data(), b.dx = dx.data(), b.dweight = dweight.data();
        b.dbias = dbias.data(), b.x_dtype = x_dtype, b.y_dtype = dtype;
        that(kernels.batch_norm_backward(b) == MM_OK, name);
        return Outcome{statistics, scale, shift, y.values(), dx.values(), dweight, dbias};
    });
}

void reduce_case(Kernels& kernels, int64_t outer, int64_t reduced, int64_t inner, Bytes& results) {
    compare("reduce", results, [&](int32_t dtype) {
        Kept x(dtype, representable(outer * reduced * inner, 1));
        Floats y((size_t)(outer * inner));
        that(kernels.reduce({outer, reduced, inner, 0.5f, x.data(), y.data(), dtype}) == MM_OK, "reduce");
        return Outcome{y};
    });
}

void shuffle_case(Kernels& kernels, int64_t pixels, int64_t half, Bytes& results) {
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
               Bytes& results) {
    const int64_t batch = 2, pixels = height * width, columns = rank + 2 * states;
    const std::string name = "scan4 " + std::to_string(height) + " x " + std::to_string(width) + ", " +
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
        mm_scan4_forward_params f{};
        f.batch = batch, f.height = height, f.width = width, f.channels = channels, f.states = states, f.rank = rank;
        f.u = u.data(), f.projected = projected.data(), f.dt_weight = dt_weight.data(), f.dt_bias = dt_bias.data();
        f.A_log = A_log.data(), f.skip = skip.data(), f.y = y.data(), f.checkpoints = checkpoints.data();
        f.x_dtype = dtype;
        that(kernels.scan4_forward(f) == MM_OK, name);
        mm_scan4_backward_params b{};
        b.batch = batch, b.height = height, b.width = width, b.channels = channels, b.states = states, b.rank = rank;
        b.u = u.data(), b.projected = projected.data(), b.dt_weight = dt_weight.data(), b.dt_bias = dt_bias.data();
        b.A_log = A_log.data(), b.skip = skip.data(), b.checkpoints = checkpoints.data(), b.dy = dy.data();
        b.du = du.data(), b.dprojected = dprojected.data(), b.ddt_weight = ddt_weight.data();
        b.ddt_bias = ddt_bias.data(), b.dA_log = dA_log.data(), b.dskip = dskip.data(), b.x_dtype = dtype;
        that(kernels.scan4_backward(b) == MM_OK, name);
        return Outcome{y.values(),  du.values(), dprojected.values(), checkpoints,
                       ddt_weight,  ddt_bias,    dA_log,              dskip};
    }, 4e-3);
}

}  // namespace

int main() {
    return run_on_one_thread_and_two([](Kernels& kernels, Bytes& results) {
        for (const bool transpose_a : {false, true}) {
            for (const bool transpose_b : {false, true}) {
                // Rows at multiples of 16, 8, 4 and 2 bytes; one and several tiles and steps of k; the sum in ranges.
                matmul_case(kernels, {1, 70, 96, 48, 0}, transpose_a, transpose_b, results);
                matmul_case(kernels, {1, 140, 72, 140, 0, true, false}, transpose_a, transpose_b, results);
                matmul_case(kernels, {2, 34, 22, 38, 0, true, true, true}, transpose_a, transpose_b, results);
                matmul_case(kernels, {2, 33, 67, 75, 4, false, true, true}, transpose_a, transpose_b, results);
                matmul_case(kernels, {1, 9, 21, 1500, 1, true}, transpose_a, transpose_b, results);
            }
        }
        matmul_case(kernels, {1, 2200, 500, 24, 0, false}, false, true, results);  // tiles of 128 rows
        matmul_case(kernels, {1, 3, 5, 0, 0}, false, false, results);
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
        scan_case(kernels, 5, 7, 48, 16, 6, results);
        scan_case(kernels, 9, 8, 20, 16, 1, results);
        scan_case(kernels, 5, 7, 7, 5, 2, results);
        scan_case(kernels, 4, 9, 33, 20, 5, results);
        scan_case(kernels, 37, 11, 8, 16, 1, results);
    });
}
