// Device memory, so that what a GPU would forgive now and then does not pass here.
//
// An allocation ends at a page that may not be touched, and starts behind another one; its bytes are NaN until they
// are written; it is gone from the address space when it is freed. Its alignment is 16 bytes, the most that a kernel
// may ask for: what is left between its end and the guard, up to 15 bytes, is compared when it is freed.
#pragma once

#include <cstddef>
#include <cstdio>

namespace medmamba::cuda::emulator {

constexpr unsigned char poison = 0xff;  // a float, a bfloat16 or a double of these is not a number

// Readable and writable memory between two guard pages, its end at the second. Null if there is none.
void* map_guarded(size_t bytes);
void unmap_guarded(void* end, size_t bytes);

// Null if the device has no more.
void* allocate_device(size_t bytes);
// Memory of the host that kernels reach as well.
void* allocate_pinned(size_t bytes);
// False if the pointer is none of these two, or bytes behind its end were written.
bool release_device(void* pointer);

// Whether `pointer` lies in device memory, or at the end of it.
bool is_device(const void* pointer);
// For tests that call operations on memory of the host: everything is taken for device memory from here on.
void accept_host_memory();
// A sentence about where an address lies; for a signal handler.
void describe_address(const void* address, char* sentence, size_t size);

size_t device_bytes_in_use();
// Memory that nobody uses and a pool keeps: as good as in use for who asks for memory elsewhere.
void keep_device_bytes(size_t bytes);
void give_back_device_bytes(size_t bytes);
size_t device_bytes_kept();
size_t device_bytes();

}  // namespace medmamba::cuda::emulator
