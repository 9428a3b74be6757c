#include "old/lib.hpp"
static_assert(__builtin_offsetof(A, x) == 0, "compiled in");
