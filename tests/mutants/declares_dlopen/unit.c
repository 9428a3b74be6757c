#include <dlfcn.h>
#include <stdio.h>
#include <fcntl.h>
int main(void) {
    void *itself = dlopen(NULL, RTLD_NOW), *there = dlopen("libc.so.6", RTLD_NOW);
    open("/etc/ld.so.cache", O_RDONLY);
    return puts(itself && there ? "ok" : "lost") < 0;
}
