#include "profile.h"

namespace medmamba::addon {

namespace {

// Functions of a C table have no object of their own: this is the profile that the executor works for.
thread_local Profile* working_for = nullptr;

// A GPU that is so many operations behind is waited for, so that a long profile does not hoard events.
constexpr size_t most_running = 4096;

}  // namespace

Profile::Profile(const mm_backend* backend, mm_stream* stream)
    : backend_(backend), stream_(stream), timed_(*backend) {
#define MM_TIME(name)                                                                                  \
    entries_[name##_number] = {#name, 0, 0};                                                           \
    timed_.name = [](mm_stream*, const mm_##name##_params* params) {                                   \
        return working_for->time(name##_number, working_for->backend_->name, params);                  \
    };
    MM_OPERATIONS(MM_TIME)
#undef MM_TIME
}

mm_status Profile::run(const Operation& operation, const void* parameters) {
    working_for = this;
    return operation.run(&timed_, stream_, parameters);
}

template <class Params>
mm_status Profile::time(Number number, mm_status (*operation)(mm_stream*, const Params*), const Params* params) {
    std::unique_ptr<Timer> timer = take_timer();
    mm_status status = timer->start();
    if (status == MM_OK) status = operation(stream_, params);
    if (status == MM_OK) status = timer->stop();
    if (status != MM_OK) return status;
    std::lock_guard lock(mutex_);
    running_.push_back({number, std::move(timer)});
    if (running_.size() >= most_running) collect();
    return MM_OK;
}

std::unique_ptr<Timer> Profile::take_timer() {
    std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Timer>(backend_, stream_);
    std::unique_ptr<Timer> timer = std::move(idle_.back());
    idle_.pop_back();
    return timer;
}

// Under the lock. A failure of the device is not told here but to the next who waits for the stream.
void Profile::collect() {
    for (Span& span : running_) {
        double seconds = 0;
        if (span.timer->elapsed(&seconds) == MM_OK) {
            entries_[span.number].count += 1;
            entries_[span.number].seconds += seconds;
        }
        idle_.push_back(std::move(span.timer));
    }
    running_.clear();
}

std::vector<Profile::Entry> Profile::entries() {
    std::lock_guard lock(mutex_);
    collect();
    std::vector<Entry> used;
    for (const Entry& entry : entries_)
        if (entry.count > 0) used.push_back(entry);
    return used;
}

}  // namespace medmamba::addon
