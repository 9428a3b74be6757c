#include <stdio.h>
int main(void) { return fputs("hello\n", stderr) < 0; }
