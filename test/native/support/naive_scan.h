// The selective scan of one channel in double, step by step, and its gradient: what the scan tests compare with.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "naive.h"

struct NaiveScan {
    int64_t length, states;
    std::vector<double> u, delta, A, B, C, h;                    // B, C: (length, states); h: (length + 1, states)
    std::vector<double> y, dy, du, ddelta, dA, dB, dC, dlast_state;

    NaiveScan(int64_t length, int64_t states) : length(length), states(states) { reset(); }

    // As it was made, for another channel.
    void reset() {
        for (auto* v : {&u, &delta, &y, &dy, &du, &ddelta}) v->assign((size_t)length, 0.0);
        for (auto* v : {&A, &dA, &dlast_state}) v->assign((size_t)states, 0.0);
        for (auto* v : {&B, &C, &dB, &dC}) v->assign((size_t)(length * states), 0.0);
        h.assign((size_t)((length + 1) * states), 0.0);
    }

    void forward() {
        for (int64_t t = 0; t < length; ++t)
            for (int64_t n = 0; n < states; ++n) {
                const int64_t i = t * states + n;
                const double state = std::exp(delta[t] * A[n]) * h[i] + delta[t] * u[t] * B[i];
                h[i + states] = state;
                y[t] += C[i] * state;
            }
    }

    void backward() {
        std::vector<double> dh = dlast_state;
        for (int64_t t = length - 1; t >= 0; --t)
            for (int64_t n = 0; n < states; ++n) {
                const int64_t i = t * states + n;
                const double g = dh[n] + dy[t] * C[i], decay = std::exp(delta[t] * A[n]);
                dC[i] = dy[t] * h[i + states];
                dB[i] = g * delta[t] * u[t];
                du[t] += g * delta[t] * B[i];
                ddelta[t] += g * (u[t] * B[i] + A[n] * decay * h[i]);
                dA[n] += g * delta[t] * decay * h[i];
                dh[n] = g * decay;
            }
    }
};
