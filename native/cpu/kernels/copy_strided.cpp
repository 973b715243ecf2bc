// y[index . y_strides] = x[index . x_strides]: permute, slice, concat, patches.
//
// Axes are ordered by how far they move in y, and merged where both sides step through two as through one, so
// that a copy of any shape becomes one of three:
//   - runs that are contiguous on both sides: memcpy;
//   - a transpose, where x is contiguous along another axis than y: square tiles over those two axes, so that
//     each cache line of either side is used up while it is in L1;
//   - anything else: element by element along y.
#include <cstring>

#include "each_vector.h"
#include "strided.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

constexpr int64_t tile = 32;

void copy_runs(mm_stream* stream, const StridedPair& axes, int64_t size, const char* x, char* y) {
    parallel_ranges(stream, axes.count(), elements_per_task * 4 / size, [&](int64_t first, int64_t last, int) {
        each_piece(axes, first, last, [&](int64_t, int64_t from, int64_t to, int64_t count) {
            std::memcpy(y + to * size, x + from * size, (size_t)(count * size));
        });
    });
}

template <class Element>
void copy_elements(mm_stream* stream, const StridedPair& axes, const Element* x, Element* y) {
    const int64_t x_stride = axes.first[axes.dimensions - 1], y_stride = axes.second[axes.dimensions - 1];
    parallel_ranges(stream, axes.count(), elements_per_task, [&](int64_t first, int64_t last, int) {
        each_piece(axes, first, last, [&](int64_t, int64_t from, int64_t to, int64_t count) {
            for (int64_t i = 0; i < count; ++i) y[to + i * y_stride] = x[from + i * x_stride];
        });
    });
}

struct TileAxis {
    int64_t count, x_stride, y_stride;
};

template <class Element>
void copy_tile(TileAxis outer, TileAxis inner, const Element* x, Element* y) {
    for (int64_t i = 0; i < outer.count; ++i) {
        const Element* from = x + i * outer.x_stride;
        Element* to = y + i * outer.y_stride;
        for (int64_t j = 0; j < inner.count; ++j) to[j * inner.y_stride] = from[j * inner.x_stride];
    }
}

// `across` is the axis along which x is contiguous; y is contiguous along the last one.
template <class Element>
void transpose(mm_stream* stream, const StridedPair& axes, int64_t across, const Element* x, Element* y) {
    const int64_t along = axes.dimensions - 1;
    const int64_t rows = axes.shape[across], columns = axes.shape[along];
    const int64_t row_tiles = ceil_div(rows, tile), column_tiles = ceil_div(columns, tile);
    StridedPair images;  // the axes around the two
    images.append(1, 0, 0);
    for (int64_t axis = 0; axis < along; ++axis) {
        if (axis != across) images.append(axes.shape[axis], axes.first[axis], axes.second[axis]);
    }
    const int64_t grain = std::max<int64_t>(1, elements_per_task / (std::min(rows, tile) * std::min(columns, tile)));
    parallel_ranges(stream, images.count() * row_tiles * column_tiles, grain, [&](int64_t first, int64_t last, int) {
        for (int64_t place = first; place < last; ++place) {
            const int64_t row = place / column_tiles % row_tiles * tile, column = place % column_tiles * tile;
            int64_t from, to;
            offsets_at(images, images.dimensions, place / column_tiles / row_tiles, &from, &to);
            from += row * axes.first[across] + column * axes.first[along];
            to += row * axes.second[across] + column * axes.second[along];
            const TileAxis down{std::min(tile, rows - row), axes.first[across], axes.second[across]};
            const TileAxis right{std::min(tile, columns - column), axes.first[along], axes.second[along]};
            if (right.count < down.count) {
                copy_tile(right, down, x + from, y + to);
            } else {
                copy_tile(down, right, x + from, y + to);
            }
        }
    });
}

template <class Element>
void copy_as(mm_stream* stream, const StridedPair& axes, const mm_copy_params* params) {
    const Element* x = static_cast<const Element*>(params->x) + params->x_offset;
    Element* y = static_cast<Element*>(params->y) + params->y_offset;
    const int64_t last = axes.dimensions - 1;
    if (axes.first[last] == 1 && axes.second[last] == 1) {
        return copy_runs(stream, axes, sizeof(Element), reinterpret_cast<const char*>(x), reinterpret_cast<char*>(y));
    }
    for (int64_t axis = 0; axis < last; ++axis) {
        if (axes.first[axis] == 1 && axes.second[last] == 1) return transpose(stream, axes, axis, x, y);
    }
    copy_elements(stream, axes, x, y);
}

}  // namespace

mm_status copy(mm_stream* stream, const mm_copy_params* params) {
    const StridedPair axes = ordered_axes(params);
    if (axes.count() == 0) return MM_OK;
    switch (params->element_size) {
        case 1: copy_as<uint8_t>(stream, axes, params); return MM_OK;
        case 2: copy_as<uint16_t>(stream, axes, params); return MM_OK;
        case 4: copy_as<uint32_t>(stream, axes, params); return MM_OK;
        case 8: copy_as<uint64_t>(stream, axes, params); return MM_OK;
        default:
            return stream->fail(MM_INVALID_ARGUMENT, "copy: elements have 1, 2, 4 or 8 bytes, not %lld",
                                (long long)params->element_size);
    }
}

}  // namespace medmamba::cpu::MM_SIMD
