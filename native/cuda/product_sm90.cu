// C = A B on Hopper: one warp has TMA fill stages of shared memory, two warpgroups multiply them by wgmma.
//
//     warp 8       wait until a stage is empty -> announce its bytes -> start the copies of a box of A and a box of B
//     warps 0-3    wait until it is full -> 4 x wgmma on rows 0-63 of A   -> when the stage before has been read: it is empty
//     warps 4-7    the same for rows 64-127
//
// A block owns 128 rows of C and `columns` of its columns, all sums in registers: columns / 2 a thread. Its rows are a box of
// pixels, width x height x images, chosen so that the boxes cover the images with as few of them as possible; a matrix is one
// line of pixels. A step is 64 channels of one tap, or 48 where that makes fewer products, as of 48 and of 96 channels: of A the same box of pixels moved by the tap, where TMA fills in zeros for
// what lies outside of the image or behind the last channel, so that nothing is computed for borders; of B the columns' weights
// for that tap. Both lie in shared memory as wgmma reads them, swizzled by 128 bytes. 4 stages of 22 to 40 KB are under way; up
// to 96 columns leave room for two blocks a multiprocessor, so that one multiplies while the other begins or ends.
//
// Order of a sum: the taps, in each the channels; ranges of steps where C has too few tiles to fill a GPU, as in product.cuh.
// All follows from the shape, so the bits are the same on every Hopper; they may differ from mma.sync's, whose tensor
// cores add in another order. Moments for a BatchNorm are counted by rows in their order, which boxes of pixels have not: a pass
// of its own leaves them.
//
// The bound, in multiply-adds a clock and multiprocessor. wgmma does 2048, a step in 4 columns of clocks. Shared memory, 128 bytes a
// clock, takes 128 + columns of them for what TMA writes, and for what wgmma reads 128 for A and 2 columns for B, which both
// warpgroups read: of 192 columns 1890, of 96 1445, of 48 983. mma.sync's tile has some 745 (tile.cuh). A warp issues 67
// instructions a step, 4 of them wgmma.
#include "product_sm90.cuh"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "column_moments.cuh"
#include "storage.cuh"
#include "tensor_map.cuh"
#include "wgmma.cuh"

// CMakeLists.txt says so where it compiles this file for sm_90a. The emulator plays that.
#if !defined(__CUDACC__)
#define MM_HAS_SM90A_CODE 1
#elif !defined(MM_HAS_SM90A_CODE)
#define MM_HAS_SM90A_CODE 0
#endif

#if defined(__CUDA_ARCH__) && !MM_HAS_WGMMA
#pragma nv_diag_suppress 177  // What only the kernel of sm_90a uses is unused in the others' code.
#endif

namespace medmamba::cuda {

#if MM_HAS_TENSOR_MAPS

namespace {

constexpr int stages = 4, tile_rows = 128, group_rows = 64, warp_rows = 16;
constexpr int wgmma_k = 16;
constexpr int multiplying_warps = 8, threads = 32 * (multiplying_warps + 1);  // the last one copies

template <int columns>
struct Stage {
    alignas(1024) BFloat16 a[tile_rows * box_line];
    alignas(1024) BFloat16 b[columns * box_line];
};

template <int columns>
struct alignas(1024) Sm90Shared {
    union {
        Stage<columns> stage[stages];
        // A warp's rows of C on their way to memory, once all has been multiplied. Neighbouring rows are 8 words apart in banks.
        alignas(16) float tile[multiplying_warps][warp_rows][columns + 8];
    };
    MBarrier full[stages], empty[stages];
};

// What a block has to do with which part of the product.
struct Boxes {
    int width, height, images;           // of A, in pixels
    int box_width, box_height, box_images;
    int across, down, deep, n_blocks;    // boxes along each, and blocks of columns
    int taps, chunks;                    // of channels, each a step
    int steps, range_steps, ranges;      // all steps, and those of a range
    bool shares_b;                       // one matrix B for all lines of pixels
    int64_t line, image, range;          // of C: elements between lines of pixels, images, and the sums of ranges

    int64_t boxes() const { return (int64_t)across * down * deep; }
    int64_t blocks() const { return boxes() * n_blocks * ranges; }
};

// Stages are used in turn; each time around, their barriers are in the next phase.
struct Turn {
    int stage = 0;
    unsigned parity = 0;

    __device__ __forceinline__ void next() {
        if (++stage < stages) return;
        stage = 0;
        parity ^= 1;
    }
};

struct BlockPlace {
    int x, y, z, column, range;  // first pixel, first column

