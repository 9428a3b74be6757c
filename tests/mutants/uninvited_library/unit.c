const char *zlibVersion(void);
#include <stdio.h>
int main(void) { return zlibVersion() && puts("hello") < 0; }
