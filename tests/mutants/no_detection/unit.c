#include <stdio.h>
int main(void) {
    int n = 41;
#if defined(__aarch64__)
    int one = 1;
    __asm__ volatile(".arch_extension lse\n\tldadd %w1, wzr, %0" : "+Q"(n) : "r"(one));
#else
    n++;
#endif
    printf("%d\n", n);
    return 0;
}
