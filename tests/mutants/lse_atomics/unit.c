#include <stdatomic.h>
#include <stdio.h>
static atomic_int n;
int main(int argc, char **argv) {
    (void)argv;
    atomic_fetch_add(&n, argc + 1);
    printf("%d\n", atomic_load(&n));
    return 0;
}
