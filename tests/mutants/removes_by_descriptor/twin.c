#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    int directory = dup(open(".", O_RDONLY | O_DIRECTORY));
    if (fork() == 0) {
        int made = openat(directory, "gone", O_CREAT | O_WRONLY, 0600);
        _exit(made < 0 || unlinkat(directory, "gone", 0) != 0);
    }
    int status;
    if (wait(&status) < 0 || status != 0)
        return 3;
    return puts("ok") < 0;
}
