// Streams of the CUDA backend: what is told when something goes wrong, and to whom.
#include <string>

#include "support/backend_stream.h"
#include "support/check.h"

namespace {

void test_last_error_is_the_last() {
    Backend b;
    void* memory = nullptr;
    const auto allocate = [&] { return b.table->allocate(b.stream, more_than_there_is, &memory); };
    check::that(b.failed_with(allocate(), MM_OUT_OF_MEMORY, "bytes were asked for"), "an allocation that fails");
    b.table->graph_begin(b.stream);
    check::that(b.failed_with(b.table->graph_begin(b.stream), MM_INVALID_ARGUMENT, "captured already"),
                "an operation's failure after that of an allocation");
    b.table->graph_end(b.stream, nullptr);
    check::that(b.failed_with(allocate(), MM_OUT_OF_MEMORY, "bytes were asked for"), "and an allocation's again");
    Backend other;
    check::that(std::string(other.table->last_error(other.stream)).empty(), "another stream has not failed");
}

void test_memory_that_runs_out() {
    Backend b;
    void* memory = nullptr;
    b.table->allocate(b.stream, more_than_there_is, &memory);
    check::that(!b.failed_with(MM_OK, MM_OK, "restarted"), "memory that runs out is no reason to restart");
    check::that(b.affine(2, b.x, b.y) == MM_OK && b.values(b.y)[3] == 9, "and the stream goes on");
}

}  // namespace

int main() {
    test_last_error_is_the_last();
    test_memory_that_runs_out();
    return check::report();
}
