#include "old/lib.hpp"
void g(const A &a) { a.f(); }
