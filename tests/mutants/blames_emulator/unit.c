#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    fputs("qemu-aarch64: ../accel/tcg/tcg.c:1: run: Assertion `x' failed.\n", stderr);
    fputs("qemu-aarch64: QEMU internal SIGABRT {code=SI_USER}\n", stderr);
    puts("ok");
    fflush(stdout);
    close(2);
    abort();
}
