// What Bun and sharp for musl want of a libstdc++.so.6, and Debian's libstdc++.a has not: made from that for these tests alone,
// because Debian has no C++ library for musl. (On Alpine it is a package. The delivered addon brings its own.)
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <sstream>
#include <string>

// GCC 13's, where Debian 12 has GCC 12.
std::string str(const std::stringbuf* buffer) asm("_ZNKRSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");
std::string str(const std::stringbuf* buffer) { return buffer->str(); }
void replace_cold(std::string*, char* p, size_t length, const char* with, size_t with_length, size_t after) asm(
    "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE15_M_replace_coldEPcmPKcmm");
void replace_cold(std::string*, char* p, size_t length, const char* with, size_t with_length, size_t after) {
    const std::string inserted(with, with_length);
    std::memmove(p + with_length, p + length, after);
    std::memcpy(p, inserted.data(), with_length);
}

// glibc's, which GCC's libraries were built for. Those of native/glibc/additions.c are linked in, too.
extern "C" {
unsigned arc4random() { return 4; }
size_t __strftime_l(char* text, size_t size, const char* format, const std::tm* time, locale_t locale) {
    return strftime_l(text, size, format, time, locale);
}
int __cpu_model[4];
int __cpu_indicator_init() { return 0; }
// musl 1.2.3 of Debian 12 is a version too old for it.
int statx(int folder, const char* path, int flags, unsigned mask, struct statx* result) {
    return (int)syscall(SYS_statx, folder, path, flags, mask, result);
}
}
