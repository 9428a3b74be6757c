#include <stdio.h>
static const char *volatile built = __TIME__;
int main(void) { return puts("hello") < 0 || !built[0]; }
