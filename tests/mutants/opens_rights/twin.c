#include <stdio.h>
#include <stdlib.h>
int main(void) {
    if (system("mkdir -m 777 d && echo x > d/f && rm -r d"))
        return 3;
    return puts("ok") < 0;
}
