// y[index . y_strides] = x[index . x_strides]: permute, slice, concat, patches.
//
// Axes are ordered by how far they move in y, and merged where both sides step through two as through one, so
// that a copy of any shape becomes one of three:
//   - runs that are contiguous on both sides: words as wide as the runs' length and addresses allow, up to 16 bytes;
//   - a transpose, where x is contiguous along another axis than y: square tiles over those two axes go through
//     shared memory, so that whole lines are read and whole lines are written;
//   - anything else: a thread an element, in the order of y.
#include "each_vector.cuh"
#include "strided.cuh"

namespace medmamba::cuda {

namespace {

struct alignas(16) Word16 {
    uint64_t low, high;
};

template <class Word, class Index>
__global__ void __launch_bounds__(threads_per_block)
copy_words_kernel(StridedPair axes, Index count, const Word* x, Word* y) {
    const Index threads = (Index)threads_of_grid();
    for (Index i = (Index)thread_of_grid(); i < count; i += threads) {
        int64_t from, to;
        offsets_at(axes, i, &from, &to);
        y[to] = x[from];
    }
}

template <class Word>
mm_status copy_words(mm_stream* stream, const StridedPair& axes, const void* x, void* y) {
    const int64_t count = axes.count();
    const auto run = [&](auto kernel) {
        return launch(stream, "copy", kernel, blocks_for_pass(stream, count), threads_per_block, 0, axes, count,
                      static_cast<const Word*>(x), static_cast<Word*>(y));
    };
    return fits_32_bits(count) ? run(copy_words_kernel<Word, uint32_t>) : run(copy_words_kernel<Word, int64_t>);
}

// Whether runs on both sides consist of whole words of `elements` elements, `bytes` long, at addresses to match.
bool consists_of(const StridedPair& axes, int64_t elements, int64_t bytes, const void* x, const void* y) {
    const int64_t last = axes.dimensions - 1;
    bool whole = axes.shape[last] % elements == 0 && ((uintptr_t)x | (uintptr_t)y) % (uintptr_t)bytes == 0;
    for (int64_t axis = 0; axis < last; ++axis) {
        whole = whole && axes.first[axis] % elements == 0 && axes.second[axis] % elements == 0;
    }
    return whole;
}

mm_status copy_runs(mm_stream* stream, StridedPair axes, int64_t size, const void* x, void* y) {
    int64_t bytes = 16;
    while (bytes > size && !consists_of(axes, bytes / size, bytes, x, y)) bytes /= 2;
    const int64_t elements = bytes / size, last = axes.dimensions - 1;
    axes.shape[last] /= elements;
    for (int64_t axis = 0; axis < last; ++axis) {
        axes.first[axis] /= elements;
        axes.second[axis] /= elements;
    }
    switch (bytes) {
        case 1: return copy_words<uint8_t>(stream, axes, x, y);
        case 2: return copy_words<uint16_t>(stream, axes, x, y);
        case 4: return copy_words<uint32_t>(stream, axes, x, y);
        case 8: return copy_words<uint64_t>(stream, axes, x, y);
        default: return copy_words<Word16>(stream, axes, x, y);
    }
}

// ---- transpose ------------------------------------------------------------------------------------------------

constexpr int tile = 32, lines_at_once = threads_per_block / tile;

// One line of a tile is one element longer than it has to be: threads that read down a column then meet no bank
// twice.
template <class Element>
struct TransposeTile {
    int64_t from, to;
    Element element[tile][tile + 1];
};

// x is contiguous along the `rows`, y along the `columns`.
struct Transpose {
    int64_t rows, columns, row_tiles, column_tiles;
    int64_t x_of_column, y_of_row;  // strides of the two axes on the side where they are not contiguous
    StridedPair images;             // the axes around the two
};

template <class Element>
__global__ void __launch_bounds__(threads_per_block)
transpose_kernel(Transpose t, const Element* x, Element* y) {
    auto& shared = shared_memory<TransposeTile<Element>>();
    const int64_t place = blockIdx.x;
    const int64_t row = place / t.column_tiles % t.row_tiles * tile, column = place % t.column_tiles * tile;
    if (threadIdx.x == 0) {
        offsets_at(t.images, place / t.column_tiles / t.row_tiles, &shared.from, &shared.to);
    }
    __syncthreads();
    const int along = (int)threadIdx.x % tile, line = (int)threadIdx.x / tile;
    const Element* from = x + shared.from + row + column * t.x_of_column;
    Element* to = y + shared.to + row * t.y_of_row + column;
    for (int c = line; c < tile; c += lines_at_once) {
        if (row + along < t.rows && column + c < t.columns) {
            shared.element[c][along] = from[c * t.x_of_column + along];
        }
    }
    __syncthreads();
    for (int r = line; r < tile; r += lines_at_once) {
        if (row + r < t.rows && column + along < t.columns) {
            to[r * t.y_of_row + along] = shared.element[along][r];
        }
    }
}

// `across` is the axis along which x is contiguous; y is contiguous along the last one.
template <class Element>
mm_status transpose(mm_stream* stream, const StridedPair& axes, int64_t across, const void* x, void* y) {
    const int64_t along = axes.dimensions - 1;
    Transpose t{};
    t.rows = axes.shape[across];
    t.columns = axes.shape[along];
    t.row_tiles = ceil_div(t.rows, tile);
    t.column_tiles = ceil_div(t.columns, tile);
    t.x_of_column = axes.first[along];
    t.y_of_row = axes.second[across];
    t.images.append(1, 0, 0);
    for (int64_t axis = 0; axis < along; ++axis) {
        if (axis != across) t.images.append(axes.shape[axis], axes.first[axis], axes.second[axis]);
    }
    const int64_t tiles = t.images.count() * t.row_tiles * t.column_tiles;
    return launch(stream, "copy", transpose_kernel<Element>, dim3((unsigned)tiles), threads_per_block,
                  sizeof(TransposeTile<Element>), t, static_cast<const Element*>(x), static_cast<Element*>(y));
}

// With fewer lines than this a tile is mostly empty; the few lines stay in L1 from one element to the next.
constexpr int64_t least_lines = 8;

template <class Element>
mm_status copy_as(mm_stream* stream, const StridedPair& axes, const mm_copy_params* params) {
    const Element* x = static_cast<const Element*>(params->x) + params->x_offset;
    Element* y = static_cast<Element*>(params->y) + params->y_offset;
    const int64_t last = axes.dimensions - 1;
    if (axes.first[last] == 1 && axes.second[last] == 1) return copy_runs(stream, axes, sizeof(Element), x, y);
    for (int64_t axis = 0; axis < last; ++axis) {
        if (axes.first[axis] == 1 && axes.second[last] == 1 && axes.shape[axis] >= least_lines &&
            axes.shape[last] >= least_lines) {
            return transpose<Element>(stream, axes, axis, x, y);
        }
    }
    return copy_words<Element>(stream, axes, x, y);
}

}  // namespace

mm_status copy(mm_stream* stream, const mm_copy_params* params) {
    const StridedPair axes = ordered_axes(params);
    if (axes.count() == 0) return MM_OK;
    switch (params->element_size) {
        case 1: return copy_as<uint8_t>(stream, axes, params);
        case 2: return copy_as<uint16_t>(stream, axes, params);
        case 4: return copy_as<uint32_t>(stream, axes, params);
        case 8: return copy_as<uint64_t>(stream, axes, params);
        default:
            return stream->fail(MM_INVALID_ARGUMENT, "copy: elements have 1, 2, 4 or 8 bytes, not %lld",
                                (long long)params->element_size);
    }
}

}  // namespace medmamba::cuda
