// The CUDA emulator finds what it is there to find: each kernel here has one of the mistakes that a GPU forgives often
// enough to hide it, beside its twin without the mistake.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <string>
#include <vector>

#include "../../native/cuda/device.cuh"
#include "support/check.h"

using namespace medmamba::cuda;

namespace {

constexpr int threads = 128;

struct Values {
    float value[threads];
};

// y[i] = x of the neighbour: shared by way of shared memory.
template <bool with_barrier>
__global__ void neighbours(const float* x, float* y) {
    Values& values = shared_memory<Values>();
    values.value[threadIdx.x] = x[threadIdx.x];
    if (with_barrier) __syncthreads();
    y[threadIdx.x] = values.value[(threadIdx.x + 1) % threads];
}

// The same within a warp, where lanes happen to run together on a GPU.
template <bool with_barrier>
__global__ void neighbours_of_warp(const float* x, float* y) {
    Values& values = shared_memory<Values>();
    values.value[threadIdx.x] = x[threadIdx.x];
    if (with_barrier) __syncwarp();
    y[threadIdx.x] = values.value[threadIdx.x ^ 1];
}

// One barrier between two turns at the same memory, where there have to be two.
template <bool with_second_barrier>
__global__ void turns(const float* x, float* y) {
    Values& values = shared_memory<Values>();
    float sum = 0;
    for (int turn = 0; turn < 8; ++turn) {
        values.value[threadIdx.x] = x[threadIdx.x] * (float)turn;
        __syncthreads();
        sum += values.value[threads - 1 - threadIdx.x];
        if (with_second_barrier) __syncthreads();
    }
    y[threadIdx.x] = sum;
}

template <bool with_wait>
__global__ void copied(const float* x, float* y) {
    Values& values = shared_memory<Values>();
    copy_async<4>(&values.value[threadIdx.x], x + threadIdx.x, true);
    copy_async_commit();
    if (with_wait) copy_async_wait<0>();
    __syncthreads();
    y[threadIdx.x] = values.value[threadIdx.x];
}

__global__ void uninitialised(const float*, float* y) {
    y[threadIdx.x] = shared_memory<Values>().value[threadIdx.x];
}

__global__ void left_early(const float*, float* y) {
    if (threadIdx.x == 7) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}

__global__ void two_barriers(const float*, float* y) {
    if (threadIdx.x < 64) {
        __syncthreads();
    } else {
        __syncthreads();
    }
    y[threadIdx.x] = 1;
}

__global__ void shuffle_without_all(const float* x, float* y) {
    float value = x[threadIdx.x];
    if (threadIdx.x % 32 != 3) value = __shfl_xor_sync(whole_warp, value, 1);
    y[threadIdx.x] = value;
}

__global__ void shuffle_from_unnamed(const float* x, float* y) {
    float value = x[threadIdx.x];
    if (threadIdx.x % 32 < 16) value = __shfl_sync(0xffffu, value, 20);
    y[threadIdx.x] = value;
}

__global__ void shuffled(const float* x, float* y) {
    float value = x[threadIdx.x];
    for (int bits = 16; bits > 0; bits /= 2) value += __shfl_xor_sync(whole_warp, value, bits);
    if (threadIdx.x % 32 < 8) value = __shfl_down_sync(0xffu, value + (float)(threadIdx.x % 8), 1, 8);
    y[threadIdx.x] = value + (float)__popc(__ballot_sync(whole_warp, threadIdx.x % 2));
}

__global__ void too_much_shared_memory(const float*, float* y) {
    struct Twice {
        float value[2 * threads];
    };
    y[0] = shared_memory<Twice>().value[0];
}

__global__ void reads_behind(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x + 1]; }

__global__ void writes_behind_shared(const float* x, float* y) {
    volatile float* values = shared_memory<Values>().value;
    values[threadIdx.x + (threadIdx.x == threads - 1)] = x[threadIdx.x];
    y[threadIdx.x] = 0;
}

__global__ void misaligned(const float* x, float* y) {
    const float4 four = *reinterpret_cast<const float4*>(x + 1);
    y[threadIdx.x] = four.x + four.w;
}

// A product of tiles, whose fragments are filled as device.cuh tells: d is (16, 8), a is (16, 16), b is (16, 8).
__global__ void tiles(const float* x, float* y) {
    const int group = (int)threadIdx.x / 4, index = (int)threadIdx.x % 4;
    const float* b = x + 16 * 16;
    const auto a = [&](int row, int column) { return x[row * 16 + column]; };
    const auto pair_of_a = [&](int row, int column) { return pack_bf16(a(row, column), a(row, column + 1)); };
    const auto pair_of_b = [&](int row) { return pack_bf16(b[row * 8 + group], b[(row + 1) * 8 + group]); };
    const uint32_t fragment_a[4] = {pair_of_a(group, 2 * index), pair_of_a(group + 8, 2 * index),
                                    pair_of_a(group, 2 * index + 8), pair_of_a(group + 8, 2 * index + 8)};
    const uint32_t fragment_b[2] = {pair_of_b(2 * index), pair_of_b(2 * index + 8)};
    float d[4] = {};
    mma_bf16_16x8x16(d, fragment_a, fragment_b);
    float e[4] = {};
    for (int k = 0; k < 16; k += 8) {
        const uint32_t quarter_a[4] = {to_tf32(a(group, k + index)), to_tf32(a(group + 8, k + index)),
                                       to_tf32(a(group, k + index + 4)), to_tf32(a(group + 8, k + index + 4))};
        const uint32_t quarter_b[2] = {to_tf32(b[(k + index) * 8 + group]), to_tf32(b[(k + index + 4) * 8 + group])};
        mma_tf32_16x8x8(e, quarter_a, quarter_b);
    }
    for (int i = 0; i < 4; ++i) {
        const int place = (group + i / 2 * 8) * 8 + 2 * index + i % 2;
        y[place] = d[i];
        y[16 * 8 + place] = e[i];
    }
}

