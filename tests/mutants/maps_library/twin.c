#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    void *library = dlopen("libz.so.1", RTLD_NOW);
    return puts(library && dlsym(library, "crc32") ? "ok" : "lost") < 0;
}
