// Moments of a stream, by the GPU's own clock: the event_* functions of the table.
#pragma once

#include "stream.cuh"

namespace medmamba::cuda {

mm_status event_create(mm_stream* stream, mm_event** event);
void event_destroy(mm_stream* stream, mm_event* event);
mm_status event_record(mm_stream* stream, mm_event* event);
mm_status event_elapsed(mm_stream* stream, const mm_event* begin, const mm_event* end, double* seconds);

}  // namespace medmamba::cuda
