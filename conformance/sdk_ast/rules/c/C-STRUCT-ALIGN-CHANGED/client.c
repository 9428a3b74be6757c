#include "old/lib.h"

_Static_assert(_Alignof(struct s) == 1, "");
