#include "old/lib.h"

int use(char *s) { return f(s); }
