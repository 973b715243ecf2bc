// A limit to the memory that the process takes of a GPU: what is beyond is refused, what was released serves again, and what
// is kept goes back first. On the emulator and on a GPU alike, as a few hundred MiB are asked for.
#include <string>
#include <utility>
#include <vector>

#include "support/backend_stream.h"
#include "support/check.h"

namespace {

constexpr size_t mebibyte = 1 << 20;

mm_stream* opened(const mm_backend* table, double memory_limit) {
    mm_stream_options options{};
    options.memory_limit = memory_limit;
    mm_stream* stream = nullptr;
    const char* why = "";
    check::that(table->stream_create(&options, &stream, &why) == MM_OK, std::string("a stream is opened ") + why);
    return stream;
}

mm_device_description described(const mm_backend* table, mm_stream* stream) {
    mm_device_description description{};
    table->describe(stream, &description);
    return description;
}

// A stream of the same GPU that says nothing has the limit of the one that does, while that is open.
void test_limit() {
    const mm_backend* table = medmamba_backend();
    mm_stream *limited = opened(table, 256.0 * mebibyte), *other = opened(table, 0);
    check::that(described(table, other).limit_bytes == 256 * (int64_t)mebibyte, "the limit is everybody's");
    check::that(described(table, limited).free_bytes <= 256 * (int64_t)mebibyte, "and no more than it is free");
    void *first = nullptr, *second = nullptr;
    check::that(table->allocate(limited, 160 * mebibyte, &first) == MM_OK, "within the limit");
    check::that(described(table, other).free_bytes <= 96 * (int64_t)mebibyte, "less is free then");
    const mm_status beyond = table->allocate(other, 128 * mebibyte, &second);
    check::that(beyond == MM_OUT_OF_MEMORY && !second &&
                    std::string(table->last_error(other)).find("limit of 268435456 leaves") != std::string::npos,
                "beyond it, whoever asks");
    table->release(limited, first, 160 * mebibyte);
    check::that(table->allocate(other, 192 * mebibyte, &second) == MM_OK,
                "what was released goes back where something larger would be over the limit");
    check::that(described(table, other).free_bytes == 64 * (int64_t)mebibyte, "so that both together stay within it");
    table->release(other, second, 192 * mebibyte);
    for (int again = 0; again < 3; ++again) {
        check::that(table->allocate(other, 192 * mebibyte, &second) == MM_OK, "what is kept serves again");
        table->release(other, second, 192 * mebibyte);
    }
    mm_stream* narrower = opened(table, 200.0 * mebibyte);
    check::that(described(table, other).limit_bytes == 200 * (int64_t)mebibyte, "the least of two limits counts");
    table->stream_destroy(narrower);
    check::that(described(table, other).limit_bytes == 256 * (int64_t)mebibyte, "and the other one after it");
    table->stream_destroy(limited);
    check::that(described(table, other).limit_bytes == 0, "the limit goes with its stream");
    check::that(table->allocate(other, 320 * mebibyte, &second) == MM_OK, "and all may be had");
    table->release(other, second, 320 * mebibyte);
    table->stream_destroy(other);
}

// A product whose long sums are cut into ranges, which need a result each.
void test_memory_of_operations() {
    const mm_backend* table = medmamba_backend();
    mm_stream* stream = opened(table, 64.0 * mebibyte);
    constexpr int64_t m = 512, k = 4096;
    std::vector<std::pair<void*, size_t>> taken;
    const auto take = [&](size_t bytes) {
        void* memory = nullptr;
        if (table->allocate(stream, bytes, &memory) == MM_OK) taken.emplace_back(memory, bytes);
        return (float*)memory;
    };
    mm_matmul_params params{};
    params.batch = 1, params.m = params.n = m, params.k = k;
    params.a = take(m * k * sizeof(float)), params.b = take(m * k * sizeof(float));
    params.c = take(m * m * sizeof(float));
    for (const size_t piece : {4 * mebibyte, mebibyte / 4})
        while (take(piece)) {
        }
    const mm_status status = table->matmul(stream, &params);
    const std::string sentence = table->last_error(stream);
    check::that(status == MM_OUT_OF_MEMORY && sentence.find("(memoryLimit)") != std::string::npos,
                "an operation that needs more for itself than the limit leaves: " + sentence);
    for (const auto& [memory, bytes] : taken) table->release(stream, memory, bytes);
    table->stream_destroy(stream);
}

void test_share() {
    const mm_backend* table = medmamba_backend();
    mm_stream* stream = opened(table, 0.25);
    const mm_device_description description = described(table, stream);
    check::that(description.limit_bytes == description.total_bytes / 4, "a share of what the GPU has");
    table->stream_destroy(stream);
}

}  // namespace

int main() {
    test_limit();
    test_memory_of_operations();
    test_share();
    return check::report();
}
