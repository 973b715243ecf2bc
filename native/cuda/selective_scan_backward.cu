// Gradient of the selective scan as mamba_ssm defines it; a sibling of scan_backward.cu.
//
// A block owns 32 channels of one image, or of a segment of it, from the last chunk to the first. dB and dC, sums
// over a group's channels, are added within the block; if a group has several blocks each has a copy, and each image
// and segment has its own gradients of A, D and delta_bias. They are added in their order at the end.
//
// Shared memory: 71 KB a block; where a GPU has not that much (before 8.0), blocks are of 16 channels. Workspace: the copies for a run of images, at most 2 GiB.
#include "selective_scan.cuh"

namespace medmamba::cuda {

namespace {

// Puts an element of a gradient set where its parameter's gradient is; later runs of images add to it.
struct WriteGradient {
    int64_t A_floats, channels;
    float *dA, *dD, *ddelta_bias;
    bool accumulate;

    __device__ __forceinline__ void operator()(int64_t i, float sum) const {
        if (i < A_floats) return put(dA, i, sum);
        i -= A_floats;
        if (i < channels) return put(dD, i, sum);
        i -= channels;
        if (i < channels) put(ddelta_bias, i, sum);
    }
    __device__ __forceinline__ void put(float* to, int64_t i, float sum) const {
        if (to) to[i] = accumulate ? to[i] + sum : sum;
    }
};

mm_status add_gradients(mm_stream* stream, const mm_selective_scan_backward_params& p, int64_t sets,
                        int64_t set_floats, const float* gradients, bool accumulate) {
    return add_parts(stream, "selective_scan_backward", sets, set_floats, gradients,
                     WriteGradient{p.channels * p.states, p.channels, p.dA, p.dD, p.ddelta_bias, accumulate});
}

// One run of images, of which each has `shared` floats of dB, and as many of dC.
template <int channels>
mm_status backward_run(mm_stream* stream, const mm_selective_scan_backward_params& p, const SelectiveScan& problem,
                       int64_t first, int64_t shared) {
    constexpr const char* what = "selective_scan_backward";
    mm_status status = launch_segments<SelectiveSource<Pass::adjoint, channels>>(stream, what, problem);
    if (status == MM_OK) status = launch_backward<SelectiveSource<Pass::backward, channels>>(stream, what, problem);
    if (problem.group_blocks > 1) {
        const int64_t count = problem.images * shared;
        if (status == MM_OK)
            status = add_copies(stream, what, problem.group_blocks, count, problem.dB, p.dB + first * shared);
        if (status == MM_OK)
            status = add_copies(stream, what, problem.group_blocks, count, problem.dC, p.dC + first * shared);
    }
    if (status != MM_OK) return status;
    return add_gradients(stream, p, problem.images * problem.segments, problem.gradient_floats(), problem.gradients,
                         first > 0);
}

}  // namespace

mm_status selective_scan_backward(mm_stream* stream, const mm_selective_scan_backward_params* params) {
    const mm_selective_scan_backward_params& p = *params;
    if (p.batch * p.channels * p.length == 0) {
        return add_gradients(stream, p, 0, p.channels * (p.states + 2), nullptr, false);  // sums of no images
    }
    SelectiveScan problem = {};
    const bool has_room = (size_t)stream->shared_bytes_per_block >=
                          sizeof(BackwardMemory<SelectiveSource<Pass::backward, 32>>);
    problem.take_shape(p, has_room ? 32 : 16);
    const int64_t shared = p.groups * p.states * p.length;
    const int64_t shared_copies = problem.group_blocks > 1 ? problem.group_blocks * shared : 0;
    const int64_t image_floats = 2 * shared_copies + problem.segments * problem.gradient_floats();
    const ImageRuns runs(p.batch, image_floats);
    Workspace workspace(stream, problem.carry_floats() + runs.most_images() * image_floats);
    if (workspace.status() != MM_OK) return workspace.status();
    for (int64_t run = 0; run < runs.count; ++run) {
        const int64_t first = runs.first(run), images = runs.images(run);
        const int64_t rows = first * p.channels * p.length, states = first * p.channels * p.states;
        problem.take_images(p, first, images);
        problem.dy = p.dy + rows, problem.du = p.du + rows, problem.ddelta = p.ddelta + rows;
        problem.dz = p.dz ? p.dz + rows : nullptr;
        problem.saved = p.checkpoints + states * problem.chunks;
        problem.dlast_state = p.dlast_state ? p.dlast_state + states : nullptr;
        problem.place_carry(workspace.data());
        problem.gradients = workspace.data() + problem.carry_floats();
        float* copies = problem.gradients + images * problem.segments * problem.gradient_floats();
        problem.dB = shared_copies ? copies : p.dB + first * shared;
        problem.dC = shared_copies ? copies + images * shared_copies : p.dC + first * shared;
        const mm_status status = has_room ? backward_run<32>(stream, p, problem, first, shared)
                                          : backward_run<16>(stream, p, problem, first, shared);
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

}  // namespace medmamba::cuda
