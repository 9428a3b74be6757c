#include "old/lib.hpp"
static_assert(sizeof(E) == sizeof(int), "compiled in");
