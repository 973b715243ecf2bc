// The executor of a stream: one thread that runs what was queued, in order.
//
// A failure does not stop the queue. The first one since the last wait is kept with the name of its operation,
// and the next wait takes it: so the caller learns where things went wrong first, and can go on afterwards. Work that
// knows better than the queue what failed throws a Failure.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "../backend/backend.h"
#include "../cpu/thread.h"

namespace medmamba::addon {

struct Failure {
    mm_status status;
    std::string operation, message;
};

class Queue {
public:
    using Work = std::function<mm_status()>;
    using Done = std::function<void(std::optional<Failure>)>;

    Queue(const mm_backend* backend, mm_stream* stream);
    ~Queue() { stop(); }
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    // `operation` has to outlive the queue (names of operations are literals). Work may throw a Failure: one that
    // happened elsewhere, and is told here.
    void push(const char* operation, Work work) { push({operation, std::move(work), nullptr}); }

    // `done` is called on the executor after `work`, with the failure that this wait takes, if there is one.
    void push_wait(const char* operation, Work work, Done done) {
        push({operation, std::move(work), std::move(done)});
    }

    // Blocks the caller until all that is queued has run.
    void drain();

    // Waits for what is running and drops the rest. Idempotent.
    void stop();

private:
    struct Item {
        const char* operation;
        Work work;
        Done done;
    };

    void push(Item item);
    void run();
    void execute(Item& item);

    const mm_backend* backend_;
    mm_stream* stream_;
    std::mutex mutex_;
    std::condition_variable wake_, idle_;
    std::deque<Item> items_;
    bool busy_ = false, stopping_ = false;
    std::optional<Failure> failure_;  // of the executor alone
    cpu::Thread thread_;
};

}  // namespace medmamba::addon
