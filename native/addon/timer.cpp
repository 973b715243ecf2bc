#include "timer.h"

namespace medmamba::addon {

Timer::~Timer() {
    if (begin_) backend_->event_destroy(stream_, begin_);
    if (end_) backend_->event_destroy(stream_, end_);
}

mm_status Timer::start() { return record(&begin_); }

mm_status Timer::stop() { return record(&end_); }

mm_status Timer::elapsed(double* seconds) const {
    if (!begin_ || !end_) return MM_DEVICE_ERROR;  // there were no events to be had, which has been told
    return backend_->event_elapsed(stream_, begin_, end_, seconds);
}

mm_status Timer::record(mm_event** event) {
    if (!*event) {
        if (const mm_status status = backend_->event_create(stream_, event); status != MM_OK) return status;
    }
    return backend_->event_record(stream_, *event);
}

}  // namespace medmamba::addon
