#include "old/lib.hpp"
void h(A &a) { a.f(); }
