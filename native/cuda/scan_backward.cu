// Gradient of the four-direction scan.
//
// Each direction is walked from its last chunk to its first. Within a chunk the states are recomputed from the
// checkpoint that forward left (scan_steps.cuh); what is left to do here is to carry the gradients of delta and
// of delta u on to u, to delta's projection, and to the parameters:
//
//   dpre = ddelta * sigmoid(pre),   ddt = dpre . dt_weight,   ddt_weight = dpre x dt,   ddt_bias = sum of dpre.
//
// A block owns some channels of one direction of one image, or of a segment of it (scan_passes.cuh, scan4.cuh). dB,
// dC and ddt, which are sums over channels, are added within the block; what blocks must share has a copy for each:
// du for each direction, dprojected for each block of channels, the parameters' gradients for each image and segment.
// They are added in their order at the end.
//
// Where there are many channels a block has 48 (or 32) and a thread 4 states of two of them, otherwise 32 and 4
// states of one. Shared memory at rank 3 in bfloat16: 62 KB for 48 channels and 96 threads, three blocks on a
// multiprocessor of an H200; 45 KB for 32 (float32: 72 and 51). Workspace: the copies for a run of images, at most 2 GiB,
// and the parameters' gradients.
#include "scan4.cuh"

namespace medmamba::cuda {

namespace {

// Puts an element of a gradient set where its parameter's gradient is; later runs of images add to it.
struct WriteGradient {
    int64_t A_floats, dt_weight_floats, channels;  // sizes of the set's parts
    const float* A_log;
    float *dA_log, *ddt_weight, *ddt_bias, *dskip;
    bool accumulate;

    __device__ __forceinline__ void operator()(int64_t i, float sum) const {
        if (i < A_floats) return put(dA_log, i, sum * -expf(A_log[i]));  // dA_log = dA A
        i -= A_floats;
        if (i < dt_weight_floats) return put(ddt_weight, i, sum);
        i -= dt_weight_floats;
        if (i < channels) return put(ddt_bias, i, sum);
        put(dskip, i - channels, sum);
    }
    __device__ __forceinline__ void put(float* to, int64_t i, float sum) const {
        to[i] = accumulate ? to[i] + sum : sum;
    }
};

// One run of images.
template <class T, int block_channels, int thread_channels>
mm_status backward_run(mm_stream* stream, const mm_scan4_backward_params& p, const Scan4<T>& problem, int64_t first) {
    constexpr const char* what = "scan4_backward";
    const int64_t image_u = (int64_t)problem.length * problem.channels;
    const int64_t image_projected = (int64_t)problem.length * directions * problem.columns;
    mm_status status = MM_OK;
    if constexpr (thread_channels == 1)
        status = launch_segments<Scan4Source<T, block_channels, Pass::adjoint, 4>>(stream, what, problem);
    if (status == MM_OK)
        status = launch_backward<Scan4Source<T, block_channels, Pass::backward, 4, thread_channels>>(stream, what,
                                                                                                     problem);
    if (status == MM_OK)
        status = add_copies(stream, what, directions, problem.images * image_u, problem.du,
                            stored<T>(p.du) + first * image_u);
    if (status == MM_OK && problem.blocks > 1)
        status = add_copies(stream, what, problem.blocks, problem.images * image_projected, problem.dprojected,
                            stored<T>(p.dprojected) + first * image_projected);
    if (status != MM_OK) return status;
    const int64_t channels = (int64_t)directions * problem.channels;
    return add_parts(stream, what, problem.images * problem.segments, problem.gradient_floats(), problem.gradients,
                     WriteGradient{channels * problem.states, channels * problem.rank, channels, p.A_log, p.dA_log,
                                   p.ddt_weight, p.ddt_bias, p.dskip, first > 0});
}

template <class T, int block_channels, int thread_channels>
mm_status backward(mm_stream* stream, const mm_scan4_backward_params& p, const ImageRuns& runs) {
    Scan4<T> problem = {};
    problem.take_shape(p, block_channels, runs.most_images());
    problem.vectors = problem.channels % (16 / sizeof(T)) == 0 && ((uintptr_t)p.u | (uintptr_t)p.dy) % 16 == 0;
    const int64_t image_u = (int64_t)problem.length * problem.channels;
    const int64_t image_projected = (int64_t)problem.length * directions * problem.columns;
    const int64_t du_copies = directions * image_u;
    const int64_t dprojected_copies = problem.blocks > 1 ? problem.blocks * image_projected : 0;
    const int64_t gradient_sets = problem.segments * problem.gradient_floats();
    const int64_t image_floats = gradient_sets + problem.floats(du_copies + dprojected_copies);
    Workspace workspace(stream, problem.carry_floats() + runs.most_images() * image_floats);
    if (workspace.status() != MM_OK) return workspace.status();
    for (int64_t run = 0; run < runs.count; ++run) {
        const int64_t first = runs.first(run), images = runs.images(run);
        problem.take_images(p, first, images);
        problem.dy = stored<T>(p.dy) + first * image_u;
        problem.saved = p.checkpoints + first * directions * problem.chunks * problem.channels * problem.states;
        problem.place_carry(workspace.data());
        problem.gradients = workspace.data() + problem.carry_floats();
        problem.du = stored<T>(problem.gradients + images * gradient_sets);
        problem.dprojected = problem.blocks > 1 ? problem.du + images * du_copies
                                                : stored<T>(p.dprojected) + first * image_projected;
        const mm_status status = backward_run<T, block_channels, thread_channels>(stream, p, problem, first);
        if (status != MM_OK) return status;
    }
    return MM_OK;
}

}  // namespace

mm_status scan4_backward(mm_stream* stream, const mm_scan4_backward_params* params) {
    const mm_scan4_backward_params& p = *params;
    if (p.batch * p.height * p.width * p.channels == 0) {
        // Sums of no images.
        const int64_t channels = directions * p.channels;
        return add_parts(stream, "scan4_backward", 0, channels * (p.states + p.rank + 2), nullptr,
                         WriteGradient{channels * p.states, channels * p.rank, channels, p.A_log, p.dA_log,
                                       p.ddt_weight, p.ddt_bias, p.dskip, false});
    }
    // With as many copies of dprojected as the smallest blocks have; which blocks there are depends on the runs.
    const int64_t blocks = ceil_div(p.channels, 32);
    const int64_t pixel_copies = p.channels + (blocks > 1 ? blocks * (p.rank + 2 * p.states) : 0);
    return with_storage(stream, "scan4_backward", p.x_dtype, [&](auto element) {
        using T = decltype(element);
        const ImageRuns runs(p.batch, Scan4<T>::floats(directions * p.height * p.width * pixel_copies));
        const bool many = many_channels(runs.most_images() * directions * p.channels);
        // 70 KB and more of shared memory, in float32, which GPUs before 8.0 do not have.
        const bool has_room = stream->shared_bytes_per_block > 64 << 10;
        if (many && has_room && p.channels % 48 == 0) return backward<T, 48, 2>(stream, p, runs);
        if (many && p.channels % 32 == 0) return backward<T, 32, 2>(stream, p, runs);
        return backward<T, 32, 1>(stream, p, runs);
    });
}

}  // namespace medmamba::cuda
