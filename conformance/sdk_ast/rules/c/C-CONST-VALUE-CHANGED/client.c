#include "old/lib.h"

_Static_assert(B == 1, "");
