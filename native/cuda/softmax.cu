// Softmax and log-softmax over the channels of each row, and their gradients:
//   y = softmax(x):      dx = y (dy - sum dy y)
//   y = log softmax(x):  dx = dy - exp(y) sum dy
// A warp has a row (softmax_row.cuh).
#include "softmax_row.cuh"

namespace medmamba::cuda {

namespace {

__global__ void __launch_bounds__(threads_per_block) forward_kernel(mm_softmax_forward_params p) {
    for (int64_t row = row_of_warp(); row < p.rows; row += rows_at_once()) {
        const float* x = p.x + row * p.channels;
        float* y = p.y + row * p.channels;
        if (!p.logarithm) {
            softmax_row(x, p.channels, y);
            continue;
        }
        const RowSum sums = exponential_sum(x, p.channels);
        const float log_sum = logf(sums.sum);
        lane_channels(p.channels, [&](int64_t c) { y[c] = (x[c] - sums.maximum) - log_sum; });
    }
}

__global__ void __launch_bounds__(threads_per_block) backward_kernel(mm_softmax_backward_params p) {
    for (int64_t row = row_of_warp(); row < p.rows; row += rows_at_once()) {
        const float *y = p.y + row * p.channels, *dy = p.dy + row * p.channels;
        float* dx = p.dx + row * p.channels;
        float products = 0.0f;
        lane_channels(p.channels, [&](int64_t c) { products += p.logarithm ? dy[c] : dy[c] * y[c]; });
        const float total = warp_sum(products);
        lane_channels(p.channels, [&](int64_t c) {
            dx[c] = p.logarithm ? dy[c] - expf(y[c]) * total : y[c] * (dy[c] - total);
        });
    }
}

}  // namespace

mm_status softmax_forward(mm_stream* stream, const mm_softmax_forward_params* p) {
    return launch(stream, "softmax_forward", forward_kernel, blocks_for_pass(stream, p->rows * 32), threads_per_block,
                  0, *p);
}

mm_status softmax_backward(mm_stream* stream, const mm_softmax_backward_params* p) {
    return launch(stream, "softmax_backward", backward_kernel, blocks_for_pass(stream, p->rows * 32),
                  threads_per_block, 0, *p);
}

}  // namespace medmamba::cuda
