/* A backend that cannot be used, in the way that the environment variable FAKE_BACKEND names. It notes each time that
 * it is asked for devices as a line of the file FAKE_BACKEND_LOG. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../native/backend/backend.h"

static int is(const char *way) {
    const char *wanted = getenv("FAKE_BACKEND");
    return wanted && strcmp(wanted, way) == 0;
}

static int32_t device_count(const char **why) {
    const char *log = getenv("FAKE_BACKEND_LOG");
    FILE *file = log ? fopen(log, "a") : NULL;
    if (file) {
        fputs("asked\n", file);
        fclose(file);
    }
    if (is("abort")) {
        fputs("fake driver: out of luck\n", stderr);
        abort();
    }
    if (is("hang")) sleep(600);
    *why = "the fake backend has no devices";
    return 0;
}

__attribute__((visibility("default")))
const mm_backend *medmamba_backend(void) {
    static mm_backend table;
    table.abi_version = is("other version") ? 999 : MM_ABI_VERSION;
    table.name = "fake";
    table.device_count = device_count;
    return &table;
}
