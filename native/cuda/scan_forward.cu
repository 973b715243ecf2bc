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
// Each direction has a copy of y of its own. Whoever reads y next adds them, if the caller wants it so (y_copies) and all
// images are one run; otherwise a pass does.
//
// Workspace: four copies of y for a run of images, at most 2 GiB, unless they are the result, and for a few images (fewer
// than fill the GPU) 17 floats a segment, direction and channel.
#include "scan.cuh"
#include "scan4.cuh"

namespace medmamba::cuda {

namespace {

template <class T, int block_channels, int lane_states>
mm_status forward(mm_stream* stream, const mm_scan4_forward_params& p, const ImageRuns& runs) {
    constexpr const char* what = "scan4_forward";
    Scan4<T> problem = {};
    problem.take_shape(p, block_channels, runs.most_images());
    const bool leaves_copies = p.y_copies > 1;
    problem.vectors = problem.channels % (16 / sizeof(T)) == 0 && (uintptr_t)p.u % 16 == 0 &&
                      (!leaves_copies || (uintptr_t)p.y % 16 == 0);
    const int64_t image_u = (int64_t)problem.length * problem.channels;
    const int64_t y_copies = leaves_copies ? 0 : runs.most_images() * directions * image_u;
    Workspace workspace(stream, problem.carry_floats() + problem.floats(y_copies));
    if (workspace.status() != MM_OK) return workspace.status();
    for (int64_t run = 0; run < runs.count; ++run) {
        const int64_t first = runs.first(run), images = runs.images(run);
        problem.take_images(p, first, images);
        problem.place_carry(workspace.data());
        problem.y = stored<T>(leaves_copies ? p.y : workspace.data() + problem.carry_floats());
        if (p.checkpoints)
            problem.checkpoints =
                p.checkpoints + first * directions * problem.chunks * problem.channels * problem.states;
        mm_status status = MM_OK;
        if constexpr (lane_states == 4)
            status = launch_segments<Scan4Source<T, block_channels, Pass::states, 4>>(stream, what, problem);
        if (status == MM_OK)
            status =
                launch_forward<Scan4Source<T, block_channels, Pass::forward, lane_states>>(stream, what, problem);
        if (status == MM_OK && !leaves_copies)
            status = add_copies(stream, what, directions, images * image_u, problem.y,
                                stored<T>(p.y) + first * image_u);
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

// The runs of a batch, bounded by the copies of y.
template <class T>
ImageRuns runs_of(int64_t batch, int64_t height, int64_t width, int64_t channels) {
    return {batch, Scan4<T>::floats(directions * height * width * channels)};
}

}  // namespace

// One state a channel before every chunk of every direction.
int64_t scan4_checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states) {
    return batch * directions * ceil_div(height * width, chunk_steps) * channels * states;
}

int64_t scan4_copy_count(int64_t batch, int64_t height, int64_t width, int64_t channels, mm_dtype dtype) {
    if (batch * height * width * channels == 0 || channels > most_copied_channels) return 1;
    const ImageRuns runs = dtype == MM_BFLOAT16 ? runs_of<BFloat16>(batch, height, width, channels)
                                                : runs_of<float>(batch, height, width, channels);
    return runs.count == 1 ? directions : 1;
}

mm_status scan4_forward(mm_stream* stream, const mm_scan4_forward_params* params) {
    if (params->batch * params->height * params->width * params->channels == 0) return MM_OK;
    const char* what = "scan4_forward";
    return with_storage(stream, what, params->x_dtype, [&](auto element) {
        using T = decltype(element);
        const ImageRuns runs = runs_of<T>(params->batch, params->height, params->width, params->channels);
        if (params->y_copies > 1 && (params->y_copies != directions || runs.count > 1))
            return stream->fail(MM_UNSUPPORTED, "%s: %lld copies of y were asked for, and runs of images leave %d", what,
                                (long long)params->y_copies, runs.count > 1 ? 1 : directions);
        const bool many = many_channels(runs.most_images() * directions * params->channels);
        if (many && params->channels % 96 == 0) return forward<T, 96, 16>(stream, *params, runs);
        if (many && params->channels % 64 == 0) return forward<T, 64, 16>(stream, *params, runs);
        return forward<T, 32, 4>(stream, *params, runs);
    });
}

}  // namespace medmamba::cuda
