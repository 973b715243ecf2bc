// A tensor in memory as TMA reads it, in boxes: what the emulator keeps in the 128 bytes of a CUtensorMap.
#pragma once

#include <cstdint>

namespace medmamba::cuda::emulator {

struct TensorMap {
    uint64_t mark;
    const char* address;
    uint64_t size[5], stride[5];  // of each dimension: elements, and bytes from one to the next (the first one's is that of an element)
    uint16_t box[5];              // elements of a box
    uint8_t rank, element_bytes;
    bool swizzles;  // by 128 bytes
};

inline int box_elements(const TensorMap& map) {
    int elements = 1;
    for (int d = 0; d < map.rank; ++d) elements *= map.box[d];
    return elements;
}

// False if there is none.
bool read_tensor_map(const void* from, TensorMap* map);

}  // namespace medmamba::cuda::emulator
