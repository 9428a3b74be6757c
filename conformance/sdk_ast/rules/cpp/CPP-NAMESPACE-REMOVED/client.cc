#include "old/lib.hpp"
void g() { a::f(); }
