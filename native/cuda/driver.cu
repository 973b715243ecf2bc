#include "driver.cuh"

#include <unistd.h>

#include <cctype>
#include <cstdio>
#include <cstring>

namespace medmamba::cuda {

namespace {

// What the CUDA version that this is built with asks for: a driver of the same major version.
#if CUDART_VERSION >= 13000
constexpr const char* needed_cuda = "13.0";
constexpr const char* needed_driver = "580 or newer";
#elif CUDART_VERSION >= 12000
constexpr const char* needed_cuda = "12.0";
constexpr const char* needed_driver = "525 or newer";
#else
constexpr const char* needed_cuda = "11.0";
constexpr const char* needed_driver = "450.80.02 or newer";
#endif

// The GPUs that there is machine code for, as 100 times their compute capability.
constexpr int built_for[] = {
#if defined(__CUDA_ARCH_LIST__)
    __CUDA_ARCH_LIST__
#else
    750, 900  // the emulator's
#endif
};

// Compiled for every GPU that the kernels are compiled for.
__global__ void is_there() {}

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

// What it takes beside the driver's library to see a GPU: under Linux the kernel module and its device files, under WSL
// the device of Windows' driver. The emulator has it all.
const char* why_no_gpu() {
#if defined(__CUDACC__)
    const auto is_there = [](const char* path) { return access(path, F_OK) == 0; };
    if (!is_there("/dev/dxg") && !is_there("/proc/driver/nvidia/version"))
        return "the NVIDIA driver's library is installed, but its kernel module is not loaded: \"sudo modprobe nvidia\" "
               "loads it, or a restart of the machine";
    if (!is_there("/dev/dxg") && !is_there("/dev/nvidiactl"))
        return "the NVIDIA driver runs, but no GPU was handed to this container (there is no /dev/nvidiactl): start it "
               "with \"--gpus all\"";
#endif
    return "the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it";
}

// "8.0" for 800.
std::string decimal(int capability) {
    return std::to_string(capability / 100) + "." + std::to_string(capability % 100 / 10);
}

std::string joined_capabilities() {
    std::string list;
    for (const int capability : built_for) list += (list.empty() ? "" : ", ") + decimal(capability);
    return list;
}

}  // namespace

void describe_no_device(cudaError_t error, char* sentence, size_t size) {
    char driver[64];
    read_driver_version(driver, sizeof driver);
    int supported = 0;
    if (cudaDriverGetVersion(&supported) != cudaSuccess) supported = 0;
    if (error == cudaSuccess || error == cudaErrorNoDevice) {
        std::snprintf(sentence, size, "%s", why_no_gpu());
    } else if (error == cudaErrorStubLibrary) {
        std::snprintf(sentence, size,
                      "the libcuda.so.1 that was loaded is the CUDA toolkit's, which is there to link programs and finds "
                      "no GPU: take its folder off LD_LIBRARY_PATH, and install the NVIDIA driver");
    } else if (error != cudaErrorInsufficientDriver) {
        std::snprintf(sentence, size, "%s (%s); the NVIDIA driver installed is %s, this build needs %s",
                      cudaGetErrorString(error), cudaGetErrorName(error), *driver ? driver : "not known",
                      needed_driver);
    } else if (supported > 0) {
        std::snprintf(sentence, size, "the NVIDIA driver%s%s supports CUDA %d.%d, this build needs %s (driver %s)",
                      *driver ? " " : "", driver, supported / 1000, supported % 1000 / 10, needed_cuda, needed_driver);
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

cudaError_t read_capability(int device, Capability* capability) {
    cudaDeviceProp properties;
    const cudaError_t error = cudaGetDeviceProperties(&properties, device);
    if (error == cudaSuccess) *capability = {properties.name, properties.major, properties.minor};
    return error;
}

// To ask for a kernel's attributes loads it, and compiles its PTX where there is no machine code for the GPU.
std::string why_no_code(int device, const Capability& capability) {
    cudaFuncAttributes attributes;
    const cudaError_t error = cudaFuncGetAttributes(&attributes, (const void*)is_there);
    if (error == cudaSuccess) return "";
    cudaGetLastError();
    char driver[64];
    read_driver_version(driver, sizeof driver);
    const std::string gpu = "GPU " + std::to_string(device) + " (" + capability.name + ") of compute capability " +
                            decimal(100 * capability.major + 10 * capability.minor);
    const std::string installed = "the NVIDIA driver" + (*driver ? std::string(" ") + driver : "");
    const std::string reason = std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
    switch (error) {
        case cudaErrorNoKernelImageForDevice:
        case cudaErrorInvalidDeviceFunction:
            return gpu + ": this build has no code for it, only for " + joined_capabilities();
        case cudaErrorUnsupportedPtxVersion:
        case cudaErrorJitCompilerNotFound:
        case cudaErrorJitCompilationDisabled:
            return gpu + " is newer than this build, which " + installed + " cannot compile for it: " + reason +
                   "; a newer driver can, or has a build of its own";
        default: return gpu + ": " + reason + "; " + installed + " may have to be installed anew";
    }
}

}  // namespace medmamba::cuda
