// The numbers of backend.h that JavaScript calls operations with: NativeConstants of src/native/addon.ts.
#pragma once

#include <napi.h>

namespace medmamba::addon {

Napi::Object constants(Napi::Env env);

}  // namespace medmamba::addon
