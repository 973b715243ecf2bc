/* An NVIDIA driver's library that is broken: it aborts when it is to start. With FAKE_DRIVER_CUDA, the CUDA that it supports
 * (12020 for 12.2), it starts and finds no GPU; with FAKE_DRIVER_ERROR as well, it has that error instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int cuInit(unsigned flags) {
    (void)flags;
    const char *error = getenv("FAKE_DRIVER_ERROR");
    if (getenv("FAKE_DRIVER_CUDA")) return error ? atoi(error) : 100; /* CUDA_ERROR_NO_DEVICE */
    fputs("fake driver: cuInit aborts\n", stderr);
    abort();
}

EXPORT int cuDriverGetVersion(int *version) {
    const char *cuda = getenv("FAKE_DRIVER_CUDA");
    *version = cuda ? atoi(cuda) : 13000;
    return 0;
}

/* Every function that is not here is cuInit. */
EXPORT int cuGetProcAddress_v2(const char *symbol, void **function, int version, unsigned long long flags,
                               int *status);

EXPORT int cuGetProcAddress(const char *symbol, void **function, int version, unsigned long long flags) {
    (void)flags;
    *function = (void *)cuInit;
    if (strcmp(symbol, "cuDriverGetVersion") == 0) *function = (void *)cuDriverGetVersion;
    if (strcmp(symbol, "cuGetProcAddress") == 0)
        *function = version < 12000 ? (void *)cuGetProcAddress : (void *)cuGetProcAddress_v2;
    return 0;
}

EXPORT int cuGetProcAddress_v2(const char *symbol, void **function, int version, unsigned long long flags,
                               int *status) {
    if (status) *status = 0;
    return cuGetProcAddress(symbol, function, version, flags);
}
