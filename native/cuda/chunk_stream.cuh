// How an operand of a product comes into shared memory: panel after panel, and of each panel the thread's own chunks
// (tile.cuh). An operand says what its panels hold and where in memory their chunks lie:
//
//     Element, k_along     the type that panels hold, and whether k runs along their lines
//     is_direct            whether memory holds the chunks as panels do
//     Address<Chunks>      (operand, matrix, row0, k0): of the thread's chunks in the panel from row0 and k0 on
//         from(j)          where chunk j begins
//         count(j)         how many of its elements there are; the others are zeros, and memory is not read for them
//         vector()         how many elements may be read at once (vector_width)
//         advance()        goes on to the next panel, k_step further
//         function()       of what is not direct: what the panel holds of a chunk,
//         is_inside(j)     unless it is none of the operand's, whose function is zero
//
// Direct chunks are copied asynchronously. The others go through the registers of the thread: loaded before the panel
// in front is multiplied, put through the function, rounded to Element and stored after that.
#pragma once

#include "tile.cuh"

namespace medmamba::cuda {

template <class Operand, class Panel, int threads>
class ChunkStream {
    using Chunks = ThreadChunks<Panel, threads>;
    static constexpr int size = Chunks::size;

public:
    __device__ __forceinline__ ChunkStream(const Operand& operand, int64_t matrix, int64_t row0, int64_t k0)
        : address_(operand, matrix, row0, k0) {}

    __device__ __forceinline__ void begin(Panel& panel) {
#pragma unroll
        for (int j = 0; j < Chunks::count; ++j) {
            if constexpr (Operand::is_direct)
                copy_chunk(Chunks::of(panel, j), address_.from(j), address_.count(j), address_.vector());
            else
                loaded_[j] = load_chunk<size>(address_.from(j), address_.count(j), address_.vector());
        }
        if constexpr (Operand::is_direct) address_.advance();
    }

    // After the panel before it was multiplied.
    __device__ __forceinline__ void finish(Panel& panel) {
        if constexpr (!Operand::is_direct) {
            const auto function = address_.function();
#pragma unroll
            for (int j = 0; j < Chunks::count; ++j)
                store(Chunks::of(panel, j), address_.is_inside(j) ? function(loaded_[j]) : Floats<size>{});
            address_.advance();
        }
    }

private:
    typename Operand::template Address<Chunks> address_;
    Floats<size> loaded_[Operand::is_direct ? 1 : Chunks::count];  // between begin and finish
};

}  // namespace medmamba::cuda
