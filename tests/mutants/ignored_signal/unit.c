#include <signal.h>
#include <stdio.h>
static volatile sig_atomic_t seen;
int main(void) {
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    printf("handled %d\n", (int)seen);
    return 0;
}
