#include "old/lib.h"

int use(void) { return __f(1); }
