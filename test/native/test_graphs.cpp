// Graphs: the CUDA backend's six functions do what backend.h says of them.
#include <cmath>
#include <string>

#include "support/backend_stream.h"
#include "support/check.h"

namespace {

void test_varying_calls() {
    Backend b;
    mm_graph* graph = nullptr;
    b.table->graph_begin(b.stream);
    check::that(b.failed_with(b.table->graph_begin(b.stream), MM_INVALID_ARGUMENT, "already"), "one graph at a time");
    b.affine(2, b.x, b.y);  // y = 2 x + 1
    b.table->graph_vary(b.stream, 0);
    b.affine(3, b.y, b.y);  // y = 3 y + 1
    b.table->graph_vary(b.stream, -1);
    b.affine(1, b.y, b.x);  // x = y + 1
    check::that(b.table->graph_end(b.stream, &graph) == MM_OK && b.values(b.x)[0] == 1, "a graph is captured");
    b.table->graph_launch(b.stream, graph);
    check::that(b.values(b.x)[0] == 11 && b.values(b.x)[3] == 29, "a graph runs its operations");

    check::that(b.table->graph_change(b.stream, graph, 0) == MM_OK && b.affine(0, b.y, b.y) == MM_OK &&
                    b.table->graph_change(b.stream, nullptr, -1) == MM_OK,
                "a varying call is changed");
    check::that(b.values(b.x)[0] == 11 && b.values(b.y)[0] == 10, "a change runs nothing");
    b.table->graph_launch(b.stream, graph);
    check::that(b.values(b.x)[0] == 2 && b.values(b.x)[3] == 2, "a launch has the new numbers");

    check::that(b.failed_with(b.table->graph_change(b.stream, graph, 1), MM_INVALID_ARGUMENT, "1 varying calls"),
                "there is no second varying call");
    b.table->graph_change(b.stream, graph, 0);
    check::that(b.failed_with(b.table->graph_change(b.stream, nullptr, -1), MM_INVALID_ARGUMENT, "fewer kernels"),
                "a call that is not changed after all");
    b.table->graph_change(b.stream, graph, 0);
    b.affine(1, b.y, b.y);
    check::that(b.failed_with(b.affine(1, b.y, b.y), MM_INVALID_ARGUMENT, "more kernels"), "two operations for one");
    b.table->graph_change(b.stream, nullptr, -1);
    b.table->graph_change(b.stream, graph, 0);
    check::that(b.failed_with(b.gradient_norm(), MM_UNSUPPORTED, "cannot vary"), "memory of an operation");
    b.table->graph_change(b.stream, nullptr, -1);
    b.table->graph_destroy(b.stream, graph);
}

void test_memory_of_operations() {
    Backend b;
    const auto in_use = [&] {
        size_t bytes = 0;
        b.table->synchronize(b.stream);
        b.stream->memory.used(&bytes);
        return bytes;
    };
    const size_t before = in_use();
    const auto capture = [&](int operations) {
        mm_graph* graph = nullptr;
        b.table->graph_begin(b.stream);
        for (int i = 0; i < operations; ++i) b.gradient_norm();
        b.table->graph_end(b.stream, &graph);
        return graph;
    };
    mm_graph* first = capture(1);
    const size_t one = in_use();
    mm_graph* second = capture(3);
    check::that(one > before && in_use() == one, "operations and graphs share their memory");
    b.table->graph_destroy(b.stream, first);
    b.table->graph_launch(b.stream, second);
    check::that(std::fabs(b.values(b.y)[0] - std::sqrt(30.0f)) < 1e-5f, "it is there while a graph is");
    b.table->graph_destroy(b.stream, second);
    check::that(in_use() == before, "and is given back with the last");
    b.table->graph_begin(b.stream);
    b.gradient_norm();
    check::that(b.table->graph_end(b.stream, nullptr) == MM_OK && in_use() == before,
                "what is thrown away leaves nothing");
    capture(1);  // goes with the stream
}

// The functions that wait fail, and so does the end; the stream goes on.
void test_waiting_while_capturing() {
    Backend b;
    float host[4] = {};
    mm_graph* graph = nullptr;
    b.table->graph_begin(b.stream);
    check::that(b.failed_with(b.table->synchronize(b.stream), MM_DEVICE_ERROR, "captured"), "synchronize");
    check::that(b.table->graph_end(b.stream, &graph) == MM_DEVICE_ERROR && !graph, "a capture that was broken");
    b.table->graph_begin(b.stream);
    const auto refused = [&](mm_status status) { return b.failed_with(status, MM_INVALID_ARGUMENT, "captured"); };
    check::that(refused(b.table->upload(b.stream, b.x, host, 16)), "upload");
    check::that(refused(b.table->download(b.stream, host, b.x, 16)), "download");
    b.table->graph_end(b.stream, nullptr);
    check::that(b.affine(2, b.x, b.y) == MM_OK && b.table->synchronize(b.stream) == MM_OK, "after that");
    check::that(b.values(b.y)[3] == 9, "after that, the result");
}

// The first thing that the process asks of the GPU: every kernel is loaded within the capture.
void test_first_use_in_a_capture() {
    Backend b;
    mm_graph* graph = nullptr;
    b.table->graph_begin(b.stream);
    const mm_status status = b.affine(2, b.x, b.y);
    const mm_status norm = b.gradient_norm();
    check::that(status == MM_OK && norm == MM_OK && b.table->graph_end(b.stream, &graph) == MM_OK,
                "kernels are used for the first time in a capture");
    if (graph) b.table->graph_launch(b.stream, graph);
    check::that(std::fabs(b.values(b.y)[0] - std::sqrt(30.0f)) < 1e-5f, "and are in the graph");
    b.table->graph_destroy(b.stream, graph);
}

// The emulator aborts when a graph is destroyed that runs; on a GPU compute-sanitizer tells what becomes of it.
void test_destroyed_while_it_runs() {
    work_as_on_a_gpu(true);
    {
        Backend b;
        const auto capture_and_launch = [&] {
            mm_graph* graph = nullptr;
            b.table->graph_begin(b.stream);
            b.affine(2, b.x, b.y);
            b.table->graph_end(b.stream, &graph);
            b.table->graph_launch(b.stream, graph);
            return graph;
        };
        for (int i = 0; i < 3; ++i) b.table->graph_destroy(b.stream, capture_and_launch());
        check::that(b.table->synchronize(b.stream) == MM_OK && b.values(b.y)[3] == 9, "a graph runs to its end");
        mm_graph* last = capture_and_launch();
        b.table->synchronize(b.stream);
        b.table->graph_launch(b.stream, last);
        b.table->graph_destroy(b.stream, last);
    }
    work_as_on_a_gpu(false);
}

// y = 2 x + 1 beside x, which goes on from what it was before, at once and in a graph.
void test_work_beside() {
    Backend b;
    const auto work = [&] {
        b.affine(2, b.x, b.x);  // 3, 5, 7, 9
        b.table->beside_begin(b.stream);
        b.affine(2, b.x, b.y);
        b.table->beside_end(b.stream);
        return b.table->beside_join(b.stream);
    };
    check::that(b.table->beside_join(b.stream) == MM_OK, "nothing to join is nothing to do");
    check::that(work() == MM_OK && b.affine(0, b.x, b.x) == MM_OK && b.values(b.y)[3] == 19 && b.values(b.x)[0] == 1,
                "what is beside comes between what was called before and what is called after its join");
    check::that(b.failed_with(b.table->beside_end(b.stream), MM_INVALID_ARGUMENT, "no work beside") &&
                    b.table->beside_begin(b.stream) == MM_OK &&
                    b.failed_with(b.table->beside_begin(b.stream), MM_INVALID_ARGUMENT, "already") &&
                    b.table->beside_end(b.stream) == MM_OK && b.table->beside_join(b.stream) == MM_OK,
                "it begins and ends in turn");

    mm_graph* graph = nullptr;
    b.table->graph_begin(b.stream);
    work();
    b.table->graph_vary(b.stream, 0);
    b.affine(1, b.y, b.x);
    b.table->graph_vary(b.stream, -1);
    check::that(b.table->graph_end(b.stream, &graph) == MM_OK, "a graph holds what is beside, and a varying call after it");
    b.put(b.x, {1, 2, 3, 4});
    b.table->graph_launch(b.stream, graph);
    check::that(b.values(b.y)[3] == 19 && b.values(b.x)[3] == 20, "and runs it");
    b.table->graph_destroy(b.stream, graph);
}

}  // namespace

int main() {
    test_work_beside();
    test_first_use_in_a_capture();
    test_destroyed_while_it_runs();
    test_varying_calls();
    test_memory_of_operations();
    test_waiting_while_capturing();
    return check::report();
}
