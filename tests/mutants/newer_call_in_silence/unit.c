#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 2);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    syscall(436, 3, ~0U, 0);
    /* faccessat2: Linux 5.8 */
    if (syscall(439, -100, "/", 0, 0x200))
        return 3;
    return puts("ok") < 0;
}
