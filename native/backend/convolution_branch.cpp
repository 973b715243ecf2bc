#include "convolution_branch.h"

namespace medmamba {
namespace {

// input3 = relu(norm3(output2))
template <class Float>
void normalise_output2(Sequence& sequence, const BlockShape& shape, const ConvolutionBranchSaved<Float>& saved,
                       Activation<float> input3) {
    mm_channel_affine_params affine{};
    affine.rows = shape.rows();
    affine.channels = shape.half();
    affine.relu = 1;
    affine.x_dtype = affine.y_dtype = shape.dtype;
    affine.x = saved.output2.data;
    affine.scale = saved.norm3.scale;
    affine.shift = saved.norm3.shift;
    affine.y = input3.data;
    sequence.run(affine);
}

// The affine map of a BatchNorm over x: from the batch in training, from the running statistics otherwise. `moments`: of
// x, or NULL.
void batch_norm(Sequence& sequence, const BlockShape& shape, const mm_ss_conv_ssm_forward_params& params,
                Activation<const float> x, int64_t x_row, const float* moments, const float* weight, const float* bias,
                const mm_batch_norm_buffers& buffers, const BatchNorm<float>& norm) {
    if (params.training) {
        mm_batch_norm_statistics_params statistics{};
        statistics.rows = shape.rows();
        statistics.channels = shape.half();
        statistics.x_row = x_row;
        statistics.eps = norm_eps;
        statistics.momentum = params.momentum;
        statistics.x_dtype = x.dtype;
        statistics.x = x.data;
        statistics.weight = weight;
        statistics.bias = bias;
        statistics.running_mean = buffers.running_mean;
        statistics.running_variance = buffers.running_variance;
        statistics.batches_tracked = buffers.batches_tracked;
        statistics.statistics = norm.statistics;
        statistics.scale = norm.scale;
        statistics.shift = norm.shift;
        statistics.communicator = params.communicator;
        statistics.moments = moments;
        sequence.run(statistics);
    } else {
        mm_batch_norm_fold_params fold{};
        fold.channels = shape.half();
        fold.eps = norm_eps;
        fold.weight = weight;
        fold.bias = bias;
        fold.running_mean = buffers.running_mean;
        fold.running_variance = buffers.running_variance;
        fold.statistics = norm.statistics;
        fold.scale = norm.scale;
        fold.shift = norm.shift;
        sequence.run(fold);
    }
}

// What applies to the input of a convolution while it reads, and to its output while it writes: BatchNorms, and a ReLU
// behind each if asked.
struct NormsOfConvolution {
    const BatchNorm<float>* input = nullptr;
    bool input_relu = false;
    const BatchNorm<float>* output = nullptr;
    bool output_relu = false;
};

// y = norms.output(conv3x3(norms.input(x))); `moments`: where those of y go, or NULL
void convolve(Sequence& sequence, const BlockShape& shape, Activation<const float> x, int64_t x_row,
              const NormsOfConvolution& norms, const float* weight, const float* bias, Activation<float> y,
              float* moments) {
    mm_conv3x3_forward_params convolution{};
    convolution.batch = shape.batch;
    convolution.height = shape.height;
    convolution.width = shape.width;
    convolution.in_channels = convolution.out_channels = shape.half();
    convolution.x_row = x_row;
    convolution.input_relu = norms.input_relu;
    convolution.relu = norms.output_relu;
    convolution.x_dtype = x.dtype;
    convolution.y_dtype = y.dtype;
    convolution.x = x.data;
    convolution.input_scale = norms.input ? norms.input->scale : nullptr;
    convolution.input_shift = norms.input ? norms.input->shift : nullptr;
    convolution.output_scale = norms.output ? norms.output->scale : nullptr;
    convolution.output_shift = norms.output ? norms.output->shift : nullptr;
    convolution.weight = weight;
    convolution.bias = bias;
    convolution.y = y.data;
    convolution.moments = moments;
    sequence.run(convolution);
}

// What the norm in front of a convolution sums over the gradient that the convolution writes: the norm, over x, has a
// ReLU behind it or has none.
mm_gradient_moments gradient_moments(float* sums, Activation<const float> x, int64_t x_row,
                                     const BatchNorm<const float>& norm, bool relu) {
    mm_gradient_moments moments{};
    moments.sums = sums;
    moments.x_row = x_row;
    moments.x = x.data;
    moments.x_dtype = x.dtype;
    moments.mean = norm.statistics;
    moments.scale = relu ? norm.scale : nullptr;
    moments.shift = relu ? norm.shift : nullptr;
    return moments;
}

// Gradients of the last convolution: weight, bias, input3.
void convolve1x1_backward(Sequence& sequence, const BlockShape& shape,
                          const mm_ss_conv_ssm_backward_params& params, Activation<const float> input3,
                          Activation<const float> dleft, Activation<float> dinput3,
                          const mm_gradient_moments& moments) {
    sequence.run(linear_backward_weight(shape.rows(), shape.half(), shape.half(), dleft, input3,
                                        params.branch_gradients.conv3_weight));
    mm_reduce_params bias{};
    bias.outer = 1;
    bias.reduced = shape.rows();
    bias.inner = shape.half();
    bias.scale = 1;
    bias.x_dtype = dleft.dtype;
    bias.x = dleft.data;
    bias.y = params.branch_gradients.conv3_bias;
    sequence.run(bias);
    mm_matmul_params data = linear_backward_data(shape.rows(), shape.half(), shape.half(), dleft,
                                                 params.branch.conv3_weight, dinput3);
    data.moments = moments;
    sequence.run(data);
}

// Backward of `convolve`, up to its normalised input. A BatchNorm follows, and the mean of a batch removes a bias: in
// training its gradient is zero, exactly.
void convolve_backward(Sequence& sequence, const BlockShape& shape, Activation<const float> x, int64_t x_row,
                       const BatchNorm<const float>& norm, bool relu, bool training, const float* weight,
                       Activation<const float> doutput, float* dweight, float* dbias, Activation<float> dinput,
                       float* moments) {
    mm_conv3x3_backward_weight_params weight_gradient{};
    weight_gradient.batch = shape.batch;
    weight_gradient.height = shape.height;
    weight_gradient.width = shape.width;
    weight_gradient.in_channels = weight_gradient.out_channels = shape.half();
    weight_gradient.x_row = x_row;
    weight_gradient.input_relu = relu;
    weight_gradient.x_dtype = x.dtype;
    weight_gradient.y_dtype = doutput.dtype;
    weight_gradient.x = x.data;
    weight_gradient.input_scale = norm.scale;
    weight_gradient.input_shift = norm.shift;
    weight_gradient.dy = doutput.data;
    weight_gradient.dweight = dweight;
    weight_gradient.dbias = training ? nullptr : dbias;
    sequence.run(weight_gradient);
    if (training) {
        mm_fill_params zero{};
        zero.count = shape.half();
        zero.y = dbias;
        sequence.run(zero);
    }

    mm_conv3x3_backward_data_params data_gradient{};
    data_gradient.batch = shape.batch;
    data_gradient.height = shape.height;
    data_gradient.width = shape.width;
    data_gradient.in_channels = data_gradient.out_channels = shape.half();
    data_gradient.x_dtype = dinput.dtype;
    data_gradient.y_dtype = doutput.dtype;
    data_gradient.dy = doutput.data;
    data_gradient.weight = weight;
    data_gradient.dx = dinput.data;
    data_gradient.moments = gradient_moments(moments, x, x_row, norm, relu);
    sequence.run(data_gradient);
}

// What the gradients of the three BatchNorms share; the step adds x, ReLU, dy and dx.
mm_batch_norm_backward_params batch_norm_backward(const BlockShape& shape,
                                                  const mm_ss_conv_ssm_backward_params& params,
                                                  const BatchNorm<const float>& norm, float* dweight,
                                                  float* dbias, const float* moments) {
    mm_batch_norm_backward_params gradient{};
    gradient.rows = shape.rows();
    gradient.channels = shape.half();
    gradient.training = params.training;
    gradient.statistics = norm.statistics;
    gradient.scale = norm.scale;
    gradient.shift = norm.shift;
    gradient.dweight = dweight;
    gradient.dbias = dbias;
    gradient.communicator = params.training ? params.communicator : nullptr;
    gradient.moments = moments;
    return gradient;
}

// From relu(norm(output)) to output.
void activated_norm_backward(Sequence& sequence, mm_batch_norm_backward_params gradient,
                             Activation<const float> output, Activation<const float> dinput,
                             Activation<float> doutput) {
    gradient.relu = 1;
    gradient.x_dtype = output.dtype;
    gradient.y_dtype = dinput.dtype;
    gradient.x = output.data;
    gradient.dy = dinput.data;
    gradient.dx = doutput.data;
    sequence.run(gradient);
}

// From norm1(x) to x: no ReLU, and dx has a gradient already.
void first_norm_backward(Sequence& sequence, mm_batch_norm_backward_params gradient, const BlockShape& shape,
                         const float* x, Activation<const float> dinput1, float* dx) {
    gradient.x_row = gradient.dx_row = shape.channels;
    gradient.accumulate_dx = 1;
    gradient.x = x;
    gradient.y_dtype = dinput1.dtype;
    gradient.dy = dinput1.data;
    gradient.dx = dx;
    sequence.run(gradient);
}

}  // namespace

void convolution_branch_forward(Sequence& sequence, const BlockShape& shape,
                                const mm_ss_conv_ssm_forward_params& params,
                                const ConvolutionBranchSaved<float>& saved, Activation<float> input3, float* moments) {
    const mm_conv_branch_weights& weights = params.branch;
    const Activation<const float> x{params.x, MM_FLOAT32};

    if (!params.training) moments = nullptr;  // nothing is summed over the batch
    const auto find_norm2 = [&] {
        batch_norm(sequence, shape, params, saved.output1, 0, moments, weights.norm2_weight, weights.norm2_bias, params.norm2,
                   saved.norm2);
    };
    const auto find_norm3 = [&] {
        batch_norm(sequence, shape, params, saved.output2, 0, moments, weights.norm3_weight, weights.norm3_bias, params.norm3,
                   saved.norm3);
    };
    batch_norm(sequence, shape, params, x, shape.channels, nullptr, weights.norm1_weight, weights.norm1_bias,
               params.norm1, saved.norm1);
    if (params.training || params.saved) {
        convolve(sequence, shape, x, shape.channels, {&saved.norm1}, weights.conv1_weight, weights.conv1_bias,
                 saved.output1, moments);
        find_norm2();
        convolve(sequence, shape, saved.output1, 0, {&saved.norm2, true}, weights.conv2_weight, weights.conv2_bias,
                 saved.output2, moments);
        find_norm3();
        normalise_output2(sequence, shape, saved, input3);
    } else {  // Norms 2 and 3 are known beforehand, and nobody asks for what they read: the convolutions apply them.
        find_norm2();
        convolve(sequence, shape, x, shape.channels, {&saved.norm1, false, &saved.norm2, true}, weights.conv1_weight,
                 weights.conv1_bias, saved.output1, nullptr);
        find_norm3();
        convolve(sequence, shape, saved.output1, 0, {nullptr, false, &saved.norm3, true}, weights.conv2_weight,
                 weights.conv2_bias, input3, nullptr);
    }
    mm_matmul_params product = linear_forward(shape.rows(), shape.half(), shape.half(), input3,
                                              weights.conv3_weight, saved.left);
    product.bias = weights.conv3_bias;
    product.relu = 1;
    sequence.run(product);
}

void convolution_branch_backward(Sequence& sequence, const BlockShape& shape,
                                 const mm_ss_conv_ssm_backward_params& params,
                                 const ConvolutionBranchSaved<const float>& saved, Activation<const float> dleft,
                                 Activation<float> of_outputs, Activation<float> of_inputs, float* moments) {
    const mm_conv_branch_weights& weights = params.branch;
    const mm_conv_branch_gradients& gradients = params.branch_gradients;

    const Activation<float> input3 = of_outputs;  // free until the norm behind it is reached
    normalise_output2(sequence, shape, saved, input3);
    convolve1x1_backward(sequence, shape, params, input3, dleft, of_inputs,
                         gradient_moments(moments, saved.output2, 0, saved.norm3, true));
    activated_norm_backward(
        sequence, batch_norm_backward(shape, params, saved.norm3, gradients.norm3_weight, gradients.norm3_bias, moments),
        saved.output2, of_inputs, of_outputs);

    convolve_backward(sequence, shape, saved.output1, 0, saved.norm2, true, params.training, weights.conv2_weight,
                      of_outputs, gradients.conv2_weight, gradients.conv2_bias, of_inputs, moments);
    activated_norm_backward(
        sequence, batch_norm_backward(shape, params, saved.norm2, gradients.norm2_weight, gradients.norm2_bias, moments),
        saved.output1, of_inputs, of_outputs);

    const Activation<const float> x{params.x, MM_FLOAT32};
    convolve_backward(sequence, shape, x, shape.channels, saved.norm1, false, params.training, weights.conv1_weight,
                      of_outputs, gradients.conv1_weight, gradients.conv1_bias, of_inputs, moments);
    first_norm_backward(
        sequence, batch_norm_backward(shape, params, saved.norm1, gradients.norm1_weight, gradients.norm1_bias, moments),
        shape, params.x, of_inputs, params.dx);
}

}  // namespace medmamba
