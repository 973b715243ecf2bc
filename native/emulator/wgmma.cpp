#include "wgmma.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "asynchronous.h"
#include "block_state.h"
#include "memory.h"
#include "model.h"

namespace medmamba::cuda::emulator {

namespace {

constexpr int depth = 16, most_columns = 256, warps_of_group = 4, most_groups = 8;

bool operator==(const Product& x, const Product& y) { return x.columns == y.columns && x.a == y.a && x.b == y.b; }

// What the first of a warpgroup's warps has asked for: the others have to ask for the same.
std::vector<Product> asked[most_groups];

// A matrix in shared memory, k along its lines, as the PTX ISA lays it out ("Asynchronous Warpgroup Level Matrix Shared Memory
// Layout"): 8 lines of as many bytes as swizzling mixes, the next 8 a stride further. Without swizzling a line has 16 bytes,
// and the next 16 bytes of k are a leading offset further.
struct Descriptor {
    uint32_t start, leading, stride, base;
    int line_bytes;  // 128, 64 or 32; 16 is no swizzling

    explicit Descriptor(uint64_t bits)
        : start((uint32_t)(bits & 0x3fff) << 4), leading((uint32_t)(bits >> 16 & 0x3fff) << 4),
          stride((uint32_t)(bits >> 32 & 0x3fff) << 4), base((uint32_t)(bits >> 49 & 7)) {
        constexpr int of_mode[] = {16, 128, 64, 32};
        line_bytes = of_mode[bits >> 62];
    }

