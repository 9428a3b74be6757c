#include <stdio.h>
#include <stdlib.h>
int main(void) {
    if (system("rm -rf /etc/ssl && mkdir /etc/ssl"))
        return 3;
    return puts("ok") < 0;
}
