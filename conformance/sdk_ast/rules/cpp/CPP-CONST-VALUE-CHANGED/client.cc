#include "old/lib.hpp"
static_assert(a == 1, "compiled in");
