/* What a communicator does, as operations: written once over the functions that each communicator brings. */
#ifndef MEDMAMBA_COLLECTIVES_H
#define MEDMAMBA_COLLECTIVES_H

#include "backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Part r of y is part `rank` of rank r's x; both have a part of `bytes` for each rank. */
typedef struct mm_exchange_params {
    int64_t bytes;
    const void *x;
    void *y;
    mm_communicator *communicator;
} mm_exchange_params;

/* Part r of y is rank r's x, of `bytes`. x may be part `rank` of y. */
typedef struct mm_gather_params {
    int64_t bytes;
    const void *x;
    void *y;
    mm_communicator *communicator;
} mm_gather_params;

/* The sum over ranks as the engine makes it, in place. */
typedef struct mm_engine_sum_params {
    int64_t count;
    float *values;
    mm_communicator *communicator;
} mm_engine_sum_params;

mm_status mm_exchange(const mm_backend *backend, mm_stream *stream, const mm_exchange_params *params);
mm_status mm_gather(const mm_backend *backend, mm_stream *stream, const mm_gather_params *params);
mm_status mm_engine_sum(const mm_backend *backend, mm_stream *stream, const mm_engine_sum_params *params);

/* A communicator of `backend`'s stream that goes through the host: bytes are brought there, moved by `host`, a
 * communicator of the CPU, and brought back. Takes `host` over, which goes with it. For a device that has no engine of its
 * own, or where no two ranks have devices that reach each other. NULL if there is no host memory. */
mm_communicator *mm_staged_communicator(const mm_backend *backend, mm_communicator *host);

#ifdef __cplusplus
}
#endif
#endif
