// The native tests on a GPU, as one program, so that what they test is in it once.
//
//   medmamba-gpu-tests [--list] [--without-guards] [TEST...]
//
// Without names: all of them, each in a process of its own, as one may lose the GPU. 0 if all pass, 1 if any fails, 2 for a
// name that is none, 77 if there is no GPU that they could run on.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "../../../native/backend/backend.h"
#include "gpu_tests.h"  // MM_GPU_TESTS, of CMakeLists.txt
#include "level.h"

extern "C" const mm_backend* medmamba_backend();

#define MM_DECLARE_TEST(name) int test_##name();
MM_GPU_TESTS(MM_DECLARE_TEST)
#undef MM_DECLARE_TEST

namespace {

struct Test {
    const char* name;
    int (*run)();
};

#define MM_TEST(name) {#name, test_##name},
constexpr Test tests[] = {MM_GPU_TESTS(MM_TEST)};
#undef MM_TEST

constexpr int wrong_usage = 2, no_gpu = 77;

const Test* find_test(std::string_view name) {
    for (const Test& test : tests)
        if (name == test.name) return &test;
    return nullptr;
}

// In a process of its own, which has not asked the driver anything yet.
bool passes_alone(const Test& test, bool without_guards) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const char* program = "/proc/self/exe";
        without_guards ? execl(program, program, "--without-guards", test.name, nullptr)
                       : execl(program, program, test.name, nullptr);
        _exit(wrong_usage);
    }
    int status = 0;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int run_all(bool without_guards) {
    int failed = 0;
    for (const Test& test : tests) {
        std::printf("== %s\n", test.name);
        const bool passes = passes_alone(test, without_guards);
        if (!passes) std::printf("FAILED: %s\n", test.name);
        failed += !passes;
    }
    std::printf("%zu programs, %d failed\n", std::size(tests), failed);
    return failed ? 1 : 0;
}

}  // namespace

int main(int count, char** arguments) {
    bool without_guards = false;
    std::vector<const Test*> wanted;
    for (int i = 1; i < count; ++i) {
        const std::string_view argument = arguments[i];
        if (argument == "--list") {
            for (const Test& test : tests) std::printf("%s\n", test.name);
            return 0;
        }
        if (argument == "--without-guards") {
            without_guards = true;
        } else if (const Test* test = find_test(argument)) {
            wanted.push_back(test);
        } else {
            std::fprintf(stderr, "medmamba-gpu-tests: there is no test \"%s\"; --list tells their names\n", arguments[i]);
            return wrong_usage;
        }
    }
    const char* why = "";
    if (medmamba_backend()->device_count(&why) == 0) {
        std::fprintf(stderr, "medmamba-gpu-tests: there is no GPU to test on: %s\n", why);
        return no_gpu;
    }
    if (wanted.empty()) return run_all(without_guards);
    if (without_guards) allocate_without_guards();
    int failed = 0;
    for (const Test* test : wanted) failed += test->run() != 0;
    return failed ? 1 : 0;
}
