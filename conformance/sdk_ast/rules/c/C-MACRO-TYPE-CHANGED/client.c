#include "old/lib.h"

_Static_assert(sizeof(N) == sizeof(int), "its type");
int use(void) { return (int)N; }
