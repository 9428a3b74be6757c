#include "old/lib.hpp"
void (*p)() = f;
