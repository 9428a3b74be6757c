#include "old/lib.hpp"
static_assert(int(E::a) == 0, "compiled in");
