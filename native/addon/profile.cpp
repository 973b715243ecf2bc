#include "profile.h"

#include <chrono>

namespace medmamba::addon {

namespace {

// Functions of a C table have no object of their own: this is the profile that the executor works for.
thread_local Profile* working_for = nullptr;

}  // namespace

Profile::Profile(const mm_backend* backend) : backend_(backend), timed_(*backend) {
#define MM_TIME(name)                                                                                  \
    entries_[name##_number] = {#name, 0, 0};                                                           \
    timed_.name = [](mm_stream* stream, const mm_##name##_params* params) {                            \
        return working_for->time(name##_number, working_for->backend_->name, stream, params);          \
    };
    MM_OPERATIONS(MM_TIME)
#undef MM_TIME
}

mm_status Profile::run(const Operation& operation, mm_stream* stream, const void* parameters) {
    working_for = this;
    return operation.run(&timed_, stream, parameters);
}

template <class Params>
mm_status Profile::time(Number number, mm_status (*operation)(mm_stream*, const Params*), mm_stream* stream,
                        const Params* params) {
    const auto start = std::chrono::steady_clock::now();
    mm_status status = operation(stream, params);
    if (status == MM_OK) status = backend_->synchronize(stream);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::lock_guard lock(mutex_);
    entries_[number].count += 1;
    entries_[number].seconds += taken.count();
    return status;
}

std::vector<Profile::Entry> Profile::entries() const {
    std::lock_guard lock(mutex_);
    std::vector<Entry> used;
    for (const Entry& entry : entries_)
        if (entry.count > 0) used.push_back(entry);
    return used;
}

}  // namespace medmamba::addon
