// What runs beside a stream's own work, in an order of its own: on the device, where the backend has functions for that, or, as
// on the CPU, on one more thread with a stream of one thread. Everything here happens on the executor.
//
// What is put beside comes after all that was run before, and is waited for by a join. Memory that it uses must not be given
// back, or written to, until then. Ranks call each other in one order, and MPI is called by one thread at a time: so an
// operation that goes to other ranks, and is not beside, joins first.
#pragma once

#include <memory>

#include "../backend/backend.h"
#include "operations.h"
#include "parameters.h"
#include "queue.h"

namespace medmamba::addon {

class Beside {
public:
    Beside(const mm_backend* backend, mm_stream* stream) : backend_(backend), stream_(stream) {}
    // Waits for what is running, and drops the rest.
    ~Beside();
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;

    // Runs an operation, beside the others if that is asked for. Throws what `join` throws.
    mm_status run(const Operation& operation, const std::shared_ptr<Parameters>& parameters, bool beside);

    // What is run from here on comes after what is beside. Throws the first Failure of that, where it was on a thread.
    mm_status join();

private:
    // The thread, and its stream.
    struct Lane {
        Lane(const mm_backend* backend, mm_stream* own) : stream(own), queue(backend, own) {}
        mm_stream* stream;
        Queue queue;
    };
    void open_lane();

    const mm_backend* backend_;
    mm_stream* stream_;
    std::unique_ptr<Lane> lane_;
    bool pending_ = false;
};

}  // namespace medmamba::addon
