// The CUDA emulator finds what goes wrong with the barriers, copies and products of Hopper (mbarrier, TMA, wgmma): each kernel
// here has one of the mistakes that a GPU answers with a hang, or forgives until it does not, beside its twin without the
// mistake.
#include <cmath>
#include <string>
#include <vector>

#include "../../native/cuda/tensor_map.cuh"
#include "../../native/cuda/wgmma.cuh"
#include "support/check.h"

using namespace medmamba::cuda;

namespace {

constexpr int group = 128, columns = 48, k = 64;

// A (64, 64) and B (48, 64), both with k along their lines, and a warpgroup's C (64, 48).
struct Shared {
    alignas(1024) BFloat16 a[64 * k];
    alignas(1024) BFloat16 b[columns * k];
    MBarrier full, empty;
};
constexpr int bytes_of_both = (64 + columns) * k * 2;

struct Maps {
    CUtensorMap a, b;
};
using Kernel = void (*)(CUtensorMap, CUtensorMap, float*);

__device__ void begin(Shared& shared, int arrivals_when_empty = 1) {
    if (threadIdx.x == 0) {
        barrier_init(shared.full, 1);
        barrier_init(shared.empty, arrivals_when_empty);
        fence_barrier_init();
    }
    __syncthreads();
}

__device__ void load(Shared& shared, const CUtensorMap& a, const CUtensorMap& b, int channel = 0, int row = 0) {
    arrive_expecting(shared.full, bytes_of_both);
    load_box(a, shared.a, shared.full, channel, row, 0, 0);
    load_box(b, shared.b, shared.full, channel, 0, 0, 0);
}

__device__ void multiply(Shared& shared, float (&sums)[columns / 2]) {
    uint64_t a = wgmma_matrix(shared.a), b = wgmma_matrix(shared.b);
    for (int i = 0; i < k; i += 16, a += wgmma_next_k, b += wgmma_next_k) wgmma<columns>(sums, a, b);
    wgmma_commit();
}

__device__ void write(const float (&sums)[columns / 2], float* c) {
    const int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32;
    for (int i = 0; i < columns / 2; ++i) {
        const int row = 16 * warp + i / 2 % 2 * 8 + lane / 4, column = i / 4 * 8 + 2 * (lane % 4) + i % 2;
        c[row * columns + column] = sums[i];
    }
}

// ---- a product, and what can be forgotten of it --------------------------------------------------------------------

enum class Forgotten { nothing, wait_for_copies, wait_for_products, fence, commit, all_warps };

template <Forgotten forgotten>
__global__ void product(CUtensorMap a, CUtensorMap b, float* c) {
    Shared& shared = shared_memory<Shared>();
    begin(shared);
    if (threadIdx.x == 0) load(shared, a, b);
    if (forgotten != Forgotten::wait_for_copies) wait(shared.full, 0);
    float sums[columns / 2] = {};
    if (forgotten == Forgotten::all_warps && threadIdx.x >= 96) {
        wait(shared.full, 0);
        return write(sums, c);
    }
    if (forgotten != Forgotten::fence) wgmma_fence(sums);
    uint64_t of_a = wgmma_matrix(shared.a), of_b = wgmma_matrix(shared.b);
    for (int i = 0; i < k; i += 16, of_a += wgmma_next_k, of_b += wgmma_next_k) wgmma<columns>(sums, of_a, of_b);
    if (forgotten != Forgotten::commit) wgmma_commit();
    if (forgotten != Forgotten::wait_for_products) wgmma_wait<0>(sums);
    write(sums, c);
    if (forgotten == Forgotten::wait_for_products) wgmma_wait<0>(sums);
    if (forgotten == Forgotten::wait_for_copies) wait(shared.full, 0);
}

// Sums that are written between a product and its wait.
template <bool waits_first>
__global__ void changed_sums(CUtensorMap a, CUtensorMap b, float* c) {
    Shared& shared = shared_memory<Shared>();
    begin(shared);
    if (threadIdx.x == 0) load(shared, a, b);
    wait(shared.full, 0);
    float sums[columns / 2] = {};
    wgmma_fence(sums);
    multiply(shared, sums);
    if (waits_first) wgmma_wait<0>(sums);
    sums[3] = sums[3] + 0.0f;
    if (!waits_first) sums[3] = 1;
    if (!waits_first) wgmma_wait<0>(sums);
    write(sums, c);
}

// Two products of one stage: c = A[0] B[0] + A[1] B[1], halves of 128 channels. The next copy may start once all warps have
// waited for the product.
enum class Release { by_all_warps, by_one_warp, before_waiting };

template <Release release>
__global__ void stages_in_turn(CUtensorMap a, CUtensorMap b, float* c) {
    Shared& shared = shared_memory<Shared>();
    begin(shared, release == Release::by_one_warp ? 1 : 4);
    const int warp = (int)threadIdx.x / 32;
    if (warp == 4) {
        if (threadIdx.x % 32 == 0)
            for (int step = 0; step < 2; ++step) {
                wait(shared.empty, (unsigned)(step & 1) ^ 1);
                load(shared, a, b, step * k);
            }
        return;
    }
    float sums[columns / 2] = {};
    for (int step = 0; step < 2; ++step) {
        wait(shared.full, (unsigned)step & 1);
        wgmma_fence(sums);
        multiply(shared, sums);
        if (release != Release::before_waiting) wgmma_wait<0>(sums);
        if (threadIdx.x % 32 == 0 && (release != Release::by_one_warp || warp == 0)) arrive(shared.empty);
        if (release == Release::before_waiting) wgmma_wait<0>(sums);
    }
    write(sums, c);
}

// A that threads have written themselves.
template <bool with_fence>
__global__ void written_by_threads(CUtensorMap, CUtensorMap b, float* c) {
    Shared& shared = shared_memory<Shared>();
    begin(shared);
    if (threadIdx.x == 0) {
        arrive_expecting(shared.full, columns * k * 2);
        load_box(b, shared.b, shared.full, 0, 0, 0, 0);
    }
    for (int i = (int)threadIdx.x; i < 64 * k; i += group) {
        const int row = i / k, part = i % k / 8;
        shared.a[row * k + (part ^ row % 8) * 8 + i % 8] = rounded<BFloat16>((float)(row % 5 - i % k % 3));
    }
    if (with_fence) fence_proxy_async();
    wait(shared.full, 0);
    __syncthreads();
    float sums[columns / 2] = {};
    wgmma_fence(sums);
    multiply(shared, sums);
    wgmma_wait<0>(sums);
    write(sums, c);
}

// ---- what a box brings ---------------------------------------------------------------------------------------------

// The box of A from (x, y) on, as it lies: without swizzling, element (channel, row).
template <int x, int y>
__global__ void box(CUtensorMap a, CUtensorMap, float* c) {
    Shared& shared = shared_memory<Shared>();
    begin(shared);
    if (threadIdx.x == 0) {
        arrive_expecting(shared.full, 64 * k * 2);
        load_box(a, shared.a, shared.full, x, y, 0, 0);
    }
    wait(shared.full, 0);
    for (int i = (int)threadIdx.x; i < 64 * columns; i += group) {
        const int row = i / columns, channel = i % columns;
        c[i] = to_float(shared.a[row * k + (channel / 8 ^ row % 8) * 8 + channel % 8]);
    }
}

// ---- barriers ------------------------------------------------------------------------------------------------------

enum class Wrong { nothing, bytes, phase, arrivals, no_fence, no_barrier, overwritten, early_end };

template <Wrong wrong>
__global__ void barriers(CUtensorMap a, CUtensorMap b, float* c) {
    Shared& shared = shared_memory<Shared>();
    if (threadIdx.x == 0 && wrong != Wrong::no_barrier) {
        barrier_init(shared.full, wrong == Wrong::arrivals ? 2 : 1);
        if (wrong != Wrong::no_fence) fence_barrier_init();
        if (wrong == Wrong::overwritten) shared.full.state = 1;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        arrive_expecting(shared.full, bytes_of_both + (wrong == Wrong::bytes ? 16 : 0));
        load_box(a, shared.a, shared.full, 0, 0, 0, 0);
        load_box(b, shared.b, shared.full, 0, 0, 0, 0);
    }
    if (wrong != Wrong::early_end) wait(shared.full, wrong == Wrong::phase ? 1 : 0);
    if (wrong == Wrong::phase) wait(shared.full, 1), wait(shared.full, 0), wait(shared.full, 1);
    for (int i = (int)threadIdx.x; i < 64 * columns; i += group) c[i] = 1;
}

// ---- descriptors ---------------------------------------------------------------------------------------------------

template <int bytes_further, int eight_lines, int swizzle>
__global__ void descriptors(CUtensorMap a, CUtensorMap b, float* c) {
    Shared& shared = shared_memory<Shared>();
    begin(shared);
    if (threadIdx.x == 0) load(shared, a, b);
    wait(shared.full, 0);
    float sums[columns / 2] = {};
    const uint64_t of_a = (uint64_t)(shared_address(shared.a) + bytes_further) >> 4 | uint64_t(1) << 16 |
                          uint64_t(eight_lines >> 4) << 32 | uint64_t(swizzle) << 62;
    wgmma_fence(sums);
    for (int i = 0; i < k / 16; ++i)
        wgmma<columns>(sums, of_a + wgmma_next_k * (unsigned)i, wgmma_matrix(shared.b) + wgmma_next_k * (unsigned)i);
    wgmma_commit();
    wgmma_wait<0>(sums);
    write(sums, c);
}

// ---- running them --------------------------------------------------------------------------------------------------

float a_at(int row, int channel) { return (float)((row * 7 + channel * 3) % 11 - 5); }
float b_at(int column, int channel) { return (float)((column * 5 + channel) % 7 - 3); }

uint16_t half(float value) { return (uint16_t)(__float_as_uint(value) >> 16); }

struct Run {
    static constexpr int rows = 70, channels = 128;
    uint16_t *a, *b;
    float* c;
    cudaStream_t stream;
    cudaError_t error;

