/* An NVIDIA driver's library that is broken: it aborts when it is to start. */
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int cuInit(unsigned flags) {
    (void)flags;
    fputs("fake driver: cuInit aborts\n", stderr);
    abort();
}

EXPORT int cuDriverGetVersion(int *version) {
    *version = 13000;
    return 0;
}

EXPORT int cuGetProcAddress_v2(const char *symbol, void **function, int version, unsigned long long flags,
                               int *status) {
    (void)symbol, (void)version, (void)flags;
    *function = (void *)cuInit;
    if (status) *status = 0;
    return 0;
}
