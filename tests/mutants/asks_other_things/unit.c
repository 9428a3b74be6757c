#include <stdatomic.h>
#include <stdio.h>
#include <sys/auxv.h>
#ifndef AT_PAGESZ
#define AT_PAGESZ 6
#endif
static atomic_int n;
int main(int argc, char **argv) {
    (void)argv;
    unsigned long page = getauxval(AT_PAGESZ);
    atomic_fetch_add(&n, argc + 1);
    printf("%d %d\n", atomic_load(&n), page >= 4096);
    return 0;
}
