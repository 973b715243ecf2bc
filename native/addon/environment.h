// What each JavaScript environment (the main thread, each worker) has of its own: the classes of the addon.
#pragma once

#include <napi.h>

namespace medmamba::addon {

struct Environment {
    Napi::FunctionReference buffer, communicator, graph, stream;

    static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }
};

}  // namespace medmamba::addon
