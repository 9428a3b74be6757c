#include "old/lib.hpp"
void (*p)() noexcept = f;
