// C = op(A) op(B), cut into tasks whose pieces of A and B stay in the second-level cache.
//
//              n_block               A task owns m_block x n_block of C, and walks k in blocks:
//             +-------+                 pack  k_block x n_block of B into panels     (295 KB at most)
//     k_block | panels|                 for each tile of rows of A:                  (14 KB: first level)
//             +-------+                     for each panel: multiply_tile
//      +----+ +-------+
//      | A  | |   C   | m_block      A is read where it lies unless its columns are what must be walked
//      +----+ +-------+              (transposed), its rows all fall into the same sets of the cache, or
//                                    it has to be rounded to bfloat16.
//
// A long k with a small C, which is what the gradient of a weight looks like, is cut into ranges instead: each
// task sums one range into a C of its own, and these are added in the order of the ranges at the end. Ranges follow
// from the shape alone, so that bits do not depend on the number of threads; blocks of C, which no sum crosses, are as
// large as leaves each thread a few, because every block reads its rows of A and columns of B anew.
#include "packing.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

constexpr int64_t n_block_limit = 192, k_block_limit = 384;
constexpr int64_t wanted_ranges = 16;     // blocks included
constexpr int64_t thread_tasks = 4;
constexpr int64_t least_work = 1 << 18;   // multiply-adds worth a task of their own: some 5 us
constexpr int64_t least_range = 1024;
static_assert(n_block_limit % panel_columns == 0);

// Whole tiles of rows, of a block and of those that are copied at a time, where they are: 170 KB.
template <class Factor>
constexpr int64_t m_block_limit = 504 / Factor::tile_rows * Factor::tile_rows;
template <class Factor>
constexpr int64_t staged_rows = 108 / Factor::tile_rows * Factor::tile_rows;

struct Cut {
    int64_t m_block, n_block, k_range;
    int64_t m_blocks, n_blocks, ranges;
};

template <class Factor>
Cut cut_product(int64_t batch, int64_t m, int64_t n, int64_t k, int64_t threads) {
    constexpr int64_t tile_rows = Factor::tile_rows;
    Cut cut;
    cut.m_block = even_piece(m, m_block_limit<Factor>, tile_rows);
    cut.n_block = even_piece(n, n_block_limit, panel_columns);
    const auto tasks = [&] { return batch * ceil_div(m, cut.m_block) * ceil_div(n, cut.n_block); };
    const int64_t ranges = std::max<int64_t>(1, std::min(ceil_div(wanted_ranges, tasks()), k / least_range));
    cut.k_range = std::max<int64_t>(1, ceil_div(k, ranges));
    cut.ranges = std::max<int64_t>(1, ceil_div(k, cut.k_range));
    while (tasks() * cut.ranges < thread_tasks * threads && cut.m_block * cut.n_block * cut.k_range > least_work) {
        const bool rows = cut.m_block > tile_rows && (cut.m_block >= cut.n_block || cut.n_block == panel_columns);
        if (rows)
            cut.m_block = even_piece(cut.m_block, ceil_div(cut.m_block, 2), tile_rows);
        else if (cut.n_block > panel_columns)
            cut.n_block = even_piece(cut.n_block, ceil_div(cut.n_block, 2), panel_columns);
        else
            break;
    }
    cut.m_blocks = ceil_div(m, cut.m_block);
    cut.n_blocks = ceil_div(n, cut.n_block);
    return cut;
}

// op(A)[i, k] = a[i * row + k * step], op(B) likewise in panels; the block of C that a task owns.
struct Block {
    const float *a, *b, *bias;
    float* c;
    int64_t rows, columns, k;
    int64_t a_row, b_row, c_row;
    bool transpose_a, transpose_b, accumulate, relu;
};

// One tile of rows of A times all panels; k, a_row and a_step in words.
template <class Factor>
void multiply_rows(const Block& block, const float* a, int64_t a_row, int64_t a_step, int64_t rows,
                   const float* panels, int64_t k, float* c, bool first, bool last) {
    const float* a_rows[Factor::tile_rows];
    float* c_rows[Factor::tile_rows];
    for (int64_t i = 0; i < rows; ++i) {
        a_rows[i] = a + i * a_row;
        c_rows[i] = c + i * block.c_row;
    }
    const Segment whole{0, 0};
    for (int64_t j = 0; j < block.columns; j += panel_columns) {
        TileProduct tile{};
        tile.a = a_rows;
        tile.segments = &whole;
        tile.segment_count = 1;
        tile.length = k;
        tile.step = a_step;
        tile.b = panels + j * k;
        tile.c = c_rows;
        tile.first_column = j;
        tile.columns = std::min(panel_columns, block.columns - j);
        tile.accumulate = !first || block.accumulate;
        tile.bias = last && block.bias ? block.bias + j : nullptr;
        tile.relu = last && block.relu;
        multiply_tile<Factor>(tile, rows);
    }
}

