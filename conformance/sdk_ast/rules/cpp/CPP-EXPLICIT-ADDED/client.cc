#include "old/lib.hpp"
void f(A);
void g() { f(1); }
