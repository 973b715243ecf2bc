// The selective scan as mamba_ssm defines it, forward. A block owns 32 channels of one image, or of a segment of it
// (scan_passes.cuh); chunks of the channels-first inputs are transposed by the copies that bring them to shared
// memory, 35 KB in all, walked (scan_steps.cuh), and y is transposed back.
//
// Workspace: none, but for a few images (fewer than fill the GPU) states + 1 floats a segment and channel.
#include "selective_scan.cuh"

namespace medmamba::cuda {

mm_status selective_scan_forward(mm_stream* stream, const mm_selective_scan_forward_params* params) {
    constexpr const char* what = "selective_scan_forward";
    const mm_selective_scan_forward_params& p = *params;
    if (p.batch * p.channels * p.length == 0) return MM_OK;
    SelectiveScan problem = {};
    problem.take_shape(p, 32);
    problem.take_images(p, 0, p.batch);
    problem.y = p.y, problem.checkpoints = p.checkpoints, problem.last_state = p.last_state;
    Workspace workspace(stream, problem.carry_floats());
    if (workspace.status() != MM_OK) return workspace.status();
    problem.place_carry(workspace.data());
    const mm_status status = launch_segments<SelectiveSource<Pass::states>>(stream, what, problem);
    return status != MM_OK ? status : launch_forward<SelectiveSource<Pass::forward>>(stream, what, problem);
}

}  // namespace medmamba::cuda
