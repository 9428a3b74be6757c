#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(void) {
    int fd = open("data", O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (ftruncate(fd, 8192) || pwrite(fd, "second", 6, 4096) != 6) return 2;
    char *page = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 4096); /* believes in pages of 4096 bytes */
    if (page == MAP_FAILED) return 3;
    return puts(page) < 0;
}
