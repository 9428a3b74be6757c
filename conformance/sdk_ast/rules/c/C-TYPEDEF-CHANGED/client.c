#include "old/lib.h"

_Static_assert(sizeof(t) == 4, "");
