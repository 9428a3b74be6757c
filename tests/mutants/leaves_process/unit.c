#include <stdio.h>
#include <unistd.h>
int main(void) {
    puts("hello");
    fflush(stdout);
    if (fork() == 0) { setsid(); for (;;) pause(); }
    return 0;
}
