// The four-direction scan as the passes (scan_passes.cuh) see it, and what a block has of it.
//
// Directions run side by side, each to a copy of its own of y (of du, backward), which are added afterwards: that
// reads and writes less than 1.3 times what one block visiting all four would, and there are four times as many
// blocks. A run of images is as many as scan_runs.cuh lets the copies take.
//
// What comes from memory and what goes there, the copies included, is kept as T, float32 or bfloat16; the parameters
// and their gradients are float32.
#pragma once

#include <type_traits>

#include "scan.cuh"
#include "scan_passes.cuh"
#include "scan_sums.cuh"

namespace medmamba::cuda {

// Whether sums have float32's accuracy: not of what is rounded to bfloat16, whose sums tensor cores make.
template <class T>
constexpr bool is_exact = !std::is_same_v<T, BFloat16>;

// Columns of dt that are multiplied at once.
template <class T>
constexpr int dt_step = is_exact<T> ? 4 : 8;

template <class T>
struct Scan4 : ScanShape {
    int64_t images;  // of this run
    int height, width, rank, columns;
    int row_words;  // of a step's columns in shared memory: bfloat16 come with one beside that shares a word with them
    int dt_row;    // a step's dt in shared memory: the rank, and one for the bias, rounded up
    bool vectors;  // rows of u, dy, y and du can be copied 16 bytes at a time
    const T *u, *projected, *dy;
    const float *dt_weight, *dt_bias, *A_log, *skip;
    T* y;              // (4, images, pixels, D)
    T* du;             // (4, images, pixels, D)
    T* dprojected;     // (blocks, images, pixels, 4, columns)
    float* gradients;  // (images, segments, gradient_floats)

    // Of one image or segment: dA (4, D, N) | ddt_weight (4, D, R) | ddt_bias (4, D) | dskip (4, D)
    int64_t gradient_floats() const { return (int64_t)directions * channels * (states + rank + 2); }

    // For runs of up to so many images.
    template <class Params>
    void take_shape(const Params& p, int block_channels, int64_t run_images) {
        height = (int)p.height, width = (int)p.width, length = height * width;
        channels = (int)p.channels, states = (int)p.states, rank = (int)p.rank;
        columns = rank + 2 * states, dt_row = (int)ceil_div(rank + 1, dt_step<T>) * dt_step<T>;
        row_words = is_exact<T> ? columns : columns / 2 + 1;
        blocks = (int)ceil_div(channels, block_channels);
        dt_weight = p.dt_weight, dt_bias = p.dt_bias, A_log = p.A_log, skip = p.skip;
        sequences = run_images * directions;
        cut_into_segments(block_channels);
    }
    template <class Params>
    void take_images(const Params& p, int64_t first, int64_t count) {
        images = count, sequences = images * directions;
        u = stored<T>(p.u) + first * length * channels;
        projected = stored<T>(p.projected) + first * length * directions * columns;
    }
    // Floats that `elements` of T take.
    static int64_t floats(int64_t elements) { return ceil_div(elements * (int64_t)sizeof(T), sizeof(float)); }

    __device__ __forceinline__ float A(int64_t sequence, int channel, int state) const {
        return -expf(A_log[(sequence % directions * channels + channel) * states + state]);
    }
    // Checkpoints are (images, directions, chunks, channels, states): a warp's lie side by side.
    __device__ __forceinline__ int64_t checkpoint(int64_t sequence, int chunk, int channel) const {
        return ((sequence * chunks + chunk) * channels + channel) * states;
    }
    // Where a direction's copy of y or du begins.
    __device__ __forceinline__ T* copy_of(T* copies, int direction) const {
        return copies + direction * images * length * channels;
    }
    // Direction 0 takes the pixels row by row, 1 column by column; 2 and 3 are the same two from the end.
    __device__ __forceinline__ int visited(int direction, int step) const {
        if (direction >= 2) step = length - 1 - step;
        if (direction % 2 == 0) return step;
        const int column = step / height;
        return (step - column * height) * width + column;
    }
};

// A block's channels of one direction of one image. In shared memory: the walk needs the registers.
struct Scan4Place : ScanPlace {
    int direction, first_channel, live_channels;
    int image;  // index of its first pixel; 2^31 would need more than a run's workspace

    template <class Problem>
    __device__ __forceinline__ Scan4Place(const Problem& problem, int block_channels)
        : ScanPlace(problem),
          direction(sequence % directions),
          first_channel(block * block_channels),
          live_channels(min(block_channels, problem.channels - first_channel)),
          image(sequence / directions * problem.length) {}
};

template <class T>
struct Scan4Block {
    const Scan4<T>& problem;
    const Scan4Place& place;

    __device__ __forceinline__ bool live(int channel) const { return channel < place.live_channels; }

    // Of the parameters that have a float for each direction and channel, the block's first.
    __device__ __forceinline__ int64_t parameter() const {
        return (int64_t)place.direction * problem.channels + place.first_channel;
    }
    // The pixel, counted through all images, of the step whose number in the chunk is the lane's.
    __device__ __forceinline__ int lane_pixel(int chunk) const {
        const int step = chunk * chunk_steps + thread_anew() % warp_lanes;
        return place.image + (step < problem.length ? problem.visited(place.direction, step) : 0);
    }
    // A pixel's row of those that begin at `rows`. In bytes the address is one multiply-add of two ints.
    template <class Row>
    static __device__ __forceinline__ Row* row_at(Row* rows, int pixel, int elements) {
        return global_offset(rows, (int64_t)pixel * (elements * (int)sizeof(Row)));
    }
    template <class Row>
    __device__ __forceinline__ Row* projected_row(Row* rows, int pixel) const {
        return row_at(rows, pixel, directions * problem.columns);
    }
    template <class Row>
    __device__ __forceinline__ Row* channel_row(Row* rows, int pixel) const {
        return row_at(rows, pixel, problem.channels);
    }
};

}  // namespace medmamba::cuda
