#include "library.h"

#include <map>
#include <mutex>

#include "../cpu/backend.h"
#include "shared_library.h"

namespace medmamba::addon {

const mm_backend* load_backend(const std::string& library, std::string* why) {
    if (library == "cpu") return cpu::backend();

    void* handle = open_library(library, why);
    if (!handle) {
        *why = "the backend's library could not be loaded: " + *why;
        return nullptr;
    }
    const auto entry = reinterpret_cast<mm_backend_entry>(find_symbol(handle, MM_BACKEND_ENTRY));
    const mm_backend* backend = entry ? entry() : nullptr;
    if (!backend) {
        *why = library + " is not a backend of medmamba: it exports no working \"" MM_BACKEND_ENTRY "\"";
        return nullptr;
    }
    if (backend->abi_version != MM_ABI_VERSION) {
        *why = library + " was built for version " + std::to_string(backend->abi_version) +
               " of the backend interface, this addon has version " + std::to_string(MM_ABI_VERSION) +
               ": build or install both together";
        return nullptr;
    }
    return backend;
}

int32_t count_devices(const std::string& library, std::string* why) {
    const mm_backend* backend = load_backend(library, why);
    if (!backend) return 0;
    const char* reason = nullptr;
    const int32_t count = backend->device_count(&reason);
    if (count < 1) *why = reason ? reason : std::string(backend->name) + " gave no reason";
    return count;
}

std::optional<int> driver_cuda() {
#if defined(_WIN32)
    const char* name = "nvcuda.dll";
#else
    const char* name = "libcuda.so.1";
#endif
    std::string why;
    void* driver = open_library(name, &why);
    if (!driver) return std::nullopt;
    int version = 0;
    const auto ask = reinterpret_cast<int (*)(int*)>(find_symbol(driver, "cuDriverGetVersion"));
    if (!ask || ask(&version) != 0) version = 0;
    close_library(driver);
    return version;
}

namespace {

std::mutex verdicts_mutex;

std::map<std::string, std::string>& verdicts() {
    static std::map<std::string, std::string> all;
    return all;
}

}  // namespace

std::optional<std::string> verdict(const std::string& library) {
    const std::lock_guard<std::mutex> lock(verdicts_mutex);
    const auto found = verdicts().find(library);
    return found == verdicts().end() ? std::nullopt : std::optional(found->second);
}

void set_verdict(const std::string& library, const std::string& verdict) {
    const std::lock_guard<std::mutex> lock(verdicts_mutex);
    verdicts()[library] = verdict;
}

}  // namespace medmamba::addon
