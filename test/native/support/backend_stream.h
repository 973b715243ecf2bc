// A stream of the CUDA backend, on the emulator, with an input of 4 and an output.
#pragma once

#include <string>

#include "../../../native/backend/backend.h"

extern "C" const mm_backend* medmamba_backend();

struct Backend {
    const mm_backend* table = medmamba_backend();
    mm_stream* stream = nullptr;
    float *x = nullptr, *y = nullptr;
    Backend() {
        const mm_stream_options options{};
        const char* why;
        table->stream_create(&options, &stream, &why);
        table->allocate(stream, 16, (void**)&x);
        table->allocate(stream, 16, (void**)&y);
        for (int i = 0; i < 4; ++i) x[i] = (float)(i + 1), y[i] = 0;
    }
    ~Backend() {
        table->release(stream, x, 16);
        table->release(stream, y, 16);
        table->stream_destroy(stream);
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
    bool failed_with(mm_status status, mm_status expected, const char* sentence) const {
        return status == expected && std::string(table->last_error(stream)).find(sentence) != std::string::npos;
    }
};
