// What JavaScript can call: each operation of backend.h, block.h and collectives.h with the fields of its parameter struct.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../backend/backend.h"

namespace medmamba::addon {

// How a member of a parameter struct is written in JavaScript; deduced from the member's type.
enum class Kind : uint8_t {
    buffer,      // T*: a buffer, or absent
    int64,       // a whole number
    int32,       // a whole number or a boolean
    float32,     // a number
    float64,     // a number
    int64_array, // int64_t[extent]: an array of at most `extent` numbers, the rest are zero
    buffer_list, // T* const*: an array of buffers, or absent; one for each of `counts`
    tensor_list, // mm_tensor_list: not an object of its own, but the array of numbers `counts`
    communicator, // mm_communicator*: a communicator, or absent
    structure    // a struct of block.h: an object with that struct's fields
};

struct Structure;

struct Field {
    std::string_view name;
    Kind kind;
    uint16_t offset;
    uint8_t extent;              // of an array
    const Structure* structure;  // of a structure
};

struct Structure {
    size_t size;
    const Field* fields;
    size_t field_count;
};

struct Operation {
    const char* name;
    const Structure* parameters;
    mm_status (*run)(const mm_backend* backend, mm_stream* stream, const void* parameters);
};

constexpr size_t most_fields = 64;
constexpr size_t most_parameter_bytes = 1024;

// What the plan of a composed operation depends on.
struct PlanDimensions {
    int64_t batch, height, width, channels, states, rank;
};
extern const Structure plan_dimensions;

// Null if there is no operation of that name.
const Operation* find_operation(std::string_view name);

}  // namespace medmamba::addon
