#include "old/lib.h"

int use(void) { return f(); }
