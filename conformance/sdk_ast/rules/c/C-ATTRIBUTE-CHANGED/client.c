#include "old/lib.h"

void use(void) { f(); }
