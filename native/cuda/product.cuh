// C = A B for operands of any kind: matrices (matrix_operand.cuh), or the pixels of a convolution. See tile.cuh for
// what a block does.
//
// Blocks are numbered with the columns of C running fastest, so that those which run together share rows of A. Where
// C has too few tiles to fill a GPU, k is cut into ranges as well, whose sums go to memory and are added in their
// order (partial_sums.cuh). All cuts follow from the shape alone, so bits do not depend on the device.
#pragma once

#include <type_traits>

#include "chunk_stream.cuh"
#include "column_moments.cuh"
#include "partial_sums.cuh"
#include "tile.cuh"
#include "tile_math.cuh"

namespace medmamba::cuda {

struct Cut {
    bool large;  // tiles of 128 rows, else 64
    int64_t m_blocks, n_blocks, matrices;
    int64_t k, steps, ranges, range_steps;  // steps of k: all, and in how many ranges of how many

    int64_t blocks() const { return m_blocks * n_blocks * matrices * ranges; }
};

// `step`: k_step of what the panels hold.
inline Cut cut_product(int64_t matrices, int64_t m, int64_t n, int64_t k, int step) {
    constexpr int64_t wanted_blocks = 264;    // two for each multiprocessor of an H200
    constexpr int64_t least_range_steps = 4;  // below that, adding the ranges takes longer than a range
    const auto cut_for = [&](bool large) {
        Cut cut{};
        cut.large = large;
        cut.m_blocks = ceil_div(m, large ? LargeTile::rows : SmallTile::rows);
        cut.n_blocks = ceil_div(n, LargeTile::columns);
        cut.matrices = matrices;
        cut.k = k;
        cut.steps = ceil_div(k, step);
        const int64_t tiles = matrices * cut.m_blocks * cut.n_blocks;
        const int64_t most = cut.steps / least_range_steps, wanted = wanted_blocks / tiles;
        const int64_t ranges = wanted < most ? wanted : most;
        cut.range_steps = ranges > 1 ? ceil_div(cut.steps, ranges) : cut.steps;
        cut.ranges = ranges > 1 ? ceil_div(cut.steps, cut.range_steps) : 1;
        return cut;
    };
    const Cut large = cut_for(true);
    return m > SmallTile::rows && large.blocks() >= wanted_blocks / 2 ? large : cut_for(false);
}

template <class Math, class Shape, class A, class B>
union ProductShared {
    using PanelA = Panel<typename Math::Element, Shape::rows, A::k_along, Math::along_padding>;
    using PanelB = Panel<typename Math::Element, Shape::columns, B::k_along, Math::along_padding>;
    struct {
        PanelA a[2];
        PanelB b[2];
    } panels;
    ResultPart<Shape::columns> parts[Shape::rows / part_rows];  // once the panels have been multiplied
};

// With 128 registers a thread, 16 warps find room on a multiprocessor.
template <class Math, class Shape, class A, class B, bool with_moments>
__global__ void __launch_bounds__(Shape::threads, 512 / Shape::threads)
    multiply_tiles(A operand_a, B operand_b, Epilogue epilogue, Cut cut) {
    using Shared = ProductShared<Math, Shape, A, B>;
    auto& shared = shared_memory<Shared>();
    constexpr int64_t step_k = k_step<typename Math::Element>;

    int64_t block = blockIdx.x;
    const int64_t column0 = block % cut.n_blocks * Shape::columns;
    block /= cut.n_blocks;
    const int64_t row0 = block % cut.m_blocks * Shape::rows;
    block /= cut.m_blocks;  // now range * matrices + matrix, which is also where partial sums go
    const int64_t matrix = block % cut.matrices, first_step = block / cut.matrices * cut.range_steps;
    const int64_t steps_left = cut.steps - first_step;
    const int64_t steps = steps_left < cut.range_steps ? steps_left : cut.range_steps;

    const int64_t k0 = first_step * step_k;
    ChunkStream<A, typename Shared::PanelA, Shape::threads> stream_a(operand_a, matrix, row0, k0);
    ChunkStream<B, typename Shared::PanelB, Shape::threads> stream_b(operand_b, matrix, column0, k0);
    const auto begin = [&](int panel) {
        stream_a.begin(shared.panels.a[panel]);
        stream_b.begin(shared.panels.b[panel]);
        copy_async_commit();
    };
    const auto finish = [&](int panel) {
        stream_a.finish(shared.panels.a[panel]);
        stream_b.finish(shared.panels.b[panel]);
        copy_async_wait<0>();
    };

    const int warp = (int)threadIdx.x / 32;
    const int warp_row = warp / (Shape::columns / warp_tile) * warp_tile;
    const int warp_column = warp % (Shape::columns / warp_tile) * warp_tile;
    Math math;
    if (steps > 0) {
        begin(0);
        finish(0);
    }
    for (int64_t step = 0; step < steps; ++step) {
        __syncthreads();  // the panel is whole, and the other one has been read
        const int panel = (int)(step & 1);
        const bool more = step + 1 < steps;
        if (more) begin(panel ^ 1);
        const int64_t left = cut.k - k0 - step * step_k;
        math.multiply(shared.panels.a[panel], warp_row, shared.panels.b[panel], warp_column, (int)(left < step_k ? left : step_k));
        if (more) finish(panel ^ 1);
    }

    __syncthreads();  // the panels have been read
    float(&sums)[part_rows][Shape::columns + 8] = shared.parts[warp_row / part_rows].sums;
    math.each_pair([&](int i, int j, float first, float second) {
        *reinterpret_cast<float2*>(&sums[warp_row % part_rows + i][warp_column + j]) = float2{first, second};
    });
    __syncthreads();
    const int part = (int)threadIdx.x / part_threads, thread = (int)threadIdx.x % part_threads;
    epilogue.as_stored([&](auto* matrices) {
        leave_part<with_moments>(shared.parts[part], thread, epilogue, matrices + block * epilogue.batch,
                                 row0 + part * part_rows, column0, [] { __syncthreads(); });
    });
}

// The sums of each range of the cut: with one range `epilogue` is the product, with more the partial sums, dense.
template <bool with_moments, class A, class B>
mm_status multiply_cut(mm_stream* stream, const char* what, const Cut& cut, const A& a, const B& b,
                       const Epilogue& epilogue) {
    const auto queue = [&](auto math, auto shape) {
        using Math = decltype(math);
        using Shape = decltype(shape);
        return launch(stream, what, multiply_tiles<Math, Shape, A, B, with_moments>, dim3((unsigned)cut.blocks()),
                      dim3(Shape::threads), sizeof(ProductShared<Math, Shape, A, B>), a, b, epilogue, cut);
    };
    const auto with_math = [&](auto math) { return cut.large ? queue(math, LargeTile()) : queue(math, SmallTile()); };
    static_assert(std::is_same_v<typename A::Element, typename B::Element>);
    if constexpr (std::is_same_v<typename A::Element, BFloat16>)
        return stream->has_tensor_cores
                   ? with_math(Bf16Math())
                   : stream->fail(MM_UNSUPPORTED, "%s: this GPU does not multiply bfloat16, which 8.0 and newer do", what);
    else
        return stream->precision == Precision::tf32 ? with_math(Tf32Math()) : with_math(Float32Math());
}

// `matrices` products, (epilogue.rows, k) times (k, epilogue.columns). `with_moments`: whether there may be any.
template <bool with_moments, class A, class B>
mm_status multiply(mm_stream* stream, const char* what, int64_t matrices, int64_t k, const A& a, const B& b,
                   const Epilogue& epilogue) {
    if (epilogue.moments.sums && (!with_moments || matrices > 1))
        return stream->fail(MM_UNSUPPORTED, "%s: moments are of one matrix, the product of two that are not transposed", what);
    const Cut cut = cut_product(matrices, epilogue.rows, epilogue.columns, k, k_step<typename A::Element>);
    if (cut.ranges == 1 && epilogue.adds_moments())
        return multiply_cut<with_moments>(stream, what, cut, a, b, epilogue);
    Epilogue alone = epilogue;
    alone.moments = {};
    mm_status status;
    if (cut.ranges == 1) {
        status = multiply_cut<with_moments>(stream, what, cut, a, b, alone);
    } else {
        const Workspace sums(stream, cut.ranges * matrices * epilogue.rows * epilogue.columns);
        if (sums.status() != MM_OK) return sums.status();
        const Epilogue partial = partial_sums(sums.data(), epilogue.rows, epilogue.columns);
        status = multiply_cut<with_moments>(stream, what, cut, a, b, partial);
        if (status == MM_OK) status = add_ranges(stream, what, sums.data(), cut.ranges, matrices, alone);
    }
    return status == MM_OK && epilogue.moments.sums ? leave_moments(stream, what, epilogue) : status;
}

}  // namespace medmamba::cuda
