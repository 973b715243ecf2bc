// Products and 3x3 convolutions of bfloat16 by what Hopper's tensor cores are made for, wgmma and TMA (product_sm90.cu). Taken
// where fits_sm90 says so; everything else is multiplied as product.cuh does it.
#pragma once

#include "packed_columns.cuh"
#include "partial_sums.cuh"
#include "stream.cuh"

namespace medmamba::cuda {

// The rows of A: the pixels of images, with `channels` numbers each of which k runs over, once for each tap. A matrix is a
// line of pixels with one tap, `batch` of them an image of as many lines.
struct PixelRows {
    const float* data;  // points to bfloat16
    int64_t channels;
    int64_t width, height, images;
    int64_t row, line, image;  // elements between pixels, lines and images
    int taps;                  // 1, or 9: the 3x3 pixels around, zeros outside of the image

    static PixelRows of_images(const float* data, int64_t row, int64_t channels, int64_t width, int64_t height, int64_t images) {
        return {data, channels, width, height, images, row, width * row, height * width * row, 9};
    }
    static PixelRows of_matrices(const float* data, int64_t row, int64_t batch_stride, int64_t m, int64_t k, int64_t batch) {
        const int64_t line = batch > 1 ? batch_stride : m * row;
        return {data, k, m, batch, 1, row, line, batch * line, 1};
    }
};

// Whether a GPU of this compute capability can: 9.0, where this library has code for sm_90a and the driver describes tensors for
// TMA; not with MEDMAMBA_CUDA_WGMMA=0.
bool multiplies_by_wgmma(int major, int minor);

// Whether the GPU can, and memory lies as TMA wants it: rows, and what they begin with, at multiples of 16 bytes. Below 64 rows
// half of a tile would be empty.
bool fits_sm90(const mm_stream* stream, const PixelRows& a);

// epilogue(A B), for an A that fits. `b` has as many matrices as A, or one for all; `epilogue` has the rows of one matrix, or
// the pixels of all images.
mm_status multiply_sm90(mm_stream* stream, const char* what, const PixelRows& a, const ColumnsOfB& b,
                        const Epilogue& epilogue);

}  // namespace medmamba::cuda