    explicit Run(Kernel kernel, int seed = 1, int threads = group) {
        emulator::set_seed((uint64_t)seed);
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaMalloc(&a, sizeof(uint16_t) * rows * channels);
        cudaMalloc(&b, sizeof(uint16_t) * columns * channels);
        cudaMalloc(&c, sizeof(float) * 64 * columns);
        for (int i = 0; i < rows * channels; ++i) a[i] = half(a_at(i / channels, i % channels));
        for (int i = 0; i < columns * channels; ++i) b[i] = half(b_at(i / channels, i % channels));
        const auto tensor = [](uint16_t* data, int lines, int box_lines) {
            return TensorOfBoxes{reinterpret_cast<float*>(data), {channels, lines, 1, 1},
                                 {channels, lines * channels, lines * channels}, {box_line, box_lines, 1, 1}};
        };
        Maps maps;
        check::that(encode_tensor_map(tensor(a, rows, 64), &maps.a) && encode_tensor_map(tensor(b, columns, columns), &maps.b),
                    "tensor maps");
        cudaFuncSetAttribute((const void*)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, sizeof(Shared));
        emulator::launch("a test", kernel, dim3(1), dim3((unsigned)threads), sizeof(Shared), stream, maps.a, maps.b, c);
        error = cudaGetLastError();
    }
    ~Run() {
        cudaFree(a);
        cudaFree(b);
        cudaFree(c);
        cudaStreamDestroy(stream);
    }
};

// With how many of five seeds it is right. expected(row, column).
template <class Expected>
int times_right(const char* what, Kernel kernel, Expected expected, int threads) {
    int right = 0;
    for (int seed = 1; seed <= 5; ++seed) {
        const Run run(kernel, seed, threads);
        check::that(run.error == cudaSuccess, what + (std::string(": ") + cudaGetErrorString(run.error)));
        bool same = true;
        for (int i = 0; i < 64 * columns; ++i) same = same && run.c[i] == expected(i / columns, i % columns);
        right += same;
    }
    return right;
}

// Right with every seed, or wrong with every seed.
template <class Expected>
void gives(const char* what, Kernel kernel, bool right, Expected expected, int threads = group) {
    check::that(times_right(what, kernel, expected, threads) == (right ? 5 : 0), what);
}

template <class Expected>
void does_not_always_give(const char* what, Kernel kernel, Expected expected, int threads) {
    check::that(times_right(what, kernel, expected, threads) < 5, what);
}

void refuses(const char* what, Kernel kernel, const char* reason, int threads = group) {
    const Run run(kernel, 1, threads);
    check::that(run.error == cudaErrorLaunchFailure, what);
    const std::string sentence = cudaGetErrorString(run.error);
    check::that(sentence.find("block (0, 0, 0) of a test: ") == 0 && sentence.find(reason) != std::string::npos,
                what + (": " + sentence));
}

float dot(int row, int column, int first, int last) {
    float sum = 0;
    for (int channel = first; channel < last; ++channel) sum += a_at(row, channel) * b_at(column, channel);
    return sum;
}

void test_tensor_maps() {
    alignas(16) static uint16_t data[64];
    const auto is_encoded = [](TensorOfBoxes tensor, int bytes_further = 0) {
        CUtensorMap map;
        tensor.data = reinterpret_cast<float*>(reinterpret_cast<char*>(data) + bytes_further);
        const bool encoded = encode_tensor_map(tensor, &map);
        check::that(encoded == has_tensor_map(tensor) || tensor.box[0] != box_line || tensor.box[1] > 256,
                    "has_tensor_map says what the driver does");
        return encoded;
    };
    const TensorOfBoxes tensor{nullptr, {5, 3, 1, 1}, {8, 24, 24}, {box_line, 8, 1, 1}};
    check::that(is_encoded(tensor), "a tensor map");
    check::that(!is_encoded(tensor, 8), "memory at a multiple of 8 bytes");
    TensorOfBoxes wrong = tensor;
    wrong.stride[0] = 6;
    check::that(!is_encoded(wrong), "a stride of 12 bytes");
    wrong = tensor, wrong.size[2] = 0;
    check::that(!is_encoded(wrong), "no element");
    wrong = tensor, wrong.stride[1] = 16;
    check::that(!is_encoded(wrong), "lines that overlap");
    wrong = tensor, wrong.box[1] = 257;
    check::that(!is_encoded(wrong), "a box of 257 lines");
    wrong = tensor, wrong.box[0] = 128;
    check::that(!is_encoded(wrong), "lines of 256 bytes, swizzled by 128");
}

}  // namespace

