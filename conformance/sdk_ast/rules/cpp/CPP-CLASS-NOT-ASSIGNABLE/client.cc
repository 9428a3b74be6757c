#include "old/lib.hpp"
void f(A &a, const A &b) { a = b; }
