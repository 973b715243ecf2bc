// Why there is no GPU, or none that can be used, in a sentence for the person who has to do something about it.
#pragma once

#include <cstddef>
#include <string>

#include "device.cuh"

namespace medmamba::cuda {

// `error` is what cudaGetDeviceCount answered.
void describe_no_device(cudaError_t error, char* sentence, size_t size);

// What a GPU can do: 7.5 is Turing, 8.0 Ampere, 9.0 Hopper, ...
struct Capability {
    std::string name;  // of the GPU
    int major, minor;
};
cudaError_t read_capability(int device, Capability* capability);

// Why this library has no code for the GPU, which is the calling thread's; empty if it has.
std::string why_no_code(int device, const Capability& capability);

}  // namespace medmamba::cuda
