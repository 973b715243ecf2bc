#include "system.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#if defined(_WIN32)
#include <windows.h>
#else
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace medmamba::cpu {

namespace {

std::string trimmed(const std::string& text) {
    const size_t first = text.find_first_not_of(" \t\n");
    return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t\n") + 1 - first);
}

#if !defined(_WIN32)
// The value of the first line of a /proc file that starts with `key`, after its colon. Empty if there is none.
std::string proc_value(const char* file, const char* key) {
    std::FILE* stream = std::fopen(file, "r");
    if (!stream) return {};
    std::string value;
    char line[512];
    while (value.empty() && std::fgets(line, sizeof line, stream)) {
        const char* colon = std::strchr(line, ':');
        if (std::strncmp(line, key, std::strlen(key)) == 0 && colon) value = trimmed(colon + 1);
    }
    std::fclose(stream);
    return value;
}
#endif

#if defined(__aarch64__) && defined(__linux__)
// ARM's processors have numbers where others have names: those of Arm's own designs that servers and small computers have.
std::string arm_name() {
    static constexpr struct {
        int part;
        const char* name;
    } designs[] = {{0xd03, "Cortex-A53"},  {0xd05, "Cortex-A55"},  {0xd07, "Cortex-A57"},  {0xd08, "Cortex-A72"},
                   {0xd09, "Cortex-A73"},  {0xd0a, "Cortex-A75"},  {0xd0b, "Cortex-A76"},  {0xd0c, "Neoverse N1"},
                   {0xd0d, "Cortex-A77"},  {0xd40, "Neoverse V1"}, {0xd41, "Cortex-A78"},  {0xd49, "Neoverse N2"},
                   {0xd4f, "Neoverse V2"}};
    const std::string implementer = proc_value("/proc/cpuinfo", "CPU implementer");
    const std::string part = proc_value("/proc/cpuinfo", "CPU part");
    if (implementer.empty() || part.empty()) return {};
    if (std::strtol(implementer.c_str(), nullptr, 16) == 0x41) {
        const long number = std::strtol(part.c_str(), nullptr, 16);
        for (const auto& design : designs)
            if (design.part == number) return std::string("Arm ") + design.name;
    }
    return "ARM processor, implementer " + implementer + ", part " + part;
}
#endif

}  // namespace

std::string processor_name() {
    std::string name;
#if defined(__x86_64__)
    // The name in three pieces of four registers.
    unsigned words[12], last, ignored;
    if (__get_cpuid(0x80000000, &last, &ignored, &ignored, &ignored) && last >= 0x80000004) {
        for (unsigned i = 0; i < 3; ++i)
            __get_cpuid(0x80000002 + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3]);
        const char* text = reinterpret_cast<const char*>(words);
        name = trimmed(std::string(text, std::find(text, text + sizeof words, '\0')));
    }
#elif defined(__aarch64__) && defined(__linux__)
    name = arm_name();
#endif
#if !defined(_WIN32)
    if (name.empty()) name = proc_value("/proc/cpuinfo", "model name");
#endif
    return name.empty() ? "CPU" : name;
}

#if defined(_WIN32)

namespace {
MEMORYSTATUSEX memory_status() {
    MEMORYSTATUSEX status = {};
    status.dwLength = sizeof status;
    GlobalMemoryStatusEx(&status);
    return status;
}
}  // namespace

int64_t total_memory() { return (int64_t)memory_status().ullTotalPhys; }
int64_t free_memory() { return (int64_t)memory_status().ullAvailPhys; }

std::string environment_variable(const char* name) {
    char value[256];  // More than any setting of ours has, and what is longer is no right one.
    const DWORD length = GetEnvironmentVariableA(name, value, sizeof value);
    return length < sizeof value ? std::string(value, length) : std::string(sizeof value, '?');
}

#else

int64_t total_memory() { return std::max<int64_t>(0, sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE); }
int64_t free_memory() {
    return std::strtoll(proc_value("/proc/meminfo", "MemAvailable").c_str(), nullptr, 10) * 1024;  // "123456 kB"
}

std::string environment_variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

#endif

}  // namespace medmamba::cpu
