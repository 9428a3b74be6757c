#include "old/lib.h"

#ifndef N
#error
#endif
int use(void) { return N; }
