#include "old/lib.hpp"
void g(A &a) { a.f(1); }
