// The table. A line is a struct and its fields; the compiler checks it against the struct itself:
//   - each name has to be a member, because its offset and type are taken from the member of that name;
//   - none can be missing, because a structured binding takes exactly as many names as there are members;
//   - no operation can be missing, because MM_OPERATIONS asks for the line of each.
//   - none that tells a dtype can be overlooked by the CPU, because dtype.h has to list it.
// So a change of the C interface that is not made here does not compile.
#include "operations.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "../backend/block.h"
#include "../backend/collectives.h"
#include "../backend/dtype.h"

namespace medmamba::addon {

namespace {

// The line of a struct, specialised below.
template <class Struct>
struct Line;

// Whether a field that tells a dtype by its name is one that dtype.h lists.
constexpr bool is_listed_dtype(std::string_view field) {
    constexpr std::string_view ending = "_dtype";
    if (field.size() < ending.size() || field.substr(field.size() - ending.size()) != ending) return true;
#define IS_THIS(name) field == #name ||
    return MM_DTYPE_FIELDS(IS_THIS) false;
#undef IS_THIS
}

template <size_t count>
constexpr bool dtypes_are_listed(const std::array<Field, count>& fields) {
    for (const Field& field : fields)
        if (!is_listed_dtype(field.name)) return false;
    return true;
}

template <class Struct>
struct StructureOf {
    static constexpr Structure value{sizeof(Struct), Line<Struct>::fields.data(), Line<Struct>::fields.size()};
    static_assert(Line<Struct>::fields.size() <= most_fields && sizeof(Struct) <= most_parameter_bytes);
    static_assert(dtypes_are_listed(Line<Struct>::fields), "add the ..._dtype field to MM_DTYPE_FIELDS in dtype.h");
};

template <class Member>
constexpr Field field(const char* name, size_t offset) {
    Field result{name, Kind::buffer, (uint16_t)offset, 0, nullptr};
    if constexpr (std::is_array_v<Member>) {
        static_assert(std::is_same_v<std::remove_extent_t<Member>, int64_t>);
        result.kind = Kind::int64_array;
        result.extent = std::extent_v<Member>;
    } else if constexpr (std::is_same_v<Member, int64_t>) {
        result.kind = Kind::int64;
    } else if constexpr (std::is_same_v<Member, int32_t>) {
        result.kind = Kind::int32;
    } else if constexpr (std::is_same_v<Member, float>) {
        result.kind = Kind::float32;
    } else if constexpr (std::is_same_v<Member, double>) {
        result.kind = Kind::float64;
    } else if constexpr (std::is_same_v<Member, mm_tensor_list>) {
        result.name = "counts";
        result.kind = Kind::tensor_list;
    } else if constexpr (std::is_same_v<Member, mm_communicator*>) {
        result.kind = Kind::communicator;
    } else if constexpr (std::is_pointer_v<Member>) {
        if (std::is_pointer_v<std::remove_pointer_t<Member>>) result.kind = Kind::buffer_list;
    } else {
        result.kind = Kind::structure;
        result.structure = &StructureOf<Member>::value;
    }
    return result;
}

// MEMBERS(a, b, c) is  MEMBER(a) MEMBER(b) MEMBER(c),  for up to 256 names.
#define MEMBER(name) field<decltype(Struct::name)>(#name, offsetof(Struct, name)),
#define AGAIN4(...) __VA_ARGS__
#define AGAIN3(...) AGAIN4(AGAIN4(AGAIN4(AGAIN4(__VA_ARGS__))))
#define AGAIN2(...) AGAIN3(AGAIN3(AGAIN3(AGAIN3(__VA_ARGS__))))
#define AGAIN1(...) AGAIN2(AGAIN2(AGAIN2(AGAIN2(__VA_ARGS__))))
#define AGAIN(...) AGAIN1(AGAIN1(AGAIN1(AGAIN1(__VA_ARGS__))))
#define PARENTHESES ()
#define MEMBERS_STEP(name, ...) MEMBER(name) __VA_OPT__(MEMBERS_NEXT PARENTHESES(__VA_ARGS__))
#define MEMBERS_NEXT() MEMBERS_STEP
#define MEMBERS(...) AGAIN(MEMBERS_STEP(__VA_ARGS__))

#define FIELDS(name, ...)                                                               \
    template <>                                                                         \
    struct Line<name> {                                                                 \
        using Struct = name;                                                            \
        static constexpr std::array fields{MEMBERS(__VA_ARGS__)};                       \
        static void takes_all_members(const Struct& whole) {                            \
            [[maybe_unused]] const auto& [__VA_ARGS__] = whole;                         \
        }                                                                               \
    };

#define OPERATION(name, ...) FIELDS(mm_##name##_params, __VA_ARGS__)

OPERATION(fill, count, value, y)
OPERATION(cast, count, x_dtype, y_dtype, x, y)
OPERATION(copy, dimensions, element_size, shape, x_strides, y_strides, x_offset, y_offset, x, y)
OPERATION(unary, op, count, x, y)
OPERATION(unary_backward, op, count, x, dy, dx)
OPERATION(affine, count, scale, shift, x, y)
OPERATION(accumulate, count, scale, x, y)
OPERATION(binary, op, dimensions, shape, a_strides, b_strides, a, b, y)
OPERATION(reduce, outer, reduced, inner, scale, x, y, x_dtype)

FIELDS(mm_gradient_moments, sums, x_row, x, mean, scale, shift, x_dtype)
OPERATION(matmul, batch, m, n, k, transpose_a, transpose_b, accumulate, relu, a_row, b_row, c_row, a_batch, b_batch,
          c_batch, a, b, bias, c, a_dtype, b_dtype, c_dtype, moments)
OPERATION(conv3x3_forward, batch, height, width, in_channels, out_channels, x_row, y_row, input_relu, relu, x,
          input_scale, input_shift, weight, bias, y, x_dtype, y_dtype, output_scale, output_shift, moments)
OPERATION(conv3x3_backward_data, batch, height, width, in_channels, out_channels, dy_row, dx_row, dy, weight, dx,
          x_dtype, y_dtype, moments)
OPERATION(conv3x3_backward_weight, batch, height, width, in_channels, out_channels, x_row, dy_row, input_relu, x,
          input_scale, input_shift, dy, dweight, dbias, x_dtype, y_dtype)
OPERATION(depthwise3x3_forward, batch, height, width, channels, x_row, y_row, silu, x, weight, bias, y, x_dtype)
OPERATION(depthwise3x3_backward, batch, height, width, channels, x_row, dy_row, dx_row, silu, x, weight, bias, dy, dx,
          dweight, dbias, x_dtype)

OPERATION(layer_norm_forward, rows, channels, x_row, y_row, gate_row, eps, x, weight, bias, gate, y, statistics,
          x_dtype, y_dtype, x_copies, sum)
OPERATION(layer_norm_backward, rows, channels, x_row, dy_row, dx_row, gate_row, dgate_row, accumulate_dx, x, weight,
          bias, statistics, gate, dy, dx, dweight, dbias, dgate, x_dtype, y_dtype)
OPERATION(batch_norm_statistics, rows, channels, x_row, eps, momentum, x, weight, bias, running_mean,
          running_variance, batches_tracked, statistics, scale, shift, x_dtype, communicator, moments)
OPERATION(batch_norm_fold, channels, eps, weight, bias, running_mean, running_variance, statistics, scale, shift)
OPERATION(channel_affine, rows, channels, x_row, y_row, relu, x, scale, shift, y, x_dtype, y_dtype)
OPERATION(batch_norm_backward, rows, channels, x_row, dy_row, dx_row, training, relu, accumulate_dx, x, statistics,
          scale, shift, dy, dx, dweight, dbias, x_dtype, y_dtype, communicator, moments)

OPERATION(softmax_forward, rows, channels, logarithm, x, y)
OPERATION(softmax_backward, rows, channels, logarithm, y, dy, dx)
OPERATION(cross_entropy_forward, rows, classes, label_smoothing, logits, labels, class_weights, loss, probabilities)
OPERATION(cross_entropy_backward, rows, classes, label_smoothing, probabilities, labels, class_weights, dloss,
          dlogits)
OPERATION(focal_loss_forward, rows, classes, gamma, logits, labels, class_weights, loss, probabilities)
OPERATION(focal_loss_backward, rows, classes, gamma, probabilities, labels, class_weights, dloss, dlogits)
OPERATION(binary_cross_entropy_forward, count, positive_weight, logits, targets, loss)
OPERATION(binary_cross_entropy_backward, count, positive_weight, logits, targets, dloss, dlogits)
OPERATION(mse_forward, count, x, target, loss)
OPERATION(mse_backward, count, x, target, dloss, dx)

OPERATION(random, distribution, count, seed, offset, low, high, y)
OPERATION(dropout, count, seed, offset, rate, x, y)
OPERATION(sgd, list, parameters, gradients, momentum_buffers, learning_rate, momentum, dampening, weight_decay,
          nesterov, first_step, gradient_scale)
OPERATION(adam, list, parameters, gradients, first_moments, second_moments, learning_rate, beta1, beta2, eps,
          weight_decay, decoupled, step, gradient_scale)
OPERATION(gradient_norm, list, gradients, max_norm, norm, scale)
OPERATION(moving_average, list, parameters, averages, decay)

OPERATION(selective_scan_forward, batch, channels, length, states, groups, delta_softplus, u, delta, A, B, C, D, z,
          delta_bias, y, last_state, checkpoints)
OPERATION(selective_scan_backward, batch, channels, length, states, groups, delta_softplus, u, delta, A, B, C, D, z,
          delta_bias, checkpoints, dy, dlast_state, du, ddelta, dA, dB, dC, dD, dz, ddelta_bias)
OPERATION(scan4_forward, batch, height, width, channels, states, rank, u, projected, dt_weight, dt_bias, A_log, skip,
          y, checkpoints, x_dtype, y_copies)
OPERATION(scan4_backward, batch, height, width, channels, states, rank, u, projected, dt_weight, dt_bias, A_log, skip,
          checkpoints, dy, du, dprojected, ddt_weight, ddt_bias, dA_log, dskip, x_dtype)
OPERATION(shuffle_residual_forward, batch, pixels, channels, left, right, x, path_scale, y, branch_dtype)
OPERATION(shuffle_residual_backward, batch, pixels, channels, left, path_scale, dy, dleft, dright, dx, branch_dtype)
OPERATION(affine_sample, batch, channels, in_height, in_width, out_height, out_width, x_dtype, x, matrix, gain,
          offset, channel_scale, channel_shift, y)

#define SS2D_FIELDS                                                                                                \
    in_proj_weight, conv2d_weight, conv2d_bias, x_proj_weight, dt_projs_weight, dt_projs_bias, A_logs, Ds,         \
        out_norm_weight, out_norm_bias, out_proj_weight
#define CONV_BRANCH_FIELDS                                                                                         \
    norm1_weight, norm1_bias, conv1_weight, conv1_bias, norm2_weight, norm2_bias, conv2_weight, conv2_bias,        \
        norm3_weight, norm3_bias, conv3_weight, conv3_bias

FIELDS(mm_ss2d_weights, SS2D_FIELDS)
FIELDS(mm_ss2d_gradients, SS2D_FIELDS)
FIELDS(mm_conv_branch_weights, CONV_BRANCH_FIELDS)
FIELDS(mm_conv_branch_gradients, CONV_BRANCH_FIELDS)
FIELDS(mm_batch_norm_buffers, running_mean, running_variance, batches_tracked)
FIELDS(PlanDimensions, batch, height, width, channels, states, rank)

OPERATION(ss2d_forward, batch, height, width, channels, states, rank, x_row, x, weights, y, saved, workspace, x_dtype,
          y_dtype)
OPERATION(ss2d_backward, batch, height, width, channels, states, rank, x_row, dx_row, accumulate_dx, x, weights,
          saved, dy, dx, gradients, workspace, x_dtype, y_dtype)
OPERATION(ss_conv_ssm_forward, batch, height, width, channels, states, rank, training, momentum, x, ln_1_weight,
          ln_1_bias, attention, branch, norm1, norm2, norm3, path_scale, y, saved, workspace, communicator)
OPERATION(ss_conv_ssm_backward, batch, height, width, channels, states, rank, training, x, ln_1_weight, ln_1_bias,
          attention, branch, path_scale, saved, dy, dx, dln_1_weight, dln_1_bias, attention_gradients,
          branch_gradients, workspace, communicator)

OPERATION(exchange, bytes, x, y, communicator)
OPERATION(gather, bytes, x, y, communicator)
OPERATION(engine_sum, count, values, communicator)

#define OF_TABLE(name)                                                                                             \
    Operation{#name, &StructureOf<mm_##name##_params>::value,                                                      \
              [](const mm_backend* backend, mm_stream* stream, const void* parameters) {                           \
                  return backend->name(stream, static_cast<const mm_##name##_params*>(parameters));                \
              }},
#define COMPOSED(name)                                                                                             \
    Operation{#name, &StructureOf<mm_##name##_params>::value,                                                      \
              [](const mm_backend* backend, mm_stream* stream, const void* parameters) {                           \
                  return mm_##name(backend, stream, static_cast<const mm_##name##_params*>(parameters));           \
              }},

constexpr std::array operations{MM_OPERATIONS(OF_TABLE) COMPOSED(ss2d_forward) COMPOSED(ss2d_backward)
                                    COMPOSED(ss_conv_ssm_forward) COMPOSED(ss_conv_ssm_backward) COMPOSED(exchange)
                                        COMPOSED(gather) COMPOSED(engine_sum)};

}  // namespace

const Structure plan_dimensions = StructureOf<PlanDimensions>::value;

const Operation* find_operation(std::string_view name) {
    const auto found = std::find_if(operations.begin(), operations.end(),
                                    [&](const Operation& operation) { return operation.name == name; });
    return found == operations.end() ? nullptr : &*found;
}

}  // namespace medmamba::addon
