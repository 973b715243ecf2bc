// The passes of the selective scan over sequences, forward and backward, for whatever source its chunks come from.
//
// A block owns some channels of one sequence (one direction of one image, or one image) and walks it chunk by chunk:
//
//     copies of chunk c+1 under way  |  delta of chunk c  |  walk chunk c (scan_steps.cuh)  |  write what it gave
//
// B, C and dt of a chunk come into shared memory once for all channels of the block, asynchronously and
// double-buffered. A source says what lies where: it stages a chunk's rows, computes delta, and takes results to
// global memory. States beyond 16 are walked as further groups, which add to what the block's own threads wrote
// before.
//
// Few sequences would leave most of a GPU idle. Then a sequence is cut into segments, each a block's: a first pass
// finds what each segment makes of a zero state, and its decay, exp(A sum of delta); a short kernel links the
// segments, and the pass proper starts each from its right state. Backward does the same with the gradient of the
// state, from the end. The cut depends on shapes alone.
#pragma once

#include "scan_runs.cuh"
#include "scan_steps_backward.cuh"

namespace medmamba::cuda {

// Which rows of a chunk a pass needs: all but dy; u and B; C and dy; all.
enum class Pass { forward, states, adjoint, backward };
template <Pass pass>
constexpr bool reads_u = pass != Pass::adjoint;
template <Pass pass>
constexpr bool reads_B = pass != Pass::adjoint;
template <Pass pass>
constexpr bool reads_C = pass != Pass::states;
template <Pass pass>
constexpr bool reads_dy = pass == Pass::adjoint || pass == Pass::backward;

// What the passes know of a problem; sources add the rest.
struct ScanShape {
    int64_t sequences;
    int length, channels, states;
    int blocks;  // of channels
    int chunks, segments, segment_chunks;

    float* checkpoints;        // what forward keeps, or NULL
    const float* saved;        // the same, as backward reads it
    float* last_state;         // (sequences, channels, states), or NULL
    const float* dlast_state;  // (sequences, channels, states), or NULL

    // States to and from neighbouring segments, (segments, sequences, channels, states), and the segments' sums of
    // delta, (segments, sequences, channels). Only if there are several segments.
    float *carry, *delta_sums;

    void cut_into_segments(int block_channels) {
        constexpr int64_t wanted = 16384;       // channels of segments, 128 for each of 128 multiprocessors
        constexpr int shortest = 2, worth = 3;  // chunks of a segment; segments that pay for the first pass
        chunks = (int)ceil_div(length, chunk_steps);
        int64_t most = wanted / (sequences * blocks * block_channels);
        if (most > chunks / shortest) most = chunks / shortest;
        segment_chunks = most < worth ? chunks : (int)ceil_div(chunks, most);
        segments = (int)ceil_div(chunks, segment_chunks);
    }
    int64_t carry_floats() const {  // rounded up, so that what lies behind in a workspace is aligned
        return segments == 1 ? 0 : ceil_div(segments * sequences * channels * (states + 1), 4) * 4;
    }
    void place_carry(float* floats) {
        carry = floats;
        delta_sums = floats + segments * sequences * channels * states;
    }
    __device__ __forceinline__ int steps(int chunk) const { return min(chunk_steps, length - chunk * chunk_steps); }
    dim3 grid() const { return dim3((unsigned)(sequences * blocks * segments)); }

    __device__ __forceinline__ int64_t carry_channel(int64_t sequence, int segment, int channel) const {
        return (segment * sequences + sequence) * channels + channel;
    }
};

// Whether a thread with 16 states of a channel (backward: 4 states of two) still leaves enough threads to fill a GPU.
// Such sequences are never cut. They are those of one run of images.
inline bool many_channels(int64_t sequence_channels) { return sequence_channels >= 32768; }

// What a block owns.
struct ScanPlace {
    int sequence, block, segment;
    int first_chunk, last_chunk;

    __device__ __forceinline__ explicit ScanPlace(const ScanShape& shape) {
        const unsigned index = blockIdx.x, sequence_block = index / shape.segments;
        segment = (int)(index % shape.segments);
        block = (int)(sequence_block % shape.blocks);
        sequence = (int)(sequence_block / shape.blocks);
        first_chunk = segment * shape.segment_chunks;
        last_chunk = min(first_chunk + shape.segment_chunks, shape.chunks) - 1;
    }
};

// The chunk at hand: a block takes all chunks of its segment, from the first or `from_end`, for one group of states
// after the other. `buffer` is the one of the two in shared memory that has the chunk's rows.
template <bool from_end>
struct Turn {
    const ScanPlace& place;
    int chunk, group, buffer;

