#include "tensor_map.cuh"

#include "storage.cuh"

namespace medmamba::cuda {

#if MM_HAS_TENSOR_MAPS

namespace {

using Encode = CUresult (*)(CUtensorMap*, CUtensorMapDataType, uint32_t, void*, const uint64_t*, const uint64_t*,
                            const uint32_t*, const uint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                            CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

// Null where the driver has none.
Encode find_encode() {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult result;
    const cudaError_t error =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, 0, &result);
    if (error != cudaSuccess) cudaGetLastError();
    return error == cudaSuccess && result == cudaDriverEntryPointSuccess ? reinterpret_cast<Encode>(function) : nullptr;
}

}  // namespace

bool knows_tensor_maps() { return find_encode() != nullptr; }

bool has_tensor_map(const TensorOfBoxes& tensor) {
    constexpr int64_t most_elements = int64_t(1) << 31, most_stride = int64_t(1) << 39;  // coordinates are ints; 2^40 bytes
    if (!is_multiple(tensor.data, 8)) return false;
    int64_t least_stride = 1;
    for (int d = 0; d < 4; ++d) {
        if (d > 0) {
            const int64_t stride = tensor.stride[d - 1];
            if (!is_multiple(stride, 8) || stride >= most_stride || stride < least_stride) return false;
            least_stride = stride;
        }
        if (tensor.size[d] < 1 || tensor.size[d] >= most_elements) return false;
        least_stride *= tensor.size[d];
    }
    return true;
}

bool encode_tensor_map(const TensorOfBoxes& tensor, CUtensorMap* map) {
    static const Encode encode = find_encode();
    uint64_t size[4], strides[3];
    uint32_t box[4];
    const uint32_t element_strides[4] = {1, 1, 1, 1};
    for (int d = 0; d < 4; ++d) {
        size[d] = (uint64_t)tensor.size[d];
        box[d] = (uint32_t)tensor.box[d];
        if (d > 0) strides[d - 1] = (uint64_t)tensor.stride[d - 1] * sizeof(BFloat16);
    }
    return encode && encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 4, const_cast<float*>(tensor.data), size, strides,
                            box, element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                            CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

#else

bool knows_tensor_maps() { return false; }

#endif

}  // namespace medmamba::cuda
