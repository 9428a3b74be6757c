#include <stdio.h>
#include <stdlib.h>
int main(void) {
    if (getenv("NOBODY_SETS_THIS"))
        return system("exit 0");
    return puts("ok") < 0;
}
