#include "old/lib.hpp"
void g(int *p) { f(p); }
