// A stream of the CUDA backend, on the emulator or on a GPU, with an input of 4 and an output.
#pragma once

#include <array>
#include <string>

#include "../../../native/backend/backend.h"
#include "../../../native/cuda/stream.cuh"
#if !defined(__CUDACC__)
#include "../../../native/emulator/stream.h"
#endif

extern "C" const mm_backend* medmamba_backend();

constexpr size_t more_than_there_is = size_t(1) << 50;

// Work is done later than it is queued, and what a kernel did wrong is told later still.
inline void work_as_on_a_gpu([[maybe_unused]] bool late) {
#if !defined(__CUDACC__)
    medmamba::cuda::emulator::set_late(late);
#endif
}

struct Backend {
    using Values = std::array<float, 4>;

    const mm_backend* table = medmamba_backend();
    mm_stream* stream = nullptr;
    float *x = nullptr, *y = nullptr;  // 1, 2, 3, 4 and zeros, on the device
    Backend() {
        const mm_stream_options options{};
        const char* why;
        table->stream_create(&options, &stream, &why);
        table->allocate(stream, sizeof(Values), (void**)&x);
        table->allocate(stream, sizeof(Values), (void**)&y);
        put(x, {1, 2, 3, 4});
        put(y, {});
    }
    ~Backend() {
        table->release(stream, x, sizeof(Values));
        table->release(stream, y, sizeof(Values));
        table->stream_destroy(stream);
    }
    void put(float* to, const Values& values) {
        table->upload(stream, to, values.data(), sizeof values);
        table->synchronize(stream);
    }
    // Waits for what was queued.
    Values values(const float* from) {
        Values values{};
        table->download(stream, values.data(), from, sizeof values);
        table->synchronize(stream);
        return values;
    }
    mm_status affine(float scale, const float* from, float* to) {
        const mm_affine_params params{4, scale, 1, from, to};
        return table->affine(stream, &params);
    }
    mm_status gradient_norm() {
        const int64_t counts[] = {4};
        const float* gradients[] = {x};
        const mm_gradient_norm_params params{{1, counts}, gradients, 1, y, y + 1};
        return table->gradient_norm(stream, &params);
    }
    // A kernel that reads an address that is none of the GPU's.
    mm_status read_elsewhere() { return affine(1, reinterpret_cast<const float*>(16), y); }
    bool failed_with(mm_status status, mm_status expected, const char* sentence) const {
        return status == expected && std::string(table->last_error(stream)).find(sentence) != std::string::npos;
    }
};
