#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
int main(void) {
    const char *text = "\xe9\xbe\x99";
    setlocale(LC_ALL, "");
    printf("%d\n", MB_CUR_MAX > 1 ? text[0] : 0);
    return 0;
}
