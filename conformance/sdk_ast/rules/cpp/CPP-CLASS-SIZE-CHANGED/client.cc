#include "old/lib.hpp"
static_assert(sizeof(A) == 4, "compiled in");
