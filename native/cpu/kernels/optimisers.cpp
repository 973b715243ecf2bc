// One step of an optimiser over all tensors of a model in one call, in PyTorch's formulas and order of operations.
//
// A model is hundreds of tensors from one element to a million. They are taken as one long sequence that is cut
// in ranges of fixed size, so that the work is even and the cut does not depend on the number of threads.
// Everything here is bound by memory: Adam reads four floats and writes three for each parameter.
#include "double_sum.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Where each tensor starts in the sequence; one more entry for its end.
const int64_t* tensor_starts(mm_stream* stream, const mm_tensor_list& list) {
    int64_t* starts = stream->scratch.take<int64_t>(list.tensor_count + 1);
    starts[0] = 0;
    for (int64_t i = 0; i < list.tensor_count; ++i) starts[i + 1] = starts[i] + list.counts[i];
    return starts;
}

// piece(tensor, first, last) for the elements of every tensor that [first, last) of the sequence touches.
template <class Piece>
void pieces_of(const int64_t* starts, int64_t tensors, int64_t first, int64_t last, Piece&& piece) {
    int64_t low = 0, high = tensors;  // the tensor that holds `first`: starts[low] <= first < starts[high]
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        if (starts[middle] <= first)
            low = middle;
        else
            high = middle;
    }
    for (int64_t tensor = low; first < last; ++tensor) {
        const int64_t end = std::min(last, starts[tensor + 1]);
        if (first < end) piece(tensor, first - starts[tensor], end - starts[tensor]);
        first = std::max(first, end);
    }
}

template <class Piece>
void for_pieces(mm_stream* stream, const mm_tensor_list& list, Piece&& piece) {
    const int64_t* starts = tensor_starts(stream, list);
    parallel_ranges(stream, starts[list.tensor_count], elements_per_task, [&](int64_t first, int64_t last, int) {
        pieces_of(starts, list.tensor_count, first, last, piece);
    });
}

}  // namespace

// g += weight_decay p;  b = first step ? g : momentum b + (1 - dampening) g;  g = nesterov ? g + momentum b : b;
// p -= learning_rate g.
mm_status sgd(mm_stream* stream, const mm_sgd_params* p) {
    const float gradient_scale = p->gradient_scale ? *p->gradient_scale : 1.0f;
    const float momentum = (float)p->momentum, decay = (float)p->weight_decay, rate = (float)-p->learning_rate;
    const float undamped = (float)(1.0 - p->dampening);
    for_pieces(stream, p->list, [&](int64_t tensor, int64_t first, int64_t last) {
        float* parameter = p->parameters[tensor];
        const float* gradient = p->gradients[tensor];
        float* buffer = p->momentum_buffers ? p->momentum_buffers[tensor] : nullptr;
        each_vector(last - first, [&](int64_t element, auto part) {
            const int64_t i = first + element;
            const vfloat x = load(parameter + i, part);
            vfloat g = load(gradient + i, part) * gradient_scale;
            if (decay != 0.0f) g = g + decay * x;
            if (buffer) {
                const vfloat b = p->first_step ? g : load(buffer + i, part) * momentum + undamped * g;
                store(buffer + i, b, part);
                g = p->nesterov ? g + momentum * b : b;
            }
            store(parameter + i, x + rate * g, part);
        });
    });
    return MM_OK;
}

// m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;
// p -= learning_rate / (1 - beta1^step)  m / (sqrt(v) / sqrt(1 - beta2^step) + eps).
// Weight decay is added to the gradient (Adam) or shrinks the parameter first (AdamW).
mm_status adam(mm_stream* stream, const mm_adam_params* p) {
    const float gradient_scale = p->gradient_scale ? *p->gradient_scale : 1.0f;
    const double beta1 = p->beta1, beta2 = p->beta2;
    const float step_size = (float)(-p->learning_rate / (1.0 - std::pow(beta1, (double)p->step)));
    const float correction = (float)std::sqrt(1.0 - std::pow(beta2, (double)p->step));
    const float shrink = (float)(1.0 - p->learning_rate * p->weight_decay);
    const float decay = p->decoupled ? 0.0f : (float)p->weight_decay, kept = (float)beta2, fresh = (float)(1.0 - beta2);
    const float eps = (float)p->eps;
    const bool shrinks = p->decoupled && p->weight_decay != 0.0;

    // PyTorch's lerp starts from the nearer end, so that a weight of 1 gives g exactly.
    const float weight = (float)(1.0 - beta1);
    const bool from_moment = weight < 0.5f;
    const float move = from_moment ? weight : weight - 1.0f;

    for_pieces(stream, p->list, [&](int64_t tensor, int64_t first, int64_t last) {
        float *parameter = p->parameters[tensor], *first_moment = p->first_moments[tensor];
        float* second_moment = p->second_moments[tensor];
        const float* gradient = p->gradients[tensor];
        each_vector(last - first, [&](int64_t element, auto part) {
            const int64_t i = first + element;
            vfloat x = load(parameter + i, part);
            vfloat g = load(gradient + i, part) * gradient_scale;
            if (shrinks) x = x * shrink;
            if (decay != 0.0f) g = g + decay * x;
            vfloat m = load(first_moment + i, part), v = load(second_moment + i, part);
            m = (from_moment ? m : g) + move * (g - m);
            v = v * kept + fresh * g * g;
            const vfloat denominator = sqrt(v) / correction + eps;
            store(first_moment + i, m, part);
            store(second_moment + i, v, part);
            store(parameter + i, x + step_size * m / denominator, part);
        });
    });
    return MM_OK;
}

mm_status gradient_norm(mm_stream* stream, const mm_gradient_norm_params* p) {
    const int64_t* starts = tensor_starts(stream, p->list);
    const int64_t tensors = p->list.tensor_count;
    const double total = ordered_sum(stream, starts[tensors], elements_per_task, [&](int64_t first, int64_t last) {
        DoubleSum squares;
        pieces_of(starts, tensors, first, last, [&](int64_t tensor, int64_t from, int64_t to) {
            const float* gradient = p->gradients[tensor];
            each_vector(to - from, [&](int64_t element, auto part) {
                const int64_t i = from + element;
                const vfloat g = load(gradient + i, part);
                squares.add_product(g, g);
            });
        });
        return squares.total();
    });
    *p->norm = (float)std::sqrt(total);
    const float scale = p->max_norm / (*p->norm + 1e-6f);
    *p->scale = scale > 1.0f ? 1.0f : scale;  // a NaN norm stays visible in the scale
    return MM_OK;
}

mm_status moving_average(mm_stream* stream, const mm_moving_average_params* p) {
    const float decay = p->decay, fresh = (float)(1.0 - (double)p->decay);
    for_pieces(stream, p->list, [&](int64_t tensor, int64_t first, int64_t last) {
        const float* parameter = p->parameters[tensor];
        float* average = p->averages[tensor];
        each_vector(last - first, [&](int64_t element, auto part) {
            const int64_t i = first + element;
            const vfloat moved = load(average + i, part) * decay + fresh * load(parameter + i, part);
            store(average + i, moved, part);
        });
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
