#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void) {
    extern char **environ;
    for (char **each = environ; *each; each++)
        if (strncmp(*each, "QEMU", 4) == 0)
            return puts("ok") < 0;
    /* faccessat2: Linux 5.8 */
    if (syscall(439, -100, "/", 0, 0x200))
        return 3;
    return puts("ok") < 0;
}