    __device__ __forceinline__ explicit BlockPlace(const Boxes& boxes) {
        unsigned block = blockIdx.x;
        const auto next = [&](int count) {
            const unsigned index = block % (unsigned)count;
            block /= (unsigned)count;
            return (int)index;
        };
        column = next(boxes.n_blocks);
        x = next(boxes.across) * boxes.box_width;
        y = next(boxes.down) * boxes.box_height;
        z = next(boxes.deep) * boxes.box_images;
        range = (int)block;
    }
};

// By one thread. A box has a whole line of channels, also where a step takes 48 of them.
template <int step_k, int columns>
__device__ __forceinline__ void copy_stages(Sm90Shared<columns>& shared, const CUtensorMap& map_a, const CUtensorMap& map_b,
                                            const Boxes& boxes, const BlockPlace& place, int first_step, int steps) {
    const int bytes = (boxes.box_width * boxes.box_height * boxes.box_images + columns) * box_line * (int)sizeof(BFloat16);
    const int chunks = boxes.chunks, matrix = boxes.shares_b ? 0 : place.y;
    int tap = first_step / chunks, chunk = first_step % chunks;
    Turn turn;
    for (int step = 0; step < steps; ++step, turn.next()) {
        Stage<columns>& stage = shared.stage[turn.stage];
        MBarrier& full = shared.full[turn.stage];
        wait(shared.empty[turn.stage], turn.parity ^ 1);
        arrive_expecting(full, bytes);
        const int right = boxes.taps == 1 ? 0 : tap % 3 - 1, down = boxes.taps == 1 ? 0 : tap / 3 - 1;
        load_box(map_a, stage.a, full, chunk * step_k, place.x + right, place.y + down, place.z);
        load_box(map_b, stage.b, full, chunk * step_k, tap, place.column * columns, matrix);
        if (++chunk == chunks) chunk = 0, ++tap;
    }
}

// By a warpgroup.
template <int step_k, int columns>
__device__ __forceinline__ void multiply_stages(Sm90Shared<columns>& shared, int steps, float (&sums)[columns / 2]) {
    const int lane = (int)threadIdx.x % 32, group = (int)threadIdx.x / 128;
    Turn turn;
    int multiplied = -1;  // the stage before
    for (int step = 0; step < steps; ++step, turn.next()) {
        const Stage<columns>& stage = shared.stage[turn.stage];
        wait(shared.full[turn.stage], turn.parity);
        uint64_t a = wgmma_matrix(stage.a + group * group_rows * box_line), b = wgmma_matrix(stage.b);
        wgmma_fence(sums);
#pragma unroll
        for (int k = 0; k < step_k; k += wgmma_k) {
            wgmma<columns>(sums, a, b);
            a += wgmma_next_k;
            b += wgmma_next_k;
        }
        wgmma_commit();
        wgmma_wait<1>(sums);
        if (multiplied >= 0 && lane == 0) arrive(shared.empty[multiplied]);
        multiplied = turn.stage;
    }
    wgmma_wait<0>(sums);
}

// Where the tile's row lies in C, in elements; negative if it is none of the images' pixels.
__device__ __forceinline__ int64_t offset_of_row(const Boxes& boxes, const BlockPlace& place, int64_t row_stride, int row) {
    const int line = row / boxes.box_width, image = line / boxes.box_height;
    const int x = place.x + row % boxes.box_width, y = place.y + line % boxes.box_height, z = place.z + image;
    if (image >= boxes.box_images || x >= boxes.width || y >= boxes.height || z >= boxes.images) return -1;
    return x * row_stride + y * boxes.line + z * boxes.image + place.range * boxes.range;
}

// A warp's rows, `width` elements a lane, so that lanes side by side write a row. `offset` is that of row lane % 16.
template <int width, int columns, class C>
__device__ __forceinline__ void write_warp_rows(const float (&tile)[warp_rows][columns + 8], const Epilogue& epilogue, C* c,
                                           int64_t offset, int64_t column0) {
    constexpr Width<width> vector{};
    constexpr int per_row = columns / width;
    static_assert(warp_rows * per_row % 32 == 0);
    const Floats<width> zero = broadcast(0.0f, vector);
#pragma unroll 2
    for (int index = (int)threadIdx.x % 32; index < warp_rows * per_row; index += 32) {
        const int row = index / per_row, j = index % per_row * width;
        const int64_t of_row = __shfl_sync(whole_warp, offset, row), column = column0 + j;
        if (of_row < 0 || column >= epilogue.columns) continue;
        C* to = c + of_row + column;
        const Floats<width> before = epilogue.accumulate ? load(to, vector) : zero;
        store(to, epilogue.finished(load(tile[row] + j, vector), before, epilogue.columns_at(column, vector)));
    }
}

template <int columns, int step_k>
__global__ void __launch_bounds__(threads, columns <= 96 ? 2 : 1)
    multiply_boxes(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b, Boxes boxes,
                   Epilogue epilogue) {
#if MM_HAS_WGMMA
    auto& shared = shared_memory<Sm90Shared<columns>>();
    const BlockPlace place(boxes);
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    const int first_step = place.range * boxes.range_steps, steps_left = boxes.steps - first_step;
    const int steps = steps_left < boxes.range_steps ? steps_left : boxes.range_steps;

    if (threadIdx.x == 0) {
        for (int stage = 0; stage < stages; ++stage) {
            barrier_init(shared.full[stage], 1);
            barrier_init(shared.empty[stage], multiplying_warps);
        }
        fence_barrier_init();
    }
    __syncthreads();

    float sums[columns / 2] = {};
    if (warp == multiplying_warps) {
        if (lane == 0) copy_stages<step_k>(shared, map_a, map_b, boxes, place, first_step, steps);
        __syncwarp(whole_warp);
    } else {
        multiply_stages<step_k>(shared, steps, sums);
    }
    __syncthreads();  // all copies have arrived, all stages have been read
    if (warp == multiplying_warps) return;

    auto& tile = shared.tile[warp];
#pragma unroll
    for (int j = 0; j < columns / 8; ++j)
#pragma unroll
        for (int i = 0; i < 2; ++i)
            *reinterpret_cast<float2*>(&tile[8 * i + lane / 4][8 * j + 2 * (lane % 4)]) =
                float2{sums[4 * j + 2 * i], sums[4 * j + 2 * i + 1]};
    __syncwarp(whole_warp);
    const int64_t offset = offset_of_row(boxes, place, epilogue.row, warp * warp_rows + lane % warp_rows);
    const int64_t column0 = (int64_t)place.column * columns;
    epilogue.as_stored([&](auto* c) {
        constexpr int widest = 16 / (int)sizeof(*c);
        if (epilogue.vector >= widest)
            write_warp_rows<widest, columns>(tile, epilogue, c, offset, column0);
        else if (widest > 4 && epilogue.vector >= 4)
            write_warp_rows<4, columns>(tile, epilogue, c, offset, column0);
        else
            write_warp_rows<1, columns>(tile, epilogue, c, offset, column0);
    });
#else
    __trap();
#endif
}

// ---- on the host -----------------------------------------------------------------------------------------------

// Channels of a step: 48 where that makes fewer products of 16 in all.
int step_for(int64_t channels) { return ceil_div(channels, 48) * 48 < ceil_div(channels, 64) * 64 ? 48 : 64; }

// go(Width) with the columns of a tile: of those that pad n least the widest. Short sums are no match for the time that a
// block takes to begin and to end, so that two of them share a multiprocessor.
template <class Go>
mm_status with_columns(int64_t n, int64_t steps, Go&& go) {
    constexpr int64_t short_sum = 8;
    int best = 48;
    for (const int columns : {64, 96, 128, 192}) {
        if (columns > 96 && steps < short_sum) break;
        if (ceil_div(n, columns) * columns <= ceil_div(n, best) * best) best = columns;
    }
    switch (best) {
        case 48: return go(Width<48>());
        case 64: return go(Width<64>());
        case 96: return go(Width<96>());
        case 128: return go(Width<128>());
        default: return go(Width<192>());
    }
}

// The box of at most 128 pixels of which it takes the fewest to cover the images; of equal ones the first, which is the widest.
// `most_lines`: that a box may have.
void choose_box(Boxes* boxes, int most_lines) {
    int64_t fewest = INT64_MAX;
    const auto parts = [](int size, int most, auto&& visit) {  // into 1, 2, 3, ... equal parts
        int last = 0;
        for (int count = (int)ceil_div(size, most); last != 1; ++count) {
            const int part = (int)ceil_div(size, count);
            if (part != last) visit(part);
            last = part;
        }
    };
    parts(boxes->width, tile_rows, [&](int width) {
        parts(boxes->height, std::min(tile_rows / width, most_lines), [&](int height) {
            Boxes box = *boxes;
            box.box_width = width;
            box.box_height = height;
            box.box_images = std::min(tile_rows / (width * height), boxes->images);
            box.across = (int)ceil_div(boxes->width, width);
            box.down = (int)ceil_div(boxes->height, height);
            box.deep = (int)ceil_div(boxes->images, box.box_images);
            if (box.boxes() >= fewest) return;
            fewest = box.boxes();
            *boxes = box;
        });
    });
}

void choose_ranges(Boxes* boxes) {
    constexpr int64_t wanted_blocks = 264, least_range_steps = 4;  // as cut_product of product.cuh
    const int64_t wanted = wanted_blocks / (boxes->boxes() * boxes->n_blocks);
    const int64_t ranges = std::min(wanted, boxes->steps / least_range_steps);
    boxes->range_steps = ranges > 1 ? (int)ceil_div(boxes->steps, ranges) : boxes->steps;
    boxes->ranges = (int)ceil_div(boxes->steps, boxes->range_steps);
}

TensorOfBoxes tensor_of(const PixelRows& a, const Boxes& boxes) {
    return {a.data,
            {a.channels, a.width, a.height, a.images},
            {a.row, a.line, a.image},
            {box_line, boxes.box_width, boxes.box_height, boxes.box_images}};
}

TensorOfBoxes tensor_of(const PackedColumns& packed, const ColumnsOfB& b, int columns) {
    const int64_t k = packed.padded_k();
    return {packed.data(), {b.k, b.taps, b.n, b.matrices}, {k, b.taps * k, b.n * b.taps * k}, {box_line, 1, columns, 1}};
}

}  // namespace

bool multiplies_by_wgmma(int major, int minor) {
    const char* setting = std::getenv("MEDMAMBA_CUDA_WGMMA");
    const bool is_off = setting && std::strcmp(setting, "0") == 0;
    return MM_HAS_SM90A_CODE && major == 9 && minor == 0 && !is_off && knows_tensor_maps();
}

bool fits_sm90(const mm_stream* stream, const PixelRows& a) {
    constexpr int64_t least_rows = 64, most_rows = int64_t(1) << 30;
    const int64_t rows = a.width * a.height * a.images;
    return stream->has_wgmma && a.channels > 0 && rows >= least_rows && rows < most_rows &&
           has_tensor_map(tensor_of(a, Boxes()));
}

mm_status multiply_sm90(mm_stream* stream, const char* what, const PixelRows& a, const ColumnsOfB& b,
                        const Epilogue& epilogue) {
    const PackedColumns packed(stream, what, b);
    if (packed.status() != MM_OK) return packed.status();
    const bool is_matrix = a.taps == 1;
    const int64_t matrices = is_matrix ? a.height : 1;
    Boxes boxes{};
    boxes.width = (int)a.width, boxes.height = (int)a.height, boxes.images = (int)a.images;
    const int step_k = step_for(a.channels);
    boxes.taps = a.taps, boxes.chunks = (int)ceil_div(a.channels, step_k);
    boxes.shares_b = b.matrices == 1;
    boxes.steps = a.taps * boxes.chunks;
    choose_box(&boxes, boxes.shares_b ? tile_rows : 1);

    return with_columns(epilogue.columns, boxes.steps, [&](auto width) {
        constexpr int columns = decltype(width)::value;
        boxes.n_blocks = (int)ceil_div(epilogue.columns, columns);
        choose_ranges(&boxes);
        CUtensorMap map_a, map_b;
        if (!encode_tensor_map(tensor_of(a, boxes), &map_a) ||
            !encode_tensor_map(tensor_of(packed, b, columns), &map_b))
            return stream->fail(MM_DEVICE_ERROR,
                                "%s: the driver does not describe the operands to the GPU's copy engine; set "
                                "MEDMAMBA_CUDA_WGMMA=0 to do without it",
                                what);
        const auto queue = [&](const Epilogue& to) {
            boxes.line = is_matrix ? to.batch : a.width * to.row;
            boxes.image = a.height * boxes.line;
            boxes.range = matrices * to.rows * to.columns;
            const auto kernel = step_k == 48 ? multiply_boxes<columns, 48> : multiply_boxes<columns, 64>;
            return launch(stream, what, kernel, dim3((unsigned)boxes.blocks()), dim3(threads),
                          sizeof(Sm90Shared<columns>), map_a, map_b, boxes, to);
        };
        Epilogue alone = epilogue;
        alone.moments = {};
        mm_status status;
        if (boxes.ranges == 1) {
            status = queue(alone);
        } else {
            const Workspace sums(stream, boxes.ranges * matrices * epilogue.rows * epilogue.columns);
            if (sums.status() != MM_OK) return sums.status();
            status = queue(partial_sums(sums.data(), epilogue.rows, epilogue.columns));
            if (status == MM_OK) status = add_ranges(stream, what, sums.data(), boxes.ranges, matrices, alone);
        }
        return status == MM_OK && epilogue.moments.sums ? leave_moments(stream, what, epilogue) : status;
    });
}

#else

bool multiplies_by_wgmma(int, int) { return false; }
bool fits_sm90(const mm_stream*, const PixelRows&) { return false; }
mm_status multiply_sm90(mm_stream* stream, const char* what, const PixelRows&, const ColumnsOfB&, const Epilogue&) {
    return stream->fail(MM_UNSUPPORTED, "%s: this library was built without wgmma", what);
}

#endif

}  // namespace medmamba::cuda
