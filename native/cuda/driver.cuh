// Why there is no GPU, in a sentence for the person who has to do something about it.
#pragma once

#include <cstddef>

#include "device.cuh"

namespace medmamba::cuda {

// `error` is what cudaGetDeviceCount answered.
void describe_no_device(cudaError_t error, char* sentence, size_t size);

}  // namespace medmamba::cuda
