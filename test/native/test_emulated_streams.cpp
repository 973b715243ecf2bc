// Streams of the CUDA backend, as only the emulator can see them: who has the memory, who waits with a busy processor, and
// what a profiler is told.
#include <cstdlib>
#include <string>

#include "../../native/emulator/memory.h"
#include "../../native/emulator/stream.h"
#include "support/backend_stream.h"
#include "support/check.h"

using namespace medmamba::cuda;

namespace {

size_t free_bytes(const Backend& b) {
    mm_device_description description;
    b.table->describe(b.stream, &description);
    return (size_t)description.free_bytes;
}

void test_memory_goes_back() {
    constexpr size_t mebibyte = 1 << 20;
    setenv("MEDMAMBA_EMULATOR_MEMORY", "64", 1);
    const size_t kept_before = emulator::device_bytes_kept();
    {
        Backend b, other;
        const auto allocate_and_release = [&](size_t bytes) {
            void* memory = nullptr;
            const mm_status status = b.table->allocate(b.stream, bytes, &memory);
            if (status == MM_OK) b.table->release(b.stream, memory, bytes);
            return status;
        };
        b.gradient_norm();
        b.table->synchronize(b.stream);
        b.table->trim(b.stream);
        const size_t before = free_bytes(b);
        b.gradient_norm();
        b.table->synchronize(b.stream);
        check::that(free_bytes(b) < before, "the memory of an operation is kept for the next");
        check::that(allocate_and_release(40 * mebibyte) == MM_OK && free_bytes(b) + 40 * mebibyte <= before,
                    "and so is memory that was released");
        b.table->trim(b.stream);
        check::that(free_bytes(b) == before, "trimming gives all of it back");
        allocate_and_release(40 * mebibyte);
        check::that(allocate_and_release(50 * mebibyte) == MM_OK,
                    "what is kept is given back before memory is said to be out");
        void* memory = nullptr;
        check::that(other.table->allocate(other.stream, 60 * mebibyte, &memory) == MM_OK,
                    "what one stream released is there for another, or given back for it");
        other.table->release(other.stream, memory, 60 * mebibyte);
        check::that(b.failed_with(allocate_and_release(65 * mebibyte), MM_OUT_OF_MEMORY, "bytes were asked for"),
                    "more than there is");
        allocate_and_release(mebibyte);
    }
    check::that(emulator::device_bytes_kept() == kept_before && kept_before == 0, "closing gives everything back");
    unsetenv("MEDMAMBA_EMULATOR_MEMORY");
}

void test_memory_goes_back_with_one_of_two() {
    Backend other;
    const size_t before = free_bytes(other);
    {
        Backend b;
        void* memory = nullptr;
        b.table->allocate(b.stream, 1 << 20, &memory);
        b.table->release(b.stream, memory, 1 << 20);
    }
    check::that(free_bytes(other) == before, "closing a stream gives back what it leaves, though another is open");
}

// Of a driver before CUDA 11.2 a stream keeps what was freed for itself.
void test_memory_of_an_old_driver() {
    constexpr size_t mebibyte = 1 << 20;
    setenv("MEDMAMBA_EMULATOR_DRIVER", "11.0", 1);
    setenv("MEDMAMBA_EMULATOR_MEMORY", "64", 1);
    {
        Backend b;
        const auto taken = [&](size_t bytes) {
            void* memory = nullptr;
            check::that(b.table->allocate(b.stream, bytes, &memory) == MM_OK, "there is memory for it");
            return memory;
        };
        const size_t before = free_bytes(b);
        b.table->release(b.stream, taken(40 * mebibyte), 40 * mebibyte);
        check::that(free_bytes(b) + 40 * mebibyte == before, "what was released is kept");
        b.table->release(b.stream, taken(30 * mebibyte), 30 * mebibyte);
        check::that(free_bytes(b) + 40 * mebibyte == before, "and serves what is no less than half of it");
        b.table->release(b.stream, taken(4 * mebibyte), 4 * mebibyte);
        check::that(free_bytes(b) + 44 * mebibyte == before, "but nothing smaller");
        b.table->release(b.stream, taken(50 * mebibyte), 50 * mebibyte);
        check::that(free_bytes(b) + 50 * mebibyte == before, "it is given back before memory is said to be out");
        b.table->trim(b.stream);
        check::that(free_bytes(b) == before, "and by trimming");
    }
    mm_stream_options options{};
    options.memory_limit = 48.0 * mebibyte;
    const mm_backend* table = medmamba_backend();
    mm_stream* limited = nullptr;
    const char* why = nullptr;
    check::that(table->stream_create(&options, &limited, &why) == MM_OK, "a stream with a limit is opened");
    for (const size_t bytes : {40 * mebibyte, 45 * mebibyte, 42 * mebibyte}) {
        void* memory = nullptr;
        check::that(table->allocate(limited, bytes, &memory) == MM_OK, "what is given back counts no more");
        table->release(limited, memory, bytes);
        table->trim(limited);
    }
    void* memory = nullptr;
    check::that(table->allocate(limited, 49 * mebibyte, &memory) == MM_OUT_OF_MEMORY, "more than the limit");
    table->stream_destroy(limited);
    unsetenv("MEDMAMBA_EMULATOR_MEMORY");
    unsetenv("MEDMAMBA_EMULATOR_DRIVER");
}

void test_waits_sleep() {
    Backend b;
    const int before = emulator::busy_waits(nullptr);
    float host[4] = {1, 2, 3, 4};
    mm_event *begin = nullptr, *end = nullptr;
    double seconds = -1;
    b.table->event_create(b.stream, &begin);
    b.table->event_create(b.stream, &end);
    b.table->event_record(b.stream, begin);
    b.table->upload(b.stream, b.x, host, sizeof host);
    b.affine(2, b.x, b.y);
    b.table->event_record(b.stream, end);
    b.table->download(b.stream, host, b.y, sizeof host);
    b.table->event_elapsed(b.stream, begin, end, &seconds);
    b.table->synchronize(b.stream);
    b.table->trim(b.stream);
    b.table->event_destroy(b.stream, begin);
    b.table->event_destroy(b.stream, end);
    check::that(host[3] == 9 && seconds >= 0, "what is waited for is there");
    check::that(emulator::busy_waits(nullptr) == before && emulator::busy_waits(b.stream->stream) == 0,
                "whoever waits for work of the GPU sleeps");
}

void test_ranges() {
    Backend b;
    const size_t before = emulator::annotated_ranges().size();
    b.table->annotate(b.stream, "block");
    b.affine(1, b.x, b.y);
    b.gradient_norm();
    b.table->annotate(b.stream, nullptr);
    check::that(emulator::annotated_ranges().substr(before) == "block(affine()gradient_norm())",
                "a profiler is told of operations, within what they belong to");
}

}  // namespace

int main() {
    test_memory_goes_back();
    test_memory_goes_back_with_one_of_two();
    test_memory_of_an_old_driver();
    test_waits_sleep();
    test_ranges();
    return check::report();
}
