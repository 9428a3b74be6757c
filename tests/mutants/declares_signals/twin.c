#include <signal.h>
#include <stdio.h>
static volatile sig_atomic_t came;
static void handle(int number) { came = number; }
int main(void) {
    signal(SIGUSR1, handle);
    raise(SIGUSR1);
    return puts(came == SIGUSR1 ? "ok" : "lost") < 0;
}
