#include "old/lib.h"

_Static_assert(__builtin_offsetof(struct s, b) == 4, "");
