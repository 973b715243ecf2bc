// A block's shared memory, and the asynchronous copies into it. A copy is made when somebody waits for it, no
// earlier, and until then its bytes are NaN: so a wait that is missing shows.
#include <algorithm>
#include <cstring>

#include "block_state.h"
#include "memory.h"

namespace medmamba::cuda::emulator {

namespace {

void copy(const Copy& copy) {
    if (copy.valid) {
        std::memcpy(copy.to, copy.from, (size_t)copy.bytes);
    } else {
        std::memset(copy.to, 0, (size_t)copy.bytes);
    }
}

}  // namespace

void start_copy(void* shared, const void* global, int bytes, bool valid, Place place) {
    if ((uintptr_t)shared % (uintptr_t)bytes || (valid && (uintptr_t)global % (uintptr_t)bytes))
        fail("copy_async at %s:%d of %d bytes: an address is not aligned to them", file_of(place), place.line, bytes);
    char* to = static_cast<char*>(shared);
    const SharedMemory memory = shared_of_block();
    if (to < memory.end - memory.bytes || to + bytes > memory.end)
        fail("copy_async at %s:%d writes outside of the block's shared memory", file_of(place), place.line);
    if (valid && !is_device(global))
        fail("copy_async at %s:%d reads %p, which is no memory of the device", file_of(place), place.line, global);
    if (copies_at_once()) return copy({to, static_cast<const char*>(global), bytes, valid, 0});
    std::memset(shared, poison, (size_t)bytes);
    Thread& self = running_thread();
    self.copies.push_back({to, static_cast<const char*>(global), bytes, valid, self.committed});
}

void expect_shared_row(const void* row, Place place) {
    const char* from = static_cast<const char*>(row);
    const SharedMemory memory = shared_of_block();
    if ((uintptr_t)row % 16)
        fail("load_matrices at %s:%d: a row does not begin at a multiple of 16 bytes", file_of(place), place.line);
    if (from < memory.end - memory.bytes || from + 16 > memory.end)
        fail("load_matrices at %s:%d reads outside of the block's shared memory", file_of(place), place.line);
}

void commit_copies() { ++running_thread().committed; }

void wait_for_copies(int groups_left) {
    Thread& self = running_thread();
    std::vector<Copy>& copies = self.copies;
    const auto in_flight = std::find_if(copies.begin(), copies.end(), [&](const Copy& copy) {
        return copy.group >= self.committed - groups_left;
    });
    std::for_each(copies.begin(), in_flight, copy);
    copies.erase(copies.begin(), in_flight);
}

void* shared_memory(size_t bytes, size_t alignment) {
    const SharedMemory memory = shared_of_block();
    if (bytes > memory.bytes)
        fail("the kernel takes %zu bytes of shared memory, but was launched with %zu", bytes, memory.bytes);
    char* start = memory.end - (memory.bytes + 15) / 16 * 16;
    if ((uintptr_t)start % alignment)
        fail("%zu bytes of shared memory are no multiple of the struct's alignment, %zu", memory.bytes, alignment);
    return start;
}

}  // namespace medmamba::cuda::emulator
