#include "old/lib.hpp"
void f() { A a; A b(a); (void)b; }
