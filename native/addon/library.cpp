#include "library.h"

#include <dlfcn.h>

#include "../cpu/backend.h"

namespace medmamba::addon {

const mm_backend* load_backend(const std::string& library, std::string* why) {
    if (library == "cpu") return cpu::backend();

    // RTLD_LOCAL: two backends define the same names inside, and must not see each other's.
    void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        *why = std::string("the backend's library could not be loaded: ") + dlerror();
        return nullptr;
    }
    const auto entry = reinterpret_cast<mm_backend_entry>(dlsym(handle, MM_BACKEND_ENTRY));
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

}  // namespace medmamba::addon
