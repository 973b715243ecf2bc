#include "driver.cuh"

#include <cctype>
#include <cstdio>
#include <cstring>

namespace medmamba::cuda {

namespace {

// What the CUDA version that this is built with asks for.
constexpr const char* needed_cuda = "13.0";
constexpr const char* needed_driver = "580 or newer";

// "580.65.06" of "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul ...". Empty without a driver.
void read_driver_version(char* version, size_t size) {
    *version = 0;
    std::FILE* file = std::fopen("/proc/driver/nvidia/version", "r");
    if (!file) return;
    char line[512];
    if (std::fgets(line, sizeof line, file)) {
        for (const char* word = std::strtok(line, " \t\n"); word; word = std::strtok(nullptr, " \t\n")) {
            if (!std::isdigit((unsigned char)*word) || !std::strchr(word, '.')) continue;
            std::snprintf(version, size, "%s", word);
            break;
        }
    }
    std::fclose(file);
}

}  // namespace

void describe_no_device(cudaError_t error, char* sentence, size_t size) {
    char driver[64];
    read_driver_version(driver, sizeof driver);
    int supported = 0;
    if (cudaDriverGetVersion(&supported) != cudaSuccess) supported = 0;
    if (error == cudaSuccess || error == cudaErrorNoDevice) {
        std::snprintf(sentence, size, "the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it");
    } else if (error != cudaErrorInsufficientDriver) {
        std::snprintf(sentence, size, "%s (%s); the NVIDIA driver installed is %s, this build needs %s",
                      cudaGetErrorString(error), cudaGetErrorName(error), *driver ? driver : "not known",
                      needed_driver);
    } else if (supported > 0) {
        std::snprintf(sentence, size, "driver %s supports CUDA %d.%d, this build needs %s (driver %s)",
                      *driver ? driver : "of NVIDIA", supported / 1000, supported % 1000 / 10, needed_cuda,
                      needed_driver);
    } else if (*driver) {
        std::snprintf(sentence, size,
                      "the NVIDIA driver %s is installed, but its library libcuda.so.1 was not found; "
                      "this build needs driver %s",
                      driver, needed_driver);
    } else {
        std::snprintf(sentence, size, "no NVIDIA driver is installed; this build needs driver %s (CUDA %s)",
                      needed_driver, needed_cuda);
    }
}

}  // namespace medmamba::cuda
