#include "old/lib.h"

int use(const char *s) { return f(s); }
