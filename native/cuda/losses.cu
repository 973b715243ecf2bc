// Losses over classes (cross entropy, focal) and over elements (binary cross entropy, mean squared error).
//
// Each loss is one sum in double: blocks leave their sums, and one block adds those in order. Losses over classes
// work on rows of logits, a warp a row (softmax_row.cuh): -log p[c] is log sum exp(x) - x[c], never the logarithm of
// a probability that may have underflowed; the probabilities themselves are kept for backward.
//
// A label is an index that only the device can check. One block looks at all of them first; what it finds is told by
// the next wait for the stream, and the kernels that follow do nothing.
#include "softmax_row.cuh"

namespace medmamba::cuda {

namespace {

struct BlockTotals {
    BlockSum<double, threads_per_block> first, second;
};

// Of the wrong labels the one of the first row is told, whichever thread saw it. *wrong_labels becomes whether there
// is any.
__global__ void __launch_bounds__(threads_per_block)
check_labels_kernel(const char* operation, const int64_t* labels, int64_t rows, int64_t classes, LabelError* error,
                    double* wrong_labels) {
    auto& first_of_thread = shared_memory<int64_t[threads_per_block]>();
    int64_t wrong = rows;
    for (int64_t n = threadIdx.x; n < rows && wrong == rows; n += threads_per_block) {
        if (labels[n] < 0 || labels[n] >= classes) wrong = n;
    }
    first_of_thread[threadIdx.x] = wrong;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (const int64_t row : first_of_thread) wrong = row < wrong ? row : wrong;
    *wrong_labels = wrong == rows ? 0.0 : 1.0;
    if (wrong == rows || error->operation) return;
    error->label = labels[wrong];
    error->row = wrong;
    error->classes = classes;
    error->operation = operation;
}

// Device memory of a loss over classes: whether labels are wrong, then `doubles` for its sums.
class CheckedLabels {
public:
    CheckedLabels(mm_stream* stream, const char* loss, const int64_t* labels, int64_t rows, int64_t classes,
                  int64_t doubles)
        : workspace_(stream, (1 + doubles) * 2), status_(workspace_.status()) {
        if (status_ != MM_OK) return;
        status_ = launch(stream, loss, check_labels_kernel, dim3(1), threads_per_block,
                         sizeof(int64_t[threads_per_block]), loss, labels, rows, classes, stream->label_error,
                         wrong());
    }
    mm_status status() const { return status_; }
    double* wrong() const { return reinterpret_cast<double*>(workspace_.data()); }
    double* sums() const { return wrong() + 1; }

private:
    Workspace workspace_;
    mm_status status_;
};

__device__ __forceinline__ double weight_of(const float* class_weights, int64_t label) {
    return class_weights ? class_weights[label] : 1.0;
}

// 1 - p[label] without the cancellation that would leave nothing of it where p[label] is nearly 1.
__device__ __forceinline__ float sum_of_others(const float* probabilities, int64_t classes, int64_t label) {
    float total = 0.0f;
    lane_channels(classes, [&](int64_t c) { total += c == label ? 0.0f : probabilities[c]; });
    return warp_sum(total);
}

// Sum over classes of w[c] x[c], or of w[c] alone.
__device__ __forceinline__ double weighted_sum(const float* x, const float* class_weights, int64_t classes) {
    double total = 0.0;
    lane_channels(classes, [&](int64_t c) {
        total += (class_weights ? class_weights[c] : 1.0) * (x ? (double)x[c] : 1.0);
    });
    return warp_sum(total);
}

// Blocks of a sum, by the number of rows or elements alone: up to 1024, which one block then adds.
dim3 blocks_for_sum(int64_t threads) {
    return dim3((unsigned)std::max<int64_t>(1, std::min<int64_t>(1024, ceil_div(threads, threads_per_block))));
}

// Every lane of a warp brings the warp's total.
__device__ __forceinline__ double block_sum_of_warps(double of_lanes, BlockSum<double, threads_per_block>& shared) {
    return block_sum(threadIdx.x % 32 == 0 ? of_lanes : 0.0, shared);
}

// loss = sum of partial / (sum of weights, or `divisor` if there are none).
__global__ void __launch_bounds__(threads_per_block)
mean_kernel(const double* wrong_labels, const double* partial, const double* weights, int64_t blocks, double divisor,
            float* loss) {
    if (wrong_labels && *wrong_labels != 0.0) return;
    auto& shared = shared_memory<BlockTotals>();
    const double total = finish_partials(partial, blocks, shared.first);
    if (weights) divisor = finish_partials(weights, blocks, shared.first);
    if (threadIdx.x == 0) *loss = (float)(total / divisor);
}

mm_status mean(mm_stream* stream, const char* what, const double* wrong_labels, const double* partial,
               const double* weights, dim3 blocks, int64_t count, float* loss) {
    return launch(stream, what, mean_kernel, dim3(1), threads_per_block, sizeof(BlockTotals), wrong_labels, partial,
                  weights, (int64_t)blocks.x, (double)count, loss);
}

// ---- over classes ---------------------------------------------------------------------------------------------

__global__ void __launch_bounds__(threads_per_block)
cross_entropy_kernel(mm_cross_entropy_forward_params p, const double* wrong_labels, double* partial,
                     double* weights) {
    if (*wrong_labels != 0.0) return;
    const double smoothing = p.label_smoothing;
    const double all_weights = weighted_sum(nullptr, p.class_weights, p.classes);
    double loss = 0.0, weight = 0.0;
    for (int64_t n = row_of_warp(); n < p.rows; n += rows_at_once()) {
        const float* x = p.logits + n * p.classes;
        const int64_t label = p.labels[n];
        const double log_sum = softmax_row(x, p.classes, p.probabilities + n * p.classes).log_sum_exp();
        const double own = weight_of(p.class_weights, label);
        weight += own;
        loss += (1.0 - smoothing) * own * (log_sum - x[label]);
        if (smoothing != 0.0) {
            loss += smoothing / (double)p.classes *
                    (all_weights * log_sum - weighted_sum(x, p.class_weights, p.classes));
        }
    }
    auto& shared = shared_memory<BlockTotals>();
    loss = block_sum_of_warps(loss, shared.first);
    weight = block_sum_of_warps(weight, shared.second);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = loss;
        weights[blockIdx.x] = weight;
    }
}

// Sum of the weights of all rows' labels: what the mean of cross entropy divides by.
__global__ void __launch_bounds__(threads_per_block)
total_weight_kernel(mm_cross_entropy_backward_params p, const double* wrong_labels, double* weight) {
    if (*wrong_labels != 0.0) return;
    double total = 0.0;
    for (int64_t n = threadIdx.x; n < p.rows; n += threads_per_block) {
        total += weight_of(p.class_weights, p.labels[n]);
    }
    total = block_sum(total, shared_memory<BlockTotals>().first);
    if (threadIdx.x == 0) *weight = total;
}

// With W the total weight: dx[c] = dloss / W [ (1-s) w[t] (p[c] - (c == t)) + s/K (p[c] sum w - w[c]) ].
__global__ void __launch_bounds__(threads_per_block)
cross_entropy_gradient_kernel(mm_cross_entropy_backward_params p, const double* wrong_labels, const double* weight) {
    if (*wrong_labels != 0.0) return;
    const double scale = *p.dloss / *weight, smoothing = p.label_smoothing;
    const double all_weights = weighted_sum(nullptr, p.class_weights, p.classes);
    const float towards_all = (float)(scale * smoothing / (double)p.classes);
    for (int64_t n = row_of_warp(); n < p.rows; n += rows_at_once()) {
        const float* probabilities = p.probabilities + n * p.classes;
        float* dx = p.dlogits + n * p.classes;
        const int64_t label = p.labels[n];
        const double towards_label = scale * (1.0 - smoothing) * weight_of(p.class_weights, label);
        const float slope = (float)(towards_label + scale * smoothing / (double)p.classes * all_weights);
        lane_channels(p.classes, [&](int64_t c) {
            const float w = p.class_weights ? p.class_weights[c] : 1.0f;
            const float all = slope * probabilities[c] - towards_all * w;
            dx[c] = c == label ? all - (float)towards_label : all;
        });
    }
}

__global__ void __launch_bounds__(threads_per_block)
focal_loss_kernel(mm_focal_loss_forward_params p, const double* wrong_labels, double* partial) {
    if (*wrong_labels != 0.0) return;
    double loss = 0.0;
    for (int64_t n = row_of_warp(); n < p.rows; n += rows_at_once()) {
        const float* x = p.logits + n * p.classes;
        float* probabilities = p.probabilities + n * p.classes;
        const int64_t label = p.labels[n];
        const double log_sum = softmax_row(x, p.classes, probabilities).log_sum_exp();
        const double others = sum_of_others(probabilities, p.classes, label);
        loss += weight_of(p.class_weights, label) * pow(others, (double)p.gamma) * (log_sum - x[label]);
    }
    loss = block_sum_of_warps(loss, shared_memory<BlockTotals>().first);
    if (threadIdx.x == 0) partial[blockIdx.x] = loss;
}

// With q = 1 - p[t]:  d loss / d log p[t] = w (gamma q^(gamma-1) p[t] log p[t] - q^gamma),
// and d log p[t] / dx[c] = (c == t) - p[c].
__global__ void __launch_bounds__(threads_per_block)
focal_loss_gradient_kernel(mm_focal_loss_backward_params p, const double* wrong_labels) {
    if (*wrong_labels != 0.0) return;
    const double scale = *p.dloss / (double)p.rows, gamma = p.gamma;
    for (int64_t n = row_of_warp(); n < p.rows; n += rows_at_once()) {
        const float* probabilities = p.probabilities + n * p.classes;
        float* dx = p.dlogits + n * p.classes;
        const int64_t label = p.labels[n];
        const double own = probabilities[label], others = sum_of_others(probabilities, p.classes, label);
        double slope = -pow(others, gamma);
        // Both factors' limits are 0 where a power or a logarithm is not finite.
        if (gamma != 0.0 && others != 0.0 && own != 0.0)
            slope += gamma * pow(others, gamma - 1.0) * own * (own > 0.5 ? log1p(-others) : log(own));
        slope *= scale * weight_of(p.class_weights, label);
        lane_channels(p.classes, [&](int64_t c) {
            dx[c] = c == label ? (float)(slope * others) : (float)-slope * probabilities[c];
        });
    }
}

// ---- over elements --------------------------------------------------------------------------------------------

// partial[block] = sum of term(a[i], b[i]).
template <class Term>
__global__ void __launch_bounds__(threads_per_block)
sum_kernel(int64_t count, bool vectorized, const float* a, const float* b, double* partial, Term term) {
    double total = 0.0;
    each_vector(count, vectorized, [&](int64_t i, auto width) {
        const auto v = load(a + i, width), w = load(b + i, width);
        for (int lane = 0; lane < width.value; ++lane) total += term(v.lane[lane], w.lane[lane]);
    });
    total = block_sum(total, shared_memory<BlockTotals>().first);
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

template <class Term>
mm_status mean_of(mm_stream* stream, const char* what, int64_t count, const float* a, const float* b, float* loss,
                  Term term) {
    const dim3 blocks = blocks_for_sum(ceil_div(count, 4));
    Workspace workspace(stream, (int64_t)blocks.x * 2);
    if (workspace.status() != MM_OK) return workspace.status();
    double* partial = reinterpret_cast<double*>(workspace.data());
    const mm_status status = launch(stream, what, sum_kernel<Term>, blocks, threads_per_block, sizeof(BlockTotals),
                                    count, vector_width(a, b) >= 4, a, b, partial, term);
    return status == MM_OK ? mean(stream, what, nullptr, partial, nullptr, blocks, count, loss) : status;
}

// dx[i] = *dloss slope(a[i], b[i]) / count.
template <class Slope>
__global__ void __launch_bounds__(threads_per_block)
slope_kernel(int64_t count, bool vectorized, const float* a, const float* b, const float* dloss, float* dx,
             Slope slope) {
    const float scale = (float)(*dloss / (double)count);
    each_vector(count, vectorized, [&](int64_t i, auto width) {
        auto v = load(a + i, width);
        const auto w = load(b + i, width);
        for (int lane = 0; lane < width.value; ++lane) v.lane[lane] = scale * slope(v.lane[lane], w.lane[lane]);
        store(dx + i, v);
    });
}

template <class Slope>
mm_status slopes_of(mm_stream* stream, const char* what, int64_t count, const float* a, const float* b,
                    const float* dloss, float* dx, Slope slope) {
    const bool vectorized = vector_width(a, b, dx) >= 4;
    return launch(stream, what, slope_kernel<Slope>, blocks_for_elements(stream, count, vectorized), threads_per_block,
                  0, count, vectorized, a, b, dloss, dx, slope);
}

// -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), and the two share their logarithm:
// softplus(+-x) = max(+-x, 0) + log(1 + exp(-|x|)).
struct BinaryCrossEntropy {
    float positive_weight;
    __device__ double operator()(float x, float t) const {
        const float shared = log1pf(expf(-fabsf(x)));
        const float positive = (x < 0.0f ? -x : 0.0f) + shared, negative = (x > 0.0f ? x : 0.0f) + shared;
        return positive_weight * t * positive + (1.0f - t) * negative;
    }
};

struct BinaryCrossEntropySlope {
    float positive_weight;
    __device__ float operator()(float x, float t) const {
        const float e = expf(-fabsf(x)), small = e / (1.0f + e), large = 1.0f / (1.0f + e);
        const float above = x < 0.0f ? small : large, below = x < 0.0f ? large : small;  // sigmoid(x), sigmoid(-x)
        return (1.0f - t) * above - positive_weight * t * below;
    }
};

struct SquaredError {
    __device__ double operator()(float x, float target) const {
        const double error = x - target;
        return error * error;
    }
};

struct SquaredErrorSlope {
    __device__ float operator()(float x, float target) const { return 2.0f * (x - target); }
};

}  // namespace

mm_status cross_entropy_forward(mm_stream* stream, const mm_cross_entropy_forward_params* p) {
    const char* what = "cross_entropy";
    const dim3 blocks = blocks_for_sum(p->rows * 32);
    const CheckedLabels labels(stream, what, p->labels, p->rows, p->classes, (int64_t)blocks.x * 2);
    if (labels.status() != MM_OK) return labels.status();
    double *partial = labels.sums(), *weights = partial + blocks.x;
    const mm_status status = launch(stream, what, cross_entropy_kernel, blocks, threads_per_block, sizeof(BlockTotals),
                                    *p, labels.wrong(), partial, weights);
    return status == MM_OK ? mean(stream, what, labels.wrong(), partial, weights, blocks, p->rows, p->loss) : status;
}

mm_status cross_entropy_backward(mm_stream* stream, const mm_cross_entropy_backward_params* p) {
    const char* what = "cross_entropy";
    const CheckedLabels labels(stream, what, p->labels, p->rows, p->classes, 1);
    if (labels.status() != MM_OK) return labels.status();
    const mm_status status = launch(stream, what, total_weight_kernel, dim3(1), threads_per_block, sizeof(BlockTotals),
                                    *p, labels.wrong(), labels.sums());
    if (status != MM_OK) return status;
    return launch(stream, what, cross_entropy_gradient_kernel, blocks_for_pass(stream, p->rows * 32),
                  threads_per_block, 0, *p, labels.wrong(), labels.sums());
}

mm_status focal_loss_forward(mm_stream* stream, const mm_focal_loss_forward_params* p) {
    const char* what = "focal_loss";
    const dim3 blocks = blocks_for_sum(p->rows * 32);
    const CheckedLabels labels(stream, what, p->labels, p->rows, p->classes, blocks.x);
    if (labels.status() != MM_OK) return labels.status();
    const mm_status status = launch(stream, what, focal_loss_kernel, blocks, threads_per_block, sizeof(BlockTotals),
                                    *p, labels.wrong(), labels.sums());
    return status == MM_OK ? mean(stream, what, labels.wrong(), labels.sums(), nullptr, blocks, p->rows, p->loss)
                           : status;
}

mm_status focal_loss_backward(mm_stream* stream, const mm_focal_loss_backward_params* p) {
    const char* what = "focal_loss";
    const CheckedLabels labels(stream, what, p->labels, p->rows, p->classes, 0);
    if (labels.status() != MM_OK) return labels.status();
    return launch(stream, what, focal_loss_gradient_kernel, blocks_for_pass(stream, p->rows * 32), threads_per_block,
                  0, *p, labels.wrong());
}

mm_status binary_cross_entropy_forward(mm_stream* stream, const mm_binary_cross_entropy_forward_params* p) {
    return mean_of(stream, "binary_cross_entropy", p->count, p->logits, p->targets, p->loss,
                   BinaryCrossEntropy{p->positive_weight});
}

mm_status binary_cross_entropy_backward(mm_stream* stream, const mm_binary_cross_entropy_backward_params* p) {
    return slopes_of(stream, "binary_cross_entropy", p->count, p->logits, p->targets, p->dloss, p->dlogits,
                     BinaryCrossEntropySlope{p->positive_weight});
}

mm_status mse_forward(mm_stream* stream, const mm_mse_forward_params* p) {
    return mean_of(stream, "mse", p->count, p->x, p->target, p->loss, SquaredError{});
}

mm_status mse_backward(mm_stream* stream, const mm_mse_backward_params* p) {
    return slopes_of(stream, "mse", p->count, p->x, p->target, p->dloss, p->dx, SquaredErrorSlope{});
}

}  // namespace medmamba::cuda
