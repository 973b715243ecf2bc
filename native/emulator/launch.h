// Running a kernel: a grid of blocks, one block after another, each of its threads on a stack of its own.
#pragma once

#include <tuple>
#include <type_traits>

#include "runtime.h"

namespace medmamba::cuda::emulator {

struct Grid {
    const char* what;  // the operation, for messages
    const void* kernel;
    dim3 blocks, threads;
    size_t shared_bytes;
    Stream* stream;
    void (*run_thread)(const void* call);
    const void* call;
};

// Sets what cudaGetLastError() answers.
void run(const Grid& grid);

// An error if a pointer among a kernel's arguments is memory of the host: a GPU would not find it there. A string may
// be: a kernel can hand it on.
bool expect_device_pointer(const char* what, const void* pointer);

template <class T>
bool expect_device(const char* what, const T& argument) {
    if constexpr (std::is_pointer_v<T> && !std::is_same_v<T, const char*>)
        return !argument || expect_device_pointer(what, (const void*)argument);
    return true;
}

template <class... Parameters>
void launch(const char* what, void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes,
            Stream* stream, Parameters... arguments) {
    if (!(expect_device(what, arguments) && ...)) return;
    const std::tuple<Parameters...> values(arguments...);
    const auto call = [&] { std::apply(kernel, values); };
    using Call = decltype(call);
    run({what, (const void*)kernel, blocks, threads, shared_bytes, stream,
         [](const void* c) { (*static_cast<const Call*>(c))(); }, &call});
}

// The order of threads and blocks on streams that are created from here on, whatever the environment says.
void set_seed(uint64_t seed);

}  // namespace medmamba::cuda::emulator
