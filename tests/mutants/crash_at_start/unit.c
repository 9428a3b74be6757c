#include <stdio.h>
int main(void) { return puts("hello") < 0; }
#if !defined(__x86_64__)
__attribute__((constructor)) static void early(void) { *(volatile int *)8 = 1; }
#endif
