#include "old/lib.h"

_Static_assert(SIZE == 16, "");
