// Losses over classes (cross entropy, focal) and over elements (binary cross entropy, mean squared error).
//
// Each loss is one sum, taken in double in a fixed order (double_sum.h). Losses over classes work on rows of
// logits: -log p[c] is log sum exp(x) - x[c], never the logarithm of a probability that may have underflowed;
// the probabilities themselves are kept for backward.
#include "double_sum.h"
#include "softmax_row.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Checked in forward and again in backward: the queue goes on after a failure, and a label is an index.
mm_status check_labels(mm_stream* stream, const char* loss, const int64_t* labels, int64_t rows, int64_t classes) {
    for (int64_t n = 0; n < rows; ++n)
        if (labels[n] < 0 || labels[n] >= classes)
            return stream->fail(MM_INVALID_ARGUMENT, "%s: label %lld of row %lld is not in 0..%lld", loss,
                                (long long)labels[n], (long long)n, (long long)classes - 1);
    return MM_OK;
}

double weight_of(const float* class_weights, int64_t label) { return class_weights ? class_weights[label] : 1.0; }

// Sum of the weights of all rows' labels: what the mean of cross entropy divides by.
double total_weight(mm_stream* stream, const int64_t* labels, const float* class_weights, int64_t rows) {
    if (!class_weights) return (double)rows;
    return ordered_sum(stream, rows, elements_per_task, [&](int64_t first, int64_t last) {
        double total = 0.0;
        for (int64_t n = first; n < last; ++n) total += class_weights[labels[n]];
        return total;
    });
}

double sum_of_class_weights(const float* class_weights, int64_t classes) {
    if (!class_weights) return (double)classes;
    double total = 0.0;
    for (int64_t c = 0; c < classes; ++c) total += class_weights[c];
    return total;
}

float sum_of(const float* x, int64_t count) {
    vfloat total{};
    each_vector(count, [&](int64_t i, auto part) { total += load(x + i, part); });
    return sum(total);
}

// 1 - p[label] without the cancellation that would leave nothing of it where p[label] is nearly 1.
float sum_of_others(const float* probabilities, int64_t classes, int64_t label) {
    return sum_of(probabilities, label) + sum_of(probabilities + label + 1, classes - label - 1);
}

// Sum over classes of w[c] x[c].
double weighted_sum(const float* x, const float* class_weights, int64_t classes) {
    DoubleSum total;
    each_vector(classes, [&](int64_t c, auto part) {
        const vfloat v = load(x + c, part);
        if (class_weights)
            total.add_product(v, load(class_weights + c, part));
        else
            total.add(v);
    });
    return total.total();
}

}  // namespace

mm_status cross_entropy_forward(mm_stream* stream, const mm_cross_entropy_forward_params* p) {
    const int64_t classes = p->classes;
    const mm_status labels_status = check_labels(stream, "cross_entropy", p->labels, p->rows, classes);
    if (labels_status != MM_OK) return labels_status;

    const double smoothing = p->label_smoothing;
    const double all_weights = sum_of_class_weights(p->class_weights, classes);
    const double total = ordered_sum(stream, p->rows, rows_per_task(classes), [&](int64_t first, int64_t last) {
        double loss = 0.0;
        for (int64_t n = first; n < last; ++n) {
            const float* x = p->logits + n * classes;
            const int64_t label = p->labels[n];
            const double log_sum = softmax_row(x, classes, p->probabilities + n * classes).log_sum_exp();
            loss += (1.0 - smoothing) * weight_of(p->class_weights, label) * (log_sum - x[label]);
            if (smoothing != 0.0)
                loss += smoothing / classes * (all_weights * log_sum - weighted_sum(x, p->class_weights, classes));
        }
        return loss;
    });
    *p->loss = (float)(total / total_weight(stream, p->labels, p->class_weights, p->rows));
    return MM_OK;
}

// With W the total weight: dx[c] = dloss / W [ (1-s) w[t] (p[c] - (c == t)) + s/K (p[c] sum w - w[c]) ].
mm_status cross_entropy_backward(mm_stream* stream, const mm_cross_entropy_backward_params* p) {
    const int64_t classes = p->classes;
    const mm_status labels_status = check_labels(stream, "cross_entropy", p->labels, p->rows, classes);
    if (labels_status != MM_OK) return labels_status;

    const double scale = *p->dloss / total_weight(stream, p->labels, p->class_weights, p->rows);
    const double smoothing = p->label_smoothing;
    const double all_weights = sum_of_class_weights(p->class_weights, classes);
    const float towards_all = (float)(scale * smoothing / classes);
    parallel_ranges(stream, p->rows, rows_per_task(classes), [&](int64_t first, int64_t last, int) {
        for (int64_t n = first; n < last; ++n) {
            const float* probabilities = p->probabilities + n * classes;
            float* dx = p->dlogits + n * classes;
            const int64_t label = p->labels[n];
            const double towards_label = scale * (1.0 - smoothing) * weight_of(p->class_weights, label);
            const float slope = (float)(towards_label + scale * smoothing / classes * all_weights);
            each_vector(classes, [&](int64_t c, auto part) {
                const vfloat w = p->class_weights ? load(p->class_weights + c, part) : broadcast(1.0f);
                store(dx + c, slope * load(probabilities + c, part) - towards_all * w, part);
            });
            dx[label] -= (float)towards_label;
        }
    });
    return MM_OK;
}

