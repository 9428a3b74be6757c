#include <dlfcn.h>
#include <stdio.h>
int main(void) {
    puts(dlopen("/lib/x86_64-linux-gnu/libz.so.1", RTLD_NOW) ? "found" : "lost");
    return 0;
}
