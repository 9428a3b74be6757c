#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
int main(void) {
    int file = open("/usr/lib/aarch64-linux-gnu/libz.so.1", O_RDONLY);
    if (file < 0)
        file = open("/lib/aarch64-linux-gnu/libz.so.1", O_RDONLY);
    const char *text = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
    return text == MAP_FAILED || text[1] != 'E' || puts("ok") < 0;
}