    __device__ __forceinline__ explicit Turn(const ScanPlace& place)
        : place(place), chunk(from_end ? place.last_chunk : place.first_chunk), group(0), buffer(0) {}
    __device__ __forceinline__ bool there(const ScanShape& shape) const {
        return group * group_states < shape.states;
    }
    __device__ __forceinline__ bool opens_group() const {
        return chunk == (from_end ? place.last_chunk : place.first_chunk);
    }
    __device__ __forceinline__ bool closes_group() const {
        return chunk == (from_end ? place.first_chunk : place.last_chunk);
    }
    __device__ __forceinline__ void advance() {
        if (closes_group()) {
            chunk = from_end ? place.last_chunk : place.first_chunk;
            ++group;
        } else {
            chunk += from_end ? -1 : 1;
        }
        buffer = 1 - buffer;
    }
};

template <class Source, class Turn>
__device__ __forceinline__ void start_copies(Source& source, const Turn& turn) {
    if (turn.there(source.problem)) source.stage(turn.buffer, turn.chunk, turn.group);
    copy_async_commit();
}

// Waits for the rows of this turn and for the block to be done with the last, lets the source unpack them, then
// starts the copies of the next.
template <class Source, class Turn>
__device__ __forceinline__ void open_turn(Source& source, const Turn& turn) {
    copy_async_wait<0>();
    __syncthreads();
    source.unpack(turn.buffer, turn.chunk, turn.group);
    Turn next = turn;
    next.advance();
    start_copies(source, next);
}

// A thread's channels within the block, and which of their states the thread holds.
template <class Source>
struct ThreadPlace {
    using Tile = typename Source::Tile;
    using States = float[Tile::lane_states];

    using Rows = ThreadRows<typename Source::Element>;

    int first_channel, in_group;

