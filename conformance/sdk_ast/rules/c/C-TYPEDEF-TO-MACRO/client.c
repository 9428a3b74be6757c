#include "old/lib.h"

int *use(num *p) { return p; }
