#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(7);
    if (waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7)
        puts("ok");
    return 0;
}
