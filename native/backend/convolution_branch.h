// The left half of the block: BN -> conv3x3 -> BN, ReLU -> conv3x3 -> BN, ReLU -> conv1x1 + bias, ReLU.
//
// A BatchNorm is two steps: finding the affine map per channel that it amounts to for this batch, then that map,
// which a 3x3 convolution applies while it reads, or, in inference, the one in front of it while it writes (the first has
// none in front, and the zeros around the image come behind it). What norms 2 and 3 sum over the batch, and all three in
// backward, the operation in front leaves while it writes (`moments`), where the backend does that. `inputN` and `outputN` are what convolution N reads after the
// norm in front, and what it writes: outputs are saved, input1 and input2 are never stored, input3 only briefly. They
// and their gradients lie in memory in the activation dtype of the stream.
#pragma once

#include "block.h"
#include "sequence.h"

namespace medmamba {

struct BlockShape {
    int64_t batch, height, width, channels, states, rank;
    int32_t dtype;    // of activations
    int64_t moments;  // floats that an operation leaves of its columns for a BatchNorm; 0 if it leaves none

    int64_t rows() const { return batch * height * width; }  // P
    int64_t half() const { return channels / 2; }            // c
};

template <class Float>
struct BatchNorm {
    Float* statistics;  // (2, c)
    Float* scale;       // (c)
    Float* shift;       // (c)

    BatchNorm(Carver<Float>& carver, int64_t channels)
        : statistics(carver.take(2 * channels)), scale(carver.take(channels)), shift(carver.take(channels)) {}
};

// What the branch computes and its backward reads.
template <class Float>
struct ConvolutionBranchSaved {
    BatchNorm<Float> norm1, norm2, norm3;
    Activation<Float> output1;  // (P, c)
    Activation<Float> output2;  // (P, c)
    Activation<Float> left;     // (P, c) the branch's result

    ConvolutionBranchSaved(Carver<Float>& carver, const BlockShape& shape)
        : norm1(carver, shape.half()),
          norm2(carver, shape.half()),
          norm3(carver, shape.half()),
          output1(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          output2(carver.take_activation(shape.rows() * shape.half(), shape.dtype)),
          left(carver.take_activation(shape.rows() * shape.half(), shape.dtype)) {}
};

// Reads the left half of params.x; fills `saved`. Workspace: `input3`, (P, c), and `moments`.
void convolution_branch_forward(Sequence& sequence, const BlockShape& shape,
                                const mm_ss_conv_ssm_forward_params& params,
                                const ConvolutionBranchSaved<float>& saved, Activation<float> input3, float* moments);

// Adds to the left half of params.dx; dleft (P, c) is masked by left's ReLU already. The way back alternates
// between two regions of workspace, (P, c) each: a convolution's gradient reads `of_outputs` and writes
// `of_inputs`, that of the norm in front reads `of_inputs` and writes `of_outputs`.
void convolution_branch_backward(Sequence& sequence, const BlockShape& shape,
                                 const mm_ss_conv_ssm_backward_params& params,
                                 const ConvolutionBranchSaved<const float>& saved, Activation<const float> dleft,
                                 Activation<float> of_outputs, Activation<float> of_inputs, float* moments);

}  // namespace medmamba