using Kernel = void (*)(const float*, float*);

// Four matrices of rows of 8, whose element (i, row, column) is 64 i + 8 row + column; y gets what lanes were given as
// floats: (lane, matrix, 2), first as the matrices lie, then turned over.
struct Matrices {
    alignas(16) uint16_t element[4 * 64];
};
__global__ void matrices(const float*, float* y) {
    auto& shared = shared_memory<Matrices>();
    for (int i = (int)threadIdx.x; i < 256; i += 32) shared.element[i] = (uint16_t)i;
    __syncthreads();
    const uint16_t* row = shared.element + 8 * threadIdx.x;
    uint32_t as_they_lie[4], turned[4];
    load_matrices<false>(as_they_lie, row);
    load_matrices<true>(turned, row);
    for (int i = 0; i < 4; ++i) {
        for (int half = 0; half < 2; ++half) {
            y[(threadIdx.x * 4 + i) * 2 + half] = (float)(as_they_lie[i] >> 16 * half & 0xffff);
            y[256 + (threadIdx.x * 4 + i) * 2 + half] = (float)(turned[i] >> 16 * half & 0xffff);
        }
    }
}
template <int bytes_off>
__global__ void matrices_elsewhere(const float*, float*) {
    auto& shared = shared_memory<Matrices>();
    uint32_t loaded[4];
    load_matrices<false>(loaded, shared.element + 8 * threadIdx.x + bytes_off / 2);
}

struct Run {
    float *x, *y;
    cudaStream_t stream;
    cudaError_t error;

    explicit Run(Kernel kernel, int seed = 1, int count = threads, int block = threads,
                 size_t shared = sizeof(Values)) {
        emulator::set_seed((uint64_t)seed);
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        cudaMalloc(&x, (size_t)count * sizeof(float));
        cudaMalloc(&y, (size_t)count * sizeof(float));
        for (int i = 0; i < count; ++i) x[i] = (float)(i % 17);
        emulator::launch("a test", kernel, dim3(1), dim3((unsigned)block), shared, stream, (const float*)x, y);
        error = cudaGetLastError();
    }
    ~Run() {
        cudaFree(x);
        cudaFree(y);
        cudaStreamDestroy(stream);
    }
};

// Right with every seed, or wrong with every seed.
template <class Expected>
void gives(const char* what, Kernel kernel, bool right, Expected expected) {
    for (int seed = 1; seed <= 5; ++seed) {
        const Run run(kernel, seed);
        check::that(run.error == cudaSuccess, what);
        bool same = true;
        for (int i = 0; i < threads; ++i) same = same && run.y[i] == expected(run.x, i);
        check::that(same == right, what);
    }
}

void refuses(const char* what, Kernel kernel, const char* reason) {
    const Run run(kernel);
    check::that(run.error == cudaErrorLaunchFailure, what);
    const std::string sentence = cudaGetErrorString(run.error);
    check::that(sentence.find("block (0, 0, 0) of a test: ") == 0 && sentence.find(reason) != std::string::npos,
                what + (": " + sentence));
}

// Ends the process, which is a child of this one, with a message.
void aborts(const char* what, Kernel kernel, const char* reason) {
    int ends[2];
    if (pipe(ends) != 0) return;
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        const Run run(kernel);
        _exit(0);
    }
    close(ends[1]);
    std::string said;
    char text[256];
    for (ssize_t length; (length = read(ends[0], text, sizeof text)) > 0;) said.append(text, (size_t)length);
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    check::that(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, what);
    const bool named = said.find("medmamba emulator: a test, block (0, 0, 0), thread (") == 0;
    check::that(named && said.find(reason) != std::string::npos, what + (": " + said));
}

void test_tiles() {
    const Run run(tiles, 1, 16 * 24, 32, 0);
    check::that(run.error == cudaSuccess, "tiles");
    std::vector<float> expected(128);
    for (int i = 0; i < 16; ++i)
        for (int j = 0; j < 8; ++j)
            for (int k = 0; k < 16; ++k) expected[(size_t)(i * 8 + j)] += run.x[i * 16 + k] * run.x[256 + k * 8 + j];
    check::same_bits("bf16 tile", run.y, expected.data(), 512);
    check::same_bits("tf32 tile", run.y + 128, expected.data(), 512);
    check::that(pack_bf16(1.00390625f, -2.0f) == 0xc0003f80u && pack_bf16(1.01171875f, NAN) == 0x7fff3f82u,
                "bf16 rounds to even");
    check::that(to_tf32(__uint_as_float(0x3f801000u)) == 0x3f802000u, "tf32 rounds away from zero");
}

