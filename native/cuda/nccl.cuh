// Ranks on GPUs, reached through the NCCL of the system. The functions are those of the backend's table.
#pragma once

#include "../backend/backend.h"

namespace medmamba::cuda::nccl {

mm_status engine_version(const char* library, char version[MM_ENGINE_VERSION_BYTES], const char** why);
mm_status communicator_id(const char* library, char id[MM_COMMUNICATOR_ID_BYTES], const char** why);
mm_status communicator_create(mm_stream* stream, const char* library, const char id[MM_COMMUNICATOR_ID_BYTES],
                              int32_t rank, int32_t size, mm_communicator** communicator, const char** why);

}  // namespace medmamba::cuda::nccl
