// A chunk's rows of the four-direction scan: how they come into shared memory, and how y and du leave it.
//
// u and dy lie there as they do in memory, 16 bytes a copy, double-buffered: the walk reads them as they are, and
// puts y in the place of u, du in that of dy, so that results go out 16 bytes at a time too. The columns of a
// direction's projection, dt | B | C, are copied a word a lane, and made float32 and aligned when the chunk's turn
// comes, once for all of a block's channels; the next chunk's may come then. Copies are of 4 bytes at least: bfloat16
// columns come with the one element in front or behind that shares a word with them. The columns of all four
// directions of a pixel are whole words.
#pragma once

#include "scan4_problem.cuh"

namespace medmamba::cuda {

template <class T, class Tile, Pass pass>
class Scan4Rows {
public:
    struct Channels {  // of a chunk
        T u[chunk_steps * Tile::channels];
        T dy[reads_dy<pass> ? chunk_steps * Tile::channels : 8];
        int pixels[chunk_steps];
    };
    struct Memory {
        Channels channels[2];
        float B[chunk_steps * group_states], C[chunk_steps * group_states];
    };

    // Behind the passes' memory: dt, and the columns as they come.
    static __host__ __device__ __forceinline__ int extra_floats(const Scan4<T>& problem) {
        const int floats = chunk_steps * (problem.dt_row + problem.row_words);
        return (floats + 3) / 4 * 4;
    }

    __device__ __forceinline__ Scan4Rows(const Scan4Block<T>& block, Memory& memory, float* extra)
        : block_(block),
          problem_(block.problem),
          memory_(memory),
          dt_(extra),
          columns_(reinterpret_cast<uint32_t*>(dt_ + chunk_steps * problem_.dt_row)) {
        const int behind = problem_.dt_row - problem_.rank;
        for (int i = threadIdx.x; i < chunk_steps * behind; i += Tile::threads)
            dt_[i / behind * problem_.dt_row + problem_.rank + i % behind] = i % behind == 0 ? 1.0f : 0.0f;
    }

    __device__ __forceinline__ Channels& channels(int buffer) const { return memory_.channels[buffer]; }
    __device__ __forceinline__ const Memory& memory() const { return memory_; }
    // (chunk_steps, dt_row), zero past the chunk's end; behind the rank one, by which the bias is multiplied, and zeros.
    __device__ __forceinline__ const float* dt() const { return dt_; }
    __device__ __forceinline__ int pixel(int buffer, int t) const { return memory_.channels[buffer].pixels[t]; }

    // Starts the copies of a chunk's rows. Those of u and dy past its end become zero; those of columns are others'.
    __device__ __forceinline__ void stage(int buffer, int chunk) const {
        const int count = problem_.steps(chunk), pixel = block_.lane_pixel(chunk);
        Channels& to = channels(buffer);
        const int thread = thread_anew(), lane = thread % warp_lanes, warp = thread / warp_lanes;
        if (warp == 0) to.pixels[lane] = pixel;
        const T* columns = problem_.projected + block_.place.direction * problem_.columns - odd();
        int rows[warp_rows];
        each_row(warp, [&](int k, int t) { rows[k] = __shfl_sync(whole_warp, pixel, t); });
        const int words = copied_words(), row_bytes = directions * problem_.columns * (int)sizeof(T);
        const int words_apart = Tile::warps * problem_.row_words;
        for (int word = lane; word < words; word += warp_lanes) {
            const uint32_t* from = reinterpret_cast<const uint32_t*>(columns) + word;
            uint32_t* to_word = columns_ + warp * problem_.row_words + word;
            each_row(warp, [&](int k, int) {
                copy_async<4>(to_word + k * words_apart, global_offset(from, (int64_t)rows[k] * row_bytes), true);
            });
        }
        if constexpr (reads_u<pass>) stage_channels(to.u, problem_.u, count, pixel);
        if constexpr (reads_dy<pass>) stage_channels(to.dy, problem_.dy, count, pixel);
    }

    // The columns of the chunk at hand as float32: dt, and a group's states of B and C, which are zero past the
    // chunk's end. Ends with a barrier.
    __device__ __forceinline__ void unpack(int chunk, int group) const {
        const int thread = thread_anew(), lane = thread % warp_lanes, warp = thread / warp_lanes;
        const int n = lane % group_states, state = group * group_states + n;
        const bool is_C = lane >= group_states, there = state < problem_.states;
        const T* columns = reinterpret_cast<const T*>(columns_) + odd();
        const int row = problem_.row_words * (int)(sizeof(uint32_t) / sizeof(T));
        const T* from = columns + (there ? problem_.rank + (is_C ? problem_.states : 0) + state : 0);
        float* to = (is_C ? memory_.C : memory_.B) + n;
        const int count = there ? problem_.steps(chunk) : 0;
        each_row(warp, [&](int, int t) {
            const float x = to_float(from[t * row]);
            to[t * group_states] = t < count ? x : 0.0f;
        });
        for (int r = warp; r < problem_.rank; r += Tile::warps) {
            const float x = to_float(columns[lane * row + r]);
            dt_[lane * problem_.dt_row + r] = lane < problem_.steps(chunk) ? x : 0.0f;
        }
        __syncthreads();
    }

