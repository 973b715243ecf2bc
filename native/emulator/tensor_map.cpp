// cuTensorMapEncodeTiled, with the requirements that cuda.h states for it, for what our kernels use of it: bfloat16 without
// interleaving, boxes without gaps, and swizzling by 128 bytes of lines that have as many, or none.
#include "tensor_map.h"

#include <cstring>

#include "model.h"
#include "runtime.h"

namespace medmamba::cuda::emulator {

namespace {

constexpr uint64_t mark = 0x70616d726f736e65u;

CUresult encode(CUtensorMap* to, CUtensorMapDataType type, uint32_t rank, void* address, const uint64_t* size,
                const uint64_t* strides, const uint32_t* box, const uint32_t* element_strides,
                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                CUtensorMapFloatOOBfill fill) {
    TensorMap map{};
    map.mark = mark;
    map.address = static_cast<const char*>(address);
    map.rank = (uint8_t)rank;
    map.element_bytes = 2;
    map.swizzles = swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
    bool valid = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 && interleave == CU_TENSOR_MAP_INTERLEAVE_NONE &&
                 fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE && rank >= 1 && rank <= 5 && (uintptr_t)to % 64 == 0 &&
                 (uintptr_t)address % 16 == 0;
    for (uint32_t d = 0; valid && d < rank; ++d) {
        map.size[d] = size[d];
        map.stride[d] = d ? strides[d - 1] : map.element_bytes;
        map.box[d] = (uint16_t)box[d];
        valid = size[d] >= 1 && size[d] <= uint64_t(1) << 32 && box[d] >= 1 && box[d] <= 256 && element_strides[d] == 1;
        if (d) valid = valid && strides[d - 1] % 16 == 0 && strides[d - 1] < uint64_t(1) << 40;
        if (d) valid = valid && strides[d - 1] >= map.stride[d - 1] * map.size[d - 1];
    }
    const uint32_t line_bytes = valid ? box[0] * map.element_bytes : 0;
    if (!valid || line_bytes % 16 || (map.swizzles && line_bytes != 128)) return CUDA_ERROR_INVALID_VALUE;
    static_assert(sizeof map <= sizeof *to);
    std::memcpy(to, &map, sizeof map);
    return CUDA_SUCCESS;
}

}  // namespace

bool read_tensor_map(const void* from, TensorMap* map) {
    if ((uintptr_t)from % 64) return false;
    std::memcpy(map, from, sizeof *map);
    return map->mark == mark;
}

}  // namespace medmamba::cuda::emulator

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned version, unsigned long long,
                                             cudaDriverEntryPointQueryResult* result) {
    using namespace medmamba::cuda::emulator;
    const bool found = !std::strcmp(symbol, "cuTensorMapEncodeTiled") && version >= 12000 && driver_has(12000);
    *function = found ? reinterpret_cast<void*>(encode) : nullptr;
    *result = found ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}
