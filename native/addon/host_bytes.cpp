#include "host_bytes.h"

#include <string>

#include "errors.h"

namespace medmamba::addon {

HostBytes host_bytes(Napi::Env env, const char* operation, napi_value view) {
    bool is_typed_array = false, is_data_view = false;
    void* data = nullptr;
    size_t length = 0;
    napi_is_typedarray(env, view, &is_typed_array);
    napi_is_dataview(env, view, &is_data_view);
    if (is_typed_array) {
        napi_get_typedarray_info(env, view, nullptr, nullptr, &data, nullptr, nullptr);
        length = Napi::TypedArray(env, view).ByteLength();
    } else if (is_data_view) {
        napi_get_dataview_info(env, view, &length, &data, nullptr, nullptr);
    } else {
        throw coded_error(env, code::invalid_argument,
                          std::string(operation) + ": the host's side has to be a typed array or DataView", operation);
    }
    return {static_cast<char*>(data), length};
}

}  // namespace medmamba::addon
