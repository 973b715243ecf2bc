// One step of an optimiser over all tensors of a model in one call, in PyTorch's formulas and order of operations.
//
// A model is hundreds of tensors from one element to a million. A launch takes up to 64 of them, their addresses
// among the kernel's parameters, so that nothing has to be uploaded first. Each tensor is cut in ranges of fixed
// size, and a block has one range of one tensor. Everything here is bound by memory: Adam reads four floats and
// writes three for each parameter.
#include <cmath>

#include "block_reduce.cuh"
#include "each_vector.cuh"

namespace medmamba::cuda {

namespace {

constexpr int tensors_per_launch = 64;
constexpr int64_t range_length = 16 * threads_per_block;

// Some tensors of each of `arrays` lists (parameters, gradients, ...). 64 tensors of four arrays are 3 KB of
// parameters, of the 4 that a kernel may have.
template <int arrays>
struct Tensors {
    int count;
    int first_block[tensors_per_launch + 1];
    int64_t elements[tensors_per_launch];
    float* array[arrays][tensors_per_launch];
};

// The part of a tensor that a block has: elements [first, last) of each array.
template <int arrays>
struct Part {
    int64_t first, last;
    float* array[arrays];
    bool vectorized;
};

template <int arrays>
__device__ __forceinline__ Part<arrays> part_of_block(const Tensors<arrays>& tensors) {
    const int block = (int)blockIdx.x;
    int low = 0, high = tensors.count;  // first_block[low] <= block < first_block[high]
    while (high - low > 1) {
        const int middle = (low + high) / 2;
        if (tensors.first_block[middle] <= block)
            low = middle;
        else
            high = middle;
    }
    Part<arrays> part;
    const int64_t elements = tensors.elements[low];
    part.first = (block - tensors.first_block[low]) * range_length;
    part.last = part.first + range_length < elements ? part.first + range_length : elements;
    part.vectorized = true;
    for (int a = 0; a < arrays; ++a) {
        part.array[a] = tensors.array[a][low];
        part.vectorized &= vector_width(part.array[a]) >= 4;
    }
    return part;
}

// Calls body(i, Width) for the part's elements, vectors first.
template <int arrays, class Body>
__device__ __forceinline__ void each_of_part(const Part<arrays>& part, Body&& body) {
    const int64_t vectors_end = part.vectorized ? part.first + (part.last - part.first) / 4 * 4 : part.first;
    for (int64_t i = part.first + 4 * threadIdx.x; i < vectors_end; i += 4 * threads_per_block) body(i, Width<4>{});
    for (int64_t i = vectors_end + threadIdx.x; i < part.last; i += threads_per_block) body(i, Width<1>{});
}

// Updates array 0 of each tensor, and others, in place: update(values), where values[a] is the element of array a,
// changes what it likes of the first `written` arrays. An array that is not there reads as zero.
template <int arrays, int written, class Update>
__global__ void __launch_bounds__(threads_per_block)
update_kernel(Tensors<arrays> tensors, Update update, const float* gradient_scale) {
    const Part<arrays> part = part_of_block(tensors);
    const float scale = gradient_scale ? *gradient_scale : 1.0f;
    each_of_part(part, [&](int64_t i, auto width) {
        constexpr int lanes = decltype(width)::value;
        Floats<lanes> v[arrays];
        for (int a = 0; a < arrays; ++a) {
            v[a] = part.array[a] ? load(part.array[a] + i, width) : broadcast(0.0f, width);
        }
        for (int lane = 0; lane < lanes; ++lane) {
            float values[arrays];
            for (int a = 0; a < arrays; ++a) values[a] = v[a].lane[lane];
            update(values, scale);
            for (int a = 0; a < written; ++a) v[a].lane[lane] = values[a];
        }
        for (int a = 0; a < written; ++a) {
            if (part.array[a]) store(part.array[a] + i, v[a]);
        }
    });
}

// Calls go(tensors, blocks) for the whole list, as many tensors at a time as a launch takes.
template <int arrays, class Go>
mm_status each_launch(const mm_tensor_list& list, const float* const* const (&lists)[arrays], Go&& go) {
    for (int64_t first = 0; first < list.tensor_count; first += tensors_per_launch) {
        Tensors<arrays> tensors{};
        tensors.count = (int)std::min<int64_t>(tensors_per_launch, list.tensor_count - first);
        for (int t = 0; t < tensors.count; ++t) {
            tensors.elements[t] = list.counts[first + t];
            tensors.first_block[t + 1] = tensors.first_block[t] + (int)ceil_div(tensors.elements[t], range_length);
            for (int a = 0; a < arrays; ++a) {
                tensors.array[a][t] = lists[a] ? const_cast<float*>(lists[a][first + t]) : nullptr;
            }
        }
        const mm_status status = go(tensors, dim3((unsigned)tensors.first_block[tensors.count]));
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

template <int arrays, int written, class Update>
mm_status update_all(mm_stream* stream, const char* what, const mm_tensor_list& list,
                     const float* const* const (&lists)[arrays], const float* gradient_scale, Update update) {
    return each_launch(list, lists, [&](const Tensors<arrays>& tensors, dim3 blocks) {
        return launch(stream, what, update_kernel<arrays, written, Update>, blocks, threads_per_block, 0, tensors,
                      update, gradient_scale);
    });
}

// g += weight_decay p;  b = first step ? g : momentum b + (1 - dampening) g;  g = nesterov ? g + momentum b : b;
// p -= learning_rate g.  Values: p, b, g.
struct Sgd {
    float momentum, decay, rate, undamped;
    bool has_buffer, first_step, nesterov;
    __device__ void operator()(float (&values)[3], float gradient_scale) const {
        float g = values[2] * gradient_scale;
        if (decay != 0.0f) g = g + decay * values[0];
        if (has_buffer) {
            const float b = first_step ? g : values[1] * momentum + undamped * g;
            values[1] = b;
            g = nesterov ? g + momentum * b : b;
        }
        values[0] = values[0] + rate * g;
    }
};

// m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;
// p -= learning_rate / (1 - beta1^step)  m / (sqrt(v) / sqrt(1 - beta2^step) + eps).
// Weight decay is added to the gradient (Adam) or shrinks the parameter first (AdamW).  Values: p, m, v, g.
struct Adam {
    float step_size, correction, shrink, decay, kept, fresh, eps, move;
    bool shrinks, from_moment;

    explicit Adam(const mm_adam_params& p) {
        step_size = (float)(-p.learning_rate / (1.0 - std::pow(p.beta1, (double)p.step)));
        correction = (float)std::sqrt(1.0 - std::pow(p.beta2, (double)p.step));
        shrink = (float)(1.0 - p.learning_rate * p.weight_decay);
        decay = p.decoupled ? 0.0f : (float)p.weight_decay;
        kept = (float)p.beta2;
        fresh = (float)(1.0 - p.beta2);
        eps = (float)p.eps;
        shrinks = p.decoupled && p.weight_decay != 0.0;
        // PyTorch's lerp starts from the nearer end, so that a weight of 1 gives g exactly.
        const float weight = (float)(1.0 - p.beta1);
        from_moment = weight < 0.5f;
        move = from_moment ? weight : weight - 1.0f;
    }

    __device__ void operator()(float (&values)[4], float gradient_scale) const {
        float x = values[0], m = values[1], v = values[2], g = values[3] * gradient_scale;
        if (shrinks) x = x * shrink;
        if (decay != 0.0f) g = g + decay * x;
        m = (from_moment ? m : g) + move * (g - m);
        v = v * kept + fresh * g * g;
        values[0] = x + step_size * m / (sqrtf(v) / correction + eps);
        values[1] = m;
        values[2] = v;
    }
};

// Values: average, parameter.
struct MovingAverage {
    float decay, fresh;
    __device__ void operator()(float (&values)[2], float) const { values[0] = values[0] * decay + fresh * values[1]; }
};

// ---- the norm of all gradients: a block sums the squares of its part in double, one block adds these ------------

using BlockTotal = BlockSum<double, threads_per_block>;

__global__ void __launch_bounds__(threads_per_block) squares_kernel(Tensors<1> tensors, double* partial) {
    const Part<1> part = part_of_block(tensors);
    double total = 0.0;
    each_of_part(part, [&](int64_t i, auto width) {
        for (const float g : load(part.array[0] + i, width).lane) total += (double)g * (double)g;
    });
    total = block_sum(total, shared_memory<BlockTotal>());
    if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

__global__ void __launch_bounds__(threads_per_block)
norm_kernel(const double* partial, int64_t blocks, float max_norm, float* norm, float* scale) {
    const double total = finish_partials(partial, blocks, shared_memory<BlockTotal>());
    if (threadIdx.x != 0) return;
    *norm = (float)sqrt(total);
    const float shrink = max_norm / (*norm + 1e-6f);
    *scale = shrink > 1.0f ? 1.0f : shrink;  // a NaN norm stays visible in the scale
}

}  // namespace

mm_status sgd(mm_stream* stream, const mm_sgd_params* p) {
    const Sgd update = {(float)p->momentum,  (float)p->weight_decay,        (float)-p->learning_rate,
                        (float)(1.0 - p->dampening), p->momentum_buffers != nullptr, p->first_step != 0,
                        p->nesterov != 0};
    return update_all<3, 2>(stream, "sgd", p->list, {p->parameters, p->momentum_buffers, p->gradients},
                            p->gradient_scale, update);
}

mm_status adam(mm_stream* stream, const mm_adam_params* p) {
    return update_all<4, 3>(stream, "adam", p->list,
                            {p->parameters, p->first_moments, p->second_moments, p->gradients}, p->gradient_scale,
                            Adam(*p));
}

mm_status moving_average(mm_stream* stream, const mm_moving_average_params* p) {
    return update_all<2, 1>(stream, "moving_average", p->list, {p->averages, p->parameters}, nullptr,
                            MovingAverage{p->decay, (float)(1.0 - (double)p->decay)});
}

mm_status gradient_norm(mm_stream* stream, const mm_gradient_norm_params* p) {
    int64_t blocks = 0;
    for (int64_t t = 0; t < p->list.tensor_count; ++t) blocks += ceil_div(p->list.counts[t], range_length);
    Workspace workspace(stream, blocks * 2);
    if (workspace.status() != MM_OK) return workspace.status();
    double* partial = reinterpret_cast<double*>(workspace.data());
    double* next = partial;
    const mm_status status =
        each_launch<1>(p->list, {p->gradients}, [&](const Tensors<1>& tensors, dim3 part_blocks) {
            double* of_launch = next;
            next += part_blocks.x;
            return launch(stream, "gradient_norm", squares_kernel, part_blocks, threads_per_block, sizeof(BlockTotal),
                          tensors, of_launch);
        });
    if (status != MM_OK) return status;
    return launch(stream, "gradient_norm", norm_kernel, dim3(1), threads_per_block, sizeof(BlockTotal), partial, blocks,
                  p->max_norm, p->norm, p->scale);
}

}  // namespace medmamba::cuda
