#include "old/lib.hpp"
static_assert(alignof(A) == 1, "compiled in");
