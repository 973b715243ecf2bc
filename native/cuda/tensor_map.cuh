// Tensors of bfloat16 for the tensor memory accelerator (TMA), which copies a box of one into shared memory when a single
// thread asks for it. Hopper (sm_90) and newer.
//
// The host describes the tensor once, for a launch: a CUtensorMap, which goes to the kernel as a parameter of its own.
// Encoding it is a function of the driver, found by name, so that nothing of the driver is linked; drivers before CUDA 12
// have none, and of our libraries only the one for drivers of CUDA 13 asks.
#pragma once

#include "mbarrier.cuh"

#if defined(__CUDACC__) && CUDART_VERSION >= 13000
#include <cuda.h>
#endif

#if CUDART_VERSION >= 13000
#define MM_HAS_TENSOR_MAPS 1
#else
#define MM_HAS_TENSOR_MAPS 0
#endif

namespace medmamba::cuda {

// Whether the driver encodes tensor maps.
bool knows_tensor_maps();

#if MM_HAS_TENSOR_MAPS

// Of four dimensions, the innermost first, whose elements lie side by side. Lines of 64 elements, 128 bytes, are swizzled as
// wgmma_matrix (wgmma.cuh) wants it. A box may reach beyond the tensor on all sides: there it is filled with zeros.
struct TensorOfBoxes {
    const float* data;   // points to bfloat16, at a multiple of 16 bytes
    int64_t size[4];     // elements
    int64_t stride[3];   // elements from one to the next in the second dimension and those behind it; multiples of 8
    int box[4];          // elements of a box, at most 256 each; the first is 64
};
constexpr int box_line = 64;

// Whether `tensor` fulfils what TMA asks of it.
bool has_tensor_map(const TensorOfBoxes& tensor);
// False if the driver refuses it.
bool encode_tensor_map(const TensorOfBoxes& tensor, CUtensorMap* map);

#if defined(__CUDACC__)

// The box from (x, y, z, w) on, in elements and the innermost dimension first, to shared memory at a multiple of 1024 bytes.
// Returns at once; the bytes of the whole box, zeros included, are counted by the barrier, which somebody has to announce them
// to.
__device__ __forceinline__ void load_box(const CUtensorMap& map, void* to, MBarrier& barrier, int x, int y, int z,
                                         int w) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(shared_address(to)),
                 "l"(&map), "r"(shared_address(&barrier)), "r"(x), "r"(y), "r"(z), "r"(w)
                 : "memory");
}

// The description of the tensor is going to be used.
__device__ __forceinline__ void prefetch_tensor_map(const CUtensorMap& map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

#endif
#endif

}  // namespace medmamba::cuda
