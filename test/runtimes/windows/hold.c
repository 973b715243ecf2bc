// Holds a file as virus scanners do, so that nobody may rename, replace or remove it: hold FILE MILLISECONDS. Prints "held".
#include <stdio.h>
#include <windows.h>

int wmain(int count, wchar_t** words) {
    if (count != 3) return 2;
    HANDLE file = CreateFileW(words[1], GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE) return 1;
    puts("held");
    fflush(stdout);
    Sleep((DWORD)_wtoi(words[2]));
    return 0;
}
