#include <stdio.h>
int main(void) {
    fputs("qemu-aarch64: ../accel/tcg/tcg.c:1: run: Assertion `x' failed.\n", stderr);
    return puts("ok") < 0;
}
