// A JavaScript object read into the parameter struct of an operation.
#pragma once

#include <napi.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "communicator.h"
#include "memory.h"
#include "operations.h"

namespace medmamba::addon {

// A number of the struct that is to be another one.
struct Change {
    uint16_t offset;
    uint8_t size;
    char bytes[8];
};

// The struct by value, and copies of the arrays that it points to: what a queued call keeps. Blocks need no
// reference: their memory stays the device's until the queue has run, whoever owns it by then.
class Parameters {
public:
    explicit Parameters(size_t bytes) : words_((bytes + 7) / 8) {}

    const void* data() const { return words_.data(); }
    char* data() { return reinterpret_cast<char*>(words_.data()); }

    void change(const std::vector<Change>& changes) {
        for (const Change& change : changes) std::memcpy(data() + change.offset, change.bytes, change.size);
    }

    // An array of `count` 64-bit values that lives as long as the struct.
    uint64_t* add_array(size_t count) {
        arrays_.push_back(std::make_unique<uint64_t[]>(count));
        return arrays_.back().get();
    }

    // Those that the struct points to: a graph asks before each launch whether they are connected.
    const std::vector<std::shared_ptr<Connection>>& connections() const { return connections_; }
    void add(std::shared_ptr<Connection> connection) { connections_.push_back(std::move(connection)); }

private:
    std::vector<std::shared_ptr<Connection>> connections_;
    std::vector<uint64_t> words_;
    std::vector<std::unique_ptr<uint64_t[]>> arrays_;
};

// Every number is required, except distances between rows ("..._row"), which are 0 for dense, numbers of copies
// ("..._copies"), which are 0 for one, and dtypes ("..._dtype"), which are 0 for float32. Buffers may be absent, and so may
// what asks for moments. `used`, if it is there, is told the block of each
// buffer. Throws a coded error that names `operation` and the field.
std::shared_ptr<Parameters> read_parameters(Napi::Env env, const std::string& operation, const Structure& structure,
                                            napi_value object, const Memory& memory,
                                            const std::function<void(const std::shared_ptr<Block>&)>& used = nullptr);

// Some of the struct's numbers; a field of another kind is an error.
std::vector<Change> read_changes(Napi::Env env, const std::string& operation, const Structure& structure,
                                 napi_value object);

}  // namespace medmamba::addon
