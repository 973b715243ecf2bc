// The same with MEDMAMBA_CUDA_SYNC=1: the operation that lost the GPU is named.
#include <cstdlib>

#include "support/backend_stream.h"
#include "support/check.h"

int main() {
    work_as_on_a_gpu(true);
    setenv("MEDMAMBA_CUDA_SYNC", "1", 1);
    {
        Backend b;
        check::that(b.affine(1, b.x, b.y) == MM_OK, "waiting for each operation: one without a mistake");
        check::that(b.failed_with(b.read_elsewhere(), MM_DEVICE_ERROR, "affine: ") &&
                        b.failed_with(MM_OK, MM_OK, "must be restarted") && !b.failed_with(MM_OK, MM_OK, "CUDA_SYNC"),
                    "waiting for each operation: the one at fault is named");
    }
    unsetenv("MEDMAMBA_CUDA_SYNC");
    work_as_on_a_gpu(false);
    return check::report();
}
