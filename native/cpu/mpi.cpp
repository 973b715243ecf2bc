// MPI without its headers and without linking it: one binary for Open MPI, for MPICH and its kin (Intel MPI, Cray MPICH,
// MVAPICH), and for the ABI of MPI-5.
//
// The three differ in what a handle is: the address of an object of Open MPI's, a number of 32 bits in MPICH, a number of a
// pointer's width in MPI-5. All travel in one register of x86-64 and of 64-bit ARM, or in one slot of the stack, so that one
// type of function serves all. Only bytes are moved, so that few handles are needed; whether they mean what they should is
// checked once MPI has begun.
//
// MPI begins once in a process and cannot begin again. It begins with the communicator and ends with it, on the executor's
// thread, which is the only one to call it. A process that ends without having disconnected leaves MPI as it is: its launcher
// then ends the job, where waiting for the others at the end might last for ever.
#include "mpi.h"

#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <string>

#if !defined(_WIN32)
#include <dlfcn.h>
#endif

namespace medmamba::cpu::mpi {

namespace {

#if defined(_WIN32)

constexpr const char* no_mpi = "this build reaches no MPI on Windows";

#else

// A reason that outlives the call that gives it, for the caller's `why`.
__attribute__((format(printf, 1, 2))) const char* reason(const char* format, ...) {
    thread_local char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return sentence;
}

using Handle = uintptr_t;

struct Handles {
    Handle world, byte, float32, sum, errors_return, in_place;
    int serialized;  // level of threads: one at a time
};

// https://github.com/mpi-forum/mpi-abi-stubs
constexpr Handles of_mpi5{0x101, 0x247, 0x210, 0x21, 0x143, 1, 2048};
// mpi.h of MPICH, the same since 3.1 (https://www.mpich.org/abi)
constexpr Handles of_mpich{0x44000000, 0x4c00010d, 0x4c00040a, 0x58000003, 0x54000001, (Handle)-1, 2};

#define MM_MPI_FUNCTIONS(F)                                                                       \
    F(Get_library_version, char*, int*)                                                           \
    F(Initialized, int*)                                                                          \
    F(Finalized, int*)                                                                            \
    F(Init_thread, int*, char***, int, int*)                                                      \
    F(Finalize)                                                                                   \
    F(Comm_set_errhandler, Handle, Handle)                                                        \
    F(Comm_rank, Handle, int*)                                                                    \
    F(Comm_size, Handle, int*)                                                                    \
    F(Type_size, Handle, int*)                                                                    \
    F(Error_string, int, char*, int*)                                                             \
    F(Reduce_local, const void*, void*, int, Handle, Handle)                                      \
    F(Alltoall, const void*, int, Handle, void*, int, Handle, Handle)                             \
    F(Allgather, const void*, int, Handle, void*, int, Handle, Handle)                            \
    F(Allreduce, const void*, void*, int, Handle, Handle, Handle)

struct Library {
#define MM_DECLARE_MPI(name, ...) int (*name)(__VA_ARGS__) = nullptr;
    MM_MPI_FUNCTIONS(MM_DECLARE_MPI)
#undef MM_DECLARE_MPI
    Handles handles{};
    std::string version;
};

Handle address(void* library, const char* symbol) { return reinterpret_cast<Handle>(dlsym(library, symbol)); }

// False if it is not Open MPI.
bool read_open_mpi(void* library, Handles* handles) {
    *handles = {address(library, "ompi_mpi_comm_world"), address(library, "ompi_mpi_byte"),
                address(library, "ompi_mpi_float"), address(library, "ompi_mpi_op_sum"),
                address(library, "ompi_mpi_errors_return"), 1, 2};
    return handles->world && handles->byte && handles->float32 && handles->sum && handles->errors_return;
}

// What MPI's transports do to the process that they are loaded into, unless the user says otherwise: before they are loaded,
// for they read the environment then. Tried with UCX 1.13, on which MPICH and Open MPI stand.
void leave_the_process_alone() {
    // UCX overwrites the first instructions of mmap, brk and others while other threads run them, and tries that by moving
    // the end of the heap up a page and down again: what malloc has given to another thread there meanwhile is gone.
    setenv("UCX_MEM_MMAP_HOOK_MODE", "none", 0);
    // UCX would end the process at the first SIGSEGV, by which V8 learns that WebAssembly reads outside of its memory.
    setenv("UCX_ERROR_SIGNALS", "", 0);
}

// Null with a reason if it is no MPI. Its own parts look for its symbols among those of the process, hence RTLD_GLOBAL.
Library* load(const char* path, const char** why) {
    static std::mutex mutex;
    static auto& loaded = *new std::map<std::string, Library*>;
    const std::lock_guard<std::mutex> lock(mutex);
    if (const auto known = loaded.find(path); known != loaded.end()) return known->second;
    leave_the_process_alone();
    void* handle = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!handle) return *why = reason("%s", dlerror()), nullptr;
    auto* library = new Library;
#define MM_FIND_MPI(name, ...)                                                                    \
    library->name = reinterpret_cast<int (*)(__VA_ARGS__)>(dlsym(handle, "MPI_" #name));          \
    if (!library->name) return *why = reason("%s is no MPI: it has no MPI_" #name, path), nullptr;
    MM_MPI_FUNCTIONS(MM_FIND_MPI)
#undef MM_FIND_MPI
    // By its name first: an implementation of MPI-5's ABI may stand on the library of another.
    if (std::strstr(path, "mpi_abi")) {
        library->handles = of_mpi5;
    } else if (!read_open_mpi(handle, &library->handles)) {
        library->handles = of_mpich;
    }
    char version[8192] = "";
    int length = 0;
    library->Get_library_version(version, &length);
    library->version = version;
    return loaded[path] = library;
}

// Of MPI's world, of which a process has one.
struct Communicator : mm_communicator {
    explicit Communicator(const Library* mpi) : mm_communicator{}, mpi(mpi) {}
    const Library* mpi;
};

mm_status check(Communicator& self, int error, const char* what) {
    if (error == 0) return MM_OK;
    char sentence[512] = "";
    int length = 0;
    self.mpi->Error_string(error, sentence, &length);
    std::snprintf(self.last_error, sizeof self.last_error, "%s: %.250s", what, sentence);
    return MM_DEVICE_ERROR;
}

// MPI counts in int.
bool is_too_long(Communicator& self, size_t count) {
    if (count <= INT_MAX) return false;
    std::snprintf(self.last_error, sizeof self.last_error, "MPI moves at most %d elements a part, not %zu", INT_MAX,
                  count);
    return true;
}

mm_status exchange(mm_communicator* communicator, mm_stream*, const void* x, void* y, size_t bytes) {
    Communicator& self = *static_cast<Communicator*>(communicator);
    if (is_too_long(self, bytes)) return MM_UNSUPPORTED;
    const Handles& is = self.mpi->handles;
    const int error = self.mpi->Alltoall(x, (int)bytes, is.byte, y, (int)bytes, is.byte, is.world);
    return check(self, error, "MPI_Alltoall");
}

mm_status gather(mm_communicator* communicator, mm_stream*, const void* x, void* y, size_t bytes) {
    Communicator& self = *static_cast<Communicator*>(communicator);
    if (is_too_long(self, bytes)) return MM_UNSUPPORTED;
    const Handles& is = self.mpi->handles;
    if (x == static_cast<char*>(y) + (size_t)self.rank * bytes) x = reinterpret_cast<const void*>(is.in_place);
    const int error = self.mpi->Allgather(x, (int)bytes, is.byte, y, (int)bytes, is.byte, is.world);
    return check(self, error, "MPI_Allgather");
}

mm_status engine_sum(mm_communicator* communicator, mm_stream*, float* values, size_t count) {
    Communicator& self = *static_cast<Communicator*>(communicator);
    if (is_too_long(self, count)) return MM_UNSUPPORTED;
    const Handles& is = self.mpi->handles;
    const void* in_place = reinterpret_cast<const void*>(is.in_place);
    return check(self, self.mpi->Allreduce(in_place, values, (int)count, is.float32, is.sum, is.world),
                 "MPI_Allreduce");
}

mm_status disconnect(mm_communicator* communicator, mm_stream*, const char** why) {
    Communicator* self = static_cast<Communicator*>(communicator);
    const mm_status status = check(*self, self->mpi->Finalize(), "MPI_Finalize");
    if (status != MM_OK) *why = reason("%s", self->last_error);
    delete self;
    return status;
}

// Whether the handles mean what they should: sizes, and 1 + 2 = 3. Nothing else would tell a number that is another type's.
bool means_what_it_should(const Library& mpi) {
    const Handles& is = mpi.handles;
    int byte = 0, float32 = 0;
    const float one = 1;
    float sum = 2;
    return mpi.Type_size(is.byte, &byte) == 0 && byte == 1 && mpi.Type_size(is.float32, &float32) == 0 &&
           float32 == 4 && mpi.Reduce_local(&one, &sum, 1, is.float32, is.sum) == 0 && sum == 3;
}

mm_status begin(Communicator& self, const char* library, int32_t rank, int32_t size, const char** why) {
    const Library& mpi = *self.mpi;
    int initialized = 0, finalized = 0, provided = 0;
    mpi.Initialized(&initialized);
    mpi.Finalized(&finalized);
    if (initialized || finalized) {
        *why = "MPI has begun in this process before, and begins only once: connect once a process, and close last";
        return MM_UNSUPPORTED;
    }
    if (mpi.Init_thread(nullptr, nullptr, mpi.handles.serialized, &provided) != 0) {
        *why = reason("MPI did not begin (%s)", library);
        return MM_DEVICE_ERROR;
    }
    mpi.Comm_set_errhandler(mpi.handles.world, mpi.handles.errors_return);
    if (provided < mpi.handles.serialized || !means_what_it_should(mpi)) {
        *why = reason("%s does not speak as Open MPI, MPICH or MPI-5 do: name another MPI by MEDMAMBA_MPI", library);
        return MM_UNSUPPORTED;
    }
    int its_rank = -1, its_size = -1;
    mpi.Comm_rank(mpi.handles.world, &its_rank);
    mpi.Comm_size(mpi.handles.world, &its_size);
    if (its_rank != rank || its_size != size) {
        *why = reason("MPI says this is rank %d of %d, the launcher says rank %d of %d: the launcher is not that of this "
                      "MPI (%s); start with its own mpirun or srun, or name the launcher's MPI by MEDMAMBA_MPI",
                      its_rank, its_size, (int)rank, (int)size, library);
        if (its_size == 1) mpi.Finalize();
        return MM_INVALID_ARGUMENT;
    }
    return MM_OK;
}

#endif

}  // namespace

#if defined(_WIN32)

mm_status engine_version(const char*, char*, const char** why) { return *why = no_mpi, MM_UNSUPPORTED; }
mm_status communicator_id(const char*, char*, const char** why) { return *why = no_mpi, MM_UNSUPPORTED; }
mm_status communicator_create(mm_stream*, const char*, const char*, int32_t, int32_t, mm_communicator**,
                              const char** why) {
    return *why = no_mpi, MM_UNSUPPORTED;
}

#else

mm_status engine_version(const char* library, char version[MM_ENGINE_VERSION_BYTES], const char** why) {
    const Library* mpi = load(library, why);
    if (!mpi) return MM_UNSUPPORTED;
    std::snprintf(version, MM_ENGINE_VERSION_BYTES, "%s", mpi->version.c_str());
    return MM_OK;
}

// MPI's ranks know each other from their launcher.
mm_status communicator_id(const char*, char id[MM_COMMUNICATOR_ID_BYTES], const char**) {
    std::memset(id, 0, MM_COMMUNICATOR_ID_BYTES);
    return MM_OK;
}

mm_status communicator_create(mm_stream*, const char* library, const char*, int32_t rank, int32_t size,
                              mm_communicator** communicator, const char** why) {
    const Library* mpi = load(library, why);
    if (!mpi) return MM_UNSUPPORTED;
    auto* created = new (std::nothrow) Communicator(mpi);
    if (!created) return *why = "not enough host memory", MM_OUT_OF_MEMORY;
    if (const mm_status status = begin(*created, library, rank, size, why); status != MM_OK) {
        delete created;
        return status;
    }
    created->rank = rank;
    created->size = size;
    created->exchange = exchange;
    created->gather = gather;
    created->engine_sum = engine_sum;
    created->disconnect = disconnect;
    *communicator = created;
    return MM_OK;
}

#endif

}  // namespace medmamba::cpu::mpi
