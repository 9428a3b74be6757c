#include "old/lib.hpp"
int f(A<int> &a) { return a.x; }
