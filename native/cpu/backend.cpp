// The CPU's table. Everything but the operations is here; the operations exist once for each SIMD level.
//
// A stream has its level from its creation on. The table's operations look it up and call that level's copy:
// one indirect call on top of kernels that take microseconds to seconds.
#include "backend.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <system_error>

#include "../backend/dtype.h"
#include "../backend/memory_limit.h"
#include "amx.h"
#include "instructions.h"
#include "kernels/scan.h"
#include "levels.h"
#include "memory.h"
#include "mpi.h"
#include "processors.h"
#include "stream.h"
#include "system.h"

struct mm_event {
    std::chrono::steady_clock::time_point moment;
};

namespace medmamba::cpu {

namespace {

struct Level {
    const char* name;
    bool runs_here;
    mm_backend operations;  // only the operations are filled
};

// Filling is a level's own code, too: a processor that the level is not for would stumble over it.
Level make_level(const char* name, bool runs_here, FillOperations fill) {
    Level level{name, runs_here, {}};
    if (runs_here) fill(&level.operations);
    return level;
}

// Best first. Never destroyed: streams may still run while the process exits.
const std::vector<Level>& levels() {
    static const auto& all = *new std::vector<Level>{
#if defined(__x86_64__)
        make_level("avx512", instructions().avx512, avx512::fill_operations),
        make_level("avx2", instructions().avx2, avx2::fill_operations),
#elif defined(__aarch64__)
        make_level("neon", true, neon::fill_operations),
#endif
        make_level("portable", true, portable::fill_operations),
    };
    return all;
}

struct Stream : mm_stream {
    Stream(int threads, const Level& chosen, bool bfloat16) : mm_stream(threads), level(chosen) {
        std::snprintf(simd, sizeof simd, "%s", chosen.name);
        bfloat16_products = bfloat16;
        amx_products = bfloat16 && has_amx_bfloat16();
    }

