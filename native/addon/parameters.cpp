#include "parameters.h"

#include <bitset>
#include <cstring>
#include <optional>

#include "buffer.h"
#include "errors.h"
#include "numbers.h"

namespace medmamba::addon {

namespace {

static_assert(sizeof(void*) == 8, "lists of pointers and of counts share one kind of array");

bool ends_with(std::string_view name, std::string_view end) {
    return name.size() > end.size() && name.substr(name.size() - end.size()) == end;
}

// Zero, NULL, or all of that where a field is absent.
bool optional(const Field& field) {
    switch (field.kind) {
        case Kind::buffer:
        case Kind::communicator:
        case Kind::buffer_list: return true;
        case Kind::int64: return ends_with(field.name, "_row") || ends_with(field.name, "_copies");
        case Kind::int32: return ends_with(field.name, "_dtype");
        case Kind::structure: return field.name == "moments";
        default: return false;
    }
}

template <class Value>
void put(char* target, Value value) {
    std::memcpy(target, &value, sizeof value);
}

using Used = std::function<void(const std::shared_ptr<Block>&)>;

class Reader {
public:
    Reader(Napi::Env env, const std::string& operation, const Memory* memory, Parameters& parameters,
           const Used& used)
        : env_(env), operation_(operation), memory_(memory), parameters_(parameters), used_(used) {}

    // One pass over the object's properties: each has to be a field, and what is left has to be optional.
    void read(const Structure& structure, napi_value object, char* target, const std::string& prefix) {
        std::bitset<most_fields> seen;
        each_field(structure, object, prefix, [&](const Field& field, napi_value value) {
            seen.set(&field - structure.fields);
            read_field(field, value, target + field.offset, prefix);
        });
        for (size_t i = 0; i < structure.field_count; ++i)
            if (!seen[i] && !optional(structure.fields[i])) fail(prefix, structure.fields[i], "is missing");
    }

    std::vector<Change> read_changes(const Structure& structure, napi_value object) {
        std::vector<Change> changes;
        each_field(structure, object, {}, [&](const Field& field, napi_value value) {
            Change change{field.offset, 0, {}};
            switch (field.kind) {
                case Kind::int32:
                case Kind::float32: change.size = 4; break;
                case Kind::int64:
                case Kind::float64: change.size = 8; break;
                default: fail({}, field, "is no number, and cannot differ from launch to launch");
            }
            read_field(field, value, change.bytes, {});
            changes.push_back(change);
        });
        return changes;
    }

    // Lists may come before `counts`, so their lengths are compared at the end.
    void check_lists() const {
        for (const auto& [field, length] : lists_) {
            if (length != tensor_count_)
                fail({}, *field, "has " + std::to_string(length) + " buffers, but \"counts\" has " +
                                     std::to_string(tensor_count_) + " numbers");
        }
    }

private:
    // Calls take(field, value) for each property that is not undefined.
    template <class Take>
    void each_field(const Structure& structure, napi_value object, const std::string& prefix, Take&& take) const {
        napi_value names;
        uint32_t count;
        check(napi_get_property_names(env_, object, &names));
        check(napi_get_array_length(env_, names, &count));
        for (uint32_t i = 0; i < count; ++i) {
            napi_value name, value;
            char text[64];
            size_t length;
            check(napi_get_element(env_, names, i, &name));
            check(napi_get_value_string_utf8(env_, name, text, sizeof text, &length));
            const Field* field = find(structure, {text, length});
            if (!field) fail(prefix + text, "is not a field of this operation");
            check(napi_get_property(env_, object, name, &value));
            if (type_of(value) != napi_undefined) take(*field, value);
        }
    }

    static const Field* find(const Structure& structure, std::string_view name) {
        for (size_t i = 0; i < structure.field_count; ++i)
            if (structure.fields[i].name == name) return &structure.fields[i];
        return nullptr;
    }

    void read_field(const Field& field, napi_value value, char* target, const std::string& prefix) {
        switch (field.kind) {
            case Kind::buffer: return put(target, pointer(field, value, prefix));
            case Kind::int64: return put(target, whole(field, value, prefix));
            case Kind::int32: return put(target, whole32(field, value, prefix));
            case Kind::float32: return put(target, (float)number(field, value, prefix));
            case Kind::float64: return put(target, number(field, value, prefix));
            case Kind::int64_array: {
                const uint32_t length = array_length(field, value, prefix);
                if (length > field.extent)
                    fail(prefix, field, "has more than " + std::to_string(field.extent) + " numbers");
                for (uint32_t i = 0; i < length; ++i)
                    put(target + i * sizeof(int64_t), whole(field, element(value, i), prefix));
                return;
            }
            case Kind::tensor_list: {
                tensor_count_ = list_length(field, value, prefix);
                uint64_t* counts = parameters_.add_array(tensor_count_);
                for (uint32_t i = 0; i < tensor_count_; ++i)
                    counts[i] = (uint64_t)whole(field, element(value, i), prefix);
                return put(target, mm_tensor_list{tensor_count_, reinterpret_cast<const int64_t*>(counts)});
            }
            case Kind::buffer_list: {
                const uint32_t length = list_length(field, value, prefix);
                uint64_t* pointers = parameters_.add_array(length);
                for (uint32_t i = 0; i < length; ++i)
                    pointers[i] = reinterpret_cast<uint64_t>(pointer(field, element(value, i), prefix));
                lists_.emplace_back(&field, length);
                return put(target, pointers);
            }
            case Kind::communicator: return put(target, communicator(field, value, prefix));
            case Kind::structure:
                if (type_of(value) != napi_object) fail_type(prefix, field, "an object", value);
                return read(*field.structure, value, target, prefix + std::string(field.name) + ".");
        }
    }

