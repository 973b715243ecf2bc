// The selective scan of an image in four directions.
//
//   y[p] = sum over directions of C[p].h[p] + skip u[p],   h[p] = exp(delta[p] A) h[before p] + delta[p] B[p] u[p]
//
// A direction is only an order of visiting pixels: nothing is reordered in memory. A block owns some channels of one
// direction of one image, or of a segment of it (scan_passes.cuh), with the states of all its steps in registers
// (scan_steps.cuh) and the chunk at hand in shared memory (scan4.cuh). Where there are many channels a block has 96
// or 64, a thread for each: 47 KB at rank 3 (bfloat16: 36), four blocks on a multiprocessor of an H200. Otherwise it has
// 32, four threads for each: 22 KB.
//
// Workspace: four copies of y for a run of images, at most 2 GiB, and for a few images (fewer than fill the GPU) 17
// floats a segment, direction and channel.
#include "scan.cuh"
#include "scan4.cuh"

namespace medmamba::cuda {

namespace {

template <class T, int block_channels, int lane_states>
mm_status forward(mm_stream* stream, const mm_scan4_forward_params& p, const ImageRuns& runs) {
    constexpr const char* what = "scan4_forward";
    Scan4<T> problem = {};
    problem.take_shape(p, block_channels, runs.most_images());
    problem.vectors = problem.channels % (16 / sizeof(T)) == 0 && (uintptr_t)p.u % 16 == 0;
    const int64_t image_u = (int64_t)problem.length * problem.channels;
    const int64_t y_copies = runs.most_images() * directions * image_u;
    Workspace workspace(stream, problem.carry_floats() + problem.floats(y_copies));
    if (workspace.status() != MM_OK) return workspace.status();
    for (int64_t run = 0; run < runs.count; ++run) {
        const int64_t first = runs.first(run), images = runs.images(run);
        problem.take_images(p, first, images);
        problem.place_carry(workspace.data());
        problem.y = stored<T>(workspace.data() + problem.carry_floats());
        if (p.checkpoints)
            problem.checkpoints =
                p.checkpoints + first * directions * problem.chunks * problem.channels * problem.states;
        mm_status status = MM_OK;
        if constexpr (lane_states == 4)
            status = launch_segments<Scan4Source<T, block_channels, Pass::states, 4>>(stream, what, problem);
        if (status == MM_OK)
            status =
                launch_forward<Scan4Source<T, block_channels, Pass::forward, lane_states>>(stream, what, problem);
        if (status == MM_OK)
            status = add_copies(stream, what, directions, images * image_u, problem.y,
                                stored<T>(p.y) + first * image_u);
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

}  // namespace

// One state a channel before every chunk of every direction.
int64_t scan4_checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states) {
    return batch * directions * ceil_div(height * width, chunk_steps) * channels * states;
}

mm_status scan4_forward(mm_stream* stream, const mm_scan4_forward_params* params) {
    if (params->batch * params->height * params->width * params->channels == 0) return MM_OK;
    const int64_t image_copies = directions * params->height * params->width * params->channels;
    return with_storage(stream, "scan4_forward", params->x_dtype, [&](auto element) {
        using T = decltype(element);
        const ImageRuns runs(params->batch, Scan4<T>::floats(image_copies));
        const bool many = many_channels(runs.most_images() * directions * params->channels);
        if (many && params->channels % 96 == 0) return forward<T, 96, 16>(stream, *params, runs);
        if (many && params->channels % 64 == 0) return forward<T, 64, 16>(stream, *params, runs);
        return forward<T, 32, 4>(stream, *params, runs);
    });
}

}  // namespace medmamba::cuda
