#include "old/lib.hpp"
void h() { b::f(); }
