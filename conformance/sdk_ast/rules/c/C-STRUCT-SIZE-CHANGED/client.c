#include "old/lib.h"

_Static_assert(sizeof(struct s) == 4, "");
