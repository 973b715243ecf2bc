// Running a kernel: a grid of blocks, one block after another, each of its threads on a stack of its own.
#pragma once

#include <tuple>
#include <type_traits>

#include "graph.h"
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

// Loads a kernel; false, and the end of the capture, where the calling thread captures.
bool load_kernel(const void* kernel);

// What the hardware would refuse is an error at the launch, captured or not.
bool launchable(const Grid& grid);

// An error if a pointer among a kernel's arguments is memory of the host: a GPU would not find it there. A string may
// be: a kernel can hand it on.
bool expect_device_pointer(const char* what, const void* pointer);

template <class T>
bool expect_device(const char* what, const T& argument) {
    if constexpr (std::is_pointer_v<T> && !std::is_same_v<T, const char*>)
        return !argument || expect_device_pointer(what, (const void*)argument);
    return true;
}

// The kernel with its arguments by value, to be run now or whenever a graph is launched.
template <class... Parameters>
class Call {
public:
    Call(const char* what, void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes,
         Parameters... arguments)
        : what_(what), kernel_(kernel), blocks_(blocks), threads_(threads), shared_bytes_(shared_bytes),
          arguments_(arguments...) {}

    Grid grid(Stream* stream) const {
        return {what_, (const void*)kernel_, blocks_, threads_, shared_bytes_, stream,
                [](const void* call) {
                    const Call& self = *static_cast<const Call*>(call);
                    std::apply(self.kernel_, self.arguments_);
                },
                this};
    }

    void operator()(Stream* stream) const {
        const auto on_device = [&](const auto&... argument) { return (expect_device(what_, argument) && ...); };
        if (std::apply(on_device, arguments_)) run(grid(stream));
    }

private:
    const char* what_;
    void (*kernel_)(Parameters...);
    dim3 blocks_, threads_;
    size_t shared_bytes_;
    std::tuple<Parameters...> arguments_;
};

template <class... Parameters>
void launch(const char* what, void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes,
            Stream* stream, Parameters... arguments) {
    const Call<Parameters...> call(what, kernel, blocks, threads, shared_bytes, arguments...);
    if (!stream || !stream_is_capturing(stream)) {
        load_kernel((const void*)kernel);
        if (!stream || runs_at_once(stream)) return call(stream);
        return put_off(stream, {(const void*)kernel, call});
    }
    if (launchable(call.grid(stream)) && load_kernel((const void*)kernel)) capture(stream, {(const void*)kernel, call});
}

// cudaGraphExecKernelNodeSetParams: later launches of the graph run the node's kernel so.
template <class... Parameters>
cudaError_t replace_kernel(cudaGraphExec_t executable, cudaGraphNode_t node, const char* what,
                           void (*kernel)(Parameters...), dim3 blocks, dim3 threads, size_t shared_bytes,
                           Parameters... arguments) {
    const Call<Parameters...> call(what, kernel, blocks, threads, shared_bytes, arguments...);
    return replace(executable, node, {(const void*)kernel, call});
}

// The order of threads and blocks on streams that are created from here on, whatever the environment says.
void set_seed(uint64_t seed);

}  // namespace medmamba::cuda::emulator
