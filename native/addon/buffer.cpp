#include "buffer.h"

#include <optional>

#include "environment.h"
#include "errors.h"
#include "numbers.h"

namespace medmamba::addon {

namespace {

// Numbers only: turning another value into text would run JavaScript of its own.
std::string shown(const Napi::Value& value) {
    return value.IsNumber() ? value.ToString().Utf8Value() : std::string("(no number)");
}

constexpr napi_type_tag type_tag{0x6d65646d616d6261, 0x6275666665720001};

}  // namespace

Napi::Function Buffer::define(Napi::Env env) {
    return DefineClass(env, "NativeBuffer",
                       {InstanceAccessor<&Buffer::entry<&Buffer::byte_length>>("byteLength"),
                        InstanceAccessor<&Buffer::entry<&Buffer::is_disposed>>("disposed"),
                        InstanceMethod<&Buffer::entry<&Buffer::view>>("view"), InstanceMethod<&Buffer::entry<&Buffer::dispose>>("dispose")});
}

Napi::Object Buffer::create(Napi::Env env, std::shared_ptr<Block> block, size_t offset, size_t bytes) {
    Napi::Object handle = Environment::of(env).buffer.New({});
    handle.TypeTag(&type_tag);
    Buffer* buffer = Unwrap(handle);
    buffer->block_ = std::move(block);
    buffer->offset_ = offset;
    buffer->bytes_ = bytes;
    return handle;
}

Buffer* Buffer::of(napi_env env, napi_value value) {
    napi_valuetype type;
    bool tagged = false;
    void* wrapped = nullptr;
    if (napi_typeof(env, value, &type) != napi_ok || type != napi_object) return nullptr;
    if (napi_check_object_type_tag(env, value, &type_tag, &tagged) != napi_ok || !tagged) return nullptr;
    return napi_unwrap(env, value, &wrapped) == napi_ok ? static_cast<Buffer*>(wrapped) : nullptr;
}

Napi::Value Buffer::byte_length(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), (double)bytes_);
}

Napi::Value Buffer::is_disposed(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), disposed());
}

Napi::Value Buffer::view(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    if (disposed()) throw coded_error(env, code::disposed, "view: the buffer has been disposed");
    const std::optional<int64_t> offset = whole_number(env, info[0]), bytes = whole_number(env, info[1]);
    if (!offset || !bytes || *offset < 0 || *bytes < 0 || (size_t)*offset > bytes_ ||
        (size_t)*bytes > bytes_ - (size_t)*offset) {
        throw coded_error(env, code::invalid_argument,
                          "view: byteOffset " + shown(info[0]) + " and byteLength " + shown(info[1]) + " do not lie in a buffer of " +
                              std::to_string(bytes_) + " bytes");
    }
    return create(env, block_, offset_ + (size_t)*offset, (size_t)*bytes);
}

void Buffer::dispose(const Napi::CallbackInfo&) { block_.reset(); }

}  // namespace medmamba::addon
