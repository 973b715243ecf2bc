// Whole numbers out of JavaScript, which has only doubles.
#pragma once

#include <node_api.h>

#include <cmath>
#include <cstdint>
#include <optional>

namespace medmamba::addon {

// Empty if `value` is not a number, not whole, or beyond 2^53, where doubles skip whole numbers.
inline std::optional<int64_t> whole_number(napi_env env, napi_value value) {
    double number;
    if (napi_get_value_double(env, value, &number) != napi_ok) return {};
    if (!(std::fabs(number) <= 9007199254740992.0) || number != std::trunc(number)) return {};
    return (int64_t)number;
}

}  // namespace medmamba::addon