mm_status focal_loss_forward(mm_stream* stream, const mm_focal_loss_forward_params* p) {
    const int64_t classes = p->classes;
    const mm_status labels_status = check_labels(stream, "focal_loss", p->labels, p->rows, classes);
    if (labels_status != MM_OK) return labels_status;

    const double total = ordered_sum(stream, p->rows, rows_per_task(classes), [&](int64_t first, int64_t last) {
        double loss = 0.0;
        for (int64_t n = first; n < last; ++n) {
            const float* x = p->logits + n * classes;
            float* probabilities = p->probabilities + n * classes;
            const int64_t label = p->labels[n];
            const double log_sum = softmax_row(x, classes, probabilities).log_sum_exp();
            const double others = sum_of_others(probabilities, classes, label);
            loss += weight_of(p->class_weights, label) * std::pow(others, (double)p->gamma) * (log_sum - x[label]);
        }
        return loss;
    });
    *p->loss = (float)(total / (double)p->rows);
    return MM_OK;
}

// With q = 1 - p[t]:  d loss / d log p[t] = w (gamma q^(gamma-1) p[t] log p[t] - q^gamma),
// and d log p[t] / dx[c] = (c == t) - p[c].
mm_status focal_loss_backward(mm_stream* stream, const mm_focal_loss_backward_params* p) {
    const int64_t classes = p->classes;
    const mm_status labels_status = check_labels(stream, "focal_loss", p->labels, p->rows, classes);
    if (labels_status != MM_OK) return labels_status;

    const double scale = *p->dloss / (double)p->rows, gamma = p->gamma;
    parallel_ranges(stream, p->rows, rows_per_task(classes), [&](int64_t first, int64_t last, int) {
        for (int64_t n = first; n < last; ++n) {
            const float* probabilities = p->probabilities + n * classes;
            float* dx = p->dlogits + n * classes;
            const int64_t label = p->labels[n];
            const double own = probabilities[label], others = sum_of_others(probabilities, classes, label);
            double slope = -std::pow(others, gamma);
            // Both factors' limits are 0 where a power or a logarithm is not finite.
            if (gamma != 0.0 && others != 0.0 && own != 0.0)
                slope += gamma * std::pow(others, gamma - 1.0) * own *
                         (own > 0.5 ? std::log1p(-others) : std::log(own));
            slope *= scale * weight_of(p->class_weights, label);
            const float towards_others = (float)-slope;
            each_vector(classes, [&](int64_t c, auto part) {
                store(dx + c, towards_others * load(probabilities + c, part), part);
            });
            dx[label] = (float)(slope * others);
        }
    });
    return MM_OK;
}

// -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x), and the two share their logarithm:
// softplus(+-x) = max(+-x, 0) + log(1 + exp(-|x|)).
mm_status binary_cross_entropy_forward(mm_stream* stream, const mm_binary_cross_entropy_forward_params* p) {
    const float positive_weight = p->positive_weight;
    const double total = ordered_sum(stream, p->count, elements_per_task, [&](int64_t first, int64_t last) {
        DoubleSum loss;
        each_vector(last - first, [&](int64_t element, auto part) {
            const int64_t i = first + element;
            const vfloat x = load(p->logits + i, part), t = load(p->targets + i, part);
            const vfloat shared = log1p(exp(-abs(x)));
            const vfloat positive = max(-x, vfloat{}) + shared, negative = max(x, vfloat{}) + shared;
            loss.add(only(positive_weight * t * positive + (1.0f - t) * negative, part));
        });
        return loss.total();
    });
    *p->loss = (float)(total / (double)p->count);
    return MM_OK;
}

mm_status binary_cross_entropy_backward(mm_stream* stream, const mm_binary_cross_entropy_backward_params* p) {
    const float positive_weight = p->positive_weight, scale = (float)(*p->dloss / (double)p->count);
    parallel_ranges(stream, p->count, elements_per_task, [&](int64_t first, int64_t last, int) {
        each_vector(last - first, [&](int64_t element, auto part) {
            const int64_t i = first + element;
            const vfloat x = load(p->logits + i, part), t = load(p->targets + i, part);
            const vfloat slope = (1.0f - t) * sigmoid(x) - positive_weight * t * sigmoid(-x);
            store(p->dlogits + i, scale * slope, part);
        });
    });
    return MM_OK;
}

mm_status mse_forward(mm_stream* stream, const mm_mse_forward_params* p) {
    const double total = ordered_sum(stream, p->count, elements_per_task, [&](int64_t first, int64_t last) {
        DoubleSum loss;
        each_vector(last - first, [&](int64_t element, auto part) {
            const int64_t i = first + element;
            const vfloat error = load(p->x + i, part) - load(p->target + i, part);
            loss.add_product(error, error);
        });
        return loss.total();
    });
    *p->loss = (float)(total / (double)p->count);
    return MM_OK;
}

mm_status mse_backward(mm_stream* stream, const mm_mse_backward_params* p) {
    const float scale = (float)(2.0 * *p->dloss / (double)p->count);
    parallel_ranges(stream, p->count, elements_per_task, [&](int64_t first, int64_t last, int) {
        each_vector(last - first, [&](int64_t element, auto part) {
            const int64_t i = first + element;
            const vfloat error = load(p->x + i, part) - load(p->target + i, part);
            store(p->dx + i, scale * error, part);
        });
    });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
