#include "old/lib.hpp"
static_assert(__is_trivially_copyable(A), "compiled in");