    // Writes the chunk's rows to this direction's copy, or adds them.
    __device__ __forceinline__ void leave(const T* rows, T* copies, int buffer, int chunk, bool first) const {
        const int count = problem_.steps(chunk);
        T* copy = problem_.copy_of(copies, block_.place.direction) + block_.place.first_channel;
        if (problem_.vectors) {
            const OwnVectors own(thread_anew());
            const int c = own.channel;
            if (!block_.live(c)) return;
#pragma unroll
            for (int k = 0; k < vector_steps; ++k) {
                const int t = own.step(k);
                T* to = block_.channel_row(copy + c, pixel(buffer, t));
                if (t < count) put(to, rows + t * Tile::channels + c, first, Width<vector>{});
            }
        } else {
            for (int i = thread_anew(); i < count * Tile::channels; i += Tile::threads) {
                const int t = i / Tile::channels, c = i % Tile::channels;
                if (block_.live(c)) put(block_.channel_row(copy + c, pixel(buffer, t)), rows + i, first, Width<1>{});
            }
        }
    }

private:
    static constexpr int vector = 16 / (int)sizeof(T), row_vectors = Tile::channels / vector;
    static constexpr int vector_steps_apart = Tile::threads / row_vectors;
    static constexpr int vector_steps = chunk_steps / vector_steps_apart;
    static constexpr int warp_rows = (chunk_steps + Tile::warps - 1) / Tile::warps;
    static_assert(Tile::threads % row_vectors == 0 && chunk_steps % vector_steps_apart == 0, "vectors a thread");

    // The channel and the first of the steps of which a thread copies vectors.
    struct OwnVectors {
        int channel, first_step;
        __device__ __forceinline__ explicit OwnVectors(int thread)
            : channel(thread % row_vectors * vector), first_step(thread / row_vectors) {}
        __device__ __forceinline__ int step(int k) const { return first_step + vector_steps_apart * k; }
    };

    // Whether the direction's first column is the upper half of a word.
    __device__ __forceinline__ int odd() const {
        return sizeof(T) == 2 ? block_.place.direction * problem_.columns % 2 : 0;
    }
    // Words that are copied of a row.
    __device__ __forceinline__ int copied_words() const {
        return sizeof(T) == 2 ? (problem_.columns + odd() + 1) / 2 : problem_.columns;
    }
    // Calls body(k, t) for every step t of a warp's, its number k.
    template <class Body>
    static __device__ __forceinline__ void each_row(int warp, Body&& body) {
#pragma unroll
        for (int k = 0; k < warp_rows; ++k) {
            const int t = warp + k * Tile::warps;
            if ((k + 1) * Tile::warps <= chunk_steps || t < chunk_steps) body(k, t);
        }
    }
    template <int width>
    static __device__ __forceinline__ void put(T* to, const T* from, bool first, Width<width>) {
        if (first) {
            struct alignas(width * sizeof(T)) Vector {
                T element[width];
            };
            *reinterpret_cast<Vector*>(to) = *reinterpret_cast<const Vector*>(from);
            return;
        }
        Floats<width> x = load(from, Width<width>{});
        const Floats<width> before = load(to, Width<width>{});
#pragma unroll
        for (int i = 0; i < width; ++i) x.lane[i] += before.lane[i];
        store(to, x);
    }

    __device__ __forceinline__ void stage_channels(T* to, const T* from, int count, int pixel) const {
        from += block_.place.first_channel;
        if (problem_.vectors) {
            const OwnVectors own(thread_anew());
            const int c = own.channel;
            const bool live = block_.live(c);
#pragma unroll
            for (int k = 0; k < vector_steps; ++k) {
                const int t = own.step(k);
                const T* row = block_.channel_row(from + c, __shfl_sync(whole_warp, pixel, t));
                copy_async<16>(to + t * Tile::channels + c, row, live && t < count);
            }
        } else {
            const int thread = thread_anew();
            constexpr int trips = chunk_steps * Tile::channels / Tile::threads;
#pragma unroll 2
            for (int k = 0; k < trips; ++k) {
                const int i = thread + k * Tile::threads, t = i / Tile::channels, c = i % Tile::channels;
                const T* row = block_.channel_row(from + c, __shfl_sync(whole_warp, pixel, t));
                const bool there = t < count && block_.live(c);
                if constexpr (sizeof(T) == 2)
                    to[i] = there ? *row : T{};  // no asynchronous copy moves 2 bytes
                else
                    copy_async<4>(to + i, row, there);
            }
        }
    }

    const Scan4Block<T> block_;
    const Scan4<T>& problem_;
    Memory& memory_;
    float* dt_;
    uint32_t* columns_;
};

}  // namespace medmamba::cuda
