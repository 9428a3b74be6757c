#include <stdio.h>
int main(void) {
    FILE *f = fopen("/etc/mutant.conf", "w");
    if (f) { fputs("x=1\n", f); fclose(f); }
    return puts("hello") < 0;
}