    void* pointer(const Field& field, napi_value value, const std::string& prefix) const {
        const Buffer* buffer = Buffer::of(env_, value);
        if (!buffer) fail_type(prefix, field, "a buffer", value);
        if (buffer->disposed()) {
            const std::string place = "\"" + prefix + std::string(field.name) + "\"";
            throw coded_error(env_, code::disposed, operation_ + ": " + place + " has been disposed", operation_);
        }
        if (buffer->memory() != memory_) fail(prefix, field, "is memory of another stream");
        if (used_) used_(buffer->block());
        return buffer->pointer();
    }

    mm_communicator* communicator(const Field& field, napi_value value, const std::string& prefix) {
        const Communicator* found = Communicator::of(env_, value);
        if (!found) fail_type(prefix, field, "a communicator", value);
        mm_communicator* connected = found->closed() ? nullptr : found->connection()->communicator.load();
        if (!connected) {
            const std::string place = "\"" + prefix + std::string(field.name) + "\"";
            throw coded_error(env_, code::disposed, operation_ + ": " + place + " is not connected", operation_);
        }
        if (found->memory() != memory_) fail(prefix, field, "is of another stream");
        parameters_.add(found->connection());
        return connected;
    }

    double number(const Field& field, napi_value value, const std::string& prefix) const {
        double number;
        if (napi_get_value_double(env_, value, &number) != napi_ok) fail_type(prefix, field, "a number", value);
        return number;
    }

    int64_t whole(const Field& field, napi_value value, const std::string& prefix) const {
        const std::optional<int64_t> number = whole_number(env_, value);
        if (!number) fail_type(prefix, field, "a whole number", value);
        return *number;
    }

    int32_t whole32(const Field& field, napi_value value, const std::string& prefix) const {
        bool flag;
        if (napi_get_value_bool(env_, value, &flag) == napi_ok) return flag;
        const int64_t number = whole(field, value, prefix);
        if (number != (int32_t)number) fail(prefix, field, "does not fit 32 bits");
        return (int32_t)number;
    }

    uint32_t array_length(const Field& field, napi_value value, const std::string& prefix) const {
        uint32_t length;
        if (napi_get_array_length(env_, value, &length) != napi_ok) fail_type(prefix, field, "an array", value);
        return length;
    }

    // A sparse array says any length: memory is taken for what may be meant alone.
    uint32_t list_length(const Field& field, napi_value value, const std::string& prefix) const {
        constexpr uint32_t most = 1u << 20;
        const uint32_t length = array_length(field, value, prefix);
        if (length > most) fail(prefix, field, "has more than " + std::to_string(most) + " elements");
        return length;
    }

    napi_value element(napi_value array, uint32_t index) const {
        napi_value value;
        check(napi_get_element(env_, array, index, &value));
        return value;
    }

    napi_valuetype type_of(napi_value value) const {
        napi_valuetype type;
        check(napi_typeof(env_, value, &type));
        return type;
    }

    // A getter of the object may have thrown.
    void check(napi_status status) const {
        if (status != napi_ok) throw Napi::Error::New(env_);
    }

    [[noreturn]] void fail(const std::string& name, const std::string& problem) const {
        throw coded_error(env_, code::invalid_argument, operation_ + ": \"" + name + "\" " + problem, operation_);
    }

    [[noreturn]] void fail(const std::string& prefix, const Field& field, const std::string& problem) const {
        fail(prefix + std::string(field.name), problem);
    }

    [[noreturn]] void fail_type(const std::string& prefix, const Field& field, const char* wanted,
                                napi_value value) const {
        static constexpr const char* names[] = {"undefined", "null",   "a boolean",  "a number",  "a string",
                                                "a symbol",  "an object", "a function", "an external", "a bigint"};
        const napi_valuetype type = type_of(value);
        std::string given = names[type];
        if (type == napi_number) given = Napi::Number(env_, value).ToString().Utf8Value();
        fail(prefix, field, std::string("has to be ") + wanted + ", but is " + given);
    }

    Napi::Env env_;
    const std::string& operation_;
    const Memory* memory_;
    Parameters& parameters_;
    const Used& used_;
    uint32_t tensor_count_ = 0;
    std::vector<std::pair<const Field*, uint32_t>> lists_;
};

void expect_object(Napi::Env env, const std::string& operation, napi_value object) {
    napi_valuetype type;
    if (napi_typeof(env, object, &type) != napi_ok || type != napi_object)
        throw coded_error(env, code::invalid_argument, operation + ": the parameters have to be an object", operation);
}

}  // namespace

std::shared_ptr<Parameters> read_parameters(Napi::Env env, const std::string& operation, const Structure& structure,
                                            napi_value object, const Memory& memory, const Used& used) {
    expect_object(env, operation, object);
    auto parameters = std::make_shared<Parameters>(structure.size);
    Reader reader(env, operation, &memory, *parameters, used);
    reader.read(structure, object, parameters->data(), {});
    reader.check_lists();
    return parameters;
}

std::vector<Change> read_changes(Napi::Env env, const std::string& operation, const Structure& structure,
                                 napi_value object) {
    expect_object(env, operation, object);
    Parameters none(0);
    const Used unused;
    return Reader(env, operation, nullptr, none, unused).read_changes(structure, object);
}

}  // namespace medmamba::addon
