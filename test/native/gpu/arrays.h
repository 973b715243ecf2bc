// The arrays that a test has: what operator new gave. Plain C++, which nvcc would not take.
#pragma once

#include <cstddef>
#include <utility>

// Start and size of what `pointer` points into, or to the end of; null if it is no memory of operator new.
std::pair<unsigned char*, size_t> array_of(unsigned char* pointer);
