#include "constants.h"

#include <initializer_list>
#include <utility>

#include "../backend/backend.h"

namespace medmamba::addon {

namespace {

using Codes = std::initializer_list<std::pair<const char*, int>>;

Napi::Object object_of(Napi::Env env, Codes codes) {
    Napi::Object object = Napi::Object::New(env);
    for (const auto& [name, code] : codes) object[name] = Napi::Number::New(env, code);
    return object;
}

}  // namespace

Napi::Object constants(Napi::Env env) {
    Napi::Object all = object_of(env, {{"maxDimensions", MM_MAX_DIMENSIONS}, {"scanChunk", MM_SCAN_CHUNK}});
    all["dtype"] = object_of(env, {{"float32", MM_FLOAT32},
                                   {"bfloat16", MM_BFLOAT16},
                                   {"int32", MM_INT32},
                                   {"int64", MM_INT64},
                                   {"uint8", MM_UINT8}});
    all["unary"] = object_of(env, {{"relu", MM_RELU},
                                   {"silu", MM_SILU},
                                   {"gelu", MM_GELU},
                                   {"sigmoid", MM_SIGMOID},
                                   {"exp", MM_EXP},
                                   {"log", MM_LOG}});
    all["binary"] = object_of(env, {{"add", MM_ADD}, {"sub", MM_SUBTRACT}, {"mul", MM_MULTIPLY}, {"div", MM_DIVIDE}});
    all["distribution"] = object_of(env, {{"uniform", MM_UNIFORM},
                                          {"normal", MM_NORMAL},
                                          {"truncatedNormal", MM_TRUNCATED_NORMAL},
                                          {"bernoulliScale", MM_BERNOULLI_SCALE}});
    return all;
}

}  // namespace medmamba::addon
