#include "old/lib.h"

int use(void) { return F(1); }
