#include "old/lib.hpp"
int f(A &a) { return a.x; }
