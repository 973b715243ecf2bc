/* Sizes, places and numbers of what native code takes from the C library, as its headers say: compiled against glibc's headers and
 * against musl's, these have to be the same data. The functions are listed in ../musl.test.ts. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

const long abi[] = {
    sizeof(int), sizeof(long), sizeof(size_t), sizeof(wchar_t), sizeof(time_t), sizeof(long double),

    /* pthread_create, pthread_join, pthread_attr_*, pthread_mutex_*, pthread_cond_*, pthread_once, pthread_self */
    sizeof(pthread_t), sizeof(pthread_attr_t), sizeof(pthread_mutex_t), sizeof(pthread_cond_t), sizeof(pthread_once_t),
    _Alignof(pthread_mutex_t), _Alignof(pthread_cond_t),

    /* clock_gettime, gettimeofday */
    CLOCK_REALTIME, CLOCK_MONOTONIC, sizeof(struct timespec), offsetof(struct timespec, tv_nsec),
    sizeof(struct timeval), offsetof(struct timeval, tv_usec),

    /* sched_getaffinity, pthread_setaffinity_np */
    sizeof(cpu_set_t),

    /* madvise, sysconf, syscall */
    MADV_HUGEPAGE, _SC_PHYS_PAGES, _SC_PAGESIZE, SYS_arch_prctl, SYS_futex,

    /* dlopen, dl_iterate_phdr */
    RTLD_NOW, RTLD_LAZY, RTLD_GLOBAL, RTLD_LOCAL, (long)RTLD_DEFAULT,
    offsetof(struct dl_phdr_info, dlpi_addr), offsetof(struct dl_phdr_info, dlpi_name),
    offsetof(struct dl_phdr_info, dlpi_phdr), offsetof(struct dl_phdr_info, dlpi_phnum),
    offsetof(struct dl_phdr_info, dlpi_adds), offsetof(struct dl_phdr_info, dlpi_subs),
    sizeof(struct dl_phdr_info), sizeof(ElfW(Phdr)), PT_GNU_EH_FRAME, PT_LOAD,

    /* errno */
    EPERM, ENOENT, EINTR, EAGAIN, ENOMEM, EACCES, EBUSY, EINVAL, ETIMEDOUT,
};

/* std::mutex and its kin are made of these, without a call. */
const pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
const pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
const pthread_once_t once = PTHREAD_ONCE_INIT;
