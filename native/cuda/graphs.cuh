// CUDA graphs of a stream: operations that are captured once and launched again and again, with the numbers that
// change from launch to launch put into their kernels' arguments.
//
// Everything here is called by the one thread that runs the stream's operations.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "../backend/backend.h"
#include "device.cuh"

struct mm_graph {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    cudaEvent_t done = nullptr;  // with the last launch; null before the first
    std::vector<std::vector<cudaGraphNode_t>> varying;  // the kernels of each varying call, in order

    mm_graph() = default;
    ~mm_graph();
    mm_graph(const mm_graph&) = delete;
    mm_graph& operator=(const mm_graph&) = delete;
};

namespace medmamba::cuda {

class Graphs {
public:
    // The functions of backend.h.
    mm_status begin(mm_stream* stream);
    mm_status end(mm_stream* stream, mm_graph** graph);
    mm_status vary(mm_stream* stream, int64_t call);
    mm_status change(mm_stream* stream, mm_graph* graph, int64_t call);
    mm_status launch(mm_stream* stream, mm_graph* graph);
    void destroy(mm_stream* stream, mm_graph* graph);

    bool capturing() const { return capturing_ != nullptr; }
    bool changing() const { return changing_ != nullptr; }

    // Remembers the kernel that was captured last, if it belongs to a varying call.
    mm_status captured_kernel(mm_stream* stream, const char* what);
    // The next kernel of the call that is changed, and the executable graph that has it.
    mm_status next_kernel(mm_stream* stream, const char* what, cudaGraphExec_t* executable, cudaGraphNode_t* node);

    // Memory for the length of an operation that is captured. It is reserved for graphs until the last of them is
    // destroyed, and all share it: they run one after another. Null with the error in *error if there is none.
    float* take(mm_stream* stream, size_t bytes, cudaError_t* error);
    void give_back(float* memory);

    // Loads a kernel that may never have run before, where a capture would not allow it. Nothing if none is captured.
    cudaError_t load_kernel(const void* kernel) const;

    // Destroys all graphs. What was launched has been waited for.
    void close(mm_stream* stream);

private:
    struct Piece {
        float* memory;
        size_t bytes;
        bool taken;
    };
    void release_memory(mm_stream* stream);
    void destroy_ended();

    std::unique_ptr<mm_graph> capturing_;
    int64_t varying_call_ = -1;
    mm_graph* changing_ = nullptr;
    size_t changing_call_ = 0, changed_kernels_ = 0;
    std::vector<std::unique_ptr<mm_graph>> graphs_;
    std::vector<std::unique_ptr<mm_graph>> ending_;  // destroyed by the caller, while the GPU may still run them
    std::vector<Piece> memory_;
};

// Later launches run the kernel node with these arguments.
template <class... Parameters>
cudaError_t set_kernel_node(cudaGraphExec_t executable, cudaGraphNode_t node, [[maybe_unused]] const char* what,
                            void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes,
                            Parameters... parameters) {
#if defined(__CUDACC__)
    void* pointers[] = {(void*)&parameters...};
    cudaKernelNodeParams node_parameters{};
    node_parameters.func = (void*)kernel;
    node_parameters.gridDim = grid;
    node_parameters.blockDim = block;
    node_parameters.sharedMemBytes = (unsigned)shared_bytes;
    node_parameters.kernelParams = pointers;
    return cudaGraphExecKernelNodeSetParams(executable, node, &node_parameters);
#else
    return emulator::replace_kernel(executable, node, what, kernel, grid, block, shared_bytes, parameters...);
#endif
}

}  // namespace medmamba::cuda