    const Level& level;
};

// read_<field>(params, 0) is that field, or float32 in a struct that has no such field.
#define MM_READ_DTYPE(field)                                                                                       \
    template <class Params>                                                                                        \
    constexpr auto read_##field(const Params& params, int) -> decltype(params.field) { return params.field; }      \
    template <class Params>                                                                                        \
    constexpr int32_t read_##field(const Params&, long) { return MM_FLOAT32; }
MM_DTYPE_FIELDS(MM_READ_DTYPE)
#undef MM_READ_DTYPE

// Whether any activation of an operation is kept as something else than float32, which no kernel here reads.
template <class Params>
bool keeps_other_than_float32(const Params& params) {
#define MM_IS_OTHER(field) read_##field(params, 0) != MM_FLOAT32 ||
    return MM_DTYPE_FIELDS(MM_IS_OTHER) false;
#undef MM_IS_OTHER
}
// These two are for other dtypes.
bool keeps_other_than_float32(const mm_cast_params&) { return false; }
bool keeps_other_than_float32(const mm_affine_sample_params&) { return false; }

// Whether an operation is to leave, or to take, what this backend's table says that there is none of.
template <class Params>
bool is_in_parts(const Params&) {
    return false;
}
bool is_in_parts(const mm_matmul_params& params) { return params.moments.sums; }
bool is_in_parts(const mm_conv3x3_forward_params& params) { return params.moments; }
bool is_in_parts(const mm_conv3x3_backward_data_params& params) { return params.moments.sums; }
bool is_in_parts(const mm_batch_norm_statistics_params& params) { return params.moments; }
bool is_in_parts(const mm_batch_norm_backward_params& params) { return params.moments; }
bool is_in_parts(const mm_layer_norm_forward_params& params) { return params.x_copies > 1; }
bool is_in_parts(const mm_scan4_forward_params& params) { return params.y_copies > 1; }

#define MM_DISPATCH(name)                                                               \
    mm_status name(mm_stream* stream, const mm_##name##_params* params) {               \
        if (keeps_other_than_float32(*params))                                          \
            return stream->fail(MM_UNSUPPORTED, #name ": the CPU keeps activations as float32 only"); \
        if (is_in_parts(*params))                                                       \
            return stream->fail(MM_UNSUPPORTED, #name ": the CPU leaves no moments and no copies"); \
        return static_cast<Stream*>(stream)->level.operations.name(stream, params);     \
    }
MM_OPERATIONS(MM_DISPATCH)
#undef MM_DISPATCH

// A reason that outlives the call that gives it, for the caller's `why`.
__attribute__((format(printf, 1, 2))) const char* reason(const char* format, ...) {
    thread_local char sentence[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return sentence;
}

// The level asked for, by option or by MEDMAMBA_SIMD, otherwise the best one.
const Level* choose_level(const char* option, const char** why) {
    const std::string asked = option && *option ? option : environment_variable("MEDMAMBA_SIMD");
    for (const Level& level : levels()) {
        if (asked.empty() ? level.runs_here : level.name == asked) {
            if (level.runs_here) return &level;
            *why = reason("this processor does not run SIMD level \"%s\"", asked.c_str());
            return nullptr;
        }
    }
    *why = reason(
        "this build has no SIMD level \"%s\"; levels are \"portable\" and, on x86-64, \"avx2\" and \"avx512\", "
        "on 64-bit ARM \"neon\"",
        asked.c_str());
    return nullptr;
}

// Threads asked for, by option or by MEDMAMBA_THREADS, otherwise one per available processor. 0 with a reason.
int choose_threads(int asked, const char** why) {
    constexpr int most = 1024;
    if (asked > most || asked < 0) {
        *why = reason("%d threads were asked for; the CPU takes 1 to %d", asked, most);
        return 0;
    }
    if (asked > 0) return asked;
    const std::string setting = environment_variable("MEDMAMBA_THREADS");
    if (setting.empty()) return std::min((int)allowed_processors().size(), most);
    char* end = nullptr;
    const long threads = std::strtol(setting.c_str(), &end, 10);
    if (*end || threads < 1 || threads > most) {
        *why = reason("MEDMAMBA_THREADS is \"%.64s\"; it has to be a number from 1 to %d", setting.c_str(), most);
        return 0;
    }
    return (int)threads;
}

// Products round while they pack; everything in memory is float32.
mm_dtype activation_dtype(const mm_stream*) { return MM_FLOAT32; }
int64_t moment_count(int64_t, int64_t) { return 0; }
int64_t scan4_copy_count(int64_t, int64_t, int64_t, int64_t, mm_dtype) { return 1; }

// How products multiply: MM_OK and whether in bfloat16, or a reason.
mm_status choose_precision(const char* asked, const Level& level, bool* bfloat16, const char** why) {
    *bfloat16 = asked && std::strcmp(asked, "bf16") == 0;
    if (!*bfloat16) {
        if (!asked || !*asked || std::strcmp(asked, "float32") == 0) return MM_OK;
        *why = reason("the CPU has precisions \"float32\" and, where it has AVX512-BF16, \"bf16\", not \"%.64s\"",
                      asked);
        return MM_UNSUPPORTED;
    }
    const bool has_instructions = instructions().avx512_bfloat16;
    if (has_instructions && std::strcmp(level.name, "avx512") == 0) return MM_OK;
    *why = has_instructions
               ? reason("precision \"bf16\" needs SIMD level \"avx512\", not \"%s\"", level.name)
               : "precision \"bf16\" needs a processor with AVX512-BF16, which this one has not: use \"float32\"";
    return MM_UNSUPPORTED;
}

int32_t device_count(const char**) { return 1; }

mm_status stream_create(const mm_stream_options* options, mm_stream** stream, const char** why) {
    if (options->device_index != 0) {
        *why = reason("there is one CPU device, index 0, not %" PRId32, options->device_index);
        return MM_INVALID_ARGUMENT;
    }
    const Level* level = choose_level(options->simd, why);
    if (!level) return MM_UNSUPPORTED;
    bool bfloat16 = false;
    if (const mm_status status = choose_precision(options->precision, *level, &bfloat16, why)) return status;
    const int threads = choose_threads(options->threads, why);
    if (!threads) return MM_INVALID_ARGUMENT;
    try {
        *stream = new Stream(threads, *level, bfloat16);
        (*stream)->limit_bytes = limit_in_bytes(options->memory_limit, total_memory());
        return MM_OK;
    } catch (const std::bad_alloc&) {
        *why = "not enough memory for the CPU's threads";
        return MM_OUT_OF_MEMORY;
    } catch (const std::system_error& error) {
        *why = reason("%s; ask for fewer by the option threads or by MEDMAMBA_THREADS", error.what());
        return MM_DEVICE_ERROR;
    }
}

void stream_destroy(mm_stream* stream) { delete static_cast<Stream*>(stream); }

mm_status describe(mm_stream* stream, mm_device_description* description) {
    *description = {};
    std::snprintf(description->name, sizeof description->name, "%s", processor_name().c_str());
    std::snprintf(description->simd, sizeof description->simd, "%s", stream->simd);
    description->threads = stream->pool.threads();
    description->total_bytes = total_memory();
    description->free_bytes = free_within(stream->limit_bytes, stream->taken_bytes, free_memory());
    description->limit_bytes = stream->limit_bytes;
    return MM_OK;
}

mm_status allocate(mm_stream* stream, size_t bytes, void** pointer) {
    const int64_t taken = stream->taken_bytes += (int64_t)bytes;
    const bool within = !stream->limit_bytes || taken <= stream->limit_bytes;
    *pointer = within ? allocate_memory(bytes) : nullptr;
    if (*pointer) return MM_OK;
    stream->taken_bytes -= (int64_t)bytes;
    return MM_OUT_OF_MEMORY;
}

void release(mm_stream* stream, void* pointer, size_t bytes) {
    stream->taken_bytes -= (int64_t)bytes;
    release_memory(pointer);
}
void trim(mm_stream*) {}  // the system has all that was released

mm_status copy_bytes(void* to, const void* from, size_t bytes) {
    if (bytes) std::memcpy(to, from, bytes);
    return MM_OK;
}
mm_status upload(mm_stream*, void* device, const void* host, size_t bytes) { return copy_bytes(device, host, bytes); }
mm_status download(mm_stream*, void* host, const void* device, size_t bytes) { return copy_bytes(host, device, bytes); }
mm_status synchronize(mm_stream*) { return MM_OK; }  // functions return when their work is done

mm_status event_create(mm_stream* stream, mm_event** event) {
    *event = new (std::nothrow) mm_event;
    return *event ? MM_OK : stream->fail(MM_OUT_OF_MEMORY, "not enough host memory");
}
void event_destroy(mm_stream*, mm_event* event) { delete event; }
mm_status event_record(mm_stream*, mm_event* event) {
    event->moment = std::chrono::steady_clock::now();
    return MM_OK;
}
mm_status event_elapsed(mm_stream*, const mm_event* begin, const mm_event* end, double* seconds) {
    *seconds = std::chrono::duration<double>(end->moment - begin->moment).count();
    return MM_OK;
}

const char* last_error(mm_stream* stream) { return stream->last_error; }
mm_status fail(mm_stream* stream, mm_status status, const char* sentence) { return stream->fail(status, "%s", sentence); }

mm_backend make_backend() {
    mm_backend table{};
    table.abi_version = MM_ABI_VERSION;
    table.name = "cpu";
    if (mpi::available) {
        table.engine_version = mpi::engine_version;
        table.communicator_id = mpi::communicator_id;
        table.communicator_create = mpi::communicator_create;
    }
#define MM_FILL(name) table.name = name;
    MM_STREAM_FUNCTIONS(MM_FILL)
    MM_OPERATIONS(MM_FILL)
#undef MM_FILL
    return table;
}

}  // namespace

const mm_backend* backend() {
    static const mm_backend table = make_backend();
    return &table;
}

std::vector<std::string> simd_levels() {
    std::vector<std::string> names;
    for (const Level& level : levels())
        if (level.runs_here) names.push_back(level.name);
    return names;
}

}  // namespace medmamba::cpu
