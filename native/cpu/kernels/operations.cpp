#include "../levels.h"
#include "kernels.h"

namespace medmamba::cpu::MM_SIMD {

namespace {

// Scratch memory is given back when an operation ends, and running out of it becomes a status: no exception
// crosses the C interface.
template <class Params, mm_status (*operation)(mm_stream*, const Params*)>
mm_status entry(mm_stream* stream, const Params* params) {
    Scratch::Scope scope(stream->scratch);
    try {
        return operation(stream, params);
    } catch (const std::bad_alloc&) {
        return stream->fail(MM_OUT_OF_MEMORY, "not enough memory for scratch space");
    }
}

}  // namespace

void fill_operations(mm_backend* backend) {
#define MM_FILL(name) backend->name = entry<mm_##name##_params, name>;
    MM_OPERATIONS(MM_FILL)
#undef MM_FILL
}

}  // namespace medmamba::cpu::MM_SIMD
