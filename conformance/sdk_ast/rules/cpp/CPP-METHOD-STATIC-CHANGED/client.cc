#include "old/lib.hpp"
void g() { A::f(); }
