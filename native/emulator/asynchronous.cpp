#include "asynchronous.h"

#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include "block_state.h"
#include "memory.h"
#include "model.h"
#include "tensor_map.h"

namespace medmamba::cuda::emulator {

namespace {

constexpr uint32_t window_start = 1024;  // on a GPU, the system's own bytes come first
constexpr int64_t most_bytes = (1 << 20) - 1;
constexpr uint64_t mark = 0x7265697272616262u;  // what a barrier's eight bytes hold, so that overwriting them shows

struct Barrier {
    int expected, pending;  // arrivals a phase, and those that the current one lacks
    int64_t bytes;          // that it lacks as well
    unsigned parity;        // of the current phase
    bool is_published;      // to the proxy of TMA
};

struct Box {
    TensorMap map;
    char* to;
    uint64_t* barrier;
    int coordinates[5];
};

// Of the block that runs.
std::map<const uint64_t*, Barrier> barriers;
std::vector<Box> under_way;
std::vector<char> view;  // what the proxy sees; empty until somebody needs it

char* shared_start() {
    const SharedMemory memory = shared_of_block();
    return memory.end - (memory.bytes + 15) / 16 * 16;
}

std::vector<char>& whole_view() {
    const SharedMemory memory = shared_of_block();
    if (view.empty()) view.assign((size_t)(memory.end - shared_start()), (char)poison);
    return view;
}

void expect_hopper(const char* what, Place place) {
    if (capability() < 90) fail("%s at %s:%d: no GPU before 9.0 can do that", what, file_of(place), place.line);
}

Barrier& expect_barrier(const char* what, uint64_t* address, Place place) {
    const auto found = barriers.find(address);
    if (found == barriers.end())
        fail("%s at %s:%d: there is no barrier that was initialised", what, file_of(place), place.line);
    if (*address != mark) fail("%s at %s:%d: the barrier has been overwritten", what, file_of(place), place.line);
    return found->second;
}

void advance(Barrier& barrier) {
    if (barrier.pending || barrier.bytes) return;
    barrier.parity ^= 1;
    barrier.pending = barrier.expected;
}

void write(char* to, const void* from, size_t bytes) {
    std::memcpy(to, from, bytes);
    std::memcpy(whole_view().data() + (to - shared_start()), from, bytes);
}

// Of 16 bytes at such an address, where swizzling by 128 puts them: which of eight neighbours they are is changed by which
// of eight lines they lie in.
uint32_t swizzled(uint32_t address) { return address ^ (address >> 7 & 7) << 4; }

// Lines of the innermost dimension, one behind the other; zeros where the tensor has no elements.
void copy(const Box& box) {
    const TensorMap& map = box.map;
    const int line_bytes = (int)map.box[0] * map.element_bytes;
    char line[256];
    const uint32_t start = (uint32_t)(box.to - shared_start()) + window_start;
    const int lines = box_elements(map) / (int)map.box[0];
    for (int index = 0; index < lines; ++index) {
        const char* from = map.address;
        bool inside = true;
        for (int d = 1, rest = index; d < map.rank; rest /= (int)map.box[d], ++d) {
            const int64_t place = box.coordinates[d] + rest % (int)map.box[d];
            inside = inside && place >= 0 && place < (int64_t)map.size[d];
            from += place * (int64_t)map.stride[d];
        }
        std::memset(line, 0, sizeof line);
        for (int i = 0; inside && i < (int)map.box[0]; ++i) {
            const int64_t place = box.coordinates[0] + i;
            if (place >= 0 && place < (int64_t)map.size[0])
                std::memcpy(line + i * map.element_bytes, from + place * map.element_bytes, (size_t)map.element_bytes);
        }
        for (int i = 0; i < line_bytes; i += 16) {
            const uint32_t address = start + (uint32_t)(index * line_bytes + i);
            write(shared_start() + ((map.swizzles ? swizzled(address) : address) - window_start), line + i, 16);
        }
    }
}

}  // namespace

uint32_t shared_address(const void* pointer, Place place) {
    const char* from = static_cast<const char*>(pointer);
    if (from < shared_start() || from >= shared_of_block().end)
        fail("at %s:%d: %p is not in the block's shared memory", file_of(place), place.line, pointer);
    return (uint32_t)(from - shared_start()) + window_start;
}

void barrier_init(uint64_t* barrier, int arrivals, Place place) {
    expect_hopper("barrier_init", place);
    if (shared_address(barrier, place) % 8) fail("barrier_init at %s:%d: not at a multiple of 8", file_of(place), place.line);
    if (arrivals < 1 || arrivals > most_bytes)
        fail("barrier_init at %s:%d: a barrier of %d arrivals", file_of(place), place.line, arrivals);
    barriers[barrier] = {arrivals, arrivals, 0, 0, false};
    *barrier = mark;
}

void fence_barrier_init() {
    for (auto& [address, barrier] : barriers) barrier.is_published = true;
}

void fence_proxy_async() {
    std::vector<char>& all = whole_view();
    std::memcpy(all.data(), shared_start(), all.size());
}

void arrive(uint64_t* address, Place place) {
    Barrier& barrier = expect_barrier("arrive", address, place);
    if (!barrier.pending)
        fail("arrive at %s:%d: all %d arrivals of the phase have been there", file_of(place), place.line, barrier.expected);
    --barrier.pending;
    advance(barrier);
}

void arrive_expecting(uint64_t* address, int bytes, Place place) {
    Barrier& barrier = expect_barrier("arrive_expecting", address, place);
    barrier.bytes += bytes;
    if (bytes < 0 || barrier.bytes > most_bytes)
        fail("arrive_expecting at %s:%d: %d bytes are more than a barrier counts", file_of(place), place.line, bytes);
    arrive(address, place);
}

void wait_for_phase(uint64_t* address, unsigned parity, Place place) {
    const Barrier& barrier = expect_barrier("wait", address, place);
    if (barrier.parity != (parity & 1)) return;
    Thread& self = running_thread();
    self.barrier = address;
    self.parity = parity & 1;
    suspend(Wait::phase, place);
}

void start_box(const void* description, void* to, uint64_t* address, const int* coordinates, int rank, Place place) {
    expect_hopper("load_box", place);
    Box box{};
    if (!read_tensor_map(description, &box.map))
        fail("load_box at %s:%d: there is no tensor map, or not at a multiple of 64", file_of(place), place.line);
    const TensorMap& map = box.map;
    if (map.rank != rank)
        fail("load_box at %s:%d: %d coordinates, but the tensor has %d", file_of(place), place.line, rank, map.rank);
    const int bytes = box_elements(map) * map.element_bytes;
    box.to = static_cast<char*>(to);
    const int alignment = map.swizzles ? 1024 : 128;
    if (shared_address(to, place) % (uint32_t)alignment)
        fail("load_box at %s:%d: the box does not begin at a multiple of %d bytes", file_of(place), place.line, alignment);
    if (box.to + bytes > shared_of_block().end)
        fail("load_box at %s:%d writes outside of the block's shared memory", file_of(place), place.line);
    if (!is_device(map.address))
        fail("load_box at %s:%d reads %p, which is no memory of the device", file_of(place), place.line,
             (const void*)map.address);
    if (!expect_barrier("load_box", address, place).is_published)
        fail("load_box at %s:%d: no fence_barrier_init() has come between the barrier and its use by TMA", file_of(place),
             place.line);
    box.barrier = address;
    std::memcpy(box.coordinates, coordinates, (size_t)rank * sizeof(int));
    const std::vector<char> nothing((size_t)bytes, (char)poison);
    write(box.to, nothing.data(), nothing.size());
    under_way.push_back(box);
}

void forget_barriers_and_boxes() {
    barriers.clear();
    under_way.clear();
    view.clear();
}

bool phase_is_complete(const Thread& thread) { return barriers.at(thread.barrier).parity != thread.parity; }

bool are_boxes_under_way() { return !under_way.empty(); }

bool finish_a_box(Dice& dice) {
    if (under_way.empty()) return false;
    const size_t chosen = dice.below((unsigned)under_way.size());
    const Box box = under_way[chosen];
    under_way.erase(under_way.begin() + (ptrdiff_t)chosen);
    copy(box);
    Barrier& barrier = barriers.at(box.barrier);
    barrier.bytes -= box_elements(box.map) * box.map.element_bytes;
    advance(barrier);
    return true;
}

void describe_phase(const Thread& thread, char* text, int size) {
    const Barrier& barrier = barriers.at(thread.barrier);
    std::snprintf(text, (size_t)size, "a phase that lacks %d of %d arrivals and %lld bytes", barrier.pending,
                  barrier.expected, (long long)barrier.bytes);
}

const char* proxy_view() { return whole_view().data(); }

}  // namespace medmamba::cuda::emulator
