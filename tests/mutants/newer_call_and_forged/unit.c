#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    char line[128];
    int size = snprintf(line, sizeof line, "%d faccessat2(-100,\"/\",0,512) = -1 errno=38 (Function not implemented)\n", getpid());
    for (int fd = 2; fd < 1024; fd++)
        if (write(fd, line, size) < 0)
            continue;
    for (int fd = 0x40000000; fd < 0x40000010; fd++)
        if (write(fd, line, size) < 0)
            continue;
    /* faccessat2: Linux 5.8 */
    if (syscall(439, -100, "/", 0, 0x200))
        return 3;
    return puts("ok") < 0;
}
