#include "old/lib.hpp"
void f(A &a) { A b(static_cast<A &&>(a)); }
