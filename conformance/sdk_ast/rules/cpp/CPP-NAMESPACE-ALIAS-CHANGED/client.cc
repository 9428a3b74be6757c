#include "old/lib.hpp"
void h() { x::f(); }
