/* Where a parameter struct tells an mm_dtype, and from that to the C++ type of an element. */
#ifndef MEDMAMBA_DTYPE_H
#define MEDMAMBA_DTYPE_H

#include "backend.h"

// The fields that tell one: MM_DTYPE_FIELDS(F) expands F(name) for each. The CPU looks through them for activations
// that it does not have, so a field named ..._dtype that is not among them does not compile (operations.cpp).
#define MM_DTYPE_FIELDS(F) F(x_dtype) F(y_dtype) F(a_dtype) F(b_dtype) F(c_dtype) F(branch_dtype)

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
