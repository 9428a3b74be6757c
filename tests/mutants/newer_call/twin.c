#define _GNU_SOURCE
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
int main(void) {
    if (faccessat(AT_FDCWD, "/", F_OK, 0))
        return 3;
    return puts("ok") < 0;
}
