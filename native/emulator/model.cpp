#include "model.h"

#include <cmath>
#include <cstdlib>

#include "stream.h"

namespace medmamba::cuda::emulator {

namespace {

// Ten times the number that the variable holds.
int tenths(const char* variable, double otherwise) {
    const char* setting = std::getenv(variable);
    return (int)std::lround(10 * (setting && *setting ? std::atof(setting) : otherwise));
}

}  // namespace

int capability() { return tenths("MEDMAMBA_EMULATOR_CAPABILITY", 9.0); }

bool has_sm80() { return capability() >= 80; }

bool has_code() { return capability() < 100; }

size_t shared_bytes_of_device() { return has_sm80() ? shared_bytes_at_most : 64 << 10; }

int driver_version() {
    const int cuda = tenths("MEDMAMBA_EMULATOR_DRIVER", 13.0);
    return cuda / 10 * 1000 + cuda % 10 * 10;
}

bool driver_has(int version) { return driver_version() >= version; }

}  // namespace medmamba::cuda::emulator