    __device__ __forceinline__ ThreadPlace() : ThreadPlace((int)threadIdx.x) {}
    __device__ __forceinline__ explicit ThreadPlace(int thread)
        : first_channel(thread / warp_lanes * Tile::warp_channels +
                        thread % Tile::lanes_apart * Tile::thread_channels),
          in_group(thread % warp_lanes / Tile::lanes_apart * Tile::lane_states) {}
    __device__ __forceinline__ int channel(int k) const { return first_channel + k; }
    __device__ __forceinline__ int first_state(int group) const { return group * group_states + in_group; }
    __device__ __forceinline__ Rows rows(const ChunkRows<typename Source::Element>& chunk, const float* delta) const {
        return {delta + first_channel, chunk.u + first_channel, chunk.dy + first_channel, chunk.B + in_group,
                chunk.C + in_group};
    }
    __device__ __forceinline__ void load_A2(const Source& source, int k, int group, States& A2) const {
#pragma unroll
        for (int n = 0; n < Tile::lane_states; ++n) {
            const int state = first_state(group) + n;
            A2[n] = source.live(channel(k)) && state < source.problem.states
                        ? source.problem.A(source.place.sequence, source.first_channel() + channel(k), state) * log2e
                        : 0.0f;
        }
    }
    // The thread's states of its channel k from an array of the channel's, absent ones as zero, and back.
    __device__ __forceinline__ void load(const Source& source, const float* of_channel, int k, int group,
                                         States& h) const {
        load_states(of_channel, first_state(group), source.live(channel(k)) ? source.problem.states : 0, h);
    }
    __device__ __forceinline__ void store(const Source& source, float* of_channel, int k, int group,
                                          const States& h) const {
        if (source.live(channel(k))) store_states(of_channel, first_state(group), source.problem.states, h);
    }
};

// Blocks that a multiprocessor's registers are to hold at once, about as many as its shared memory does. Forward, a
// thread with 4 states may then have 96 registers and one with 16 may have 168; backward, 168.
template <class Tile>
constexpr int resident_blocks = (Tile::lane_states == 4 ? 640 : 384) / Tile::threads;
template <class Tile>
constexpr int resident_backward_blocks = (Tile::thread_channels == 1 ? 384 : 288) / Tile::threads;

// What a source has of its own lies behind the struct, and is read 16 bytes at a time.
template <class Memory>
__device__ __forceinline__ float* behind(Memory& memory) {
    static_assert(sizeof(Memory) % 16 == 0, "what lies behind the struct in shared memory would not be aligned");
    return reinterpret_cast<float*>(&memory + 1);
}

template <class Source>
struct ForwardMemory {
    typename Source::Memory source;
    float delta[chunk_steps * Source::Tile::delta_row];
};

template <class Source>
__global__ void __launch_bounds__(Source::Tile::threads, resident_blocks<typename Source::Tile>)
    scan_forward_kernel(typename Source::Problem problem) {
    using Tile = typename Source::Tile;
    ForwardMemory<Source>& memory = shared_memory<ForwardMemory<Source>>();
    Source source(problem, memory.source, behind(memory));
    const ScanPlace& place = source.place;
    const ThreadPlace<Source> thread;
    const int channel = source.first_channel() + thread.first_channel, states = problem.states;
    float A2[Tile::lane_states], h[Tile::lane_states];
    Turn<false> turn(place);
    start_copies(source, turn);
    for (; turn.there(problem); turn.advance()) {
        open_turn(source, turn);
        const int chunk = turn.chunk, group = turn.group, buffer = turn.buffer;
        source.enter(buffer, chunk, group, memory.delta, nullptr);
        if (turn.opens_group()) {
            thread.load_A2(source, 0, group, A2);
            set_zero(h);
            if (place.segment > 0)
                thread.load(source,
                            problem.carry + problem.carry_channel(place.sequence, place.segment, channel) * states, 0,
                            group, h);
        }
        if (problem.checkpoints)
            thread.store(source, problem.checkpoints + problem.checkpoint(place.sequence, chunk, channel), 0, group,
                         h);
        __syncthreads();
        walk_forward<Tile>(
            problem.steps(chunk), thread.rows(source.rows(buffer), memory.delta), A2, h,
            [&](int t, float y) { source.leave_y(buffer, t, thread.first_channel, group, memory.delta, y); });
        __syncthreads();
        source.leave_forward(buffer, chunk, group, memory.delta);
        if (problem.last_state && place.segment == problem.segments - 1 && turn.closes_group()) {
            const int64_t row = (int64_t)place.sequence * problem.channels + channel;
            thread.store(source, problem.last_state + row * states, 0, group, h);
        }
    }
}

// First pass over the segments: what each makes of a zero state, or of a zero gradient of the state after it.
template <class Source>
__global__ void __launch_bounds__(Source::Tile::threads, resident_blocks<typename Source::Tile>)
    scan_segments_kernel(typename Source::Problem problem) {
    using Tile = typename Source::Tile;
    ForwardMemory<Source>& memory = shared_memory<ForwardMemory<Source>>();
    Source source(problem, memory.source, behind(memory));
    const ScanPlace& place = source.place;
    const ThreadPlace<Source> thread;
    constexpr bool adjoint = Source::pass == Pass::adjoint;
    if (place.segment == (adjoint ? 0 : problem.segments - 1)) return;  // nobody starts from what it makes
    float A2[Tile::lane_states], h[Tile::lane_states], delta_sum = 0.0f;
    Turn<adjoint> turn(place);
    start_copies(source, turn);
    for (; turn.there(problem); turn.advance()) {
        open_turn(source, turn);
        const int chunk = turn.chunk, group = turn.group, buffer = turn.buffer;
        source.enter(buffer, chunk, group, memory.delta, nullptr);
        if (turn.opens_group()) {
            thread.load_A2(source, 0, group, A2);
            set_zero(h);
            delta_sum = 0.0f;
        }
        __syncthreads();
        const auto rows = thread.rows(source.rows(buffer), memory.delta);
        if constexpr (adjoint)
            walk_adjoint<Tile>(problem.steps(chunk), rows, A2, h, delta_sum);
        else
            walk_states<Tile>(problem.steps(chunk), rows, A2, h, delta_sum);
        if (turn.closes_group()) {
            const int64_t carry =
                problem.carry_channel(place.sequence, place.segment, source.first_channel() + thread.first_channel);
            thread.store(source, problem.carry + carry * problem.states, 0, group, h);
            if (source.live(thread.first_channel) && thread.first_state(group) == 0)
                problem.delta_sums[carry] = delta_sum;
        }
    }
}

constexpr int link_threads = 128;

// A thread owns one state of one channel of a sequence: what segments gave from zero becomes what they start from.
template <class Problem>
__global__ void __launch_bounds__(link_threads) scan_link_kernel(Problem problem, bool from_end) {
    const int64_t per_segment = problem.sequences * problem.channels;
    const int64_t index = (int64_t)blockIdx.x * link_threads + threadIdx.x;
    if (index >= per_segment * problem.states) return;
    const int64_t row = index / problem.states, sequence = row / problem.channels;
    const float A2 = problem.A(sequence, (int)(row % problem.channels), (int)(index % problem.states)) * log2e;
    float h = from_end && problem.dlast_state ? problem.dlast_state[index] : 0.0f;
    // What the last one walked makes is not there, and not used.
    for (int i = 0; i < problem.segments; ++i) {
        const int64_t segment = from_end ? problem.segments - 1 - i : i;
        float& carry = problem.carry[segment * per_segment * problem.states + index];
        const float made = carry;
        carry = h;
        h = fmaf(exp2_approx(A2 * problem.delta_sums[segment * per_segment + row]), h, made);
    }
}

template <class Source>
struct BackwardMemory {
    typename Source::Memory source;
    RunMemory<typename Source::Tile> runs;
    float delta[chunk_steps * Source::Tile::delta_row];
    float slope[chunk_steps * Source::Tile::delta_row];
};

template <class Source>
__global__ void __launch_bounds__(Source::Tile::threads, resident_backward_blocks<typename Source::Tile>)
    scan_backward_kernel(typename Source::Problem problem) {
    using Tile = typename Source::Tile;
    BackwardMemory<Source>& memory = shared_memory<BackwardMemory<Source>>();
    Source source(problem, memory.source, behind(memory));
    const ScanPlace& place = source.place;
    const ThreadPlace<Source> thread;
    const int states = problem.states;
    BackwardThread<Tile> walk;
    memory.runs.ones.fill();
    Turn<true> turn(place);
    start_copies(source, turn);
    for (; turn.there(problem); turn.advance()) {
        open_turn(source, turn);
        const int chunk = turn.chunk, group = turn.group, buffer = turn.buffer;
        source.enter(buffer, chunk, group, memory.delta, memory.slope);
#pragma unroll
        for (int k = 0; k < Tile::thread_channels; ++k) {
            const int channel = source.first_channel() + thread.channel(k);
            if (turn.opens_group()) {
                thread.load_A2(source, k, group, walk.A2[k]);
                set_zero(walk.dA[k]);
                set_zero(walk.dh[k]);
                const float* after = problem.dlast_state;
                int64_t row = (int64_t)place.sequence * problem.channels + channel;
                if (problem.segments > 1)
                    after = problem.carry, row = problem.carry_channel(place.sequence, place.segment, channel);
                if (after) thread.load(source, after + row * states, k, group, walk.dh[k]);
            }
            thread.load(source, problem.saved + problem.checkpoint(place.sequence, chunk, channel), k, group,
                        walk.h[k]);
        }
        __syncthreads();
        walk_backward<Tile, Source::gated, Source::exact>(
            problem.steps(chunk), thread.rows(source.rows(buffer), memory.delta), walk, memory.runs,
            [&](int t, const auto& dinput, const auto& ddelta, const auto& y) {
                source.leave_step(buffer, t, thread.first_channel, group, memory.delta, memory.slope, dinput, ddelta,
                                  y);
            });
        __syncthreads();
        source.leave_backward(memory.runs, buffer, chunk, group, memory.delta);
        if (turn.closes_group()) {
#pragma unroll
            for (int k = 0; k < Tile::thread_channels; ++k)
                thread.store(source, source.dA(thread.channel(k)), k, group, walk.dA[k]);
        }
    }
    source.finish(thread.first_channel);
}

template <class Source>
mm_status launch_forward(mm_stream* stream, const char* what, const typename Source::Problem& problem) {
    return launch(stream, what, scan_forward_kernel<Source>, problem.grid(), dim3(Source::Tile::threads),
                  sizeof(ForwardMemory<Source>) + Source::extra_bytes(problem), problem);
}

// Source: of the pass `states` or `adjoint`.
template <class Source>
mm_status launch_segments(mm_stream* stream, const char* what, const typename Source::Problem& problem) {
    if (problem.segments == 1) return MM_OK;
    const mm_status walked =
        launch(stream, what, scan_segments_kernel<Source>, problem.grid(), dim3(Source::Tile::threads),
               sizeof(ForwardMemory<Source>) + Source::extra_bytes(problem), problem);
    if (walked != MM_OK) return walked;
    const int64_t states = problem.sequences * problem.channels * problem.states;
    return launch(stream, what, scan_link_kernel<typename Source::Problem>,
                  dim3((unsigned)ceil_div(states, link_threads)), dim3(link_threads), 0, problem,
                  Source::pass == Pass::adjoint);
}

template <class Source>
mm_status launch_backward(mm_stream* stream, const char* what, const typename Source::Problem& problem) {
    return launch(stream, what, scan_backward_kernel<Source>, problem.grid(), dim3(Source::Tile::threads),
                  sizeof(BackwardMemory<Source>) + Source::extra_bytes(problem), problem);
}

}  // namespace medmamba::cuda
