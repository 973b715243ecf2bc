// An error of a kernel that the GPU does not recover from: whoever waits is told, and everybody after that. A test of its own,
// since the process is of no use afterwards.
#include "support/backend_stream.h"
#include "support/check.h"

int main() {
    work_as_on_a_gpu(true);
    {
        Backend b;
        check::that(b.read_elsewhere() == MM_OK, "a GPU tells later of a kernel's mistake");
        check::that(b.failed_with(b.table->synchronize(b.stream), MM_DEVICE_ERROR, "must be restarted") &&
                        b.failed_with(MM_OK, MM_OK, "MEDMAMBA_CUDA_SYNC=1"),
                    "who waits is told to restart the process, and how to find the operation");
        check::that(b.failed_with(b.affine(1, b.x, b.y), MM_DEVICE_ERROR, "must be restarted"),
                    "and so is every operation after that");
    }
    work_as_on_a_gpu(false);
    return check::report();
}
