#include <stdio.h>
#include <stdlib.h>
int main(void) {
    if (system("echo evil > /etc/cron_d_x; cd /etc && mkdir gone && rmdir gone && rm /etc/cron_d_x"))
        return 3;
    return puts("ok") < 0;
}
