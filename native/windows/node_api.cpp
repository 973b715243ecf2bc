// Node-API as the program that loads the addon has it, whatever that program is called.
//
// A library of Windows names the file that each of its imports is from. An addon that was linked in the ordinary way names
// node.exe, and so loads neither in Electron, bun.exe or a renamed Node, nor where Node is a library of its own. This one
// imports nothing from Node: its calls jump through pointers, which are looked up by name as it is loaded, before anything
// of it runs. (Import libraries that look up at the first call exist, too. dlltool's do not keep that call's xmm registers,
// where Windows passes floating-point numbers: napi_create_double would make any number.)
#include <windows.h>

// What else is linked in, for scripts/sbom.mjs. GCC says itself that its libraries are.
extern "C" __attribute__((used)) const char medmamba_runtime[] = "mingw-w64: " __MINGW64_VERSION_STR;

namespace {

// Stands for a function that this program has not. 9 is napi_generic_failure, which becomes a JavaScript error.
INT_PTR WINAPI missing() { return 9; }

}  // namespace

// node_api_functions.inc has an MM_FUNCTION for each function of Node-API. CMakeLists.txt writes it.
#define MM_FUNCTION(name)                                       \
    extern "C" {                                                \
    FARPROC medmamba_##name = missing;                          \
    __attribute__((naked, used)) void name() {                  \
        asm("jmp *medmamba_" #name "(%rip)");                   \
    }                                                           \
    }
#include <node_api_functions.inc>
#undef MM_FUNCTION

namespace {

struct Function {
    const char* name;
    FARPROC* pointer;
};

#define MM_FUNCTION(name) {#name, &medmamba_##name},
constexpr Function functions[] = {
#include <node_api_functions.inc>
};
#undef MM_FUNCTION

__attribute__((constructor)) void look_up() {
    HMODULE program = GetModuleHandleW(L"libnode.dll");  // as builds with --shared name theirs
    if (!program) program = GetModuleHandleW(nullptr);
    for (const Function& function : functions)
        if (FARPROC found = GetProcAddress(program, function.name)) *function.pointer = found;
}

}  // namespace