int main() {
    const auto first_half = [](int row, int column) { return dot(row, column, 0, k); };
    const auto both_halves = [](int row, int column) { return dot(row, column, 0, 2 * k); };
    gives("a product", product<Forgotten::nothing>, true, first_half);
    does_not_always_give("a product of what has not arrived", product<Forgotten::wait_for_copies>, first_half, group);
    gives("sums that are read too early", product<Forgotten::wait_for_products>, false, first_half);
    refuses("a product without a fence", product<Forgotten::fence>, "no wgmma_fence() since");
    refuses("a product that is in no group", product<Forgotten::commit>, "without wgmma_wait() for a product");
    refuses("a product of three warps", product<Forgotten::all_warps>, "0 products of its warpgroup's 4");
    gives("sums that are changed after the wait", changed_sums<true>, true, first_half);
    refuses("sums that are changed before the wait", changed_sums<false>, "changed before wgmma_wait()");

    gives("a stage that all warps have released", stages_in_turn<Release::by_all_warps>, true, both_halves, group + 32);
    does_not_always_give("a stage that one warp has released", stages_in_turn<Release::by_one_warp>, both_halves, group + 32);
    gives("a stage that is released too early", stages_in_turn<Release::before_waiting>, false, both_halves, group + 32);

    const auto of_threads = [](int row, int column) {
        float sum = 0;
        for (int channel = 0; channel < k; ++channel) sum += (float)(row % 5 - channel % 3) * b_at(column, channel);
        return sum;
    };
    gives("what threads have written, fenced", written_by_threads<true>, true, of_threads);
    gives("what threads have written, not fenced", written_by_threads<false>, false, of_threads);

    const auto element = [](int row, int channel) {
        return row < 0 || row >= Run::rows || channel < 0 || channel >= Run::channels ? 0.0f : a_at(row, channel);
    };
    gives("a box", box<0, 0>, true, element);
    gives("a box before the tensor", box<-8, -3>, true, [&](int i, int j) { return element(i - 3, j - 8); });
    gives("a box behind the tensor", box<104, 20>, true, [&](int i, int j) { return element(i + 20, j + 104); });

    gives("a barrier", barriers<Wrong::nothing>, true, [](int, int) { return 1.0f; });
    refuses("bytes that nobody copies", barriers<Wrong::bytes>, "lacks 0 of 1 arrivals and 16 bytes that nobody will bring");
    refuses("a phase that does not come", barriers<Wrong::phase>, "lacks 1 of 1 arrivals and 0 bytes that nobody will bring");
    refuses("an arrival that does not come", barriers<Wrong::arrivals>, "lacks 1 of 2 arrivals");
    refuses("a barrier that TMA does not see", barriers<Wrong::no_fence>, "no fence_barrier_init()");
    refuses("no barrier", barriers<Wrong::no_barrier>, "there is no barrier that was initialised");
    refuses("an overwritten barrier", barriers<Wrong::overwritten>, "the barrier has been overwritten");
    refuses("copies that nobody waits for", barriers<Wrong::early_end>, "ended before the boxes that it loads have arrived");

    gives("a descriptor", descriptors<0, 1024, 1>, true, first_half);
    refuses("another swizzle", descriptors<0, 1024, 2>, "A does not begin where the pattern");
    gives("no swizzle", descriptors<0, 1024, 0>, false, first_half);
    refuses("a matrix in the midst of eight lines", descriptors<128, 1024, 1>, "A does not begin where the pattern");
    refuses("eight lines that are no multiple of the pattern", descriptors<0, 512, 1>, "the stride of A, 512 bytes");
    test_tensor_maps();
    return check::report();
}
