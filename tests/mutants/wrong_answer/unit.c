#include <stdio.h>
int main(void) { return puts("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e1") < 0; }
