// Softmax and log-softmax over the channels of each row, and their gradients:
//   y = softmax(x):      dx = y (dy - sum dy y)
//   y = log softmax(x):  dx = dy - exp(y) sum dy
// A row is one task's from the maximum to the division, so it stays in L1 between the three passes.
#include "softmax_row.h"

namespace medmamba::cpu::MM_SIMD {

mm_status softmax_forward(mm_stream* stream, const mm_softmax_forward_params* p) {
    const int64_t channels = p->channels;
    if (channels == 0) return MM_OK;
    parallel_ranges(stream, p->rows, rows_per_task(channels), [&](int64_t first, int64_t last, int) {
        for (int64_t row = first; row < last; ++row) {
            const float* x = p->x + row * channels;
            float* y = p->y + row * channels;
            if (!p->logarithm) {
                softmax_row(x, channels, y);
                continue;
            }
            const RowSum sums = exponential_sum(x, channels, nullptr);
            const float log_sum = (float)std::log((double)sums.sum);
            each_vector(channels, [&](int64_t c, auto part) {
                store(y + c, (load(x + c, part) - sums.maximum) - log_sum, part);
            });
        }
    });
    return MM_OK;
}

mm_status softmax_backward(mm_stream* stream, const mm_softmax_backward_params* p) {
    const int64_t channels = p->channels;
    if (channels == 0) return MM_OK;
    parallel_ranges(stream, p->rows, rows_per_task(channels), [&](int64_t first, int64_t last, int) {
        for (int64_t row = first; row < last; ++row) {
            const float *y = p->y + row * channels, *dy = p->dy + row * channels;
            float* dx = p->dx + row * channels;
            const bool logarithm = p->logarithm;
            vfloat products{};
            each_vector(channels, [&](int64_t c, auto part) {
                const vfloat g = load(dy + c, part);
                products += logarithm ? g : g * load(y + c, part);
            });
            const float total = sum(products);
            each_vector(channels, [&](int64_t c, auto part) {
                const vfloat g = load(dy + c, part), v = load(y + c, part);
                store(dx + c, logarithm ? g - exp(v) * total : v * (g - total), part);
            });
        }
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
