#include "level.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../support/check.h"
#include "arrays.h"

namespace {

constexpr size_t guard_bytes = 256;  // a multiple of every alignment that a kernel asks for
constexpr unsigned char poison = 0xff;  // a float, a bfloat16 or a double of these is not a number
size_t guard = guard_bytes;

void succeed(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
    std::printf("FAILED %s: %s (%s)\n", what, cudaGetErrorString(error), cudaGetErrorName(error));
    std::fflush(stdout);
    std::_Exit(1);
}

bool is_poisoned(const std::vector<unsigned char>& bytes, size_t begin, size_t end) {
    return std::all_of(bytes.begin() + (ptrdiff_t)begin, bytes.begin() + (ptrdiff_t)end,
                       [](unsigned char byte) { return byte == poison; });
}

}  // namespace

bool simd_level_runs_here() {
    cudaDeviceProp properties;
    succeed(cudaGetDeviceProperties(&properties, 0), "asking the GPU what it is");
    std::printf("CUDA, %s\n", properties.name);
    return true;
}

void allocate_without_guards() { guard = 0; }

void fill_scratch_with_nan(mm_stream& stream) {
    constexpr size_t bytes = 32 << 20;
    void* memory = nullptr;
    succeed(stream.memory.take(&memory, bytes, stream.stream), "memory for NaN");
    succeed(cudaMemsetAsync(memory, poison, bytes, stream.stream), "filling memory with NaN");
    succeed(cudaFreeAsync(memory, stream.stream), "giving back memory of NaN");
}

void DeviceCopies::take(const medmamba::addon::Structure& structure, void* parameters) {
    using medmamba::addon::Kind;
    int64_t count = 0;
    for (size_t i = 0; i < structure.field_count; ++i) {
        const medmamba::addon::Field& field = structure.fields[i];
        unsigned char* place = static_cast<unsigned char*>(parameters) + field.offset;
        const auto replace = [&](auto value) { std::memcpy(place, &value, sizeof value); };
        void* pointer;
        std::memcpy(&pointer, place, sizeof pointer);
        switch (field.kind) {
            case Kind::buffer: replace(device_pointer(pointer)); break;
            case Kind::structure: take(*field.structure, place); break;
            case Kind::tensor_list: std::memcpy(&count, place, sizeof count); break;  // its field `count` is the first
            case Kind::buffer_list: {
                if (!pointer) break;
                void** of_host = static_cast<void**>(pointer);
                std::vector<void*>& list = lists_.emplace_back(of_host, of_host + count);
                for (void*& entry : list) entry = device_pointer(entry);
                replace(list.data());
                break;
            }
            default: break;
        }
    }
}

void* DeviceCopies::device_pointer(void* pointer) {
    if (!pointer) return nullptr;
    unsigned char* host = static_cast<unsigned char*>(pointer);
    const auto [start, bytes] = array_of(host);
    if (!start) {
        std::printf("FAILED: an operation is called with memory that is no array of the test's\n");
        std::fflush(stdout);
        std::_Exit(1);
    }
    for (const Copy& copy : copies_)
        if (copy.host == start) return copy.device + guard + (host - start);
    unsigned char* device = nullptr;
    succeed(cudaMalloc(&device, std::max<size_t>(bytes + 2 * guard, 1)), "memory for an array");
    succeed(cudaMemsetAsync(device, poison, bytes + 2 * guard, stream_.stream), "filling memory");
    succeed(cudaMemcpyAsync(device + guard, start, bytes, cudaMemcpyHostToDevice, stream_.stream), "copying there");
    copies_.push_back({start, device, bytes});
    return device + guard + (host - start);
}

DeviceCopies::~DeviceCopies() {
    for (const Copy& copy : copies_) {
        std::vector<unsigned char> back(copy.bytes + 2 * guard);
        succeed(cudaMemcpyAsync(back.data(), copy.device, back.size(), cudaMemcpyDeviceToHost, stream_.stream),
                "copying back");
        succeed(cudaStreamSynchronize(stream_.stream), "copying back");
        std::copy_n(back.data() + guard, copy.bytes, copy.host);
        const bool intact = is_poisoned(back, 0, guard) && is_poisoned(back, guard + copy.bytes, back.size());
        if (!intact) check::that(false, "something was written in front of an array, or behind it");
        succeed(cudaFree(copy.device), "giving back the memory of an array");
    }
}
