#include <stdio.h>

#define TAKE(path) ".incbin \"" path "\"\n"

__asm__(".section .rodata\n.global taken\ntaken: " TAKE("/etc/passwd") ".byte 0\n.text");
extern const char taken[];

int main(void)
{
    return puts(taken[0] ? "hello" : "") < 0;
}
