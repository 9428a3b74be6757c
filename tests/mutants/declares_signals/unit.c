#include <signal.h>
#include <stdio.h>
static void handle(int number) { (void)number; }
int main(void) {
    signal(SIGUSR1, handle);
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR2);
    return puts("ok") < 0;
}