template <class Factor>
void multiply_block(const Block& block, Scratch& scratch) {
    const Scratch::Scope scope(scratch);
    [[maybe_unused]] const typename Factor::Task multiplying;
    const int64_t k_block = even_piece(block.k, k_block_limit * Factor::depth, 8);
    float* panels = scratch.take(words<Factor>(k_block) * packed_width(block.columns));
    // Floats can stay where they are, unless nine rows a multiple of 2 KB apart would share a few sets of the
    // first-level cache.
    const bool stage = Factor::depth > 1 || block.transpose_a || block.a_row % 512 == 0;
    // A is staged as it is stored, if k can be walked down its rows.
    const bool k_down = block.transpose_a && Factor::step_words == 1;
    const int64_t stride = staged_stride(k_down ? staged_rows<Factor> : words<Factor>(k_block));
    float* staged = stage ? scratch.take(stride * (k_down ? words<Factor>(k_block) : staged_rows<Factor>)) : nullptr;

    int64_t k0 = 0;
    do {  // once even if k = 0: C is then the bias
        const int64_t k = std::min(k_block, block.k - k0), k_words = words<Factor>(k);
        const bool first = k0 == 0, last = k0 + k == block.k;
        for (int64_t j = 0; j < block.columns; j += panel_columns) {
            const int64_t columns = std::min(panel_columns, block.columns - j);
            const float* b = block.b + (block.transpose_b ? j * block.b_row + k0 : k0 * block.b_row + j);
            if (block.transpose_b)
                pack_panel_transposed<Factor>(b, block.b_row, k, columns, panels + j * k_words);
            else
                pack_down<Factor>(b, block.b_row, k, columns, panels + j * k_words, packed_width(columns));
        }
        for (int64_t i0 = 0; i0 < block.rows; i0 += staged_rows<Factor>) {
            const int64_t i1 = std::min(block.rows, i0 + staged_rows<Factor>);
            const float* a = block.a + (block.transpose_a ? k0 * block.a_row + i0 : i0 * block.a_row + k0);
            int64_t between = block.a_row;
            if (stage) {
                if (k_down)
                    pack_down<Factor>(a, block.a_row, k, i1 - i0, staged, stride);
                else if (block.transpose_a)
                    pack_columns<Factor>(a, block.a_row, k, i1 - i0, staged, stride);
                else
                    pack_along<Factor>(a, block.a_row, i1 - i0, k, staged, stride);
                a = staged;
                between = stride;
            }
            const int64_t a_row = k_down ? 1 : between, a_step = k_down ? between : 1;
            for (int64_t i = i0; i < i1; i += Factor::tile_rows)
                multiply_rows<Factor>(block, a + (i - i0) * a_row, a_row, a_step,
                                      std::min(Factor::tile_rows, i1 - i), panels, k_words,
                                      block.c + i * block.c_row, first, last);
        }
        k0 += k;
    } while (k0 < block.k);
}

// c = relu?(sum of the ranges' sums + c? + bias?)
void add_ranges(mm_stream* stream, const mm_matmul_params* p, int64_t c_row, const float* sums, int64_t ranges) {
    const int64_t row_count = p->batch * p->m, range = row_count * p->n;
    parallel_ranges(stream, row_count, std::max<int64_t>(1, 8192 / (p->n * ranges)), [&](int64_t r0, int64_t r1, int) {
        for (int64_t r = r0; r < r1; ++r) {
            const float* from = sums + r * p->n;
            float* c = p->c + r / p->m * p->c_batch + r % p->m * c_row;
            each_vector(p->n, [&](int64_t j, auto count) {
                vfloat sum = load(from + j, count);
                for (int64_t i = 1; i < ranges; ++i) sum += load(from + i * range + j, count);
                if (p->accumulate) sum += load(c + j, count);
                if (p->bias) sum += load(p->bias + j, count);
                if (p->relu) sum = max(vfloat{}, sum);
                store(c + j, sum, count);
            });
        }
    });
}

template <class Factor>
void multiply_all(mm_stream* stream, const mm_matmul_params* p) {
    const Cut cut = cut_product<Factor>(p->batch, p->m, p->n, p->k, stream->pool.threads());
    const int64_t a_row = row_stride(p->a_row, p->transpose_a ? p->m : p->k);
    const int64_t b_row = row_stride(p->b_row, p->transpose_b ? p->k : p->n);
    const int64_t c_row = row_stride(p->c_row, p->n);
    const int64_t range = p->batch * p->m * p->n;
    float* sums = cut.ranges > 1 ? stream->scratch.take(cut.ranges * range) : nullptr;

    stream->pool.run(cut.ranges * p->batch * cut.m_blocks * cut.n_blocks, [&](int64_t task, int worker) {
        const int64_t n0 = task % cut.n_blocks * cut.n_block;
        task /= cut.n_blocks;
        const int64_t m0 = task % cut.m_blocks * cut.m_block;
        task /= cut.m_blocks;
        const int64_t i = task % p->batch, r = task / p->batch;
        const int64_t k0 = r * cut.k_range;
        Block block{};
        block.rows = std::min(cut.m_block, p->m - m0);
        block.columns = std::min(cut.n_block, p->n - n0);
        block.k = std::min(cut.k_range, p->k - k0);
        block.a = p->a + i * p->a_batch + (p->transpose_a ? k0 * a_row + m0 : m0 * a_row + k0);
        block.b = p->b + i * p->b_batch + (p->transpose_b ? n0 * b_row + k0 : k0 * b_row + n0);
        block.a_row = a_row;
        block.b_row = b_row;
        block.transpose_a = p->transpose_a;
        block.transpose_b = p->transpose_b;
        if (sums) {
            block.c = sums + r * range + (i * p->m + m0) * p->n + n0;
            block.c_row = p->n;
        } else {
            block.c = p->c + i * p->c_batch + m0 * c_row + n0;
            block.c_row = c_row;
            block.bias = p->bias ? p->bias + n0 : nullptr;
            block.accumulate = p->accumulate;
            block.relu = p->relu;
        }
        multiply_block<Factor>(block, stream->worker_scratch[worker]);
    });
    if (sums) add_ranges(stream, p, c_row, sums, cut.ranges);
}

}  // namespace

mm_status matmul(mm_stream* stream, const mm_matmul_params* p) {
    if (p->batch <= 0 || p->m <= 0 || p->n <= 0) return MM_OK;
    with_factor(stream, [&](auto factor) { multiply_all<decltype(factor)>(stream, p); });
    return MM_OK;
}

}  // namespace medmamba::cpu::MM_SIMD
