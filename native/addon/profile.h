// How long each operation of the table takes, while somebody asks.
//
// The block calls the table itself, so time is taken there: the profile is a copy of the backend's table whose
// functions run the one they stand for between two events of the stream. Nobody waits: a device that runs behind its
// calls goes on doing so, and its times are collected later. What it idles because calls come too slowly is in the
// time of the operation that it waits for.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <vector>

#include "operations.h"
#include "timer.h"

namespace medmamba::addon {

class Profile {
public:
    struct Entry {
        const char* operation;
        int64_t count;
        double seconds;
    };

    // Has to end before the stream does.
    Profile(const mm_backend* backend, mm_stream* stream);

    // Runs an operation of the table or a composed one, on the executor.
    mm_status run(const Operation& operation, const void* parameters);

    // What has run so far, in the order of the table; waits for it. From any thread, while the executor rests.
    std::vector<Entry> entries();

private:
#define MM_NUMBER(name) name##_number,
    enum Number : size_t { MM_OPERATIONS(MM_NUMBER) operation_count };
#undef MM_NUMBER

    struct Span {
        Number number;
        std::unique_ptr<Timer> timer;
    };

    template <class Params>
    mm_status time(Number number, mm_status (*operation)(mm_stream*, const Params*), const Params* params);
    std::unique_ptr<Timer> take_timer();
    void collect();

    const mm_backend* backend_;
    mm_stream* stream_;
    mm_backend timed_;
    std::mutex mutex_;
    std::array<Entry, operation_count> entries_;
    std::vector<Span> running_;  // timed, not in the entries yet
    std::vector<std::unique_ptr<Timer>> idle_;
};

}  // namespace medmamba::addon
