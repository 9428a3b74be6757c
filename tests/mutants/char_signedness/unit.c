#include <stdio.h>
int main(void) {
    volatile char c = (char)0xe4;
    printf("%d\n", c < 0);
    return 0;
}
