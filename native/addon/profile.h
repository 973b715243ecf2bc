// How long each operation of the table takes, while somebody asks.
//
// The block calls the table itself, so time is taken there: the profile is a copy of the backend's table whose
// functions run the one they stand for and wait for the stream. Waiting makes the times true on a device that runs
// behind its calls, and costs its overlap: profiled work is a little slower than other work.
#pragma once

#include <array>
#include <mutex>
#include <vector>

#include "operations.h"

namespace medmamba::addon {

class Profile {
public:
    struct Entry {
        const char* operation;
        int64_t count;
        double seconds;
    };

    explicit Profile(const mm_backend* backend);

    // Runs an operation of the table or a composed one, on the executor.
    mm_status run(const Operation& operation, mm_stream* stream, const void* parameters);

    // What has run so far, in the order of the table. From any thread.
    std::vector<Entry> entries() const;

private:
#define MM_NUMBER(name) name##_number,
    enum Number : size_t { MM_OPERATIONS(MM_NUMBER) operation_count };
#undef MM_NUMBER

    template <class Params>
    mm_status time(Number number, mm_status (*operation)(mm_stream*, const Params*), mm_stream* stream,
                   const Params* params);

    const mm_backend* backend_;
    mm_backend timed_;
    mutable std::mutex mutex_;
    std::array<Entry, operation_count> entries_;
};

}  // namespace medmamba::addon