// Events of a stream: their time, and what has none.
void test_events() {
    cudaStream_t stream;
    cudaEvent_t begin, end, untimed;
    check::that(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) == cudaSuccess, "a stream");
    check::that(cudaEventCreateWithFlags(&begin, cudaEventDefault) == cudaSuccess, "an event");
    check::that(cudaEventCreateWithFlags(&end, cudaEventDefault) == cudaSuccess, "another event");
    check::that(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming) == cudaSuccess, "one without time");
    float milliseconds = -1;
    cudaEventRecord(begin, stream);
    const cudaError_t unrecorded = cudaEventElapsedTime(&milliseconds, begin, end);
    check::that(unrecorded == cudaErrorInvalidResourceHandle, "an event that was never recorded");
    usleep(2000);
    cudaEventRecord(end, stream);
    cudaEventRecord(untimed, stream);
    const cudaError_t timed = cudaEventElapsedTime(&milliseconds, begin, end);
    check::that(timed == cudaSuccess && milliseconds >= 2, "the time between two events");
    const cudaError_t without = cudaEventElapsedTime(&milliseconds, begin, untimed);
    check::that(without == cudaErrorInvalidResourceHandle, "an event that has no time");
    cudaGetLastError();
    for (const cudaEvent_t event : {begin, end, untimed}) cudaEventDestroy(event);
    cudaStreamDestroy(stream);
}

void test_matrices() {
    const Run run(matrices, 1, 512, 32, sizeof(Matrices));
    check::that(run.error == cudaSuccess, "matrices");
    for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < 4; ++i)
            for (int half = 0; half < 2; ++half) {
                const int place = (lane * 4 + i) * 2 + half, group = lane / 4, along = lane % 4 * 2 + half;
                check::that(run.y[place] == (float)(64 * i + 8 * group + along), "a matrix as it lies");
                check::that(run.y[256 + place] == (float)(64 * i + 8 * along + group), "a matrix turned over");
            }
}

}  // namespace

int main() {
    const auto neighbour = [](const float* x, int i) { return x[(i + 1) % threads]; };
    gives("a barrier", neighbours<true>, true, neighbour);
    gives("no barrier", neighbours<false>, false, neighbour);
    const auto lane_neighbour = [](const float* x, int i) { return x[i ^ 1]; };
    gives("a barrier of the warp", neighbours_of_warp<true>, true, lane_neighbour);
    gives("no barrier of the warp", neighbours_of_warp<false>, false, lane_neighbour);
    const auto turned = [](const float* x, int i) { return 28 * x[threads - 1 - i]; };
    gives("two barriers a turn", turns<true>, true, turned);
    gives("one barrier a turn", turns<false>, false, turned);
    const auto same = [](const float* x, int i) { return x[i]; };
    gives("a copy that is waited for", copied<true>, true, same);
    gives("a copy that is not waited for", copied<false>, false, same);
    const auto nothing = [](const float*, int) { return NAN; };
    gives("uninitialised shared memory", uninitialised, false, nothing);
    check::that(std::isnan(Run(uninitialised).y[5]), "uninitialised shared memory is NaN");
    gives("shuffles", shuffled, true, [](const float* x, int i) {
        float sum = 16;
        for (int lane = 0; lane < 32; ++lane) sum += x[i / 32 * 32 + lane];
        return i % 32 < 7 ? sum + (float)(i % 8 + 1) : i % 32 == 7 ? sum + 7 : sum;
    });

    refuses("a thread that leaves before a barrier", left_early, "but thread 7 has ended");
    refuses("two barriers at once", two_barriers, "but thread 64 at the one of test_emulator.cpp");
    refuses("a shuffle that lacks a lane", shuffle_without_all, "but lane 3 has ended");
    refuses("a shuffle from a lane that is not named", shuffle_from_unnamed, "reads lane 20");
    refuses("a matrix row that is misaligned", matrices_elsewhere<8>, "does not begin at a multiple of 16 bytes");
    refuses("a matrix row behind shared memory", matrices_elsewhere<1024>, "outside of the block's shared memory");
    refuses("more shared memory than at launch", too_much_shared_memory, "was launched with 512");
    check::that(Run(neighbours<true>, 1, threads, 1025).error == cudaErrorInvalidConfiguration, "1025 threads");
    check::that(Run(neighbours<true>, 1, threads, 128, 50000).error == cudaErrorInvalidValue,
                "50000 bytes without asking");

    aborts("a read behind the end", reads_behind, "0 bytes behind the end of an allocation of 512");
    aborts("a write behind shared memory", writes_behind_shared, "thread (127, 0, 0)");
    aborts("a misaligned read", misaligned, "not aligned");
    test_tiles();
    test_events();
    test_matrices();
    return check::report();
}
