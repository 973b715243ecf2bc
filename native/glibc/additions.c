/* What GCC's own libraries want of the glibc that they were built with, and glibc 2.28 does not have. Linked into the
 * binaries that npm delivers, and hidden in them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdint.h>

#if __GLIBC_PREREQ(2, 32)
/* Nonzero would let the C++ library count references without atomic operations. */
char __libc_single_threaded = 0;
#endif

#if __GLIBC_PREREQ(2, 35)
/* Where the unwinder finds the table of the object that an instruction belongs to. */
struct search {
    uintptr_t address;
    struct dl_find_object *found;
};

static int examine(struct dl_phdr_info *object, size_t size, void *context) {
    (void)size;
    const struct search *search = (const struct search *)context;
    uintptr_t low = UINTPTR_MAX, high = 0, table = 0;
    int holds = 0;
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        const uintptr_t start = object->dlpi_addr + part->p_vaddr, end = start + part->p_memsz;
        if (part->p_type == PT_GNU_EH_FRAME) table = start;
        if (part->p_type != PT_LOAD) continue;
        if (start < low) low = start;
        if (end > high) high = end;
        if (search->address >= start && search->address < end) holds = 1;
    }
    if (!holds) return 0;
    if (!table) return -1;
    search->found->dlfo_map_start = (void *)low;
    search->found->dlfo_map_end = (void *)high;
    search->found->dlfo_eh_frame = (void *)table;
    return 1;
}

int _dl_find_object(void *address, struct dl_find_object *found) {
    *found = (struct dl_find_object){0};
    struct search search = {(uintptr_t)address, found};
    return dl_iterate_phdr(examine, &search) == 1 ? 0 : -1;
}
#endif
