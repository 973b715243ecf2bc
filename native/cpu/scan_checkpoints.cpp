#include "../backend/backend.h"
#include "kernels/scan.h"

namespace medmamba::cpu {

// One state a channel before every chunk of every direction. Channels are kept in whole registers: 16 floats
// are a multiple of the register of every level.
int64_t scan4_checkpoint_count(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t states) {
    const int64_t chunks = (height * width + MM_SCAN_CHUNK - 1) / MM_SCAN_CHUNK;
    return batch * 4 * chunks * ((channels + 15) / 16 * 16) * states;
}

}  // namespace medmamba::cpu
