// d += a b, products exact and added in float32 in the order of k. A tensor core looks at the 16 upper bits of a
// bfloat16 and at the 19 upper bits of a TF32 word: so do these, whatever else the word holds.
#include "tensor_cores.h"

#include <cstring>

namespace medmamba::cuda::emulator {

namespace {

constexpr int rows = 16, columns = 8;

float float_of(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}

// Fragments as matrices: a is (16, depth), b is (depth, 8).
template <int depth>
void add_product(Thread* lanes, const float (&a)[rows][depth], const float (&b)[depth][columns]) {
    for (int lane = 0; lane < 32; ++lane) {
        const int group = lane / 4, index = lane % 4;
        for (int i = 0; i < 4; ++i) {
            const int row = group + i / 2 * 8, column = 2 * index + i % 2;
            float sum = lanes[lane].d[i];
            for (int k = 0; k < depth; ++k) sum += a[row][k] * b[k][column];
            lanes[lane].d[i] = sum;
        }
    }
}

}  // namespace

void multiply_bf16(Thread* lanes) {
    float a[rows][16], b[16][columns];
    for (int lane = 0; lane < 32; ++lane) {
        const int group = lane / 4, index = lane % 4;
        for (int half = 0; half < 2; ++half) {
            const auto element = [half](uint32_t word) { return float_of(half ? word & 0xffff0000u : word << 16); };
            for (int i = 0; i < 4; ++i)
                a[group + i % 2 * 8][2 * index + half + i / 2 * 8] = element(lanes[lane].a[i]);
            for (int i = 0; i < 2; ++i) b[2 * index + half + i * 8][group] = element(lanes[lane].b[i]);
        }
    }
    add_product(lanes, a, b);
}

void multiply_tf32(Thread* lanes) {
    float a[rows][8], b[8][columns];
    for (int lane = 0; lane < 32; ++lane) {
        const int group = lane / 4, index = lane % 4;
        const auto element = [](uint32_t word) { return float_of(word & 0xffffe000u); };
        for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][index + i / 2 * 4] = element(lanes[lane].a[i]);
        for (int i = 0; i < 2; ++i) b[index + i * 4][group] = element(lanes[lane].b[i]);
    }
    add_product(lanes, a, b);
}

void load_matrices(Thread* lanes) {
    for (int lane = 0; lane < 32; ++lane) {
        const int group = lane / 4, index = lane % 4;
        for (int i = 0; i < 4; ++i) {
            const auto element = [&](int column) -> uint32_t {
                return lanes[lane].transposed ? lanes[8 * i + column].row[group] : lanes[8 * i + group].row[column];
            };
            lanes[lane].matrices[i] = element(2 * index + 1) << 16 | element(2 * index);
        }
    }
}

}  // namespace medmamba::cuda::emulator
