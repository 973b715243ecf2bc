// How a batch is cut into runs of images, so that the workspace of a scan stays within bounds.
//
// Everything that depends on how much there is to do at once, the kernel and the segments (scan_passes.cuh), is decided
// for a run, not for the batch. Runs depend on shapes alone, and differ by one image at most: a short one at the end would
// leave most of a GPU idle for as long as a full one takes.
#pragma once

#include "stream.cuh"

namespace medmamba::cuda {

// Floats of workspace that a run may have: 2 GiB. Tests make it less.
inline int64_t most_run_floats = int64_t(1) << 29;

struct ImageRuns {
    int64_t batch, count;

    // Each image needs so many floats of workspace; a run has at least one image.
    ImageRuns(int64_t batch, int64_t image_floats) : batch(batch) {
        const int64_t most = most_run_floats / image_floats;
        count = ceil_div(batch, most < 1 ? 1 : most);
    }
    int64_t first(int64_t run) const { return batch * run / count; }
    int64_t images(int64_t run) const { return first(run + 1) - first(run); }
    int64_t most_images() const { return ceil_div(batch, count); }
};

}  // namespace medmamba::cuda
