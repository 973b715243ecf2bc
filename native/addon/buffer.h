// A JavaScript handle on a piece of a block of device memory: NativeBuffer of src/native/addon.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "errors.h"
#include "memory.h"

namespace medmamba::addon {

class Buffer : public Napi::ObjectWrap<Buffer> {
public:
    static Napi::Function define(Napi::Env env);
    static Napi::Object create(Napi::Env env, std::shared_ptr<Block> block, size_t offset, size_t bytes);

    // Null if `value` is anything but a handle that `create` made.
    static Buffer* of(napi_env env, napi_value value);

    explicit Buffer(const Napi::CallbackInfo& info) : ObjectWrap(info) {}

    // Disposed by `dispose`, or with its stream.
    bool disposed() const { return !block_ || block_->memory()->closed(); }

    // Of a handle that is not disposed.
    void* pointer() const { return static_cast<char*>(block_->pointer()) + offset_; }
    const Memory* memory() const { return block_->memory(); }
    const std::shared_ptr<Block>& block() const { return block_; }
    size_t bytes() const { return bytes_; }

private:
    // A method as an entry of the addon.
    template <auto method>
    Napi::Value entry(const Napi::CallbackInfo& info) {
        return translated(info, [&] { return (this->*method)(info); });
    }

    Napi::Value byte_length(const Napi::CallbackInfo& info);
    Napi::Value is_disposed(const Napi::CallbackInfo& info);
    Napi::Value view(const Napi::CallbackInfo& info);
    void dispose(const Napi::CallbackInfo& info);

    std::shared_ptr<Block> block_;
    size_t offset_ = 0, bytes_ = 0;
};

}  // namespace medmamba::addon
