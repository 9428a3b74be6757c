#include "old/lib.h"

uint32_t use(void) { return (uint32_t)f(); }
