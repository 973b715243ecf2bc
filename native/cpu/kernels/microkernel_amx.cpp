// The inner loop in AMX, Intel's matrix unit, whose registers are tiles of 16 rows by 64 bytes. One instruction,
// tdpbf16ps, adds to a tile of 16 x 16 floats the product of 16 x 32 bfloat16 and 32 x 16 bfloat16: 8192 multiply-adds
// in 16 cycles, where vdpbf16ps has 32 in one or two. Two tiles of rows and a panel's three of columns are six sums:
//
//                        [ b b b | b b b | b b b ]    16 rows of the panel: 16 words of k, each two bfloat16
//                            |       |       |
//     [ a a a ] 16 rows  [ c c c | c c c | c c c ]    tiles 0, 1, 2
//     [ a a a ] 16 rows  [ c c c | c c c | c c c ]    tiles 3, 4, 5
//      16 words of k
//
// and the last two tiles hold one `a` and one `b`. The words of factor.h are already AMX's, so a tile of `b` is a part
// of the panel as it is, and one of `a` lies ready where rows are equally far from each other. Factors end with whole
// steps of 16 words, zeros behind the last element (words<AmxBFloat16>).
//
// Bound: a step is 6 products of 16 cycles each, beside which its 8 loads of tiles from the first-level cache, 8 cycles
// each, are hidden.
#include "microkernel.h"

#if defined(__AVX512F__)

namespace medmamba::cpu::MM_SIMD {

namespace {

constexpr int64_t side = 16;  // rows of a tile, and words of a row
constexpr int a_tile = 6, b_tile = 7;

// Instructions are written as such, as those of BFloat16 are. The compiler knows nothing of tiles; volatile keeps the
// order.
template <int tile>
void clear_tile() {
    asm volatile("tilezero %%tmm%c0" : : "i"(tile));
}
template <int tile>
void load_tile(const float* p, int64_t row) {
    asm volatile("tileloadd (%1, %2), %%tmm%c0" : : "i"(tile), "r"(p), "r"(row * 4) : "memory");
}
template <int tile>
void store_tile(float* p, int64_t row) {
    asm volatile("tilestored %%tmm%c0, (%1, %2)" : : "i"(tile), "r"(p), "r"(row * 4) : "memory");
}
template <int c>
void multiply_add_tiles() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a_tile), "i"(b_tile));
}

// Calls body(0), ..., body(count - 1), each with a constant.
template <class Body, int... i>
void each(Body&& body, std::integer_sequence<int, i...>) {
    (body(std::integral_constant<int, i>{}), ...);
}
template <int count, class Body>
void each(Body&& body) {
    each(body, std::make_integer_sequence<int, count>{});
}

// Sixteen rows of A. A tile of their words is loaded as it lies where they are equally far from each other, otherwise
// by way of a buffer.
class RowsOfA {
public:
    // A tile has sixteen, though C may have `count`: the last one again stands in for the others.
    RowsOfA(const float* const* rows, int64_t count) {
        for (int64_t i = 0; i < side; ++i) rows_[i] = rows[std::min(i, count - 1)];
        distance_ = rows_[1] - rows_[0];
        for (int64_t i = 2; i < side; ++i) even_ &= rows_[i] - rows_[i - 1] == distance_;
    }

    // Words [at, at + side) of each row.
    void load_tile_at(int64_t at) {
        if (even_) return load_tile<a_tile>(rows_[0] + at, distance_);
        for (int64_t i = 0; i < side; ++i) store(gathered_[i], load(rows_[i] + at));
        load_tile<a_tile>(gathered_[0], side);
    }

private:
    const float* rows_[side];
    int64_t distance_;
    bool even_ = true;
    alignas(64) float gathered_[side][side];
};

template <int halves, int vectors>
void multiply(const TileProduct& tile, int64_t rows) {
    constexpr int64_t second = (halves - 1) * side;
    RowsOfA a[] = {{tile.a, rows}, {tile.a + second, rows - second}};
    each<halves * vectors>([](auto c) { clear_tile<c>(); });
    for (const Segment *segment = tile.segments, *end = segment + tile.segment_count; segment < end; ++segment) {
        const float* b = tile.b + segment->b;
        for (int64_t k = 0; k < tile.length; k += side, b += side * vectors * lanes) {
            each<halves>([&](auto half) {
                a[half].load_tile_at(segment->a + k);
                each<vectors>([&](auto v) {
                    load_tile<b_tile>(b + v * lanes, vectors * lanes);
                    multiply_add_tiles<half * vectors + v>();
                });
            });
        }
    }
    alignas(64) float sums[halves * side][vectors * lanes];
    each<halves>([&](auto half) {
        each<vectors>([&](auto v) {
            store_tile<half * vectors + v>(sums[half * side] + v * lanes, vectors * lanes);
        });
    });
    for (int64_t i = 0; i < rows; ++i) {
        each_vector(tile.columns, [&](int64_t j, auto part) {
            finish(tile, tile.c[i], j, load(sums[i] + j), part);
        });
    }
}

template <int halves>
void multiply_halves(const TileProduct& tile, int64_t rows) {
    switch (ceil_div(tile.columns, lanes)) {
        case 1: return multiply<halves, 1>(tile, rows);
        case 2: return multiply<halves, 2>(tile, rows);
        default: return multiply<halves, 3>(tile, rows);
    }
}

// What ldtilecfg reads: eight whole tiles.
struct alignas(64) TileShapes {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {side, side, side, side, side, side, side, side};
};

constexpr TileShapes shapes;

}  // namespace

// Tiles are a thread's own. One that has them in use has 8 KB more to be saved whenever the system takes it off its
// processor, and other code on it shapes them otherwise: so they are in use during a task only.
AmxBFloat16::Task::Task() { asm volatile("ldtilecfg %0" : : "m"(shapes)); }
AmxBFloat16::Task::~Task() { asm volatile("tilerelease"); }

template <>
void multiply_tile<AmxBFloat16>(const TileProduct& tile, int64_t rows) {
    return rows > side ? multiply_halves<2>(tile, rows) : multiply_halves<1>(tile, rows);
}

}  // namespace medmamba::cpu::MM_SIMD

#endif
