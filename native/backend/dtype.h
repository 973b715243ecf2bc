/* From an mm_dtype to the C++ type of an element. */
#ifndef MEDMAMBA_DTYPE_H
#define MEDMAMBA_DTYPE_H

#include "backend.h"

namespace medmamba {

// visit(a value of the element's type), or MM_INVALID_ARGUMENT if there is no such dtype. What stands for bfloat16 is
// the backend's own type.
template <class BFloat16, class Stream, class Visit>
mm_status visit_dtype(Stream* stream, const char* operation, int32_t dtype, Visit&& visit) {
    switch (dtype) {
        case MM_FLOAT32: return visit(float{});
        case MM_BFLOAT16: return visit(BFloat16{});
        case MM_INT32: return visit(int32_t{});
        case MM_INT64: return visit(int64_t{});
        case MM_UINT8: return visit(uint8_t{});
        default: return stream->fail(MM_INVALID_ARGUMENT, "%s: there is no dtype %d", operation, (int)dtype);
    }
}

}  // namespace medmamba

#endif