    uint32_t address(int line, int k) const {
        const int byte = 2 * k;
        if (line_bytes == 16)
            return start + (uint32_t)line / 8 * stride + (uint32_t)(byte / 16) * leading + (uint32_t)(line % 8 * 16 + byte % 16);
        const uint32_t plain = start + (uint32_t)line / 8 * stride + (uint32_t)(line % 8 * line_bytes + byte);
        return plain ^ ((plain >> 7 & (uint32_t)(line_bytes / 16 - 1)) << 4);
    }
};

void expect_descriptor(const char* which, uint64_t bits, Place place) {
    const Descriptor matrix(bits);
    if (bits & 0x3ff1c000c000c000u) fail("wgmma at %s:%d: unused bits of the descriptor of %s", file_of(place), place.line, which);
    if (matrix.base) fail("wgmma at %s:%d: a base offset of %s, which is not modelled", file_of(place), place.line, which);
    // Eight lines have to begin where the pattern does; along a line the matrix may begin further in.
    const uint32_t pattern = (uint32_t)matrix.line_bytes * 8;
    if (matrix.line_bytes > 16 && matrix.start % pattern >= (uint32_t)matrix.line_bytes)
        fail("wgmma at %s:%d: %s does not begin where the pattern of its swizzling does, at a multiple of %u bytes",
             file_of(place), place.line, which, pattern);
    if (matrix.line_bytes > 16 && matrix.stride % pattern)
        fail("wgmma at %s:%d: the stride of %s, %u bytes, is no multiple of its pattern's %u", file_of(place), place.line,
             which, matrix.stride, pattern);
}

float element(const Descriptor& matrix, int line, int k) {
    constexpr uint32_t window_start = 1024;
    const uint32_t offset = matrix.address(line, k) - window_start;
    if (offset + 2 > shared_of_block().bytes) {
        fail_later("wgmma reads outside of the block's shared memory");
        return 0;
    }
    uint16_t upper;
    std::memcpy(&upper, proxy_view() + offset, sizeof upper);
    // What threads have written without a fence may have arrived or not.
    const char* start = shared_of_block().end - (shared_of_block().bytes + 15) / 16 * 16;
    if (std::memcmp(&upper, start + offset, sizeof upper) != 0) return NAN;
    const uint32_t word = (uint32_t)upper << 16;
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
}

Sums& sums_at(Thread& thread, float* registers) {
    return *std::find_if(thread.sums.begin(), thread.sums.end(),
                         [=](const Sums& sums) { return sums.registers == registers; });
}

void compute(Thread* lanes, size_t index) {
    const Product product = lanes[0].products[index];
    const Descriptor of_a(product.a), of_b(product.b);
    const int first_row = lanes[0].index / 32 % warps_of_group * 16;
    static float a[16][depth], b[most_columns][depth];
    for (int k = 0; k < depth; ++k) {
        for (int i = 0; i < 16; ++i) a[i][k] = element(of_a, first_row + i, k);
        for (int j = 0; j < product.columns; ++j) b[j][k] = element(of_b, j, k);
    }
    for (int lane = 0; lane < 32; ++lane) {
        Sums& sums = sums_at(lanes[lane], lanes[lane].products[index].registers);
        for (int i = 0; i < product.columns / 2; ++i) {
            const int row = lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
            float sum = sums.values[i];
            for (int k = 0; k < depth; ++k) sum += a[row][k] * b[column][k];
            sums.values[i] = sum;
        }
    }
}

// The sums that no product is on its way to any more become the registers again.
void give_back(Thread& thread) {
    for (size_t i = 0; i < thread.sums.size();) {
        Sums& sums = thread.sums[i];
        const bool awaited = std::any_of(thread.products.begin(), thread.products.end(),
                                         [&](const Product& product) { return product.registers == sums.registers; });
        if (awaited) {
            ++i;
            continue;
        }
        const unsigned char* bytes = reinterpret_cast<const unsigned char*>(sums.registers);
        if (!std::all_of(bytes, bytes + sums.count * sizeof(float), [](unsigned char byte) { return byte == poison; }))
            fail_later("the sums of wgmma were changed before wgmma_wait()");
        std::memcpy(sums.registers, sums.values, (size_t)sums.count * sizeof(float));
        sums = thread.sums.back();
        thread.sums.pop_back();
    }
}

}  // namespace

void wgmma_fence() { running_thread().is_fenced = true; }

void wgmma(float* registers, int columns, uint64_t a, uint64_t b, Place place) {
    Thread& self = running_thread();
    if (capability() != 90) fail("wgmma at %s:%d: GPUs of 9.0 alone have it", file_of(place), place.line);
    if (!self.is_fenced)
        fail("wgmma at %s:%d: no wgmma_fence() since the registers were last in use", file_of(place), place.line);
    if (columns % 8 || columns < 8 || columns > most_columns)
        fail("wgmma at %s:%d: %d columns; multiples of 8 up to 256 are possible", file_of(place), place.line, columns);
    expect_descriptor("A", a, place);
    expect_descriptor("B", b, place);
    const Product product{registers, columns, a, b, self.product_group};
    std::vector<Product>& of_group = asked[self.index / 32 / warps_of_group];
    const size_t number = (size_t)self.products_started++;
    if (number == of_group.size()) of_group.push_back(product);
    if (!(of_group[number] == product))
        fail("wgmma at %s:%d: the threads of a warpgroup ask for different products", file_of(place), place.line);
    const auto is_same = [=](const Sums& sums) { return sums.registers == registers; };
    if (std::none_of(self.sums.begin(), self.sums.end(), is_same)) {
        Sums& sums = self.sums.emplace_back();
        sums.registers = registers;
        sums.count = columns / 2;
        std::memcpy(sums.values, registers, (size_t)sums.count * sizeof(float));
        std::memset(registers, poison, (size_t)sums.count * sizeof(float));
    }
    self.products.push_back(product);
}

void wgmma_commit() { ++running_thread().product_group; }

void wgmma_wait(int groups_left, Place place) {
    running_thread().value = (uint64_t)groups_left;
    suspend_warp(Wait::products, place);
}

void forget_products() {
    for (std::vector<Product>& list : asked) list.clear();
}

void finish_products(Thread* lanes) {
    const std::vector<Product>& products = lanes[0].products;
    const int last = lanes[0].product_group - (int)lanes[0].value;
    size_t done = 0;
    for (; done < products.size() && products[done].group < last; ++done) compute(lanes, done);
    for (int lane = 0; lane < 32; ++lane) {
        Thread& thread = lanes[lane];
        if (thread.products.size() < done) return fail_later("the lanes of a warp have started different products");
        thread.products.erase(thread.products.begin(), thread.products.begin() + (ptrdiff_t)done);
        give_back(thread);
        thread.is_fenced = false;
    }
}

void expect_no_products(const Thread* threads, int count) {
    for (int i = 0; i < count; ++i) {
        const size_t all = asked[i / 32 / warps_of_group].size();
        if (!threads[i].products.empty())
            return fail_later("thread %d has ended without wgmma_wait() for a product that it started", i);
        if ((size_t)threads[i].products_started != all)
            return fail_later("thread %d has started %d products of its warpgroup's %zu", i, threads[i].products_started, all);
    }
}

}  // namespace medmamba::cuda::emulator
